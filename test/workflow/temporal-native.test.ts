/**
 * Actions proposed from inside users' own workflows, on workers of their own: docs/temporal-native.md as it stands, and what it says of
 * people, cancellation, repetition, continue-as-new and deploys.
 */
import { randomUUID } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { OpenAIProvider } from '@openai/agents-openai';
import {
  Client,
  Connection,
  WorkflowFailedError,
  type WorkflowHandle,
  type WorkflowHandleWithFirstExecutionRunId,
} from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { OpenAIAgentsPlugin } from '@temporalio/openai-agents';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Worker, type BundleOptions } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { editedProposal } from '../../src/action/edit.js';
import type { ActionView, Outcome, Verdict } from '../../src/action/outcome.js';
import type { Proposal } from '../../src/action/proposal.js';
import type { WaitsFor } from '../../src/action/saga.js';
import type { Countersign } from '../../src/client/countersign.js';
import { CountersignPlugin } from '../../src/plugin/index.js';
import { encodeCredential, issueAgent, signApproval, signedEdit, type Credential } from '../../src/trust/index.js';
import { onSources, scratch } from '../docs/support.js';
import { CLERK_SCHEMA, clerkSays, rowsOf } from '../support/clerk.js';
import { startScriptedModel, type ScriptedModel } from '../support/scripted-model.js';
import { ROOT, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

const page = await readFile(path.join(ROOT, 'docs/temporal-native.md'), 'utf8');
const snippets = new Map(
  [...page.matchAll(/^```ts (\S+)\n([^]*?)^```/gm)].map(([, name = '', code = '']) => [name, code]),
);

const TASK_QUEUE = 'clerks';

let folder: string;
let bundle: string;
let stack: Stack;
let model: ScriptedModel;
let credential: Credential;
let dana: Credential;
let client: Client;
let cs: Countersign;
/** Other files run in this process too. */
const environment = process.env;

beforeAll(async () => {
  folder = await scratch('native');
  [stack, model, bundle] = await Promise.all([
    startStack({ schema: CLERK_SCHEMA, worker: false }),
    startScriptedModel(clerkSays),
    bundled(),
  ]);
  credential = await issueAgent(stack.keyring, { id: 'clerk', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
  dana = await stack.approver('dana', ['dba']);
  cs = await stack.agentWith(credential);
  const { address, namespace } = stack.temporal;
  client = new Client({ connection: await Connection.connect({ address }), namespace });
  process.env = {
    ...environment,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: namespace,
    COUNTERSIGN_AGENT: encodeCredential(credential),
    COUNTERSIGN_CONFIG: path.join(folder, 'countersign.config.mjs'),
    COUNTERSIGN_KEYS: stack.keys,
    COUNTERSIGN_LEDGER_URL: stack.ledgerUrl,
    OPENAI_BASE_URL: model.url,
    OPENAI_API_KEY: 'none',
    OPENAI_AGENTS_DISABLE_TRACING: '1',
  };
});
afterAll(async () => {
  process.env = environment;
  await client?.connection.close();
  await Promise.all([stack?.stop(), model?.stop(), rm(folder, { recursive: true, force: true })]);
});

/** The page's workflows and those of this test, as one bundle. */
async function bundled(): Promise<string> {
  const own = await readFile(path.join(ROOT, 'test/support/native-workflows.ts'), 'utf8');
  const sources = {
    'own.ts': own.replace('../../src/workflow/index.js', 'countersign/workflow'),
    ...Object.fromEntries(
      ['workflows.ts', 'waiting.ts', 'agent.ts', 'openai-agent.ts'].map((name) => [name, snippet(name)]),
    ),
    'all.ts': ['workflows', 'waiting', 'agent', 'openai-agent', 'own']
      .map((name) => `export * from './${name}.js';`)
      .join('\n'),
  };
  for (const [name, code] of Object.entries(sources)) await writeFile(path.join(folder, name), onSources(code));
  const { webpackConfigHook } = await snippetModule('bundler.ts');
  const { code } = await bundleWorkflowCode({
    workflowsPath: path.join(folder, 'all.ts'),
    webpackConfigHook: (config) => ({ ...(webpackConfigHook as Hook)(config), devtool: false }),
    logger: new DefaultLogger('ERROR'),
    plugins: [openAiPlugin('http://127.0.0.1:9/v1')],
  });
  const file = path.join(folder, 'bundle.js');
  await writeFile(file, withEmptyMap(code));
  return file;
}

type Hook = NonNullable<BundleOptions['webpackConfigHook']>;

/** A real map is larger than the code; workers insist on one. */
function withEmptyMap(code: string): string {
  const map = Buffer.from(JSON.stringify({ version: 3, file: 'bundle.js', sources: [], names: [], mappings: '' }));
  return `${code}\n//# sourceMappingURL=data:application/json;base64,${map.toString('base64')}`;
}

function snippet(name: string): string {
  const code = snippets.get(name);
  if (code === undefined) throw new Error(`the page has no snippet ${name}`);
  return code;
}

/** The module that a snippet is. */
async function snippetModule(name: string, edit = (code: string) => code): Promise<Readonly<Record<string, unknown>>> {
  const file = path.join(folder, name);
  await writeFile(file, onSources(edit(snippet(name))));
  return (await import(file)) as Readonly<Record<string, unknown>>;
}

/** A snippet that ends by running a worker, over the bundle that there is. */
async function withSnippetWorker(name: string, body: () => Promise<void>): Promise<void> {
  const { worker } = await snippetModule(name, (code) =>
    code
      .replace(/workflowsPath: .*,/, `workflowBundle: { codePath: ${JSON.stringify(bundle)} },`)
      .replace('pino()', "pino({ level: 'silent' })")
      .replace('await worker.run();', 'export { worker };'),
  );
  await (worker as Worker).runUntil(body);
}

function openAiPlugin(baseURL: string): OpenAIAgentsPlugin {
  return new OpenAIAgentsPlugin({
    modelProvider: new OpenAIProvider({ useResponses: false, baseURL, apiKey: 'none' }),
  });
}

/** A worker of the agents' workflows; call it again for the next deploy. */
async function startClerks(): Promise<{ stop(): Promise<void> }> {
  const { address, namespace } = stack.temporal;
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: TASK_QUEUE,
    workflowBundle: { codePath: bundle },
    activities: await snippetModule('activities.ts'),
    plugins: [openAiPlugin(model.url), new CountersignPlugin({ agents: { clerk: credential } })],
  });
  const running = worker.run();
  return {
    async stop() {
      worker.shutdown();
      await running;
      await connection.close();
    },
  };
}

/** Every payload and text in a workflow's history. */
async function textsOf(handle: WorkflowHandle): Promise<readonly string[]> {
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (typeof value === 'string') found.push(value);
    else if (value instanceof Uint8Array) found.push(Buffer.from(value).toString('utf8'));
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit);
  };
  visit(await handle.fetchHistory());
  return found;
}

