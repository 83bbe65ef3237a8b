/** Records one history of every path an action can take, from real runs. Run it when a path is new; keep the old ones. */
import { execFile } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, test } from 'vitest';
import { dryRunDigest } from '../../src/action/dry-run.js';
import { editedProposal } from '../../src/action/edit.js';
import { digest } from '../../src/action/json.js';
import { proposalDigest, type Proposal } from '../../src/action/proposal.js';
import { CountersignError } from '../../src/action/errors.js';
import { Countersign, type PendingAction } from '../../src/client/countersign.js';
import { findTemporal } from '../../src/dev/index.js';
import type { ExecuteContext, Tool } from '../../src/tools/tool.js';
import { issueAgent, signApproval, signCommand, signProposal, signedEdit } from '../../src/trust/index.js';
import type { Channel } from '../../src/notify/index.js';
import { journalTool, type JournalInput } from '../support/journal-tool.js';
import { ended, pending, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { executed, steps } from '../support/steps.js';
import { until } from '../support/until.js';

const folder = path.dirname(fileURLToPath(import.meta.url));

let stack: Stack;
let admin: Countersign;
let journals: string;

/** The connection is refused once: nothing was sent. */
function refusingOnce(tool: Tool<JournalInput>): Tool {
  let refused = false;
  return {
    ...tool,
    execute: async (input: JournalInput, context: ExecuteContext) => {
      if (refused) return tool.execute(input, context);
      refused = true;
      throw new CountersignError('TOOL_UNAVAILABLE', 'Connection refused.', { retryable: true });
    },
  } as unknown as Tool;
}

beforeAll(async () => {
  journals = await mkdtemp(path.join(os.tmpdir(), 'countersign-histories-'));
  stack = await startStack({
    schema: `
      CREATE TABLE customers (id int PRIMARY KEY, plan text NOT NULL);
      INSERT INTO customers SELECT n, 'free' FROM generate_series(1, 300) n;
      CREATE TABLE users (id int PRIMARY KEY);
      INSERT INTO users VALUES (1);
      CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL);
      INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n;
      CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL CHECK (qty >= 0));
      INSERT INTO stock VALUES ('a', 10);
      CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.qty := OLD.qty; RETURN NEW; END $$;
      CREATE TRIGGER undo BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 5) EXECUTE FUNCTION undo();
      CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.qty := 3; RETURN NEW; END $$;
      CREATE TRIGGER meddle BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 7) EXECUTE FUNCTION meddle();
      CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(20); RETURN NEW; END $$;
      CREATE TRIGGER slow BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 6) EXECUTE FUNCTION slow();
      CREATE TABLE turns (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO turns VALUES (1, 0), (2, 0), (3, 0);
      CREATE TABLE never AS SELECT * FROM turns;
      ALTER TABLE never ADD PRIMARY KEY (id);
      CREATE TABLE spent AS SELECT * FROM turns;
      ALTER TABLE spent ADD PRIMARY KEY (id);
      CREATE TABLE lifted AS SELECT * FROM turns;
      ALTER TABLE lifted ADD PRIMARY KEY (id);
      CREATE FUNCTION turn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NEW; END $$;
      CREATE TRIGGER turn BEFORE UPDATE ON turns FOR EACH ROW WHEN (NEW.n = 1) EXECUTE FUNCTION turn();
    `,
    limits: `
limits:
  turn: { kind: concurrency, scope: tenant, when: '"turns" in preview.targets', max: 1, atLimit: queue for 30s }
  never: { kind: count, scope: tenant, when: '"never" in preview.targets', max: 0, window: forever, atLimit: queue for 1s }
  spent: { kind: count, scope: tenant, when: '"spent" in preview.targets', max: 0, window: forever }
  lifted: { kind: count, scope: tenant, when: '"lifted" in preview.targets', max: 0, window: forever, atLimit: approve by dba }
`,
    tools: (url) => [
      shopTool(url),
      { ...shopTool(url), name: 'far-db', taskQueue: 'far' },
      shopTool('postgres://nobody@127.0.0.1:1/none', { name: 'down-db' }),
      journalTool({ name: 'journal', file: path.join(journals, 'journal'), idempotency: 'none', canLookUp: false }) as unknown as Tool,
      refusingOnce(journalTool({ name: 'refusing', file: path.join(journals, 'refusing'), idempotency: 'none', canLookUp: false })),
    ],
  });
  admin = await stack.agent();
});
afterAll(async () => {
  await stack?.stop();
  await rm(journals, { recursive: true, force: true });
});

/** RECORD=queued,denied records these alone; what is recorded is kept. */
const wanted = process.env['RECORD']?.split(',');

async function record(name: string, actionId: string, client = admin): Promise<void> {
  await client.temporal.workflow.getHandle(`${TENANT}/${actionId}`).result();
  await recordWorkflow(name, `${TENANT}/${actionId}`, client);
}

async function recordWorkflow(name: string, workflowId: string, client = admin): Promise<void> {
  if (wanted !== undefined && !wanted.includes(name)) return;
  const { namespace } = client.temporal.options;
  const { path: temporal } = await findTemporal({ env: process.env, log: () => {} });
  const { stdout } = await promisify(execFile)(
    temporal,
    ['workflow', 'show', '--output', 'json', '--workflow-id', workflowId, '--namespace', namespace, '--address', stack.temporal.address],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  await writeFile(path.join(folder, `${name}.json`), `${JSON.stringify(JSON.parse(stdout, withoutTraces))}\n`);
}

async function recordDryRun(name: string, proposal: Proposal): Promise<void> {
  const credential = await issueAgent(stack.keyring, { id: 'agent-1', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
  const signature = await signProposal(credential, dryRunDigest(proposal));
  const workflowId = `dry/${TENANT}/${name}`;
  const { taskQueue } = stack.temporal;
  await admin.temporal.workflow.execute('dryRun', { workflowId, taskQueue, args: [{ proposal, signature }] });
  await recordWorkflow(name, workflowId);
}

function batchId(proposals: readonly Proposal[]): string {
  const named = digest(['agent-1', ...proposals.map((proposal) => [proposal.actionId, proposalDigest(proposal)])]);
  return `batch/${TENANT}/${named.slice('sha256:'.length)}`;
}

/** Stack traces name folders of the machine that recorded. Replay does not read them. */
function withoutTraces(key: string, value: unknown): unknown {
  return key === 'stackTrace' ? '' : value;
}

const update = (actionId: string, more: object = {}) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'update', table: 'customers', set: { plan: actionId }, where: { id: 1 } },
  ...more,
});
const purge = (actionId: string) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'delete', table: 'sessions', where: { note: 'stale' } },
});
const setStock = (actionId: string, qty: number) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'update', table: 'stock', set: { qty }, where: { sku: 'a' } },
});

