/** `countersign limits`: a real ledger's counters, beside the policy's own figures where there is a policy. */
import { cp, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admission, startLedger, type TestLedger } from '../ledger/support.js';
import { compilePolicy, loadBundle, resolveLimits } from '../../src/policy/index.js';
import { refundFacts } from '../policy/limits-example.js';
import { ROOT } from '../support/root.js';
import { cli, errorOf, folder } from './support.js';

const POLICIES = path.join(ROOT, 'policies/examples/limits');
let ledger: TestLedger;
let env: Record<string, string>;

interface Shown {
  readonly policy: { readonly folder: string; readonly digest: string } | null;
  readonly limits: readonly { readonly id: string; readonly text: string }[];
  readonly counters: readonly {
    readonly tenant: string;
    readonly limit: string;
    readonly left?: number;
    readonly text: string;
  }[];
}

beforeAll(async () => {
  ledger = await startLedger();
  env = { COUNTERSIGN_LEDGER_URL: ledger.url };
  const policy = compilePolicy(await loadBundle(POLICIES));
  const caps = [{ jti: 'd1', actions: 3 }];
  for (const tenant of ['acme', 'globex']) {
    const authority = { credentials: ['root'], caps: tenant === 'acme' ? caps : [], above: [] };
    const { limits } = resolveLimits(policy, refundFacts, { input: { amount: 120 }, traceId: 'task-7' }, authority);
    const holds = limits.map(({ demand }) => demand);
    const admitted = await ledger.ledger.actions.admit(admission({ tenant, actionId: 'refund-1' }, { holds }));
    if (admitted.kind !== 'admitted') throw new Error(`it was ${admitted.kind}`);
  }
});
afterAll(() => ledger?.stop());

describe('with a policy', () => {
  test('says what is left of each limit, for each tenant', async () => {
    const { code, stdout, stderr } = await cli(['limits', '--policies', POLICIES], { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(
      'refunds-per-day  500 EUR in 1d for each agent; at the limit: approve by finance, quorum=2\n',
    );
    expect(stdout).toContain('  acme  refunds-per-day agent=billing-bot: 380 of 500 EUR left\n');
    expect(stdout).toContain('  globex  refunds-per-day agent=billing-bot: 380 of 500 EUR left\n');
    expect(stdout).toContain('  acme  writes-per-minute agent=billing-bot: ');
    expect(stdout).toContain('  acme  payments-at-once tool=payments: 4 of 5 free\n');
    expect(stdout).toContain('short-chains  at most 3 delegations deep\n');
    expect(stdout).toMatch(/not in this policy .*\n {2}acme {2}delegation:d1: 0 used, 1 held\n/);
  });

  test('gives one tenant, or one limit, when asked', async () => {
    const { json } = await cli(['limits', 'refunds-per-day', '--tenant', 'acme', '--policies', POLICIES, '--json'], {
      env,
    });
    const shown = json() as Shown;
    expect(shown.policy?.digest).toMatch(/^sha256:/);
    expect(shown.limits.map(({ id }) => id)).toEqual(['refunds-per-day']);
    expect(shown.counters).toMatchObject([
      {
        tenant: 'acme',
        limit: 'refunds-per-day',
        key: 'agent=billing-bot',
        kind: 'budget',
        max: 500,
        used: 0,
        held: 120,
        left: 380,
        unit: 'EUR',
      },
    ]);
  });

  test('is the one of the config, when there is one', async () => {
    const cwd = await folder();
    await writeFile(
      path.join(cwd, 'countersign.config.mjs'),
      `export default { policies: ${JSON.stringify(POLICIES)}, tools: [] };`,
    );
    const found = await cli(['limits', '--json'], { env, cwd });
    expect((found.json() as Shown).policy?.folder).toBe(POLICIES);
    const both = await cli(['limits', '--json', '--policies', POLICIES, '--config', 'countersign.config.mjs'], {
      env,
      cwd,
    });
    expect(both.code).toBe(2);
    expect(errorOf(both)).toMatchObject({ code: 'USAGE', field: '--policies' });
  });

  test('that cannot be used is said, with its place', async () => {
    const cwd = await folder();
    await cp(POLICIES, cwd, { recursive: true });
    await writeFile(path.join(cwd, 'limits.yaml'), 'limits: {one: {kind: quota}}');
    const ended = await cli(['limits', '--policies', cwd, '--json'], { env });
    expect(ended.code).not.toBe(0);
    expect(errorOf(ended)).toMatchObject({ code: 'POLICY_INVALID', field: 'limits.yaml:1:22' });
  });
});

describe('without a policy', () => {
  test('says what was counted, and why no more', async () => {
    const { code, stdout, stderr } = await cli(['limits', '--tenant', 'acme'], { env, cwd: await folder() });
    expect(code).toBe(0);
    expect(stdout).toContain('  refunds-per-day agent=billing-bot: 0 used, 120 held\n');
    expect(stdout).not.toContain('globex');
    expect(stderr).toContain('--policies FOLDER');
  });

  test('of a tenant that has none says so', async () => {
    const { code, stdout } = await cli(['limits', '--tenant', 'nobody'], { env, cwd: await folder() });
    expect(code).toBe(0);
    expect(stdout).toBe('no limits are declared, and nothing was counted\n');
  });
});

test('without a ledger says what to set', async () => {
  const ended = await cli(['limits', '--json'], { cwd: await folder() });
  expect(ended.code).not.toBe(0);
  expect(errorOf(ended)).toMatchObject({ code: 'CONFIG_INVALID', field: 'COUNTERSIGN_LEDGER_URL' });
});