function start(workflow: string, ...args: readonly unknown[]): Promise<WorkflowHandleWithFirstExecutionRunId> {
  return client.workflow.start(workflow, {
    taskQueue: TASK_QUEUE,
    workflowId: `clerk-${randomUUID()}`,
    args: [...args],
  });
}

async function run<Result>(workflow: string, ...args: readonly unknown[]): Promise<Result> {
  return (await (await start(workflow, ...args)).result()) as Result;
}

/** Why a workflow failed. */
async function failureOf(workflow: string, ...args: readonly unknown[]): Promise<ApplicationFailure> {
  const failure: unknown = await run(workflow, ...args).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(WorkflowFailedError);
  const { cause } = failure as WorkflowFailedError;
  expect(cause).toBeInstanceOf(ApplicationFailure);
  return cause as ApplicationFailure;
}

/** The action that a workflow waits for, once it waits for people. */
async function askedBy(handle: WorkflowHandle): Promise<string> {
  const children = await until(
    async () => (await handle.describe()).raw.pendingChildren ?? [],
    (found) => found.some(({ workflowId }) => workflowId?.startsWith(`${TENANT}/`) === true),
  );
  const actionId = children.map(({ workflowId }) => workflowId ?? '').find((id) => id.startsWith(`${TENANT}/`)) ?? '';
  return asked(actionId.slice(TENANT.length + 1));
}

async function asked(actionId: string): Promise<string> {
  await pendingView(actionId);
  return actionId;
}

function pendingView(actionId: string): Promise<ActionView> {
  return until(
    async () => cs.view(actionId).catch(() => undefined),
    (view) => view?.pending !== undefined,
  ) as Promise<ActionView>;
}