async function waiting(actionId: string): Promise<PendingAction> {
  return pending(admin, purge(actionId));
}

test('allowed', async () => {
  await ended(admin, update('allowed', { expect: 'post.customers["1"].plan == "allowed"' }));
  await record('allowed', 'allowed');
});

test('a dry run', async () => {
  await recordDryRun('dry-run', update('dry'));
});

test('a batch', async () => {
  const far = await stack.startWorker({ temporal: { ...stack.temporal, taskQueue: 'far' } });
  const whole = [update('batched'), { ...update('batched-far'), tool: 'far-db' }];
  await admin.performAll(whole);
  await recordWorkflow('batch', batchId(whole));
  const refused = [update('batched'), update('unbatched'), { ...update('no'), input: { op: 'delete', table: 'users', where: { id: 1 } } }];
  await admin.performAll(refused);
  await recordWorkflow('batch-refused', batchId(refused));
  await far.stop();
});

test('read', async () => {
  await ended(admin, { actionId: 'read', tool: 'shop-db', input: { op: 'select', table: 'customers', limit: 2 } });
  await record('read', 'read');
});

test('a read that people allow', async () => {
  const asks = `@id("reads") @reason("reads are looked at") @approval("dba") forbid (principal, action == Countersign::Action::"READ", resource);`;
  await stack.withPolicy('roles.cedar', (text) => `${text}\n${asks}\n`, async () => {
    const input = { op: 'select', table: 'customers', limit: 2 };
    const action = await pending(admin, { actionId: 'read-asked', tool: 'shop-db', input });
    await stack.decide(action, await stack.approver('dora', ['dba']));
    await record('read-asked', 'read-asked');
  });
});

