/** Actions from the command line, on real servers: propose, decide, look, stop. */
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse as parseYaml } from 'yaml';
import type { JsonObject } from '../../src/action/json.js';
import type { ActionView, Outcome } from '../../src/action/outcome.js';
import type { Countersign } from '../../src/client/countersign.js';
import type { BacktestReport } from '../../src/policy/backtest/index.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import { digest as digestOf } from '../../src/action/json.js';
import type { UnreceiptedOutcome } from '../../src/action/outcome.js';
import {
  encodeCredential,
  generateKeyringFile,
  hashReceipt,
  issueAgent,
  issueApprover,
  peekCredential,
  signReceipt,
} from '../../src/trust/index.js';
import { pending, ROOT, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { cli, errorOf, folder, type Ended } from './support.js';

let stack: Stack;
let env: Record<string, string>;
let bot: Countersign;
let dora: string;
let eve: string;
let bob: string;

beforeAll(async () => {
  stack = await startStack({
    schema: `
      create table orders (id int primary key, status text not null, note text);
      insert into orders select i, 'paid', 'n' || i from generate_series(1, 2000) i;
      create table users (id int primary key, name text);`,
  });
  const agent = await issueAgent(stack.keyring, {
    id: 'bot',
    tenant: TENANT,
    roles: ['admin_user'],
    scopes: ['*'],
    owner: 'olga',
  });
  bot = await stack.agentWith(agent);
  env = {
    TEMPORAL_ADDRESS: stack.temporal.address,
    TEMPORAL_NAMESPACE: stack.temporal.namespace,
    COUNTERSIGN_TASK_QUEUE: stack.temporal.taskQueue,
    COUNTERSIGN_LEDGER_URL: stack.ledgerUrl,
    COUNTERSIGN_KEYS: stack.keys,
    COUNTERSIGN_AGENT: encodeCredential(agent),
  };
  dora = encodeCredential(await issueApprover(stack.keyring, { id: 'dora', tenant: TENANT, roles: ['dba'] }));
  bob = encodeCredential(await issueApprover(stack.keyring, { id: 'bob', tenant: TENANT, roles: ['operator'] }));
  eve = encodeCredential(await issueApprover(stack.keyring, { id: 'eve', tenant: TENANT, roles: ['intern'] }));
});
afterAll(() => stack.stop());

const setStatus = (status: string, where: object): string =>
  JSON.stringify({ op: 'update', table: 'orders', set: { status }, where });

/** Where the rows of each large change begin: no test sees another's. */
const begins = new Map<string, number>();

function rowsOf(status: string): { gte: number; lt: number } {
  const gte = begins.get(status) ?? 100 + begins.size * 150;
  begins.set(status, gte);
  return { gte, lt: gte + 150 };
}

/** Over 100 rows in production: a dba must agree. */
const large = (status: string): string => setStatus(status, { id: rowsOf(status) });

function propose(actionId: string, input: string, ...more: readonly string[]): Promise<Ended> {
  return proposeAs(env, actionId, input, ...more);
}

function proposeAs(
  as: Readonly<Record<string, string>>,
  actionId: string,
  input: string,
  ...more: readonly string[]
): Promise<Ended> {
  return cli(['propose', '--tool', 'shop-db', '--action-id', actionId, '--input', input, '--json', ...more], {
    env: as,
  });
}

/** Proposes it as the same agent would by the command line, for what is not about proposing: without a process of its own. */
async function proposed(actionId: string, input: string, more: object = {}, by = bot): Promise<void> {
  await by.perform({ actionId, tool: 'shop-db', input: JSON.parse(input) as JsonObject, ...more });
}

/** The statuses of the rows that the large change to this status is about. */
function statusesOfRows(status: string): Promise<string[]> {
  const { gte, lt } = rowsOf(status);
  return statusesOf(`id >= ${gte} and id < ${lt}`);
}

/** The environment of an agent that no other test uses. */
async function asAgent(id: string, tenant = TENANT): Promise<Record<string, string>> {
  const agent = await issueAgent(stack.keyring, { id, tenant, roles: ['admin_user'], scopes: ['*'] });
  return { ...env, COUNTERSIGN_AGENT: encodeCredential(agent) };
}

/** A client of an agent that no other test uses. */
async function clientOf(id: string, tenant: string): Promise<Countersign> {
  return stack.agent({ id, tenant });
}

async function statusesOf(where: string): Promise<string[]> {
  const { rows } = await stack.shop.query<{ status: string }>(
    `select distinct status from orders where ${where} order by 1`,
  );
  return rows.map(({ status }) => status);
}

describe('propose', () => {
  test('makes the effect once, and tells the recorded outcome again', async () => {
    const input = setStatus('sent', { id: 1 });
    const first = await propose('once', input, '--expect', 'post.orders["1"].status == "sent"');
    expect(first.code).toBe(0);
    expect(first.json()).toMatchObject({ status: 'success', actionId: 'once', tenant: TENANT });
    expect(await statusesOf('id = 1')).toEqual(['sent']);

    await stack.shop.query(`update orders set status = 'lost' where id = 1`);
    const again = await propose('once', input, '--expect', 'post.orders["1"].status == "sent"');
    expect(again.json()).toEqual(first.json());
    expect(await statusesOf('id = 1')).toEqual(['lost']);

    const other = await propose('once', setStatus('void', { id: 1 }));
    expect(other.code).toBe(2);
    expect(errorOf(other).code).toBe('ACTION_CONFLICT');
  });

  test('reads the input from stdin and from a file', async () => {
    const cwd = await folder();
    await writeFile(path.join(cwd, 'input.json'), setStatus('filed', { id: 3 }));
    const args = ['propose', '--tool', 'shop-db'];
    const [piped, filed] = await Promise.all([
      cli([...args, '--input', '-'], { env, cwd, stdin: setStatus('piped', { id: 2 }) }),
      cli([...args, '--input-file', 'input.json'], { env, cwd }),
    ]);
    expect([piped.code, filed.code]).toEqual([0, 0]);
    expect(await statusesOf('id in (2, 3)')).toEqual(['filed', 'piped']);
    expect(piped.stdout).toMatch(/✓ success/);
    expect(piped.stderr).toMatch(/^action [\da-f-]{36}\n$/);
  });

  test.each([
    ['denied by policy', 4, 'denied', '{"op":"delete","table":"users","where":{"id":1}}', []],
    ['an input that is not the tool’s', 4, 'denied', '{"op":"sing"}', []],
    [
      'an effect that is not what was promised',
      6,
      'mismatch',
      '{"op":"update","table":"orders","set":{"status":"a"},"where":{"id":4}}',
      ['--expect', 'post.orders["4"].status == "b"'],
    ],
  ])('%s: exit code %i', async (_, code, status, input, more) => {
    const ended = await propose(`exit-${code}-${status}-${input.length}`, input, ...more);
    expect(ended.code).toBe(code);
    expect(ended.json()).toMatchObject({ status });
  });

  test.each([
    ['what would be done at once', 0, 'allow', setStatus('dry', { id: 5 }), 'It would be done at once.'],
    ['what people would be asked for', 3, 'require_approval', large('dry'), 'Approvals needed: 1 of dba'],
    ['what would be denied', 4, 'deny', '{"op":"delete","table":"users","where":{"id":1}}', 'It would be denied.'],
  ])('--dry-run tells %s, and does nothing', async (_, code, effect, input, line) => {
    const dry = await propose(`dry-${code}`, input, '--dry-run');
    expect(dry.code).toBe(code);
    expect(dry.json()).toMatchObject({ effect });
    const told = await cli(['propose', '--tool', 'shop-db', '--input', input, '--dry-run'], { env });
    expect(told.stdout).toContain(line);
    expect(await statusesOf("status = 'dry'")).toEqual([]);
    expect((await cli(['show', `dry-${code}`], { env })).code).toBe(2);
    expect((await propose(`dry-${code}`, input, '--dry-run', '--wait')).code).toBe(2);
  });

  test('through a tool that does not exist is denied, and names those that do', async () => {
    const { code, json } = await cli(['propose', '--tool', 'nope', '--input', '{}', '--json'], { env });
    expect(code).toBe(4);
    expect(json()).toMatchObject({
      error: { code: 'UNKNOWN_TOOL', expected: expect.stringContaining('shop-db') as string },
    });
  });
});

describe('an action that needs people', () => {
  test('waits with exit code 3, is listed, and nobody signs by accident', async () => {
    const waiting = await propose(
      'careful',
      large('careful'),
      '--claim',
      'environment=test',
      '--reasoning',
      'tidy\u001b[2J up',
    );
    expect(waiting.code).toBe(3);
    expect(waiting.json()).toMatchObject({ status: 'pending', actionId: 'careful' });

    const listed = await until(
      () => cli(['pending'], { env }),
      ({ stdout }) => stdout.includes('acme/careful'),
    );
    expect(listed.stdout).toMatch(
      /acme\/careful {2}.* left\n.*update 150 rows.*production.*bot\n[^]*needs 1 more of dba/,
    );

    const unasked = await cli(['approve', 'careful'], { env: { ...env, COUNTERSIGN_APPROVER: dora } });
    expect(unasked.code).toBe(2);
    expect(unasked.stderr).toMatch(/--yes/);
    expect(unasked.stdout).toMatch(/environment = test {2}✗ in truth it is production/);
    expect(unasked.stdout).toContain('tidy\\u{1B}[2J up');
    expect(unasked.stdout).not.toContain('\u001b');

    const intern = await cli(['approve', 'careful', '--yes', '--json'], { env: { ...env, COUNTERSIGN_APPROVER: eve } });
    expect(intern.code).toBe(4);
    expect(errorOf(intern).code).toBe('APPROVAL_FORBIDDEN');
    expect(await statusesOfRows('careful')).toEqual(['paid']);

    const yes = await cli(['approve', 'acme/careful', '--yes', '--reason', 'seen', '--json'], {
      env: { ...env, COUNTERSIGN_APPROVER: dora },
    });
    expect(yes.code).toBe(0);
    expect(yes.json()).toMatchObject({
      state: 'approved',
      verdict: 'approve',
      recorded: { approver: 'dora', reason: 'seen' },
    });

    const done = await propose(
      'careful',
      large('careful'),
      '--claim',
      'environment=test',
      '--reasoning',
      'tidy\u001b[2J up',
      '--wait',
      '30s',
    );
    expect(done.code).toBe(0);
    expect(await statusesOfRows('careful')).toEqual(['careful']);

    const late = await cli(['approve', 'careful', '--yes', '--json'], { env: { ...env, COUNTERSIGN_APPROVER: dora } });
    expect(errorOf(late).code).toBe('NOT_PENDING');
  });

  test('is denied with the reason told to the agent', async () => {
    await proposed('refused', large('refused'));
    const no = await cli(['deny', 'refused', '--reason', 'not today', '--json'], {
      env: { ...env, COUNTERSIGN_APPROVER: dora },
    });
    expect(no.json()).toMatchObject({ state: 'denied' });
    const told = await propose('refused', large('refused'), '--wait');
    expect(told.code).toBe(4);
    expect(told.json()).toMatchObject({
      status: 'denied',
      error: { code: 'APPROVAL_DENIED' },
      reason: expect.stringContaining('not today') as string,
    });
  });

  test('is not decided by people of another tenant', async () => {
    await proposed('foreign', large('foreign'));
    const stranger = encodeCredential(
      await issueApprover(stack.keyring, { id: 'sam', tenant: 'beta', roles: ['dba'] }),
    );
    const args = ['approve', 'acme/foreign', '--yes', '--json', '--as'];
    const ended = await cli([...args, stranger], { env });
    expect(ended.code).toBe(2);
    expect(errorOf(ended)).toMatchObject({ code: 'USAGE', expected: 'an action of beta' });
  });

  test('can be decided by a signal with the printed decision', async () => {
    await proposed('signalled', large('signalled'));
    const printed = await cli(['approve', 'signalled', '--print', '--yes', '--as', dora], { env });
    expect(printed.code).toBe(0);
    expect(printed.stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    expect((await bot.view('signalled')).phase).toBe('pending');
    await bot.temporal.workflow.getHandle('acme/signalled').signal('decide', printed.stdout.trim());
    expect(await bot.outcome('signalled', { timeoutMs: 30_000 })).toMatchObject({ status: 'success' });
  });

  test('still waits when the agent stops waiting: exit code 3', async () => {
    const ended = await propose('impatient', large('x'), '--wait', '500ms');
    expect(ended.code).toBe(3);
    expect(ended.json()).toMatchObject({ status: 'pending' });
  });

  test('is cancelled without an effect: exit code 5', async () => {
    await proposed('stopped', large('stopped'));
    const { code } = await cli(['cancel', 'stopped'], { env });
    expect(code).toBe(0);
    const told = await propose('stopped', large('stopped'), '--wait');
    expect(told.code).toBe(5);
    expect(told.json()).toMatchObject({ status: 'cancelled' });
    expect(await statusesOf(`status = 'stopped'`)).toEqual([]);
  });
});

describe('show', () => {
  beforeAll(() => proposed('told', setStatus('told', { id: 9 }), { reasoning: 'because', traceId: 't-1' }));

  test('tells the whole story to people, and all of it to scripts', async () => {
    const [text, json] = await Promise.all([
      cli(['show', 'told'], { env }),
      cli(['show', 'acme/told', '--json'], { env }),
    ]);
    expect(text.code).toBe(0);
    for (const part of [
      /✓ success/,
      /agent +bot \(roles: admin_user, owner olga\)/,
      /│ because/,
      /trace +t-1/,
      /~ \/orders\/9\/status {2}"paid" → "told"/,
      /receipt +#\d+/,
      /workflows\/acme%2Ftold/,
    ]) {
      expect(text.stdout).toMatch(part);
    }
    expect(text.stdout).not.toMatch(/!/);
    const document = json.json() as ActionView & { proposal: object; keptBy: string };
    expect(document).toMatchObject({
      phase: 'ended',
      keptBy: 'temporal',
      outcome: { status: 'success' },
      proposal: { traceId: 't-1' },
    });
  });

  test('falls back to the ledger when Temporal does not know the action, or is away', async () => {
    const gone = await cli(['show', 'told', '--json'], { env: { ...env, TEMPORAL_NAMESPACE: 'default' } });
    expect(gone.json()).toMatchObject({
      keptBy: 'ledger',
      outcome: { status: 'success', actionId: 'told' },
      proposal: { traceId: 't-1' },
    });
    const away = await cli(['show', 'told'], { env: { ...env, TEMPORAL_ADDRESS: '127.0.0.1:1' } });
    expect(away.code).toBe(0);
    expect(away.stderr).toMatch(/^warning .*The ledger is asked instead/);
    expect(away.stdout).toMatch(/trace +t-1/);
    expect(away.stdout).not.toMatch(/no longer kept/);
  });

  test('is recorded with its history, and decided again as it was', async () => {
    const made = await folder();
    const [file, histories] = [path.join(made, 'decisions.jsonl.gz'), path.join(made, 'histories')];
    const query = `WorkflowId = 'acme/told'`;
    const args = ['record', '--decisions', file, '--histories', histories, '--workflow-query', query, '--json'];
    const written = await cli(args, { env });
    expect(written.json()).toMatchObject({ histories: { folder: histories, count: 1 }, policies: 1 });
    expect(await readdir(histories)).toEqual([expect.stringMatching(/^acme_told\.[0-9a-f-]{36}\.json$/)]);
    const backtest = ['policy', 'backtest', '--candidate', stack.policies, '--fail-on', 'newly-allowed,undecided'];
    for (const from of [[], ['--from', file]]) {
      const ended = await cli([...backtest, ...from, '--json'], { env });
      expect(ended.code).toBe(0);
      const { summary } = ended.json() as { summary: { redecided: number; toTheLetter: number } };
      expect(summary.redecided).toBeGreaterThan(0);
      expect(summary.toTheLetter).toBe(summary.redecided);
    }
  });

  test('is decided again from its history in Temporal as from the ledger, which is not needed for that', async () => {
    const { COUNTERSIGN_LEDGER_URL: _ledger, ...withoutLedger } = env;
    const input = JSON.parse(large('said-no-to')) as JsonObject;
    const action = await pending(bot, { actionId: 'said-no-to', tool: 'shop-db', input });
    await stack.decide(action, await stack.approver('dora', ['dba']), 'deny', 'no');
    await proposed('begun', large('begun'));
    await proposed('ended-by-hand', large('ended-by-hand'));
    await bot.temporal.workflow.getHandle('acme/ended-by-hand').terminate('by hand');
    const query = `WorkflowId IN ('acme/told', 'acme/said-no-to', 'acme/begun', 'acme/ended-by-hand')`;
    await until(
      async () => (await bot.temporal.workflow.count(`${query} AND ExecutionStatus != 'Running'`)).count,
      (count) => count === 3,
    );
    const backtest = ['policy', 'backtest', '--candidate', stack.policies, '--json', '--workflow-query'];
    const ended = await cli([...backtest, query], { env });
    expect(ended.code).toBe(0);
    const report = ended.json() as BacktestReport;
    expect(report.summary).toMatchObject({ decisions: 4, redecided: 2, toTheLetter: 2, undecided: 2 });
    expect(report.undecided).toEqual([
      { why: 'its action has not ended', count: 1, examples: ['acme/begun'] },
      { why: 'its workflow ended without an outcome', count: 1, examples: ['acme/ended-by-hand'] },
    ]);
    expect((await cli([...backtest, query], { env: withoutLedger })).json()).toEqual(report);
    // Whoever has other keys takes nobody's word for what was decided.
    const foreign = JSON.stringify(await generateKeyringFile());
    const unsealed = await cli([...backtest, `WorkflowId = 'acme/told'`], {
      env: { ...withoutLedger, COUNTERSIGN_KEYS: foreign },
    });
    expect((unsealed.json() as BacktestReport).undecided).toEqual([
      {
        why: 'no worker whose keys are known sealed the decision that its outcome states',
        count: 1,
        examples: ['acme/told'],
      },
    ]);
    expect(errorOf(await cli([...backtest, 'CountersignTool like'], { env }))).toMatchObject({
      code: 'USAGE',
      field: '--workflow-query',
    });
    expect(errorOf(await cli([...backtest, `WorkflowId = 'nobody/nothing'`], { env }))).toMatchObject({
      code: 'NOT_FOUND',
      field: '--workflow-query',
    });
  });

  test('is explained by its id, from the ledger too, and under another policy with a word on that', async () => {
    const explain = ['policy', 'explain', 'told', '--policies', stack.policies, '--json'];
    const [here, kept] = await Promise.all([
      cli(explain, { env }),
      cli(explain, { env: { ...env, TEMPORAL_NAMESPACE: 'default' } }),
    ]);
    expect(here.json()).toMatchObject({
      decision: { effect: 'allow' },
      facts: { agent: { id: 'bot' }, tool: { name: 'shop-db' } },
      notes: [],
    });
    expect(kept.json()).toEqual(here.json());

    await proposed('explained', large('explained'));
    const waiting = await cli(['policy', 'explain', 'acme/explained', '--policies', stack.policies], { env });
    expect(waiting.stdout).toContain('It still waits');
    expect(waiting.stdout).toMatch(/^require_approval {2}[^]*needs 1 of dba for production-large-change/m);
    expect(waiting.stdout).toMatch(/^ {2}allow +if /m);

    const other = path.join(await folder(), 'policies');
    await cp(stack.policies, other, { recursive: true });
    await writeFile(path.join(other, 'none.cedar'), '@id("none") forbid (principal, action, resource);');
    const denied = await cli(['policy', 'explain', 'told', '--policies', other, '--json'], { env });
    expect(denied.json()).toMatchObject({
      decision: { effect: 'deny', policies: ['none'] },
      notes: [expect.stringContaining('It was decided under another policy, sha256:')],
    });
    const nowhere = await cli(['policy', 'explain', 'never', '--policies', stack.policies, '--json'], { env });
    expect(errorOf(nowhere).code).toBe('NOT_FOUND');
  });

  test('finds an action by its id alone, whosever it is, and names the tenants where several have it', async () => {
    const { COUNTERSIGN_AGENT: _own, ...nobody } = env;
    const globex = await clientOf('bot', 'globex');
    await proposed('only-theirs', setStatus('theirs', { id: 10 }), {}, globex);
    await Promise.all([proposed('both', setStatus('ours', { id: 11 })), proposed('both', '{"op":"none"}', {}, globex)]);

    const show = (name: string, as: Readonly<Record<string, string>>) => cli(['show', name, '--json'], { env: as });
    const [alone, elsewhere, own, ambiguous, nowhere] = await Promise.all([
      show('only-theirs', nobody),
      show('only-theirs', env),
      show('both', env),
      show('both', nobody),
      show('never', nobody),
    ]);
    expect([alone.json(), elsewhere.json()]).toMatchObject([{ tenant: 'globex' }, { tenant: 'globex' }]);
    expect(own.json()).toMatchObject({ tenant: TENANT });
    expect(ambiguous.code).toBe(2);
    expect(errorOf(ambiguous)).toMatchObject({
      code: 'USAGE',
      field: '--tenant',
      expected: 'one of acme/both, globex/both',
    });
    expect(errorOf(nowhere).code).toBe('NOT_FOUND');

    // What stops an action takes no other tenant's for one's own.
    expect(errorOf(await cli(['cancel', 'only-theirs', '--json'], { env })).code).toBe('NOT_FOUND');
  });

  test('an action that nobody knows: exit code 2', async () => {
    const ended = await cli(['show', 'never', '--json'], { env });
    expect(ended.code).toBe(2);
    expect(errorOf(ended)).toMatchObject({
      code: 'NOT_FOUND',
      fix: expect.stringContaining('countersign list') as string,
    });
  });

  test('says so when somebody ended the workflow in Temporal', async () => {
    await proposed('killed', large('killed'));
    await bot.temporal.workflow.getHandle('acme/killed').terminate('by hand');
    const { stdout, code } = await cli(['show', 'killed'], { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^! Its workflow ended as TERMINATED and left no outcome/m);
    expect(stdout).toMatch(/status: "killed"|"killed"/);
  });
});

describe('list', () => {
  test('finds by status, tool and agent, and only the tenant’s own', async () => {
    const spy = await asAgent('spy', 'beta');
    await Promise.all([
      proposed('beta-1', setStatus('b', { id: 20 }), {}, await clientOf('spy', 'beta')),
      proposed('listed', setStatus('listed', { id: 21 })),
      proposed('listed-too', setStatus('listed', { id: 22 })),
    ]);

    const idsOf = (ended: Ended): string[] =>
      (ended.json() as { actions: { actionId: string }[] }).actions.map(({ actionId }) => actionId);
    const list = (more: string[], as = env): Promise<Ended> => cli(['list', '--json', ...more], { env: as });
    // Temporal's lists are a moment late.
    const listed = 'WorkflowId IN ("acme/listed", "acme/listed-too", "beta/beta-1") AND CountersignStatus = "success"';
    await until(
      async () => (await bot.temporal.workflow.count(listed)).count,
      (count) => count === 3,
    );

    expect(idsOf(await list([], spy))).toEqual(['beta-1']);
    expect(idsOf(await list([]))).not.toContain('beta-1');
    expect(idsOf(await list(['--status', 'denied', '--tool', 'shop-db', '--agent', 'bot']))).not.toContain('listed');
    expect(idsOf(await list(['--limit', '2']))).toHaveLength(2);
    const { COUNTERSIGN_AGENT: _none, ...nobody } = env;
    expect(idsOf(await list([], nobody))).toEqual(expect.arrayContaining(['beta-1', 'listed']));
    expect((await cli(['list', '--status', 'success'], { env })).stdout).toMatch(
      /^actionId +status[^]*listed +success +allow +WRITE +shop-db +production +bot/m,
    );
  });
});

describe('freeze', () => {
  test('stops the agent until it is lifted, and keeps the record', async () => {
    const wild = await asAgent('wild');
    const made = await cli(
      ['freeze', '--agent', 'wild', '--tenant', TENANT, '--reason', 'runs wild', '--by', 'ann', '--json'],
      { env },
    );
    expect(made.code).toBe(0);
    const { id } = made.json() as { id: number };
    const stopped = await proposeAs(wild, 'frozen', setStatus('frozen', { id: 30 }));
    expect(stopped.code).toBe(4);
    expect(stopped.json()).toMatchObject({ status: 'denied', error: { code: 'FROZEN' } });

    expect((await cli(['freezes'], { env })).stdout).toMatch(
      new RegExp(`#${id} {2}agent wild of tenant acme, by ann at .*: runs wild`),
    );
    const lift = (as: string): Promise<Ended> =>
      cli(['unfreeze', String(id), '--as', as, '--reason', 'tamed', '--json'], { env });
    const refused = await lift(dora);
    expect(refused.code).not.toBe(0);
    expect(errorOf(refused)).toMatchObject({ code: 'ROLE_REQUIRED', expected: 'one of: operator' });
    const lifted = await lift(bob);
    expect(lifted.code).toBe(0);
    expect(lifted.json()).toMatchObject({ id, lifted: { by: 'bob' }, receipt: { tenant: TENANT } });
    expect((await cli(['freezes'], { env })).stdout).toBe('there are no active freezes\n');
    expect((await cli(['freezes', '--lifted'], { env })).stdout).toMatch(/lifted by bob at .*: tamed/);
    expect((await proposeAs(wild, 'thawed', setStatus('thawed', { id: 30 }))).code).toBe(0);
  });

  test('one that does not exist cannot be lifted: exit code 2', async () => {
    const ended = await cli(['unfreeze', '99999', '--as', bob, '--reason', 'a guess', '--json'], { env });
    expect(ended.code).toBe(2);
    expect(errorOf(ended).code).toBe('NOT_FOUND');
  });
});

describe('revoke', () => {
  test('takes the credential itself, its file or its id, and stops whoever holds it', async () => {
    const loose = await issueAgent(stack.keyring, {
      id: 'loose',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
    });
    const file = path.join(await folder(), 'loose.csk');
    await writeFile(file, encodeCredential(loose));
    const asLoose = { ...env, COUNTERSIGN_AGENT: file };
    const read = ['propose', '--tool', 'shop-db', '--input', '{"op":"select","table":"orders","limit":1}', '--json'];
    expect((await cli(read, { env: asLoose })).json()).toMatchObject({ status: 'success' });
    const revoked = await cli(['revoke', file, '--as', bob, '--reason', 'lost', '--json'], { env });
    expect(revoked.json()).toMatchObject({ jti: peekCredential(loose).jti, by: 'bob', reason: 'lost' });
    expect((await cli(read, { env: asLoose })).json()).toMatchObject({ error: { code: 'CREDENTIAL_REVOKED' } });
  });
});

describe('resolve', () => {
  test('says in which of two ways, and refuses an outcome that is known', async () => {
    await proposed('no-doubt', setStatus('no-doubt', { id: 40 }));
    const undecided = await cli(['resolve', 'no-doubt', '--evidence', 'hm', '--as', bob, '--json'], { env });
    expect(errorOf(undecided)).toMatchObject({ code: 'USAGE', expected: '--happened or --did-not-happen' });
    const known = await cli(['resolve', 'no-doubt', '--happened', '--evidence', 'I saw it', '--as', bob, '--json'], {
      env,
    });
    expect(errorOf(known).code).toBe('NOT_UNKNOWN');
  });

  test('settles what is unknown, and `show` tells it', async () => {
    const digest = `sha256:${'0'.repeat(64)}` as const;
    const outcome: UnreceiptedOutcome = {
      status: 'unknown',
      reason: 'The reply was lost.',
      error: { code: 'EFFECT_UNKNOWN', message: 'The reply was lost.' },
      tenant: TENANT,
      actionId: 'lost',
      proposalDigest: digest,
      tool: 'shop-db',
      approvals: [],
      checks: [],
      steps: {},
    };
    const claims = { v: 1, status: 'unknown', reason: outcome.reason, tool: 'shop-db', approvals: [], iat: 1 } as const;
    await stack.ledger.receipts.settle({
      tenant: TENANT,
      actionId: 'lost',
      proposalDigest: digest,
      outcome,
      sign: async (link) => {
        const about = { tenant: TENANT, actionId: 'lost', proposalDigest: digest, outcomeDigest: digestOf(outcome) };
        const jws = await signReceipt(stack.keyring, { ...claims, ...about, ...link });
        return { jws, hash: hashReceipt(jws) };
      },
    });
    const args = ['resolve', 'lost', '--did-not-happen', '--evidence', 'not in the books', '--as', bob, '--json'];
    expect((await cli(args, { env })).json()).toMatchObject({
      status: 'failed',
      resolution: { verdict: 'did_not_happen', evidence: 'not in the books', by: 'bob' },
    });
    expect((await cli(['show', 'lost'], { env })).stdout).toContain('not in the books');
  });
});

describe('replay', () => {
  const replay = (...args: readonly string[]): Promise<Ended> => cli(['replay', ...args, '--json'], { env });

  test('takes the histories that a query finds, and the newest of each workflow type, whether they have ended or wait', async () => {
    await propose('replayed', setStatus('replayed', { id: 1 }));
    await propose('replayed-waits', large('replayed'));
    const tool = "CountersignTool = 'shop-db'";
    const mine = `WorkflowId IN ('${TENANT}/replayed', '${TENANT}/replayed-waits')`;
    await until(
      async () => (await bot.temporal.workflow.count(`${mine} AND ${tool}`)).count,
      (count) => count === 2,
    );
    const [queried, newest] = await Promise.all([replay('--query', `${mine} AND ${tool}`), replay('--last', '1')]);
    expect(queried.code).toBe(0);
    expect(queried.json()).toMatchObject({
      histories: 2,
      replayed: 2,
      byWorkflowType: { trustedAction: 2 },
      problems: [],
    });
    expect(newest.code).toBe(0);
    expect(newest.json()).toMatchObject({ byWorkflowType: { trustedAction: 1 }, problems: [] });
  });

  test('does in a pull request what docs/replay.md says, with what was recorded as it says', async () => {
    const page = await readFile(path.join(ROOT, 'docs/replay.md'), 'utf8');
    const cwd = await folder();
    const [, recording = ''] = /^```sh\n(.*)\n```$/m.exec(page) ?? [];
    const [, recipe = ''] = /^```yaml\n([^]*?)^```$/m.exec(page) ?? [];
    const { jobs } = parseYaml(recipe) as { jobs: { replay: { steps: { run?: string }[] } } };
    const [, inCi = ''] = /^npx (.*)$/.exec(jobs.replay.steps.at(-1)?.run ?? '') ?? [];
    await proposed('of-the-recipe', setStatus('recipe', { id: 70 }));
    await until(
      async () => (await bot.temporal.workflow.count("ExecutionStatus = 'Completed'")).count,
      (count) => count > 0,
    );
    const run = (line: string, as: Readonly<Record<string, string>>): Promise<Ended> => {
      const words = (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''));
      expect(words[0]).toBe('countersign');
      return cli([...words.slice(1), '--json'], { env: as, cwd });
    };
    const { histories } = (await run(recording, env)).json() as { histories: { count: number } };
    expect(histories.count).toBeGreaterThan(0);
    const replayed = await run(inCi, {});
    expect(replayed.code).toBe(0);
    expect(replayed.json()).toMatchObject({ histories: histories.count, replayed: histories.count, problems: [] });
  });

  test('says when a query is none, or finds nothing', async () => {
    const wrong = await replay('--query', 'CountersignTool like');
    expect([wrong.code, errorOf(wrong)]).toMatchObject([2, { code: 'USAGE', field: '--query' }]);
    const none = await replay('--query', "WorkflowId = 'nobody/nothing'");
    expect([none.code, none.json()]).toMatchObject([2, { histories: 0 }]);
  });
});

describe('the record', () => {
  test('verifies: receipts, outcomes, and what Temporal saw', async () => {
    await proposed('recorded', setStatus('recorded', { id: 50 }));
    const cwd = await folder();
    const ended = await cli(['receipts', 'verify', '--json'], { env, cwd });
    expect(ended.json()).toMatchObject({ ok: true });
    const { tenants } = ended.json() as { tenants: { tenant: string; outcomes: number }[] };
    const acme = tenants.find(({ tenant }) => tenant === TENANT);
    expect(acme).toMatchObject({ problems: [], witnessed: true });
    expect(acme?.outcomes).toBeGreaterThan(0);
  });

  test('verifies also when forged proposals had receipts of their own, with higher numbers', async () => {
    const tenant = 'gamma';
    await proposed('real', setStatus('real', { id: 60 }), {}, await clientOf('honest', tenant));
    const agent = await stack.agent({ id: 'forger' });
    const verified = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring, tenant });
    const receipts = verified.tenants[0]?.receipts ?? 0;
    expect(receipts).toBe(1);
    for (let i = 0; i <= receipts; i++) {
      const request = {
        proposal: { actionId: `forged-${i}`, tool: 'shop-db', input: {} },
        digest: `sha256:${'0'.repeat(64)}`,
        proof: 'x',
      };
      const outcome = (await agent.temporal.workflow.execute('trustedAction', {
        taskQueue: stack.temporal.taskQueue,
        workflowId: `${tenant}/forged-${i}`,
        args: [request],
        typedSearchAttributes: new TypedSearchAttributes([
          { key: defineSearchAttributeKey('CountersignTenant', SearchAttributeType.KEYWORD), value: tenant },
        ]),
      })) as Outcome;
      expect(outcome.receipt?.tenant).toBe('_unauthenticated');
    }
    const refused = `WorkflowId STARTS_WITH "${tenant}/forged-" AND CountersignStatus = "denied"`;
    await until(
      async () => (await agent.temporal.workflow.count(refused)).count,
      (count) => count === receipts + 1,
    );
    // The numbers of their chain are not passed off as this tenant's.
    const beyond = `CountersignTenant = "${tenant}" AND CountersignReceipt > ${receipts}`;
    expect((await agent.temporal.workflow.count(beyond)).count).toBe(0);
    const ended = await cli(['receipts', 'verify', '--json'], { env, cwd: await folder() });
    expect(ended.json()).toMatchObject({ ok: true });
  });
});
