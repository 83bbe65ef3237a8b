/** No effect without a grant: grants that are forged, expired, replayed or foreign, handed straight to the `execute` activity. */
import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createActivities } from '../../activities/index.js';
import type { EffectReport } from '../../activities/contract.js';
import { canarySettingsOf } from '../../src/config/oversight.js';
import { DEFAULT_APPROVAL_RATE_LIMIT, DEFAULT_ROLES } from '../../src/config/config.js';
import { LedgerFreezeWatch } from '../../src/worker/freeze-watch.js';
import { NO_FAULTS } from '../../src/worker/faults.js';
import { digest } from '../../src/action/json.js';
import type { GrantClaims } from '../../src/action/grant.js';
import { proposalDigest, type Proposal } from '../../src/action/proposal.js';
import { ActivePolicy } from '../../src/policy/index.js';
import { generateKeyringFile, parseKeyring, signGrant } from '../../src/trust/index.js';
import { ExpectationRunner } from '../../src/verify/index.js';
import pino from 'pino';
import { shopTool, STARTER, startStack, TENANT, type Stack } from '../support/stack.js';

let stack: Stack;
let activities: ReturnType<typeof createActivities>;
let closeTool: () => Promise<void>;

beforeAll(async () => {
  stack = await startStack({
    schema: 'CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL); INSERT INTO counters VALUES (1, 0)',
    worker: false,
  });
  const tool = shopTool(stack.shopUrl);
  const expectations = new ExpectationRunner();
  const freezes = new LedgerFreezeWatch(stack.ledger.controls);
  closeTool = async () => {
    freezes.close();
    await tool.close();
    await expectations.close();
  };
  activities = createActivities({
    tools: new Map([[tool.name, tool]]),
    policy: new ActivePolicy({ folder: STARTER, store: async () => {}, logger: pino({ level: 'silent' }) }),
    ledger: stack.ledger,
    keyring: stack.keyring,
    expectations,
    settings: {
      grantTtlSeconds: 60,
      selfApproval: false,
      lookUpMaxWaitMs: 0,
      roles: DEFAULT_ROLES,
      approvalRateLimit: DEFAULT_APPROVAL_RATE_LIMIT,
      promotion: { quorum: 1, withoutEvidence: false },
      canaries: canarySettingsOf(),
    },
    taskQueue: 'countersign',
    workflows: { state: async () => 'running', begin: async () => {} },
    freezes,
    faults: NO_FAULTS,
  });
});
afterAll(async () => {
  await closeTool?.();
  await stack?.stop();
});

interface Granted {
  readonly proposal: Proposal;
  readonly claims: GrantClaims;
}

/** An action as `authorize` leaves it: admitted to the ledger, with claims ready to be signed. */
async function admitted(overrides: Partial<GrantClaims> = {}): Promise<Granted> {
  const proposal: Proposal = {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'sql', sql: 'UPDATE counters SET n = n + 1 WHERE id = 1' },
  };
  const { rows } = await stack.shop.query<{ id: number; n: number }>('SELECT * FROM counters');
  const iat = Math.floor(Date.now() / 1000);
  const claims: GrantClaims = {
    jti: randomUUID(),
    tenant: TENANT,
    actionId: proposal.actionId,
    agent: 'agent-1',
    tool: 'shop-db',
    environment: 'production',
    actionType: 'WRITE',
    proposalDigest: proposalDigest(proposal),
    policyDigest: digest('policy'),
    preDigest: digest({ counters: Object.fromEntries(rows.map((row) => [String(row.id), row])) }),
    planDigest: digest('plan'),
    approvals: [],
    constraints: [],
    targets: ['counters'],
    rows: 1,
    iat,
    exp: iat + 60,
    ...overrides,
  };
  await stack.ledger.actions.admit({
    tenant: TENANT,
    actionId: proposal.actionId,
    digest: claims.proposalDigest,
    agent: claims.agent,
    tool: claims.tool,
    environment: claims.environment,
    targets: claims.targets,
    grant: { jti: claims.jti, ttlSeconds: claims.exp - Math.floor(Date.now() / 1000) },
  });
  return { proposal, claims };
}

function execute(
  proposal: Proposal,
  grant: string,
  where: { workflowId?: string; runId?: string } = {},
): Promise<EffectReport> {
  const environment = new MockActivityEnvironment({
    workflowExecution: {
      workflowId: where.workflowId ?? `${TENANT}/${proposal.actionId}`,
      runId: where.runId ?? `run-of-${proposal.actionId}`,
    },
    activityId: '1',
  });
  return environment.run(activities.execute, proposal, grant);
}

async function counter(): Promise<number> {
  const { rows } = await stack.shop.query<{ n: number }>('SELECT n FROM counters');
  return rows[0]?.n ?? Number.NaN;
}

/** Runs an attack and judges by the database: nothing may have moved. */
async function refuses(attack: () => Promise<EffectReport>): Promise<EffectReport> {
  const before = await counter();
  const report = await attack();
  expect(await counter()).toBe(before);
  expect(report.kind).not.toBe('done');
  return report;
}

test('a grant that is signed, fresh and fitting makes the effect (so the refusals below mean something)', async () => {
  const { proposal, claims } = await admitted();
  const before = await counter();
  expect(await execute(proposal, await signGrant(stack.keyring, claims))).toMatchObject({ kind: 'done' });
  expect(await counter()).toBe(before + 1);
});