test('denied by policy', async () => {
  await ended(admin, { actionId: 'denied', tool: 'shop-db', input: { op: 'delete', table: 'users', where: { id: 1 } } });
  await record('denied', 'denied');
});

test('refused because nobody attests the agent', async () => {
  await admin.temporal.workflow.start('trustedAction', {
    workflowId: `${TENANT}/stranger`,
    taskQueue: stack.temporal.taskQueue,
    args: [{ proposal: update('stranger'), digest: `sha256:${'0'.repeat(64)}`, signature: 'forged' }],
  });
  await record('unverified', 'stranger');
});

test('mismatch', async () => {
  await ended(admin, setStock('mismatch', 5));
  await record('mismatch', 'mismatch');
});

test('failed', async () => {
  await ended(admin, setStock('failed', -1));
  await record('failed', 'failed');
});

test('an expectation that takes long is awaited in a regular activity', async () => {
  await ended(admin, update('long', { expect: { cel: 'post.customers["1"].plan == "long"', withinMs: 5000 } }));
  await record('long-expectation', 'long');
});

test('a system that is down', async () => {
  await ended(admin, { ...update('down'), tool: 'down-db' });
  await record('tool-down', 'down');
});

test('a tool with workers of its own', async () => {
  const far = await stack.startWorker({ temporal: { ...stack.temporal, taskQueue: 'far' } });
  await ended(admin, { ...update('far'), tool: 'far-db' });
  await record('other-task-queue', 'far');
  await recordDryRun('dry-run-elsewhere', { ...update('far-dry'), tool: 'far-db' });
  await far.stop();
});

test('cancelled while people think', async () => {
  const action = await waiting('cancelled');
  await admin.cancel(action.actionId);
  await record('cancelled-pending', 'cancelled');
});

test('cancelled during the effect', async () => {
  const answer = ended(admin, setStock('slow', 6));
  await until(
    () => admin.view('slow').catch(() => undefined),
    (view) => view?.phase === 'executing',
  );
  await admin.cancel('slow');
  await answer;
  // `cancelled-executing` is of before: the cancellation did not wait for the effect's answer.
  await record('cancelled-answered', 'slow');
});

test('denied by a person', async () => {
  await stack.decide(await waiting('no'), await stack.approver('dora', ['dba']), 'deny', 'not today');
  await record('approval-denied', 'no');
});

test('nobody decides in time', async () => {
  const brief = (text: string): string => text.replaceAll('@approval("dba")', '@approval("dba, ttl=1s")');
  await stack.withPolicy('production.cedar', brief, async () => {
    await waiting('expired');
    await record('approval-expired', 'expired');
  });
});

test('stale, asked again, and approved by a signal', async () => {
  const dba = await stack.approver('dora', ['dba']);
  const action = await waiting('stale');
  await stack.shop.query("UPDATE sessions SET note = 'active' WHERE id <= 20");
  await stack.decide(action, dba);
  await until(
    () => admin.view('stale'),
    ({ refusedApprovals, phase }) => refusedApprovals.length > 0 && phase === 'pending',
  );
  await stack.decide(action, dba);
  await record('stale-then-approved', 'stale');
});

