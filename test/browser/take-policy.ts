/** Pictures of the policy pages, dark and light: real actions, a bundle that was published, and its backtest. For docs/screenshots. */
import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Digest } from '../../src/action/json.js';
import { decisionsOf } from '../../src/decisions/from-ledger.js';
import { backtest } from '../../src/policy/backtest/index.js';
import { bundleFromFiles, compilePolicy, loadBundle } from '../../src/policy/index.js';
import { ROOT } from '../support/root.js';
import { startWorld, type World } from './world.js';

const FOLDER = process.env['SCREENSHOTS'] ?? path.join(ROOT, 'docs/screenshots');
const MOST_BYTES = 300 * 1024;

let world: World;
let draft: Digest;
beforeAll(async () => {
  world = await startWorld({ agents: ['cleaner', 'clerk'] });
  await mkdir(FOLDER, { recursive: true });
  await busy(world);
  draft = await drafted(world);
});
afterAll(() => world?.stop());

async function busy({ stack, ...shop }: World): Promise<void> {
  for (let id = 1001; id <= 1016; id++) {
    const input = { op: 'update', table: 'orders', set: { status: 'shipped' }, where: { id } };
    await shop.propose({ tool: 'shop-db', input }, { agent: 'clerk' });
  }
  for (const most of [1060, 1070, 1080]) {
    const where = { id: { gte: 1021, lte: most } };
    await shop.propose({ tool: 'shop-db', input: { op: 'update', table: 'orders', set: { note: 'late' }, where } });
  }
  const purge = (from: number, tool: string) => ({
    tool,
    input: { op: 'delete', table: 'sessions', where: { id: { gt: from } } },
  });
  await shop.propose(purge(5150, 'staging-db'));
  for (const where of [{ id: 7 }, { joined_on: { lt: '2019-02-01' } }]) {
    await shop.propose({ tool: 'shop-db', input: { op: 'delete', table: 'users', where } });
  }
  const agent = await stack.agent();
  const pending = await agent.perform({ ...purge(200, 'shop-db'), actionId: 'purge-old-sessions' });
  if (pending.status !== 'pending') throw new Error(pending.reason);
  await stack.decide(pending, await stack.approver('dora@example.com', ['dba']));
  await pending.outcome();
}

/** It asks a dba at 50 rows, and lets fewer rows be deleted in a day. */
async function drafted({ stack }: World): Promise<Digest> {
  const { digest: baseline, files } = await loadBundle(stack.policies);
  const candidate = bundleFromFiles({
    ...files,
    'production.cedar': (files['production.cedar'] ?? '')
      .replace('over 100, needs', 'over 50, needs')
      .replace('context.rows > 100', 'context.rows > 50'),
    'limits.yaml': (files['limits.yaml'] ?? '').replace('max: 20000', 'max: 4000'),
  });
  const { digest } = candidate;
  await stack.ledger.content.putPolicy(digest, candidate.files);
  await stack.ledger.rollout.publish({ digest, by: 'ann@example.com', reason: 'a dba looks at changes over 50 rows' });
  const { records, policies } = await decisionsOf(stack.ledger, stack.keyring);
  const { summary } = backtest(records, { candidate: compilePolicy(candidate), recordedUnder: policies });
  const { report, decisions } = summary;
  const found = { candidate: digest, baseline, report, decisions, summary: { ...summary }, by: 'ann@example.com' };
  await stack.ledger.rollout.addEvidence(found);
  return digest;
}

test.each(['light', 'dark'] as const)('the policy pages, %s', async (colorScheme) => {
  const page = await world.logIn('dora', { colorScheme, viewport: { width: 1280, height: 860 }, deviceScaleFactor: 1 });
  const take = async (name: string, fullPage = false): Promise<void> => {
    const file = path.join(FOLDER, `${name}-${colorScheme}.png`);
    await page.screenshot({ path: file, fullPage });
    expect((await stat(file)).size).toBeLessThan(MOST_BYTES);
  };
  await page.goto('/policy');
  await take('policy');
  await page.goto(`/policy/bundles/${encodeURIComponent(draft)}`);
  await page.getByRole('heading', { name: 'What would differ from the bundle in force' }).waitFor();
  await take('policy-bundle', true);
  await page.goto('/policy/playground?rule=production-large-change&action=purge-old-sessions');
  const rule = page.getByLabel('The rule, in Cedar');
  await rule.fill((await rule.inputValue()).replace('context.rows > 100', 'context.rows > 5000'));
  await page.getByLabel('Time and figures of limits').selectOption('now');
  await page.getByRole('button', { name: 'Decide' }).click();
  await page.getByRole('heading', { name: 'The decision before and after' }).waitFor();
  await take('playground');
});