async function decide(actionId: string, verdict: Verdict, reason?: string): Promise<void> {
  const { pending } = await pendingView(actionId);
  const { shownDigest = 'sha256:' } = pending ?? {};
  const about = { tenant: TENANT, actionId, shownDigest, verdict };
  await cs.decide(actionId, await signApproval(dana, { ...about, ...(reason === undefined ? {} : { reason }) }));
}

let rows = 0;
/** Deletes more rows than policy lets pass without a dba, of a note of its own. */
async function large(): Promise<{ readonly proposal: Proposal; readonly note: string }> {
  const note = `stale-${++rows}`;
  await stack.shop.query(rowsOf('sessions', note, 120));
  const input = { op: 'delete', table: 'sessions', where: { note } };
  return { proposal: { actionId: randomUUID(), tool: 'shop-db', input }, note };
}

/** What is left of a note. */
async function left(note: string): Promise<number> {
  const { rowCount } = await stack.shop.query('SELECT FROM sessions WHERE note = $1', [note]);
  return rowCount ?? 0;
}

let ids = 0;
const small = (more: Partial<Proposal> = {}): Proposal => {
  const input = { op: 'insert', table: 'notes', rows: [{ id: ++ids, note: 'new' }] };
  return { actionId: randomUUID(), tool: 'shop-db', input, ...more };
};

test('the page runs: both workers in one process, then yours beside ours, and a client of your own', async () => {
  const config = `import { defineConfig, postgres } from 'countersign/worker';
export default defineConfig({
  policies: ${JSON.stringify(stack.policies)},
  tools: [postgres({ name: 'shop-db', environment: 'production', url: ${JSON.stringify(stack.shopUrl)} })],
});`;
  await writeFile(path.join(folder, 'countersign.config.mjs'), onSources(config));
  await stack.shop.query(rowsOf('sessions', 'kept', 8));

  await withSnippetWorker('both.ts', async () => {
    expect(await run<Outcome>('cleanUp', 'clean-up-7')).toMatchObject({ status: 'success', actionId: 'clean-up-7' });
  });
  await stack.startWorker();
  await withSnippetWorker('worker.ts', async () => {
    expect(await run<Outcome>('cleanUp', 'clean-up-7')).toMatchObject({ status: 'success', receipt: { seq: 1 } });
  });
  await snippetModule('client.ts');

  expect(await cs.view('clean-up-8')).toMatchObject({ outcome: { status: 'success' } });
  const { rows: kept } = await stack.shop.query("SELECT id FROM sessions WHERE note = 'kept' ORDER BY id");
  expect(kept.map(({ id }: { id: number }) => id)).toEqual([1, 2, 3, 4, 5, 6]);
});

test('a worker does not start without the credential of an agent', async () => {
  const plugin = new CountersignPlugin({ agents: { clerk: '' } });
  await expect(plugin.configureWorker({ taskQueue: TASK_QUEUE })).rejects.toMatchObject({ code: 'KEYS_MISSING' });
});