async function refill(): Promise<void> {
  await stack.shop.query(
    "INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n ON CONFLICT (id) DO UPDATE SET note = 'stale'",
  );
}

test('reminded of and escalated, and people told of it', async () => {
  await refill();
  const told: Channel = { name: 'told', deliver: async () => ({ detail: 'told' }) };
  const slow = (text: string): string => text.replaceAll('@approval("dba")', '@approval("dba, remind=1s, escalate=2s:lead")');
  await stack.withPolicy('production.cedar', slow, async () => {
    const temporal = { ...stack.temporal, taskQueue: 'telling' };
    const notifications = { gatewayUrl: 'https://countersign.example.com', channels: [told] };
    const worker = await stack.startWorker({
      temporal,
      config: { policies: stack.policies, tools: [shopTool(stack.shopUrl)], notifications },
    });
    const credential = await issueAgent(stack.keyring, { id: 'teller', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
    const client = await Countersign.connect({ ...temporal, credential });
    const action = await pending(client, purge('escalated'));
    await until(
      () => client.view(action.actionId),
      (view) => view.pending?.escalated !== undefined,
    );
    await stack.decide(action, await stack.approver('leo', ['lead']));
    await record('escalated', 'escalated', client);
    const notice = `notice/${TENANT}/escalated/0-asked`;
    await client.temporal.workflow.getHandle(notice).result();
    await recordWorkflow('notification', notice, client);
    await client.close();
    await worker.stop();
  });
});

test('changes are asked for', async () => {
  await refill();
  await stack.decide(await waiting('changes'), await stack.approver('dora', ['dba']), 'request_changes', 'fewer');
  await record('changes-requested', 'changes');
});

test('a person changes the proposal, and what they made of it is done', async () => {
  await refill();
  const action = await waiting('edited');
  const dora = await stack.approver('dora', ['dba']);
  const { shown, shownDigest } = action.pending;
  const edited = editedProposal(shown.proposal, { input: { ...shown.proposal.input, where: { note: 'stale', id: { lte: 120 } } } });
  const token = await signApproval(dora, {
    tenant: TENANT,
    actionId: action.actionId,
    shownDigest,
    verdict: 'request_changes',
    edit: signedEdit(shown.proposal, edited),
  });
  await admin.decide(action.actionId, token, TENANT, edited);
  await record('edited', 'edited');
  const next = await until(() => admin.view(edited.actionId), (view) => view.pending !== undefined);
  await stack.decide({ ...action, actionId: edited.actionId, pending: next.pending ?? action.pending }, dora);
  await admin.outcome(edited.actionId);
  await record('edit', edited.actionId);
});

test('a person changes the proposal in the moment in which it is cancelled', async () => {
  await refill();
  const reached = new EventEmitter();
  const at = async (point: string): Promise<void> => {
    if (point !== 'checkApproval.end') return;
    reached.emit('checked');
    await once(reached, 'released');
  };
  await stack.worker?.stop();
  const worker = await stack.startWorker({ faults: { at } });
  const action = await waiting('edit-cancelled');
  const { shown, shownDigest } = action.pending;
  const edited = editedProposal(shown.proposal, { input: { ...shown.proposal.input, where: { id: 1 } } });
  const token = await signApproval(await stack.approver('dora', ['dba']), {
    tenant: TENANT,
    actionId: action.actionId,
    shownDigest,
    verdict: 'request_changes',
    edit: signedEdit(shown.proposal, edited),
  });
  const checked = once(reached, 'checked');
  const told = admin.decide(action.actionId, token, TENANT, edited);
  await checked;
  // It takes no more tasks of workflows, so the next worker hears of the answer and of the cancellation in one.
  const stopped = worker.stop();
  await admin.temporal.workflow.getHandle(`${TENANT}/${action.actionId}`).cancel();
  reached.emit('released');
  await stopped;
  await stack.startWorker();
  await told;
  await record('edit-cancelled', action.actionId);
});

test('the same is proposed in other words while it waits', async () => {
  await refill();
  const action = await waiting('restated');
  await admin.perform({ ...action.pending.shown.proposal, reasoning: 'in other words' });
  await stack.decide(action, await stack.approver('dora', ['dba']));
  await record('restated', 'restated');
});

test('two roles, one of them with two people; a no of two, and one who says it again', async () => {
  await refill();
  const both = (text: string): string => text.replaceAll('@approval("dba")', '@approval("dba, denials=2; security, quorum=2")');
  await stack.withPolicy('production.cedar', both, async () => {
    const action = await waiting('two-roles');
    const [dora, sam, sue] = [
      await stack.approver('dora', ['dba']),
      await stack.approver('sam', ['security']),
      await stack.approver('sue', ['security', 'dba']),
    ];
    await stack.decide(action, await stack.approver('dirk', ['dba']), 'deny', 'not sure');
    await stack.decide(action, sam);
    await stack.decide(action, sam);
    // With another role it counts for more than before.
    await stack.decide(action, await stack.approver('sam', ['security', 'dba']));
    await stack.decide(action, dora).catch(() => {});
    await stack.decide(action, sue);
    await record('two-roles', 'two-roles');
  });
  // As those after it expect it.
  await stack.shop.query("INSERT INTO sessions SELECT n, 'active' FROM generate_series(1, 20) n");
});

test('an action recorded before', async () => {
  await ended(admin, update('recorded'));
  await stack.afterRetention(async (client) => {
    await ended(client, update('recorded'));
    await record('recorded', 'recorded', client);
  });
});

const count = (actionId: string, table: string, id: number, n: number) => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'update', table, set: { n }, where: { id } },
});

