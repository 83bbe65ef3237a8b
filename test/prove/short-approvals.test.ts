/** A copy of policies gives people less time, and says the same otherwise. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { bundleFromFiles, type PolicyBundle } from '../../src/policy/bundle.js';
import { compilePolicy } from '../../src/policy/index.js';
import { withShortApprovals } from '../../src/prove/scratch/short-approvals.js';
import { STARTER } from '../support/stack.js';

const RULES = `
@id("anything") permit (principal, action, resource);
@id("asks") @reason("it says \\"@approval(…)\\" here") @approval("dba|lead, quorum=2, denials=2, ttl=4h, remind=30m, escalate=1h:cto|cfo; security, passkey, self")
forbid (principal, action == Countersign::Action::"WRITE", resource);
@id("is-shorter-already") @reason("b") @approval( "dba,ttl = 1s" ) forbid (principal, action == Countersign::Action::"DELETE", resource);
@id("has-a-day") @reason("c") @approval("dba") forbid (principal, action == Countersign::Action::"CALL_API", resource);`;
const LIMITS = `limits: # of everything
  asked: { kind: count, scope: agent, max: 3, window: 1d, atLimit: "approve by dba, ttl=4h, remind=1h" }
  queued: { kind: rate, scope: agent, max: 3, per: 1m, atLimit: queue for 30s }\n`;

let bundle: PolicyBundle;
beforeAll(async () => {
  bundle = bundleFromFiles({
    'schema.cedarschema': await readFile(path.join(STARTER, 'schema.cedarschema'), 'utf8'),
    'rules.cedar': RULES,
    'limits.yaml': LIMITS,
  });
});

/** What people have to do by each rule and limit. */
function termsOf(one: PolicyBundle) {
  const { rules, limits } = compilePolicy(one);
  const approvals = rules.flatMap(({ id, approvals: asked }) => (asked === undefined ? [] : [[id, asked] as const]));
  return { approvals: Object.fromEntries(approvals), limits };
}

test('the time of people is shortened, with what would come after it, and nothing else', () => {
  const short = withShortApprovals(bundle, 2);
  expect(termsOf(short).approvals).toEqual({
    asks: [
      { roles: ['dba', 'lead'], quorum: 2, denials: 2, ttlSeconds: 2 },
      { roles: ['security'], quorum: 1, passkey: true, self: true, ttlSeconds: 2 },
    ],
    'is-shorter-already': [{ roles: ['dba'], quorum: 1, ttlSeconds: 1 }],
    'has-a-day': [{ roles: ['dba'], quorum: 1, ttlSeconds: 2 }],
  });
  const withoutTerms = (text = ''): string => text.replaceAll(/@approval\s*\([^)]*\)(?=[ \n])/g, '');
  expect(withoutTerms(short.files['rules.cedar'])).toBe(withoutTerms(RULES));
});

test('so is that of people whom a limit asks', () => {
  const [before = '', after = ''] = [bundle, withShortApprovals(bundle, 2)].map((one) =>
    JSON.stringify(termsOf(one).limits).replaceAll(/"line":\d+,"column":\d+/g, ''),
  );
  const times = '"ttlSeconds":14400,"remindSeconds":3600';
  expect(before).toContain(times);
  expect(after).toBe(before.replace(times, '"ttlSeconds":2'));
});
