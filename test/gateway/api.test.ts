/** The HTTP API before a real worker, ledger and Temporal: what agents and people can do, and what they cannot. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import type { PendingView } from '../../src/action/outcome.js';
import { startTestGateway, type Answer, type Sender, type TestGateway } from '../support/gateway.js';
import { journalTool } from '../support/journal-tool.js';
import { shopTool, startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

let stack: Stack;
let gateway: TestGateway;
let bot: Sender;
let dana: Sender;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-api-'));
  stack = await startStack({
    schema: 'CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL)',
    tools: (url) => [
      shopTool(url),
      journalTool({ name: 'journal', file: path.join(folder, 'journal'), idempotency: 'none', canLookUp: false }),
    ],
  });
  gateway = await startTestGateway(stack);
  bot = await gateway.agent();
  dana = await gateway.person();
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(refill);

async function refill(): Promise<void> {
  await stack.shop.query(
    "TRUNCATE sessions; INSERT INTO sessions SELECT n, CASE WHEN n <= 150 THEN 'stale' ELSE 'fresh' END FROM generate_series(1, 160) n",
  );
}

const insert = (id: number) => ({
  tool: 'shop-db',
  input: { op: 'insert', table: 'sessions', rows: [{ id, note: 'new' }] },
});
/** More rows than the starter policies let go without a dba. */
const PURGE = { tool: 'shop-db', input: { op: 'delete', table: 'sessions', where: { note: 'stale' } } };

async function count(): Promise<number> {
  const { rows } = await stack.shop.query<{ n: string }>('SELECT count(*) AS n FROM sessions');
  return Number(rows[0]?.n);
}

async function waiting(by: Sender = bot): Promise<{ actionId: string; shownDigest: string }> {
  const actionId = randomUUID();
  const answer = await by.post('/v1/actions?wait=30', { ...PURGE, actionId });
  expect([answer.status, answer.body['status']]).toEqual([202, 'pending']);
  const seen = await dana.get(`/v1/actions/${actionId}`);
  return { actionId, shownDigest: (seen.body['pending'] as { shownDigest: string }).shownDigest };
}

