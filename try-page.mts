import { PolicyWork } from '/tmp/wt/page/src/gateway/policy/policy-work.ts';
import { loadBundle, starterFolder } from '/tmp/wt/page/src/policy/index.ts';
const { files } = await loadBundle(starterFolder());
const work = new PolicyWork();
let t = Date.now();
console.log((await work.ask('outline', { files })).rules.length, Date.now() - t);
const many = (n) => ({ ...files, 'many.cedar': Array.from({ length: n }, (_, i) => `@id("r-${i}") @reason("r") @approval("dba") forbid (principal, action == Countersign::Action::"DELETE", resource) when { context.rows > ${i} };`).join('\n') });
for (const n of [100, 1000, 2000 - 12, 5000]) { t = Date.now(); try { const o = await work.ask('outline', { files: many(n) }); console.log(n, 'outline', o.rules.length, Date.now() - t); } catch (e) { console.log(n, e.message, Date.now() - t); } }
for (const n of [100, 1000, 1980]) { t = Date.now(); try { await work.ask('trial', { files: many(n), change: { id: 'r-3', text: '' }, question: { kind: 'proposed', proposal: { tool: 'x', input: {} }, agent: { id: 'a', tenant: 't', roles: ['admin_user'], scopes: [] }, tool: { name: 'x', kind: 'k', environment: 'production' }, actionType: 'DELETE', now: '2026-01-01T00:00:00Z' } }); console.log(n, 'trial', Date.now() - t); } catch (e) { console.log(n, e.message, Date.now() - t); } }