/** Has the only turn for two seconds. */
async function takeTurn(actionId: string, id: number): Promise<{ done: Promise<unknown> }> {
  const done = ended(admin, count(actionId, 'turns', id, 1));
  await until(
    () => stack.spent('turn'),
    ({ held }) => held === 1,
  );
  return { done };
}

async function queued(actionId: string): Promise<void> {
  await until(
    () => admin.view(actionId).catch(() => undefined),
    (view) => view?.phase === 'queued',
  );
}

test('waits for room, and gets it', async () => {
  const first = await takeTurn('turn-1', 1);
  await ended(admin, count('queued', 'turns', 2, 2));
  await record('queued', 'queued');
  await first.done;
});

test('cancelled while it waits for room', async () => {
  const first = await takeTurn('turn-2', 1);
  const second = ended(admin, count('queued-cancelled', 'turns', 3, 2));
  await queued('queued-cancelled');
  await admin.cancel('queued-cancelled');
  await second;
  await record('cancelled-queued', 'queued-cancelled');
  await first.done;
});

test('waits for room in vain', async () => {
  await ended(admin, count('in-vain', 'never', 1, 1));
  await record('queued-in-vain', 'in-vain');
});

test('denied by a limit', async () => {
  await ended(admin, count('spent', 'spent', 1, 1));
  await record('limited', 'spent');
});

test('waits for what must come before it, which is under way', async () => {
  const rule = '@id("after-turns") forbid (principal, action, resource) when { context.targets.contains("customers") } unless { context.history.turned.done >= 1 };';
  const fact = 'history: { turned: { of: { targets: turns }, scope: task, within: 1h, wait: 30s } }';
  await stack.withPolicy('history.yaml', () => fact, () =>
    stack.withPolicy('production.cedar', (text) => `${text}\n${rule}\n`, async () => {
      const before = ended(admin, { ...count('before', 'turns', 3, 1), traceId: 'a-task' });
      await until(
        () => admin.view('before').catch(() => undefined),
        (view) => view?.phase === 'executing',
      );
      await ended(admin, update('queued-for-earlier', { traceId: 'a-task' }));
      await before;
    }),
  );
  await record('queued-for-earlier', 'queued-for-earlier');
});