describe('on a worker of its own', () => {
  let clerks: Awaited<ReturnType<typeof startClerks>>;
  beforeAll(async () => {
    if (stack.worker === undefined) await stack.startWorker();
    clerks = await startClerks();
  });
  afterAll(() => clerks?.stop());

  test('the outcome comes back whole, and no key is in any history', async () => {
    const proposal = small({ reasoning: 'The user asked for it.' });
    const handle = await start('inTurn', proposal);
    const [outcome] = (await handle.result()) as readonly Outcome[];
    expect(outcome).toEqual(await cs.outcome(proposal.actionId));
    expect(outcome).toMatchObject({ status: 'success', tenant: TENANT, facts: { agent: { id: 'clerk' } } });

    const action = client.workflow.getHandle(`${TENANT}/${proposal.actionId}`);
    const texts = [...(await textsOf(handle)), ...(await textsOf(action))].join('\n');
    expect(texts).not.toContain(credential.privateJwk.d);
    expect(texts).not.toContain(encodeCredential(credential));
    // A workflow's actions are one task.
    expect(texts).toContain(`"traceId":"${handle.workflowId}"`);
    const { raw } = await action.describe();
    expect(raw.workflowExecutionInfo?.parentExecution?.workflowId).toBe(handle.workflowId);
  });

  test('a refusal is an outcome; what is no proposal, or of an agent that the worker does not hold, is thrown', async () => {
    const protectedRow = small({ input: { op: 'delete', table: 'users', where: { id: 1 } } });
    const [denied] = await run<readonly Outcome[]>('inTurn', protectedRow);
    expect(denied).toMatchObject({ status: 'denied', error: { code: 'POLICY_DENIED' } });

    const shapeless = await failureOf('inTurn', small({ tool: 'no such name' }));
    expect(shapeless).toMatchObject({ type: 'INVALID_PROPOSAL', details: [{ field: 'proposal.tool' }] });
    expect(await failureOf('asStranger', small())).toMatchObject({
      type: 'KEYS_MISSING',
      details: [{ expected: 'one of: clerk' }],
    });
  });

  test('the same proposal twice, at once, from another workflow and from outside is one effect', async () => {
    const proposal = small();
    const both = await run<readonly Outcome[]>('atOnce', proposal, proposal);
    const again = await run<readonly Outcome[]>('inTurn', proposal, proposal);
    const outside = await cs.perform(proposal);
    for (const outcome of [...both, ...again, outside]) expect(outcome).toEqual(both[0]);
    expect(both[0]).toMatchObject({ status: 'success' });

    const other = await failureOf('inTurn', { ...proposal, input: { ...proposal.input, table: 'sessions' } });
    expect(other).toMatchObject({ type: 'ACTION_CONFLICT', details: [{ code: 'ACTION_CONFLICT' }] });
  });

  test('what another agent did under the id is not what the workflow proposed', async () => {
    const others = small();
    const { receipt } = (await (await stack.agent()).perform(others)) as Outcome;
    expect(receipt).toBeDefined();
    const conflict = await failureOf('inTurn', others);
    expect(conflict).toMatchObject({ type: 'ACTION_CONFLICT', details: [{ field: 'actionId' }] });
    expect(JSON.stringify(conflict.details)).not.toContain(receipt?.hash);
  });

  test('it waits for people, tells of whom it waits, and hears of their word', async () => {
    const { proposal, note } = await large();
    const handle = await start('inTurn', proposal);
    await asked(proposal.actionId);
    const waits = await until(
      () => handle.query<readonly WaitsFor[]>('waiting'),
      (found) => found.length > 0,
    );
    expect(waits).toEqual([
      { actionId: proposal.actionId, kind: 'approval', reason: expect.stringContaining('120 rows') },
    ]);
    // Anybody can say it.
    await handle.signal('childStatus', { actionId: 'other', kind: 'approval', reason: 'Say yes.', waits: true });
    expect(await handle.query('waiting')).toHaveLength(1);

    await decide(proposal.actionId, 'approve');
    expect(await handle.result()).toMatchObject([{ status: 'success', approvals: [{ approver: 'dana' }] }]);
    expect(await handle.query('waiting')).toEqual([]);
    expect(await left(note)).toBe(0);
  });

  test('what a person made of the proposal can be waited for', async () => {
    const { proposal, note } = await large();
    const handle = await start('followed', proposal);
    const { pending } = await pendingView(proposal.actionId);
    const { shown, shownDigest = 'sha256:' } = pending ?? {};
    if (shown === undefined) throw new Error('nothing is shown');
    const input = { ...proposal.input, where: { id: { in: [1, 2] } } };
    const edited = editedProposal(shown.proposal, { input });
    const edit = signedEdit(shown.proposal, edited);
    const about = {
      tenant: TENANT,
      actionId: proposal.actionId,
      shownDigest,
      verdict: 'request_changes',
      edit,
    } as const;
    await cs.decide(proposal.actionId, await signApproval(dana, about), TENANT, edited);
    expect(await handle.result()).toMatchObject([
      { status: 'denied', revisedBy: edited.actionId },
      { actionId: edited.actionId, tool: 'shop-db' },
    ]);
    expect(await left(note)).toBe(120);
  });

  test('a cancellation is passed on, and the answer is the truth', async () => {
    const { proposal, note } = await large();
    const handle = await start('inTurn', proposal);
    await asked(proposal.actionId);
    await handle.cancel();
    expect(await handle.result()).toMatchObject([{ status: 'cancelled', receipt: { tenant: TENANT } }]);
    expect(await left(note)).toBe(120);
  });

  test('cancelled before it was signed, nothing is proposed', async () => {
    const proposal = small();
    expect(await run('cancelledBefore', proposal)).toBe('nothing was proposed');
    await expect(cs.view(proposal.actionId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test.each([
    ['approves', 'success', 0],
    ['is cancelled', 'cancelled', 120],
  ] as const)('continued as new while people are asked, it joins the action: one %s', async (how, status, count) => {
    const { proposal, note } = await large();
    const first = await start('continued', proposal, false);
    const next = client.workflow.getHandle(first.workflowId);
    await until(
      () => next.describe(),
      ({ raw, runId }) => runId !== first.firstExecutionRunId && (raw.pendingChildren ?? []).length > 0,
    );
    if (how === 'approves') await decide(proposal.actionId, 'approve');
    else await next.cancel();
    expect(await next.result()).toMatchObject({ status, actionId: proposal.actionId });
    expect(await left(note)).toBe(count);
  });

  test('a workflow that is terminated leaves its action to people, and the next one finds it', async () => {
    const { proposal, note } = await large();
    const handle = await start('inTurn', proposal);
    await asked(proposal.actionId);
    await handle.terminate();
    await decide(proposal.actionId, 'approve');
    expect(await run('awaited', { tenant: TENANT, actionId: proposal.actionId })).toMatchObject({ status: 'success' });
    expect(await left(note)).toBe(0);
    expect(await failureOf('awaited', { tenant: TENANT, actionId: 'no-such' })).toMatchObject({ type: 'NOT_FOUND' });
  });

  test('an action whose workflow is ended from outside is begun again', async () => {
    const { proposal, note } = await large();
    const handle = await start('inTurn', proposal);
    await asked(proposal.actionId);
    const action = client.workflow.getHandle(`${TENANT}/${proposal.actionId}`);
    const { runId } = await action.describe();
    await action.terminate();
    await until(
      () => action.describe(),
      (found) => found.runId !== runId,
    );
    await decide(proposal.actionId, 'approve');
    expect(await handle.result()).toMatchObject([{ status: 'success' }]);
    expect(await left(note)).toBe(0);
  });

  test('a tool call that a framework sends twice is one action, and the model is told what it can correct', async () => {
    const id = ++ids;
    const [first, second, wrong] = await run<readonly object[]>('calledTwice', id);
    expect(first).toMatchObject({ status: 'success', actionId: expect.stringMatching(/^call-[0-9a-f]{40}$/) });
    expect(second).toEqual(first);
    expect(wrong).toMatchObject({ status: 'refused', message: expect.stringContaining('INVALID_TEXT') });
  });

  describe.each(['agent', 'openAiAgent'])('the loop %s', (loop) => {
    test('waits for a person across a deploy of its worker, and goes on', async () => {
      const { note } = await large();
      const handle = await start(loop, `delete sessions ${note}`);
      const actionId = await askedBy(handle);
      await clerks.stop();
      await decide(actionId, 'approve');
      clerks = await startClerks();
      expect(await handle.result()).toMatch(/I was told: .*success.*Done and verified/s);
      expect(await left(note)).toBe(0);
    });

    test('hears why it is denied', async () => {
      const { note } = await large();
      const handle = await start(loop, `delete sessions ${note}`);
      await decide(await askedBy(handle), 'deny', 'Not before the audit.');
      expect(await handle.result()).toMatch(/I was told: .*denied.*Not before the audit/s);
      expect(await left(note)).toBe(120);
    });
  });

  test('a model that is denied by policy changes course', async () => {
    await stack.shop.query(rowsOf('users', 'retired', 1));
    expect(await run('agent', 'delete users retired')).toMatch(/I was told: .*Done and verified/s);
    const { rows: users } = await stack.shop.query('SELECT note FROM users');
    expect(users).toEqual([{ note: 'archived retired' }]);
  });

  test("the page's workflow tells who is waited for", async () => {
    await stack.shop.query(rowsOf('sessions', 'stale', 120));
    const actionId = randomUUID();
    const handle = await start('cleanUpAll', actionId, 'sessions');
    await asked(actionId);
    await until(
      () => handle.query<readonly WaitsFor[]>('waiting'),
      ([waits]) => waits?.actionId === actionId,
    );
    await decide(actionId, 'deny');
    expect(await handle.result()).toMatchObject({ status: 'denied', error: { code: 'APPROVAL_DENIED' } });
  });
});