test('a grant signed by a foreign key is refused', async () => {
  const { proposal, claims } = await admitted();
  const foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
  const report = await refuses(async () => execute(proposal, await signGrant(foreign, claims)));
  expect(report).toMatchObject({ kind: 'not_done', error: { code: 'GRANT_INVALID' } });
});

test('a grant edited after it was signed is refused', async () => {
  const { proposal, claims } = await admitted();
  const [header, , signature] = (await signGrant(stack.keyring, claims)).split('.');
  const payload = Buffer.from(JSON.stringify({ ...claims, rows: 1_000_000 })).toString('base64url');
  const report = await refuses(() => execute(proposal, `${header}.${payload}.${signature}`));
  expect(report).toMatchObject({ error: { code: 'GRANT_INVALID' } });
});

test('an expired grant is refused, and a new one may be asked for', async () => {
  const now = Math.floor(Date.now() / 1000);
  const { proposal, claims } = await admitted({ iat: now - 120, exp: now - 61 });
  const report = await refuses(async () => execute(proposal, await signGrant(stack.keyring, claims)));
  expect(report).toMatchObject({ kind: 'grant_lapsed', error: { code: 'GRANT_EXPIRED' } });
});

test('a grant used by one execution is refused to every other one', async () => {
  const { proposal, claims } = await admitted();
  const grant = await signGrant(stack.keyring, claims);
  expect(await execute(proposal, grant)).toMatchObject({ kind: 'done' });
  const report = await refuses(() => execute(proposal, grant, { runId: 'another-run' }));
  expect(report).toMatchObject({ kind: 'not_done', error: { code: 'GRANT_REPLAYED' } });
});

test('twenty executions racing for one grant make one effect', async () => {
  const { proposal, claims } = await admitted();
  const grant = await signGrant(stack.keyring, claims);
  const before = await counter();
  const reports = await Promise.all(
    Array.from({ length: 20 }, (_, i) => execute(proposal, grant, { runId: `racer-${i}` })),
  );
  expect(reports.filter(({ kind }) => kind === 'done')).toHaveLength(1);
  expect(await counter()).toBe(before + 1);
});

test('the same activity tried again by the server repeats nothing and reports the same effect', async () => {
  const { proposal, claims } = await admitted();
  const grant = await signGrant(stack.keyring, claims);
  const before = await counter();
  expect(await execute(proposal, grant)).toMatchObject({ kind: 'done' });
  expect(await execute(proposal, grant)).toMatchObject({ kind: 'done' });
  expect(await counter()).toBe(before + 1);
});

test('a grant of one action does not serve another', async () => {
  const one = await admitted();
  const other = await admitted();
  const report = await refuses(async () => execute(other.proposal, await signGrant(stack.keyring, one.claims)));
  expect(report).toMatchObject({ error: { code: 'GRANT_INVALID' } });
});

test('a grant does not serve its own action with another input', async () => {
  const { proposal, claims } = await admitted();
  const changed = { ...proposal, input: { op: 'sql', sql: 'UPDATE counters SET n = n + 100 WHERE id = 1' } };
  const report = await refuses(async () => execute(changed, await signGrant(stack.keyring, claims)));
  expect(report).toMatchObject({ error: { code: 'GRANT_INVALID' } });
});

test('a workflow of another name cannot use the grant', async () => {
  const { proposal, claims } = await admitted();
  const grant = await signGrant(stack.keyring, claims);
  const report = await refuses(() => execute(proposal, grant, { workflowId: `acme/${randomUUID()}` }));
  expect(report).toMatchObject({ error: { code: 'GRANT_INVALID' } });
});

test('a grant that the ledger never admitted is refused, whoever signed it', async () => {
  const { proposal, claims } = await admitted();
  const grant = await signGrant(stack.keyring, { ...claims, jti: randomUUID() });
  const report = await refuses(() => execute(proposal, grant));
  expect(report).toMatchObject({ error: { code: 'GRANT_INVALID' } });
});

test.each([['tool'], ['agent'], ['target'], ['tenant'], ['all']] as const)(
  'a freeze by %s stops a grant that was given before',
  async (kind) => {
    const { proposal, claims } = await admitted();
    const value = { tool: 'shop-db', agent: 'agent-1', target: 'counters', tenant: TENANT, all: undefined }[kind];
    const freeze = await stack.ledger.controls.freeze({
      tenant: TENANT,
      scope: { kind, ...(value === undefined ? {} : { value }) },
      reason: 'something is wrong',
      by: 'olga',
    });
    try {
      const report = await refuses(async () => execute(proposal, await signGrant(stack.keyring, claims)));
      expect(report).toMatchObject({ kind: 'not_done', error: { code: 'FROZEN' } });
    } finally {
      await stack.ledger.controls.unfreeze(freeze.id, { by: 'olga' });
    }
  },
);

test('a grant for a state that is gone does nothing', async () => {
  const { proposal, claims } = await admitted();
  await stack.shop.query('UPDATE counters SET n = n + 10');
  const report = await refuses(async () => execute(proposal, await signGrant(stack.keyring, claims)));
  expect(report).toMatchObject({ kind: 'grant_lapsed', error: { code: 'STATE_CHANGED' } });
});

test.each(['', 'null', 'a.b.c', 'ey'.repeat(50_000), '\u0000', '..'])('%j as a grant is refused', async (grant) => {
  const { proposal } = await admitted();
  const report = await refuses(() => execute(proposal, grant));
  expect(report).toMatchObject({ error: { code: 'GRANT_INVALID' } });
});