function refusal({ status, headers, body }: Answer): object {
  expect(headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const { code, field } = body;
  return field === undefined ? { status, code } : { status, code, field };
}

describe('an agent', () => {
  test('proposes what policy allows, and gets its outcome', async () => {
    const actionId = randomUUID();
    const answer = await bot.post('/v1/actions?wait=30', { ...insert(201), actionId });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ status: 'success', actionId, tenant: 'acme', receipt: { tenant: 'acme' } });
    expect(await count()).toBe(161);
  });

  test('gets what policy denies as an outcome, with the reason and nothing else', async () => {
    const answer = await bot.post('/v1/actions?wait=30', {
      tool: 'shop-db',
      input: { op: 'sql', statement: 'DROP TABLE sessions' },
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ status: 'denied', reason: expect.any(String) as string });
    for (const hidden of ['facts', 'decision', 'pre', 'approvals', 'checks'])
      expect(answer.body).not.toHaveProperty(hidden);
    expect(await count()).toBe(160);
  });

  test('proposing the same again has one effect and the same answer; another under the same id is a conflict', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const first = await bot.send('POST', '/v1/actions?wait=30', { json: insert(202), headers });
    const again = await bot.send('POST', '/v1/actions?wait=30', { json: insert(202), headers });
    expect(first.body).toMatchObject({ status: 'success', actionId: headers['idempotency-key'] });
    expect(again.body).toEqual(first.body);
    const other = await bot.send('POST', '/v1/actions?wait=30', { json: insert(203), headers });
    expect(refusal(other)).toEqual({ status: 409, code: 'ACTION_CONFLICT', field: 'actionId' });
    expect(await count()).toBe(161);
  });

  describe('that makes the same call as another one, under the same id', () => {
    let other: Sender;
    beforeAll(async () => {
      other = await gateway.agent({ agent: 'agent-2' });
    });
    const CONFLICT = { status: 409, code: 'ACTION_CONFLICT', field: 'actionId' };

    test('does not get what the other one read', async () => {
      const read = {
        tool: 'shop-db',
        input: { op: 'select', table: 'sessions', where: { id: 7 } },
        actionId: randomUUID(),
      };
      const first = await bot.post('/v1/actions?wait=30', read);
      expect(first.body).toMatchObject({ status: 'success', result: { rows: [{ id: 7, note: 'stale' }] } });
      const second = await other.post('/v1/actions?wait=30', read);
      expect(refusal(second)).toEqual(CONFLICT);
      expect(JSON.stringify(second.body)).not.toContain('stale');
      // The first one still does.
      expect((await bot.post('/v1/actions?wait=30', read)).body).toEqual(first.body);
    });

    test('in a batch is told of the conflict, and finds nothing of what the other one read', async () => {
      const actionId = randomUUID();
      const read = { tool: 'shop-db', input: { op: 'select', table: 'sessions', where: { id: 8 } }, actionId };
      expect((await bot.post('/v1/actions?wait=30', read)).body).toMatchObject({ status: 'success' });
      const { body, text } = await other.post('/v1/batches?wait=30', { proposals: [read] });
      expect(body).toMatchObject({
        begun: false,
        actions: [{ status: 'not_begun', actionId, decided: { effect: 'deny', error: { code: 'ACTION_CONFLICT' } } }],
      });
      expect(text).not.toContain('stale');
      for (const at of ['', '/outcome']) expect((await other.get(`/v1/actions/${actionId}${at}`)).status).toBe(404);
    });

    test('as a saga is told of the conflict, and does not find it', async () => {
      const traceId = randomUUID();
      const saga = { traceId, steps: [insert(204), insert(205)] };
      const first = await bot.post('/v1/sagas?wait=30', saga);
      expect(first.body).toMatchObject({ status: 'success' });
      expect(refusal(await other.post('/v1/sagas?wait=30', saga))).toEqual({ ...CONFLICT, field: 'traceId' });
      expect((await other.get(`/v1/sagas/${traceId}`)).status).toBe(404);
      expect((await other.post(`/v1/sagas/${traceId}/cancel`)).status).toBe(404);
      expect((await bot.post('/v1/sagas?wait=30', saga)).body).toEqual(first.body);
      expect(await count()).toBe(162);
    });

    test('adds no words to what waits for people, and does not see it', async () => {
      const { actionId } = await waiting();
      const words = 'Let me have it.';
      const second = await other.post('/v1/actions?wait=30', { ...PURGE, actionId, reasoning: words });
      expect(refusal(second)).toEqual(CONFLICT);
      expect(second.body).not.toHaveProperty('pending');
      expect(JSON.stringify((await dana.get(`/v1/actions/${actionId}`)).body)).not.toContain(words);
    });

    test('does not have it as a step of a saga, to hear what came of it or to have it undone', async () => {
      const done = { ...insert(204), actionId: randomUUID() };
      const first = await bot.post('/v1/actions?wait=30', done);
      expect(first.body).toMatchObject({ status: 'success' });
      const denied = { tool: 'shop-db', input: { op: 'sql', statement: 'DROP TABLE sessions' } };
      const own = { tool: 'shop-db', input: { op: 'select', table: 'sessions' }, actionId: randomUUID() };
      const traceId = randomUUID();
      const agent5 = await gateway.agent({ agent: 'agent-5' });
      const saga = await agent5.post('/v1/sagas?wait=30', { traceId, steps: [own, done, denied] });
      expect(saga).toMatchObject({
        status: 200,
        body: {
          status: 'compensated',
          steps: [
            { status: 'success' },
            { status: 'denied', error: { code: 'ACTION_CONFLICT' } },
            { status: 'skipped' },
          ],
          compensations: [{ cause: own.actionId, status: 'nothing' }],
        },
      });
      expect(JSON.stringify(saga.body)).not.toContain((first.body['receipt'] as { hash: string }).hash);
      const { rows } = await stack.shop.query<{ id: number }>('SELECT id FROM sessions WHERE id > 200');
      expect(rows).toEqual([{ id: 204 }]);
      // Nobody is asked about undoing it, which would keep the first agent's own saga from doing so.
      await expect((await stack.agent()).compensation(done.actionId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    test('does not hear why the other one was refused before policy was asked', async () => {
      const narrow = await gateway.agent({ agent: 'agent-3', scopes: ['shop-db:select'] });
      const refused = { ...insert(206), actionId: randomUUID() };
      const first = await narrow.post('/v1/actions?wait=30', refused);
      expect(first.body).toMatchObject({ status: 'denied', error: { code: 'SCOPE_DENIED' } });
      const second = await other.post('/v1/actions?wait=30', refused);
      expect(refusal(second)).toEqual(CONFLICT);
      for (const told of ['agent-3', 'shop-db:select']) expect(second.text).not.toContain(told);
      // It is the first one's, for good.
      const listed = await narrow.get(`/v1/actions?text=${refused.actionId}`);
      expect(listed.body['actions']).toMatchObject([{ actionId: refused.actionId, agent: 'agent-3' }]);
    });
  });

  test('finds no action by a text that names none, by whatever protocol', async () => {
    const a2a = await bot.send('POST', '/a2a', {
      json: { jsonrpc: '2.0', id: 1, method: 'GetTask', params: { id: 'a/b' } },
      headers: { 'a2a-version': '1.0' },
    });
    expect(a2a.text).toContain('TASK_NOT_FOUND');
    // NUL is what no database takes.
    const call = { name: 'await_action', arguments: { actionId: '\u0000' } };
    const mcp = await bot.send('POST', '/mcp', {
      json: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: call },
      headers: { accept: 'application/json, text/event-stream' },
    });
    expect(mcp.text).toContain('Code: NOT_FOUND');
  });

  test('that proposes a saga has sent as many requests as it has steps', async () => {
    const small = await startTestGateway(stack, { gateway: { limits: { requestsPerMinute: 5 } } });
    try {
      const sender = await small.agent({ agent: 'agent-7' });
      const saga = (traceId: string, steps: number) => ({
        traceId,
        steps: Array.from({ length: steps }, () => ({ tool: 'shop-db', input: { op: 'select', table: 'sessions' } })),
      });
      expect((await sender.post('/v1/sagas?wait=30', saga('counted', 4))).status).toBe(200);
      expect(refusal(await sender.post('/v1/sagas', saga('too-many', 2)))).toMatchObject({ status: 429 });
      await expect((await stack.agent()).sagaView('too-many')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    } finally {
      await small.stop();
    }
  });

  test('that follows from a source that is not trusted is looked at by a person, who sees the source', async () => {
    const actionId = randomUUID();
    const from = [
      { source: 'prompt', trust: 'trusted' },
      { source: 'email:<b>4711</b>', trust: 'untrusted' },
    ];
    const trusted = await bot.post('/v1/actions?wait=30', { ...insert(221), from: from.slice(0, 1) });
    expect(trusted.body).toMatchObject({ status: 'success' });

    const asked = await bot.post('/v1/actions?wait=30', { ...insert(222), actionId, from });
    expect(asked.body).toMatchObject({ status: 'pending', reason: expect.stringContaining('not trusted') as string });
    const { pending, effect } = (await dana.get(`/v1/actions/${actionId}`)).body;
    const { shown, shownDigest } = pending as PendingView;
    expect([effect, shown.proposal.from]).toEqual(['require_approval', from]);

    // The same action again, of which it says less: people still decide on what it said first.
    await bot.post('/v1/actions?wait=30', { ...insert(222), actionId, from: from.slice(0, 1) });
    await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
    await bot.get(`/v1/actions/${actionId}/outcome?wait=30`);
    const { body } = await dana.get(`/v1/actions/${actionId}/outcome`);
    expect(body).toMatchObject({ status: 'success', facts: { from } });
  });

  test('sees that its action waits and for whom, and no row of what it would change', async () => {
    const { actionId } = await waiting();
    const { body, text } = await bot.get(`/v1/actions/${actionId}`);
    expect(body).toMatchObject({ status: 'pending', pending: { missing: [{ roles: ['dba'], have: 0, need: 1 }] } });
    expect(text).not.toContain('sample');
    expect(text).not.toContain('"shown"');
    expect((await dana.get(`/v1/actions/${actionId}`)).text).toContain('sample');
  });

  test('sees of its outcome no state and nobody by name', async () => {
    const { actionId, shownDigest } = await waiting();
    await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve', reason: 'checked' });
    const mine = await bot.get(`/v1/actions/${actionId}/outcome?wait=30`);
    expect(mine.body).toMatchObject({ status: 'success', approvals: [{ verdict: 'approve' }] });
    for (const hidden of ['dana', 'checked', 'stale', '"state"']) expect(mine.text).not.toContain(hidden);
    const theirs = await dana.get(`/v1/actions/${actionId}/outcome`);
    for (const shown of ['dana', 'checked', '"state"']) expect(theirs.text).toContain(shown);
  });

  test('finds its own actions alone, in lists and by id; a stranger finds nothing', async () => {
    const { actionId } = await waiting();
    const other = await gateway.agent({ agent: 'agent-2' });
    expect(refusal(await other.get(`/v1/actions/${actionId}`))).toEqual({
      status: 404,
      code: 'NOT_FOUND',
      field: 'actionId',
    });
    expect((await other.get(`/v1/actions/${actionId}/outcome?wait=1`)).status).toBe(404);
    expect((await other.post(`/v1/actions/${actionId}/cancel`)).status).toBe(404);
    expect((await other.get(`/v1/actions/${actionId}/events`)).status).toBe(404);
    const own = (await bot.get('/v1/actions?status=pending')).body['actions'] as { actionId: string }[];
    expect(own.map((one) => one.actionId)).toContain(actionId);
    expect((await other.get('/v1/actions')).body['actions']).toEqual([]);
    expect((await (await gateway.agent({ agent: 'agent' })).get('/v1/actions')).body['actions']).toEqual([]);
  });

  test('finds its action again that no worker has taken up yet, and nobody else does', async () => {
    await stack.worker?.stop();
    const actionId = randomUUID();
    try {
      const answer = await bot.post('/v1/actions', { ...insert(210), actionId });
      // It cannot be said whether this is what was begun under the id: the same call may be repeated.
      expect(refusal(answer)).toMatchObject({ status: 504, code: 'TIMED_OUT' });
      const seen = await bot.get(`/v1/actions/${actionId}`);
      expect(seen.body).toMatchObject({ status: 'open', tool: 'shop-db', agent: 'agent-1' });
      const other = await gateway.agent({ agent: 'agent-2' });
      expect((await other.get(`/v1/actions/${actionId}`)).status).toBe(404);
    } finally {
      await stack.startWorker();
    }
    const outcome = await until(
      () => bot.get(`/v1/actions/${actionId}/outcome?wait=10`),
      ({ status }) => status === 200,
    );
    expect(outcome.body).toMatchObject({ status: 'success', actionId });
  });

  test('cancels its own action', async () => {
    const { actionId } = await waiting();
    expect((await bot.post(`/v1/actions/${actionId}/cancel`)).status).toBe(202);
    const { body } = await bot.get(`/v1/actions/${actionId}/outcome?wait=30`);
    expect(body).toMatchObject({ status: 'cancelled' });
    expect((await bot.post(`/v1/actions/${actionId}/cancel`)).status).toBe(200);
    expect(await count()).toBe(160);
  });

  test.each([
    ['GET', '/v1/approvals'],
    ['GET', '/v1/freezes'],
    ['GET', '/v1/radar/alerts'],
    ['GET', '/v1/radar/sources'],
    ['POST', '/v1/freezes'],
    ['GET', '/v1/events'],
    ['GET', '/v1/standing-approvals'],
    ['GET', '/v1/role-delegations'],
  ])('%s %s is not for agents', async (method, path) => {
    const json = method === 'POST' ? { json: { scope: { kind: 'all' }, reason: 'x' } } : {};
    expect(refusal(await bot.send(method, path, json))).toMatchObject({ status: 403, code: 'FORBIDDEN' });
  });

  test('can neither approve nor resolve, whatever its name and roles', async () => {
    const { actionId, shownDigest } = await waiting();
    const boss = await gateway.agent({ agent: 'dana', roles: ['dba', 'operator'] });
    for (const sender of [bot, boss]) {
      const decision = await sender.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
      expect(refusal(decision)).toMatchObject({ status: 403, code: 'FORBIDDEN' });
      const resolution = await sender.post(`/v1/actions/${actionId}/resolution`, {
        verdict: 'happened',
        evidence: 'x',
      });
      expect(refusal(resolution)).toMatchObject({ status: 403, code: 'FORBIDDEN' });
    }
    expect((await dana.get(`/v1/actions/${actionId}`)).body['status']).toBe('pending');
  });
});

describe('a person', () => {
  test('finds what waits, approves exactly that, and it is done', async () => {
    const { actionId, shownDigest } = await waiting();
    const { body } = await dana.get('/v1/approvals?mine=true');
    const ask = (body['approvalRequests'] as { actionId: string; missing: unknown[] }[]).find(
      (one) => one.actionId === actionId,
    );
    expect(ask).toMatchObject({ environment: 'production', agent: 'agent-1', missing: [{ roles: ['dba'] }] });
    const stale = { shownDigest: `sha256:${'0'.repeat(64)}`, verdict: 'approve' };
    expect(refusal(await dana.post(`/v1/actions/${actionId}/decision`, stale))).toMatchObject({
      status: 409,
      code: 'APPROVAL_STALE',
    });
    const answer = await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
    expect(answer.body).toMatchObject({ state: 'approved', recorded: { approver: 'dana', auth: { method: 'dev' } } });
    expect((await bot.get(`/v1/actions/${actionId}/outcome?wait=30`)).body).toMatchObject({ status: 'success' });
    expect(await count()).toBe(10);
    const late = await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'deny', reason: 'late' });
    expect(refusal(late)).toMatchObject({ status: 409, code: 'NOT_PENDING' });
  });

  test('finds what a role that was delegated to them may decide', async () => {
    const { actionId } = await waiting();
    const cover = await gateway.person({ id: 'carl', roles: ['intern'] });
    const mine = async (): Promise<readonly string[]> => {
      const { body } = await cover.get('/v1/approvals?mine=true');
      return (body['approvalRequests'] as { actionId: string }[]).map((request) => request.actionId);
    };
    expect(await mine()).not.toContain(actionId);
    const statement = randomUUID();
    await stack.ledger.roleDelegations.add({
      tenant: 'acme',
      id: randomUUID(),
      person: 'carl',
      role: 'dba',
      since: new Date(Date.now() - 60_000).toISOString(),
      until: new Date(Date.now() + 3_600_000).toISOString(),
      by: 'deb',
      credentials: ['deb-1'],
      reason: 'on call',
      statement,
      digest: digestText(statement),
    });
    expect(await mine()).toContain(actionId);
    await bot.post(`/v1/actions/${actionId}/cancel`, {});
  });

  test('changes what is proposed: the agent is told which action is done instead, and that one is decided anew', async () => {
    const { actionId, shownDigest } = await waiting();
    const edit = { input: { op: 'delete', table: 'sessions', where: { note: 'stale', id: { lte: 120 } } } };
    const path = `/v1/actions/${actionId}/decision`;
    const asYes = await dana.post(path, { shownDigest, verdict: 'approve', edit });
    expect(refusal(asYes)).toEqual({ status: 409, code: 'APPROVAL_INVALID', field: 'edit' });
    const unreadable = await dana.post(path, { shownDigest, verdict: 'request_changes', edit: { input: { op: 'x' } } });
    expect(refusal(unreadable)).toMatchObject({ code: 'INVALID_INPUT' });

    const before = await count();
    const { body } = await dana.post(path, { shownDigest, verdict: 'request_changes', edit, reason: 'one is enough' });
    const revisedBy = body['revisedBy'] as string;
    const told = await bot.get(`/v1/actions/${actionId}/outcome?wait=30`);
    expect(told.body).toMatchObject({ status: 'denied', error: { code: 'CHANGES_REQUESTED' }, revisedBy });

    const pending = await until(
      () => dana.get(`/v1/actions/${revisedBy}`),
      ({ body: seen }) => seen['status'] === 'pending',
    );
    const { shown, shownDigest: next } = pending.body['pending'] as PendingView;
    expect(shown).toMatchObject({ editedBy: 'dana', proposal: { revises: actionId, input: edit.input } });
    await dana.post(`/v1/actions/${revisedBy}/decision`, { shownDigest: next, verdict: 'approve' });
    expect((await bot.get(`/v1/actions/${revisedBy}/outcome?wait=30`)).body).toMatchObject({ status: 'success' });
    expect(await count()).toBe(before - 120);
  });

  test('resolves what is unknown, unless they answer for the agent: then neither by the API nor on the page', async () => {
    const owned = await gateway.agent({ agent: 'owned-bot', owner: 'owen' });
    const actionId = randomUUID();
    const lost = { actionId, tool: 'journal', input: { line: 'x', lose: 'after' } };
    expect((await owned.post('/v1/actions?wait=30', lost)).body).toMatchObject({ status: 'unknown' });
    const owen = await gateway.person({ id: 'owen', roles: ['operator'] });
    const resolution = { verdict: 'happened', evidence: 'I saw it.' };
    expect(refusal(await owen.post(`/v1/actions/${actionId}/resolution`, resolution))).toEqual({
      status: 403,
      code: 'APPROVAL_FORBIDDEN',
      field: 'command.by',
    });
    const page = (who: Sender): Promise<Answer> =>
      who.get(`/actions/${actionId}`, { headers: { accept: 'text/html' } });
    const form = `action="/actions/${actionId}/resolution"`;
    const theirs = (await page(owen)).text;
    expect(theirs).toContain('You own the agent that proposed this, so another person must decide.');
    expect(theirs).not.toContain(form);
    expect((await page(dana)).text).toContain(form);
    const typed = new URLSearchParams({
      verdict: 'happened',
      reason: 'I saw it.',
      _csrf: owen.headers['x-csrf-token'] ?? '',
    });
    const sent = await owen.send('POST', `/actions/${actionId}/resolution`, {
      headers: { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded' },
      body: typed.toString(),
    });
    expect([sent.status, sent.text.includes('You may not decide on this action')]).toEqual([403, true]);
    expect((await dana.post(`/v1/actions/${actionId}/resolution`, resolution)).body).toMatchObject({
      status: 'success',
    });
  });

  test('denies with a reason that the agent is told', async () => {
    const { actionId, shownDigest } = await waiting();
    await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'deny', reason: 'not on a Friday' });
    const { body } = await bot.get(`/v1/actions/${actionId}/outcome?wait=30`);
    expect(body).toMatchObject({ status: 'denied', reason: expect.stringContaining('not on a Friday') as string });
    expect(await count()).toBe(160);
  });

  test('without the role may look and not decide; without any role, not even cancel', async () => {
    const { actionId, shownDigest } = await waiting();
    const intern = await gateway.person({ id: 'ian', roles: ['intern'] });
    const visitor = await gateway.person({ id: 'vera', roles: [] });
    const decision = { shownDigest, verdict: 'approve' };
    expect((await visitor.get(`/v1/actions/${actionId}`)).status).toBe(200);
    for (const nobody of [intern, visitor]) {
      expect(refusal(await nobody.post(`/v1/actions/${actionId}/decision`, decision))).toMatchObject({
        code: 'APPROVAL_FORBIDDEN',
      });
    }
    expect(refusal(await visitor.post(`/v1/actions/${actionId}/cancel`))).toMatchObject({ code: 'FORBIDDEN' });
    expect(refusal(await intern.post('/v1/freezes', { scope: { kind: 'all' }, reason: 'x' }))).toMatchObject({
      code: 'ROLE_REQUIRED',
    });
  });

  test('of another tenant finds nothing, in no list and by no id', async () => {
    const { actionId, shownDigest } = await waiting();
    const gil = await gateway.person({ id: 'gil', tenant: 'globex' });
    const globexBot = await gateway.agent({ agent: 'agent-1', tenant: 'globex' });
    for (const stranger of [gil, globexBot]) {
      expect((await stranger.get(`/v1/actions/${actionId}`)).status).toBe(404);
      expect((await stranger.get(`/v1/actions/${actionId}/outcome`)).status).toBe(404);
      expect((await stranger.get(`/v1/actions/${actionId}/events`)).status).toBe(404);
      expect((await stranger.post(`/v1/actions/${actionId}/cancel`)).status).toBe(404);
      expect((await stranger.get('/v1/actions')).body['actions']).toEqual([]);
    }
    const there = await gil.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
    const nowhere = await gil.post('/v1/actions/no-such/decision', { shownDigest, verdict: 'approve' });
    expect([there.status, nowhere.status]).toEqual([404, 404]);
    expect(there.body['detail']).toBe(String(nowhere.body['detail']).replace('no-such', actionId));
    expect((await gil.get('/v1/approvals')).body['approvalRequests']).toEqual([]);
    const made = await dana.post('/v1/freezes', { scope: { kind: 'agent', value: 'somebody' }, reason: 'test' });
    expect((await gil.get('/v1/freezes')).body['freezes']).toEqual([]);
    expect((await gil.post(`/v1/freezes/${String(made.body['id'])}/lift`, { reason: 'x' })).status).toBe(404);
    expect((await dana.post(`/v1/freezes/${String(made.body['id'])}/lift`, { reason: 'done' })).status).toBe(200);
  });

  test('freezes, and what is frozen does not happen until it is lifted', async () => {
    const made = await dana.post('/v1/freezes', { scope: { kind: 'tool', value: 'shop-db' }, reason: 'incident 42' });
    expect([made.status, made.body['tenant'], made.body['by']]).toEqual([201, 'acme', 'dana']);
    const frozen = await bot.post('/v1/actions?wait=30', insert(220));
    expect(frozen.body).toMatchObject({ status: 'denied', error: { code: 'FROZEN' } });
    const lifted = await dana.post(`/v1/freezes/${String(made.body['id'])}/lift`, { reason: 'closed' });
    expect(lifted.body).toMatchObject({ lifted: { by: 'dana', reason: 'closed' } });
    expect((await bot.post('/v1/actions?wait=30', insert(221))).body).toMatchObject({ status: 'success' });
    expect((await dana.get('/v1/freezes')).body['freezes']).toEqual([]);
  });

  test('approves in advance, and the agent goes on by itself until it is taken back', async () => {
    const until = new Date(Date.now() + 3_600_000).toISOString();
    const given = { agent: 'agent-1', tool: 'shop-db', operation: 'delete', until, reason: 'the nightly purge' };
    const made = await dana.post('/v1/standing-approvals', given);
    expect([made.status, made.body['by']]).toEqual([201, 'dana']);
    expect((await bot.post('/v1/actions?wait=30', PURGE)).body).toMatchObject({ status: 'success' });
    const listed = (await dana.get('/v1/standing-approvals')).body['standingApprovals'] as {
      id: string;
      used: unknown;
    }[];
    expect(listed).toMatchObject([{ id: made.body['id'], agent: 'agent-1' }]);
    const gone = await dana.send('DELETE', `/v1/standing-approvals/${String(made.body['id'])}?reason=enough`);
    expect(gone.status).toBe(200);
    expect((await dana.get('/v1/standing-approvals')).body['standingApprovals']).toEqual([]);
  });

  test('gives a role to somebody for a while, and ends it', async () => {
    const [from, until] = [new Date(), new Date(Date.now() + 3_600_000)].map((date) => date.toISOString());
    // Also to somebody who has none of their own.
    for (const [id, roles] of [
      ['ian', ['intern']],
      ['vera', []],
    ] as const) {
      await refill();
      const made = await dana.post('/v1/role-delegations', { person: id, role: 'dba', from, until, reason: 'on call' });
      expect([made.status, made.body['person']]).toEqual([201, id]);
      const { actionId, shownDigest } = await waiting();
      const person = await gateway.person({ id, roles });
      const reply = await person.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
      expect(reply.body).toMatchObject({
        state: 'approved',
        recorded: { delegatedRoles: [{ role: 'dba', from: 'dana' }] },
      });
      expect((await dana.send('DELETE', `/v1/role-delegations/${String(made.body['id'])}?reason=back`)).status).toBe(
        200,
      );
    }
    const left = (await dana.get('/v1/role-delegations')).body['roleDelegations'] as { person: string }[];
    expect(left.filter(({ person }) => ['ian', 'vera'].includes(person))).toEqual([]);
  });

  test('is told apart from an agent: both in one request are nobody', async () => {
    const both = gateway.sender({ ...dana.headers, ...bot.headers });
    expect(refusal(await both.get('/v1/me'))).toMatchObject({ status: 401, code: 'UNAUTHENTICATED' });
    expect((await dana.get('/v1/me')).body).toMatchObject({
      kind: 'person',
      id: 'dana',
      csrf: expect.any(String) as string,
    });
    expect((await bot.get('/v1/me')).body).toMatchObject({ kind: 'agent', id: 'agent-1', scopes: ['*'] });
  });
});