test('over a limit that a person lifts', async () => {
  await stack.decide(await pending(admin, count('lifted', 'lifted', 1, 1)), await stack.approver('dora', ['dba']));
  await record('limit-lifted', 'lifted');
});

test('refused, though an earlier run has made the effect', async () => {
  const earlier = await steps(stack);
  try {
    const { op: _op, ...input } = setStock('found', 4).input;
    const request = await earlier.request({ op: 'update', ...input }, { actionId: 'found' });
    await executed(stack, earlier, request);
    const scope = { kind: 'tool', value: 'shop-db' } as const;
    const { id } = await stack.ledger.controls.freeze({ tenant: TENANT, scope, reason: 'incident', by: 'nina' });
    await ended(admin, request.proposal);
    await stack.ledger.controls.unfreeze(id, { by: 'nina' });
    await record('effect-found', 'found');
  } finally {
    await earlier.close();
  }
});

test('refused while the ledger is away, and recorded when it is back', async () => {
  const url = new URL(stack.ledgerUrl);
  const name = url.pathname.slice(1);
  url.pathname = '/postgres';
  const superuser = new pg.Client({ connectionString: url.href });
  await superuser.connect();
  try {
    await superuser.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await superuser.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name]);
    await ended(admin, update('away')).catch(() => {});
  } finally {
    await superuser.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    await superuser.end();
  }
  await record('ledger-away', 'away');
});

test('frozen during the effect', async () => {
  const answer = ended(admin, setStock('frozen', 6));
  await until(
    () => admin.view('frozen').catch(() => undefined),
    (view) => view?.phase === 'executing',
  );
  const scope = { kind: 'tool', value: 'shop-db' } as const;
  const { id } = await stack.ledger.controls.freeze({ tenant: TENANT, scope, reason: 'incident', by: 'nina' });
  await answer;
  await stack.ledger.controls.unfreeze(id, { by: 'nina' });
  await record('frozen-executing', 'frozen');
});

test('a signed command that is carried out, and one that is refused', async () => {
  const scope = { kind: 'agent', value: 'nobody' } as const;
  const { id } = await stack.ledger.controls.freeze({ tenant: TENANT, scope, reason: 'incident', by: 'nina' });
  const said = { kind: 'unfreeze', tenant: TENANT, subject: String(id), reason: 'over' } as const;
  for (const [name, roles] of [['signed-command-refused', ['dba']], ['signed-command', ['operator']]] as const) {
    const statement = await signCommand(await stack.approver('olga', roles), said);
    const { jti } = JSON.parse(Buffer.from(statement.split('.')[1] as string, 'base64url').toString()) as { jti: string };
    await admin.submitCommand(statement).catch(() => {});
    await recordWorkflow(name, `command/${TENANT}/${jti}`);
  }
});

test('reconciling, and what is recorded', async () => {
  const { taskQueue } = stack.temporal;
  await admin.temporal.workflow.execute('reconcile', { workflowId: 'reconcile', taskQueue, args: [{ olderThanMs: 0 }] });
  await recordWorkflow('reconcile', 'reconcile');
  const workflowId = `recorded/${TENANT}/spent`;
  await admin.temporal.workflow.execute('recordedOutcome', { workflowId, taskQueue, args: [TENANT, 'spent'] });
  await recordWorkflow('recorded-outcome', workflowId);
});

test('forgetting what nothing needs', async () => {
  const { taskQueue } = stack.temporal;
  await admin.temporal.workflow.execute('retention', { workflowId: 'retention', taskQueue, args: [{ days: { holds: 400, effects: 400 } }] });
  await recordWorkflow('retention', 'retention');
});

test('a request that was never sent', async () => {
  await ended(admin, { actionId: 'unsent', tool: 'refusing', input: { line: 'a' } });
  await record('unsent', 'unsent');
});

