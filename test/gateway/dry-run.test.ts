/** A dry run says what the proposal comes to, and nothing anywhere is different for it. */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dryRunDigest, type DryRun } from '../../src/action/dry-run.js';
import { proposalDigest, signedProposalDigest, type Proposal } from '../../src/action/proposal.js';
import { Countersign, type PendingAction, type ProposalInput } from '../../src/client/countersign.js';
import type { Outcome } from '../../src/action/outcome.js';
import { generateKeyringFile, issueAgent, parseKeyring, signCommand, signProposal } from '../../src/trust/index.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

const LIMITS = `
limits:
  spend: { kind: budget, scope: tenant, when: '"paid" in preview.targets', amount: input.set.amount, unit: EUR, max: 100, window: forever }
  crammed: { kind: count, scope: tenant, when: '"crammed" in preview.targets', max: 0, window: forever }
  lifted: { kind: count, scope: tenant, when: '"lifted" in preview.targets', max: 0, window: forever, atLimit: approve by dba }
  queued: { kind: count, scope: tenant, when: '"queued" in preview.targets', max: 1, window: sliding 30m, atLimit: queue for 1h }
  seldom: { kind: rate, scope: agent, when: '"paid" in preview.targets', max: 1, per: 1h }
  pool: { kind: budget, scope: tenant, when: '"pooled" in preview.targets', amount: input.set.amount, unit: EUR, max: 100, window: forever }
  breaker: { kind: breaker, scope: target, window: 5m, minimum: 10, ratio: 0.5, open: 1m }
`;
const TABLES = ['paid', 'crammed', 'lifted', 'queued', 'frozen', 'plain', 'users', 'pooled'];

let stack: Stack;
let gateway: TestGateway;
let agent: Countersign;
let narrow: Countersign;
let gone: Countersign;
let stranger: Countersign;
let bot: Sender;

beforeAll(async () => {
  stack = await startStack({
    schema: TABLES.map(
      (table) => `
        CREATE TABLE ${table} (id int PRIMARY KEY, amount int NOT NULL CHECK (amount < 1000));
        INSERT INTO ${table} SELECT n, 0 FROM generate_series(1, 150) n;`,
    ).join(''),
    limits: LIMITS,
  });
  gateway = await startTestGateway(stack);
  bot = await gateway.agent();
  const revoked = await issueAgent(stack.keyring, {
    id: 'agent-3',
    tenant: TENANT,
    roles: ['admin_user'],
    scopes: ['*'],
  });
  [agent, narrow, gone] = await Promise.all([
    stack.agent(),
    stack.agent({ id: 'agent-2', scopes: ['shop-db:select'] }),
    stack.agentWith(revoked),
  ]);
  const other = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'other');
  stranger = await stack.agentWith(
    await issueAgent(other, { id: 'agent-4', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] }),
  );
  const { jti } = JSON.parse(Buffer.from(revoked.token.split('.')[1] as string, 'base64url').toString()) as {
    jti: string;
  };
  await stack.ledger.controls.revoke({ tenant: TENANT, jti, reason: 'it left', by: 'olga' });
  await stack.ledger.controls.freeze({
    tenant: TENANT,
    scope: { kind: 'target', value: 'frozen' },
    reason: 'moving',
    by: 'olga',
  });
  const command = await signCommand(await stack.approver('dora', ['dba']), {
    kind: 'create_standing_approval',
    tenant: TENANT,
    subject: 'agent-1',
    tool: 'shop-db',
    operation: 'delete',
    until: new Date(Date.now() + 3_600_000).toISOString(),
    reason: 'the night shift',
  });
  await agent.submitCommand(command);
  const { status } = await agent.perform(on('queued'));
  if (status !== 'success') throw new Error(`the table with a queue was not written to: ${status}`);
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});

type Given = Omit<Proposal, 'actionId'>;

const on = (table: string, more: object = {}): Given => ({
  tool: 'shop-db',
  input: { op: 'update', table, set: { amount: 7 }, where: { id: 1 }, ...more },
});