test('a mismatch that is undone', async () => {
  await ended(admin, { ...setStock('compensated', 7), onMismatch: 'compensate' });
  await record('compensated', 'compensated');
  await recordWorkflow('compensation', `undo/${TENANT}/compensated`);
});

const step = ({ tool, input }: { tool: string; input: object }) => ({ tool, input: input as Record<string, never> });
const addUser = (id: number) => step({ tool: 'shop-db', input: { op: 'insert', table: 'users', rows: [{ id }] } });
const DENIED = step({ tool: 'shop-db', input: { op: 'delete', table: 'users', where: { id: 1 } } });

async function recordSaga(name: string, traceId: string): Promise<void> {
  await admin.sagaOutcome(traceId);
  await recordWorkflow(name, `saga/${TENANT}/${traceId}`);
}

async function say(statement: { kind: 'recover'; verdict: 'retry' | 'accept' } | { kind: 'resolve'; verdict: 'happened' }, subject: string) {
  const olga = await stack.approver('olga', ['operator']);
  await admin.submitCommand(await signCommand(olga, { ...statement, tenant: TENANT, subject, reason: 'looked' }));
}

test('sagas that succeed, and that are undone', async () => {
  await admin.saga({ traceId: 'good', steps: [step(update('x')), step(setStock('x', 9))] });
  await recordSaga('saga', 'good');
  await admin.saga({ traceId: 'bad', steps: [step(update('y')), step(setStock('y', 8)), DENIED] });
  await recordSaga('saga-compensated', 'bad');
});

test('a saga with an undoing that is denied: tried again, and accepted', async () => {
  await admin.saga({ traceId: 'stuck', steps: [addUser(7), DENIED] });
  await say({ kind: 'recover', verdict: 'retry' }, 'stuck:1');
  await until(
    () => admin.compensation('stuck:1'),
    ({ actionId, status }) => actionId === 'undo:2:stuck:1' && status === 'needs_person',
  );
  await say({ kind: 'recover', verdict: 'accept' }, 'stuck:1');
  await admin.sagaOutcome('stuck');
  await recordWorkflow('compensation-accepted', `undo/${TENANT}/stuck:1`);

  await admin.saga({ traceId: 'freed', steps: [addUser(8), DENIED] });
  await stack.withPolicy('protected-tables.cedar', (text) => text.replaceAll('"users", ', ''), async () => {
    await say({ kind: 'recover', verdict: 'retry' }, 'freed:1');
    await admin.sagaOutcome('freed');
  });
  await recordWorkflow('compensation-retried', `undo/${TENANT}/freed:1`);
});

test('a saga with a step that is unknown', async () => {
  await admin.saga({ traceId: 'lost', steps: [step({ tool: 'journal', input: { line: 'a', lose: 'after' } }), step(update('z'))] });
  await say({ kind: 'resolve', verdict: 'happened' }, 'lost:1');
  await recordSaga('saga-unknown', 'lost');
  await recordWorkflow('resolution', `saga/${TENANT}/lost/waits/lost:1`);
});

test('a saga with a step that people decide, and one that is cancelled while they think', async () => {
  const steps = [step(update('v')), step(purge('v'))];
  await stack.shop.query("INSERT INTO sessions SELECT n, 'stale' FROM generate_series(2001, 2150) n");
  await admin.saga({ traceId: 'asking', steps });
  const { pending: shown } = await admin.view('asking:2');
  const action = { tenant: TENANT, actionId: 'asking:2', pending: shown } as unknown as PendingAction;
  await stack.decide(action, await stack.approver('dora', ['dba']));
  await recordSaga('saga-asking', 'asking');
  await record('saga-step-asking', 'asking:2');

  await stack.shop.query("INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1001, 1150) n");
  await admin.saga({ traceId: 'halted', steps: [step(update('w')), step(purge('w')), DENIED] });
  await admin.cancelSaga('halted');
  await recordSaga('saga-cancelled', 'halted');
});

test('canaries: refused by a person, and withdrawn; a round that sends none', async () => {
  await stack.shop.query("INSERT INTO sessions SELECT n, 'tested' FROM generate_series(3001, 3150) n");
  const [olga, dora] = [await stack.approver('olga', ['operator']), await stack.approver('dora', ['dba'])];
  const canary = {
    tool: 'shop-db',
    input: { op: 'delete', table: 'sessions', where: { note: 'tested' } },
    agent: { id: 'agent-1', roles: ['admin_user'] },
    rule: 'production-large-change',
    reasoning: 'They are old.',
  };
  for (const subject of ['canary', 'canary-withdrawn']) {
    const command = { kind: 'send_canary', tenant: TENANT, subject, canary, reason: 'a look' } as const;
    await admin.submitCommand(await signCommand(olga, command));
    const { pending: shown } = await admin.view(subject);
    const action = { tenant: TENANT, actionId: subject, pending: shown } as unknown as PendingAction;
    if (subject === 'canary') await stack.decide(action, dora, 'deny');
    else await admin.temporal.workflow.getHandle(`${TENANT}/${subject}`).cancel();
    await record(subject, subject);
  }
  const { taskQueue } = stack.temporal;
  await admin.temporal.workflow.execute('canaryRound', { workflowId: 'canary-round', taskQueue });
  await recordWorkflow('canary-round', 'canary-round');
});

test('canaries that are due: a round that sends one, which nobody decides', async () => {
  await stack.shop.query("INSERT INTO sessions SELECT n, 'due' FROM generate_series(4001, 4150) n");
  const temporal = { ...stack.temporal, taskQueue: 'canaries' };
  const template = {
    tool: 'shop-db',
    input: { op: 'delete', table: 'sessions', where: { note: 'due' } },
    agent: { id: 'agent-1', roles: ['admin_user'] },
    reason: 'a look',
  };
  const today = new Intl.DateTimeFormat('en', { timeZone: 'UTC', weekday: 'short' }).format(new Date()) as 'Mon';
  const hour = new Date().getUTCHours();
  const hours = { from: hour, to: hour + 1, days: [today] };
  const canaries = { templates: { purge: template }, tenants: [TENANT], perWeek: 50, mostPerWeek: 50, hours };
  // Of a requirement, the shortest time counts.
  const brief = `\n@id("brief") @reason("a dba") @approval("dba, ttl=2s") forbid (principal, action == Countersign::Action::"DELETE", resource);\n`;
  await stack.withPolicy('production.cedar', (text) => text + brief, async () => {
    const config = { policies: stack.policies, tools: [shopTool(stack.shopUrl)], oversight: { canaries } };
    const worker = await stack.startWorker({ temporal, config });
    try {
      await admin.temporal.workflow.execute('canaryRound', { workflowId: 'canary-round-due', taskQueue: 'canaries' });
      const { canaries: sent } = await until(() => stack.ledger.canaries.since(TENANT, new Date(0)), (seen) => seen.canaries.some((one) => one.sentBy === undefined));
      await record('canary-expired', sent.find((one) => one.sentBy === undefined)?.actionId ?? '');
      await recordWorkflow('canary-round-due', 'canary-round-due');
    } finally {
      await worker.stop();
    }
  });
});

test('an alarm of the ledger that is over, and told on no channel', async () => {
  const { taskQueue } = stack.temporal;
  const alarm = { kind: 'ledger_broken', tenant: TENANT, channels: ['nobody'], maxWaitMs: 1_500, lookEveryMs: 200 };
  await admin.temporal.workflow.execute('ledgerAlarm', { workflowId: `alarm/ledger_broken/${TENANT}`, taskQueue, args: [alarm] });
  await recordWorkflow('ledger-alarm', `alarm/ledger_broken/${TENANT}`);
});