/** Every row of the ledger and of the shop, as one text for each table; but for that in which workers say every few seconds that they live. */
async function everything(): Promise<Readonly<Record<string, string>>> {
  const { schema } = stack.database;
  const found: Record<string, string> = {};
  const ledger = await stack.database.ask(async (kysely) => {
    const { rows } = await sql<{ name: string }>`
      select table_name as name from information_schema.tables
      where table_schema = ${schema} and table_name <> 'policy_workers'`.execute(kysely);
    for (const { name } of rows) {
      const { rows: held } = await sql<{
        row: string;
      }>`select t::text as row from ${sql.id(schema, name)} as t order by 1`.execute(kysely);
      found[`ledger.${name}`] = held.map(({ row }) => row).join('\n');
    }
    return rows.length;
  });
  expect(ledger).toBeGreaterThan(10);
  for (const table of TABLES) {
    const { rows } = await stack.shop.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t ORDER BY 1`);
    found[`shop.${table}`] = rows.map(({ row }) => row).join('\n');
  }
  return found;
}

interface Case {
  readonly name: string;
  readonly given: Given;
  readonly by?: () => Countersign;
  readonly effect: DryRun['effect'];
  readonly code?: string;
  readonly missing?: readonly object[];
}

const DBA = [{ roles: ['dba'], have: 0, need: 1 }];
const CASES: readonly Case[] = [
  { name: 'a change that policy allows', given: on('plain'), effect: 'allow' },
  { name: 'a read', given: { tool: 'shop-db', input: { op: 'select', table: 'plain', limit: 3 } }, effect: 'allow' },
  {
    name: 'a change of many rows',
    given: on('plain', { where: { id: { gt: 1 } } }),
    effect: 'require_approval',
    missing: DBA,
  },
  {
    name: 'one that follows from a source that is not trusted',
    given: { ...on('plain'), from: [{ source: 'email', trust: 'untrusted' }] },
    effect: 'require_approval',
    missing: DBA,
  },
  { name: 'one that a limit lets people decide', given: on('lifted'), effect: 'require_approval', missing: DBA },
  {
    name: 'a deletion that no one may approve',
    given: { tool: 'shop-db', input: { op: 'delete', table: 'users', where: { id: 1 } } },
    effect: 'deny',
    code: 'POLICY_DENIED',
  },
  { name: 'one for which a limit has no room', given: on('crammed'), effect: 'deny', code: 'LIMIT_EXCEEDED' },
  {
    name: 'more than a budget holds',
    given: on('paid', { set: { amount: 101 } }),
    effect: 'deny',
    code: 'LIMIT_EXCEEDED',
  },
  { name: 'one beyond the scopes', given: on('plain'), by: () => narrow, effect: 'deny', code: 'SCOPE_DENIED' },
  { name: 'a tool that is not there', given: { tool: 'nowhere', input: {} }, effect: 'deny', code: 'UNKNOWN_TOOL' },
  {
    name: 'an input that the tool cannot read',
    given: { tool: 'shop-db', input: { op: 'melt' } },
    effect: 'deny',
    code: 'INVALID_INPUT',
  },
  { name: 'a change of no row', given: on('plain', { where: { id: 999 } }), effect: 'deny', code: 'NOTHING_MATCHED' },
  {
    name: 'a change that a constraint forbids',
    given: on('plain', { set: { amount: 5000 }, rehearse: true }),
    effect: 'deny',
  },
  {
    name: 'a promise that the rehearsal breaks',
    given: { ...on('plain', { rehearse: true }), expect: 'post.plain["1"].amount == 8' },
    effect: 'deny',
    code: 'REHEARSAL_DIFFERS',
  },
  {
    name: 'an expectation that is none',
    given: { ...on('plain'), expect: 'post.' },
    effect: 'deny',
    code: 'INVALID_EXPECTATION',
  },
  {
    name: 'what nobody asked to be changed',
    given: { ...on('plain'), revises: 'none' },
    effect: 'deny',
    code: 'INVALID_PROPOSAL',
  },
  { name: 'what is frozen', given: on('frozen'), effect: 'deny', code: 'FROZEN' },
  {
    name: 'a credential that was revoked',
    given: on('plain'),
    by: () => gone,
    effect: 'deny',
    code: 'CREDENTIAL_REVOKED',
  },
  {
    name: 'a credential of somebody else’s',
    given: on('plain'),
    by: () => stranger,
    effect: 'deny',
    code: 'AGENT_UNVERIFIED',
  },
  { name: 'one within a budget and a rate', given: on('paid'), effect: 'allow' },
];

const told: DryRun[] = [];

test('leaves nothing behind: no counter, hold, grant, approval, receipt or row is different', async () => {
  // The first use of a key is noted.
  await bot.get('/v1/me');
  const before = await everything();
  for (const { by = () => agent, given } of CASES) {
    const said = await Promise.all([by().dryRun(given), by().dryRun(given)]);
    expect(said[0].effect).toBe(said[1].effect);
    told.push(said[0]);
  }
  expect(await agent.dryRun(on('queued'))).toMatchObject({
    effect: 'allow',
    waits: { reason: expect.stringContaining('queued') as string },
  });
  const asOver = await bot.post('/v1/dry-runs', on('plain'));
  expect(asOver.body).toMatchObject({ effect: 'allow' });
  expect(await everything()).toEqual(before);
  const listed = await bot.get('/v1/actions');
  expect(listed.body['actions']).toHaveLength(1);
});

describe('says the same as the action itself comes to', () => {
  test.each(CASES.map((one, at) => [one.name, one, at] as const))(
    '%s',
    async (_name, { given, by = () => agent, ...expected }, at) => {
      const dry = told[at] as DryRun;
      const actionId = randomUUID();
      expect(dry).toMatchObject({
        effect: expected.effect,
        ...(expected.missing === undefined ? {} : { missing: expected.missing }),
        ...(expected.code === undefined ? {} : { error: { code: expected.code } }),
      });

      const real = await by().perform({ ...given, actionId });
      expect(asToldInAdvance(real)).toEqual({
        effect: dry.effect,
        reason: dry.reason,
        error: dry.error,
        preview: dry.preview,
        constraints: dry.constraints,
      });
      if (real.status === 'pending') await agent.cancel(actionId);
    },
  );

  function asToldInAdvance(real: Outcome | PendingAction) {
    const facts = real.status === 'pending' ? real.pending.shown : real.facts;
    const decision = real.status === 'pending' ? real.pending.decision : real.decision;
    if (real.status === 'denied') return { effect: 'deny', reason: real.reason, error: real.error };
    const { rows = 0, targets = [], summary = '', rehearsal } = facts?.preview ?? {};
    return {
      effect: decision?.effect,
      reason: decision?.reason,
      error: undefined,
      preview: { rows, targets, summary, ...(rehearsal === undefined ? {} : { tables: rehearsal.tables }) },
      constraints: decision?.constraints,
    };
  }

  test('what people have approved in advance', async () => {
    const given: Given = { tool: 'shop-db', input: { op: 'delete', table: 'plain', where: { id: { gt: 20 } } } };
    expect(await agent.dryRun(given)).toMatchObject({ effect: 'require_approval', missing: [] });
    expect(await agent.perform(given)).toMatchObject({ status: 'success', approvals: [{ approver: 'dora' }] });
  });
});

test('tells an agent no row, and of what would be denied no more than why', async () => {
  await stack.shop.query('UPDATE plain SET amount = 543 WHERE id = 9');
  const seen = await bot.post('/v1/dry-runs', on('plain', { where: { id: 9 }, rehearse: true }));
  expect([seen.status, seen.body['preview']]).toEqual([
    200,
    {
      rows: 1,
      targets: ['plain'],
      summary: expect.any(String) as string,
      tables: { plain: { inserted: 0, updated: 1, deleted: 0 } },
    },
  ]);
  // As a number by itself: digests hold these digits now and then.
  expect(seen.text).not.toMatch(/\b543\b/);
  const denied = await bot.post('/v1/dry-runs', {
    tool: 'shop-db',
    input: { op: 'delete', table: 'users', where: { id: 9 } },
  });
  expect(Object.keys(denied.body).sort()).toEqual(['effect', 'error', 'proposalDigest', 'reason', 'tool']);
});

test('who is nobody, or a person, gets none; a malformed proposal is refused', async () => {
  const dana = await gateway.person();
  expect((await gateway.nobody.post('/v1/dry-runs', on('plain'))).body).toMatchObject({ code: 'UNAUTHENTICATED' });
  expect((await dana.post('/v1/dry-runs', on('plain'))).body).toMatchObject({ code: 'FORBIDDEN' });
  const malformed = await bot.post('/v1/dry-runs', { tool: 'a b', input: {} });
  expect([malformed.status, malformed.body['code'], malformed.body['field']]).toEqual([
    400,
    'INVALID_PROPOSAL',
    'proposal.tool',
  ]);
});

describe('the signature of a dry run', () => {
  test('begins no action, and that of a proposal no dry run', async () => {
    const credential = await issueAgent(stack.keyring, {
      id: 'agent-5',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
    });
    const proposal: Proposal = { ...on('plain'), actionId: randomUUID() };
    const digest = proposalDigest(proposal);
    const { workflow } = agent.temporal;
    const taskQueue = stack.temporal.taskQueue;
    const forDryRun = await signProposal(credential, dryRunDigest(proposal));
    const begun = await workflow.execute('trustedAction', {
      workflowId: `${TENANT}/${proposal.actionId}`,
      taskQueue,
      args: [{ proposal, digest, signature: forDryRun }],
    });
    expect(begun).toMatchObject({ status: 'denied', error: { code: 'AGENT_UNVERIFIED' } });
    const forAction = await signProposal(credential, signedProposalDigest(proposal));
    const tried = await workflow.execute('dryRun', {
      workflowId: `dry/${TENANT}/${randomUUID()}`,
      taskQueue,
      args: [{ proposal, signature: forAction }],
    });
    expect(tried).toMatchObject({ effect: 'deny', error: { code: 'AGENT_UNVERIFIED' } });
  });
});

test('without a worker it says so, and says that nothing was done', async () => {
  const elsewhere = await Countersign.connect({
    ...stack.temporal,
    taskQueue: 'nobody',
    credential: await issueAgent(stack.keyring, { id: 'agent-6', tenant: TENANT, roles: [], scopes: ['*'] }),
  });
  await expect(elsewhere.dryRun(on('plain'), { timeoutMs: 200 })).rejects.toMatchObject({ code: 'TIMED_OUT' });
  await elsewhere.close();
});

describe('a batch', () => {
  const named = (prefix: string, ...given: readonly Given[]): ProposalInput[] =>
    given.map((one, n) => ({ ...one, actionId: `${prefix}-${n + 1}` }));
  const pooled = (id: number, amount: number) => on('pooled', { set: { amount }, where: { id } });
  /** One that people must approve. */
  const asked = (id: number): Given => ({
    ...on('plain', { where: { id } }),
    from: [{ source: 'email', trust: 'untrusted' }],
  });
  const users = (id: number): Given => ({ tool: 'shop-db', input: { op: 'delete', table: 'users', where: { id } } });

  test('is begun as a whole, and each action has its own outcome', async () => {
    const all = named('whole', on('plain', { where: { id: 2 } }), asked(3), {
      tool: 'shop-db',
      input: { op: 'select', table: 'plain', where: { id: 2 } },
    });
    const { begun, actions } = await agent.performAll(all);
    expect([begun, actions.map(({ actionId, status }) => [actionId, status])]).toEqual([
      true,
      [
        ['whole-1', 'success'],
        ['whole-2', 'pending'],
        ['whole-3', 'success'],
      ],
    ]);
    await agent.cancel('whole-2');
    expect(await agent.outcome('whole-2')).toMatchObject({ status: 'cancelled' });
    const again = await agent.performAll(all);
    expect(again.actions.map(({ status }) => status)).toEqual(['success', 'cancelled', 'success']);
    expect(again.actions[0]).toEqual(actions[0]);
  });

  test('of which one would be denied is not begun, and says of each why', async () => {
    const all = named('halved', on('plain', { set: { amount: 77 } }), users(3), asked(3));
    const before = await everything();
    expect(await agent.performAll(all)).toEqual({
      begun: false,
      actions: [
        { status: 'not_begun', actionId: 'halved-1', decided: expect.objectContaining({ effect: 'allow' }) as object },
        {
          status: 'not_begun',
          actionId: 'halved-2',
          decided: expect.objectContaining({
            effect: 'deny',
            reason: expect.stringContaining('protected') as string,
            error: expect.objectContaining({ code: 'POLICY_DENIED' }) as object,
          }) as object,
        },
        {
          status: 'not_begun',
          actionId: 'halved-3',
          decided: expect.objectContaining({ effect: 'require_approval', missing: DBA }) as object,
        },
      ],
    });
    expect(await everything()).toEqual(before);
    for (const { actionId } of all)
      await expect(agent.view(actionId as string)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('that asks for more than a budget holds is not begun, although each by itself would fit', async () => {
    const effects = async (...amounts: readonly number[]) => {
      const all = amounts.map((amount, n) => ({
        ...pooled(n + 1, amount),
        actionId: `pool-${amounts.join('-')}-${n}`,
      }));
      const { begun, actions } = await agent.performAll(all);
      return [begun, ...actions.map((one) => (one.status === 'not_begun' ? one.decided.effect : one.status))];
    };
    expect(await effects(60, 41)).toEqual([false, 'allow', 'deny']);
    const { actions } = await agent.performAll(named('over', pooled(1, 60), pooled(2, 41)));
    expect(actions[1]).toMatchObject({
      decided: { error: { code: 'LIMIT_EXCEEDED' }, reason: expect.stringContaining('40 of 100 EUR left') as string },
    });
    expect(await stack.spent('pool')).toEqual({ used: 0, held: 0 });
    expect(await effects(60, 40)).toEqual([true, 'success', 'success']);
    expect(await stack.spent('pool')).toEqual({ used: 100, held: 0 });
    // What it spent itself does not count against it when it is sent again.
    expect(await effects(60, 40)).toEqual([true, 'success', 'success']);
  });

  test('does not begin what is left of one whose other actions were begun before, when that would be denied', async () => {
    const [first, second] = named('partly', on('plain', { where: { id: 4 } }), users(4)) as [
      ProposalInput,
      ProposalInput,
    ];
    await agent.perform(first);
    expect(await agent.performAll([first, second])).toMatchObject({
      begun: false,
      actions: [{ status: 'success' }, { status: 'not_begun', decided: { effect: 'deny' } }],
    });
    const other = { ...first, input: { op: 'select', table: 'plain' } };
    expect(await agent.performAll([other, { ...on('plain'), actionId: 'partly-3' }])).toMatchObject({
      begun: false,
      actions: [{ decided: { error: { code: 'ACTION_CONFLICT' } } }, { decided: { effect: 'allow' } }],
    });
  });

  test('does not begin what stands beside an action of another agent', async () => {
    const other = await stack.agent({ id: 'agent-8' });
    const [first, second] = named(
      'foreign',
      on('plain', { where: { id: 12 } }),
      on('plain', { where: { id: 13 } }),
    ) as [ProposalInput, ProposalInput];
    await agent.perform(first);
    expect(await other.performAll([first, second])).toMatchObject({
      begun: false,
      actions: [{ decided: { error: { code: 'ACTION_CONFLICT' } } }, { decided: { effect: 'allow' } }],
    });
    expect(await agent.performAll([first, second])).toMatchObject({ begun: true });
  });

  test('is decided for each agent by itself, also while another one asks for the same', async () => {
    const all = named('alike', on('plain', { where: { id: 14 } }), users(14));
    await stack.worker?.stop();
    const answers = Promise.all([agent, narrow].map((one) => one.performAll(all)));
    answers.catch(() => {});
    try {
      await until(
        () => agent.temporal.workflow.count(`WorkflowType = 'batch' AND ExecutionStatus = 'Running'`),
        ({ count }) => count >= 2,
      );
    } finally {
      await stack.startWorker();
    }
    expect(await answers).toMatchObject([
      { begun: false, actions: [{ decided: { effect: 'allow' } }, { decided: { effect: 'deny' } }] },
      { begun: false, actions: [{ decided: { error: { code: 'SCOPE_DENIED' } } }, { decided: { effect: 'deny' } }] },
    ]);
  });

  test('is begun once, however many ask for it at the same time', async () => {
    const all = named('twice', ...[5, 6, 7].map((id) => on('plain', { set: { amount: 8 }, where: { id } })));
    const answers = await Promise.all(Array.from({ length: 3 }, () => agent.performAll(all)));
    for (const { begun, actions } of answers) expect([begun, actions]).toEqual([true, answers[0]?.actions]);
    const recorded = (await stack.receipts()).map(({ actionId }) => actionId).filter((id) => id?.startsWith('twice-'));
    expect(recorded.sort()).toEqual(['twice-1', 'twice-2', 'twice-3']);
  });

  test.each<[string, ProposalInput[], object]>([
    ['none', [], { code: 'INVALID_PROPOSAL', field: 'proposals' }],
    ['21', named('many', ...Array.from({ length: 21 }, () => on('plain'))), { code: 'INVALID_PROPOSAL' }],
    ['two of one id', [0, 1].map(() => ({ ...on('plain'), actionId: 'same' })), { code: 'INVALID_PROPOSAL' }],
  ])('of %s is refused', async (_, all, error) => {
    await expect(agent.performAll(all)).rejects.toMatchObject(error);
  });

  test('of which nobody hears while no worker runs is begun whole when one comes', async () => {
    const all = named('later', ...[10, 11].map((id) => on('plain', { set: { amount: 9 }, where: { id } })));
    await stack.worker?.stop();
    await expect(agent.performAll(all, { timeoutMs: 500 })).rejects.toMatchObject({
      code: 'TIMED_OUT',
      retryable: true,
    });
    await stack.startWorker();
    // Nobody asks for the batch again: its actions are begun all the same.
    const outcomes = await Promise.all(
      all.map(({ actionId = '' }) =>
        until(
          () => agent.outcome(actionId).catch(() => undefined),
          (outcome) => outcome !== undefined,
        ),
      ),
    );
    expect(outcomes.map((outcome) => outcome?.status)).toEqual(['success', 'success']);
    expect(await agent.performAll(all)).toEqual({ begun: true, actions: outcomes });
  });

  test('over HTTP answers the same, as an agent may see it', async () => {
    const proposals = named('http', on('plain', { where: { id: 8 } }), asked(9));
    const answer = await bot.post('/v1/batches?wait=30', { proposals });
    expect([answer.status, answer.body]).toMatchObject([
      202,
      {
        begun: true,
        actions: [
          { status: 'success', actionId: 'http-1', receipt: { tenant: TENANT } },
          { status: 'pending', actionId: 'http-2', agent: 'agent-1', pending: { missing: DBA } },
        ],
      },
    ]);
    expect(answer.body['actions']).not.toHaveProperty('0.facts');
    await bot.post('/v1/actions/http-2/cancel');
    const ended = await bot.post('/v1/batches?wait=30', { proposals });
    expect([ended.status, ended.body]).toMatchObject([
      200,
      { actions: [{ status: 'success' }, { status: 'cancelled' }] },
    ]);
    const denied = await bot.post('/v1/batches', { proposals: named('http-no', users(1)) });
    expect([denied.status, denied.body]).toMatchObject([
      200,
      { begun: false, actions: [{ status: 'not_begun', decided: { effect: 'deny' } }] },
    ]);
    const malformed = await bot.post('/v1/batches', { proposals: [{ tool: 'a b', input: {} }] });
    expect(malformed).toMatchObject({
      status: 400,
      body: { code: 'INVALID_PROPOSAL', field: 'body.proposals.0.tool' },
    });
    const dana = await gateway.person();
    expect((await dana.post('/v1/batches', { proposals })).body).toMatchObject({ code: 'FORBIDDEN' });
  });

  test('counts as many requests as it has proposals', async () => {
    const small = await startTestGateway(stack, { gateway: { limits: { requestsPerMinute: 5 } } });
    try {
      const sender = await small.agent({ agent: 'agent-7' });
      const reads = Array.from({ length: 4 }, () => ({ tool: 'shop-db', input: { op: 'select', table: 'plain' } }));
      expect((await sender.post('/v1/batches?wait=30', { proposals: reads })).status).toBe(200);
      const refused = await sender.post('/v1/batches', { proposals: named('late', ...reads.slice(0, 2)) });
      expect(refused).toMatchObject({ status: 429, body: { code: 'RATE_LIMITED' } });
      await expect(agent.view('late-1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    } finally {
      await small.stop();
    }
  });
});

describe('AuthZEN', () => {
  const subject = { type: 'agent', id: 'agent-1' };
  const resource = { type: 'tool', id: 'shop-db' };
  const update = (where: object, table = 'plain') => ({
    name: 'update',
    properties: { table, set: { amount: 3 }, where },
  });
  const select = { name: 'select', properties: { table: 'plain' } };
  const one = (more: object) => bot.post('/access/v1/evaluation', { subject, resource, action: select, ...more });

  test('is found where enforcement points look', async () => {
    const { body, headers } = await gateway.nobody.get('/.well-known/authzen-configuration');
    expect(body).toEqual({
      policy_decision_point: expect.stringMatching(/^http/) as string,
      access_evaluation_endpoint: `${body['policy_decision_point'] as string}/access/v1/evaluation`,
      access_evaluations_endpoint: `${body['policy_decision_point'] as string}/access/v1/evaluations`,
    });
    expect(headers.get('content-type')).toMatch(/^application\/json/);
  });

  test.each<[string, object, boolean, object]>([
    ['what would be done at once', {}, true, { effect: 'allow', actionType: 'READ' }],
    [
      'a change',
      { action: update({ id: 3 }), context: { time: 'now' } },
      true,
      { effect: 'allow', preview: { rows: 1 } },
    ],
    [
      'what people would have to approve',
      { action: update({ id: { gt: 1 } }, 'users') },
      false,
      { effect: 'require_approval', missing: DBA },
    ],
    [
      'what a source that is not trusted led to',
      { action: update({ id: 3 }), context: { from: [{ source: 'web', trust: 'untrusted' }] } },
      false,
      { effect: 'require_approval', missing: DBA },
    ],
    [
      'what waits for room',
      { action: update({ id: 3 }, 'queued') },
      false,
      { effect: 'allow', waits: { retryAfterMs: expect.any(Number) as number } },
    ],
    [
      'what is denied',
      { action: { name: 'delete', properties: { table: 'users', where: { id: 1 } } } },
      false,
      { effect: 'deny', error: { code: 'POLICY_DENIED' } },
    ],
    [
      'another subject',
      { subject: { type: 'agent', id: 'agent-2' } },
      false,
      { error: { code: 'FORBIDDEN', status: 403 } },
    ],
    ['a person', { subject: { type: 'user', id: 'agent-1' } }, false, { error: { code: 'FORBIDDEN' } }],
    ['another resource', { resource: { type: 'tool', id: 'nowhere' } }, false, { error: { code: 'UNKNOWN_TOOL' } }],
    ['another action', { action: { name: 'melt' } }, false, { error: { code: 'UNKNOWN_TOOL' } }],
    ['sources that are none', { context: { from: 'everywhere' } }, false, { error: { code: 'INVALID_PROPOSAL' } }],
  ])('says of %s', async (_what, more, decision, context) => {
    const answer = await one(more);
    expect([answer.status, answer.body]).toMatchObject([200, { decision, context }]);
  });

  test('answers several in their order, with defaults, and no further than asked', async () => {
    const evaluations = [{}, { action: update({ id: { gt: 1 } }, 'users') }, { subject: { ...subject, id: 'x' } }, {}];
    const ask = async (evaluations_semantic?: string) => {
      const given = { subject, resource, action: select, evaluations, options: { evaluations_semantic } };
      const { body } = await bot.post('/access/v1/evaluations', given);
      return (body['evaluations'] as { decision: boolean }[]).map(({ decision }) => decision);
    };
    expect(await ask()).toEqual([true, false, false, true]);
    expect(await ask('deny_on_first_deny')).toEqual([true, false]);
    expect(await ask('permit_on_first_permit')).toEqual([true]);
    const lacking = await bot.post('/access/v1/evaluations', { subject, evaluations: [{ resource }] });
    expect(lacking.body).toMatchObject({
      evaluations: [{ decision: false, context: { error: { code: 'INVALID_INPUT' } } }],
    });
    const many = { subject, resource, action: select, evaluations: Array.from({ length: 21 }, () => ({})) };
    expect(await bot.post('/access/v1/evaluations', many)).toMatchObject({
      status: 400,
      body: { code: 'INVALID_INPUT' },
    });
  });

  test('answers agents that it knows, and refuses what is no question', async () => {
    const nobody = await gateway.nobody.post('/access/v1/evaluation', { subject, resource, action: select });
    expect([nobody.status, nobody.body['code']]).toEqual([401, 'UNAUTHENTICATED']);
    expect(await one({ action: undefined })).toMatchObject({ status: 400, body: { field: 'body.action' } });
  });
});
