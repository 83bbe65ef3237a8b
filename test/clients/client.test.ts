/** clients/typescript against a real gateway: what it asks for and answers, and what it does when the network, the gateway or its caller fails. */
import { readFile, readdir } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { compile } from 'json-schema-to-typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Countersign,
  CountersignError,
  type ProposalInput,
  type SagaInput,
} from '../../clients/typescript/src/index.js';
import { CLERK_SCHEMA, rowsOf } from '../support/clerk.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { ROOT } from '../support/root.js';
import { startStack, type Stack } from '../support/stack.js';

let stack: Stack;
let gateway: TestGateway;
let dana: Sender;
let token: string;
let cs: Countersign;

beforeAll(async () => {
  stack = await startStack({ schema: CLERK_SCHEMA });
  gateway = await startTestGateway(stack);
  dana = await gateway.person();
  token = ((await gateway.agent()).headers['authorization'] as string).replace('Bearer ', '');
  cs = new Countersign({ url: gateway.url, token });
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});

const noted = (id: number, more: Partial<ProposalInput> = {}): ProposalInput => ({
  actionId: `note-${id}`,
  tool: 'shop-db',
  input: { op: 'insert', table: 'notes', rows: [{ id, note: 'seen' }] },
  ...more,
});

async function stale(note: string): Promise<ProposalInput> {
  await stack.shop.query(rowsOf('sessions', note, 120));
  return { actionId: `stale-${note}`, tool: 'shop-db', input: { op: 'delete', table: 'sessions', where: { note } } };
}

async function approve(actionId: string): Promise<void> {
  const { pending } = (await dana.get(`/v1/actions/${actionId}`)).body as { pending: { shownDigest: string } };
  const { shownDigest } = pending;
  await dana.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict: 'approve' });
}

/** What a call fails of. */
async function failure(call: Promise<unknown>): Promise<CountersignError> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CountersignError);
  return error as CountersignError;
}

describe('an action', () => {
  test('is done, and the same call again returns what is recorded', async () => {
    const one = await cs.perform(noted(1, { traceId: 'task-1', reasoning: 'It was seen.' }));
    expect(one).toMatchObject({ status: 'success', actionId: 'note-1', receipt: { tenant: 'acme' } });
    expect(await cs.perform(noted(1, { reasoning: 'In other words.' }))).toEqual(one);
    expect(await cs.outcome('note-1')).toEqual(one);
    expect(await cs.view('note-1')).toMatchObject({ status: 'success', outcome: one });
  });

  test('has an id of its own where none is given', async () => {
    const { actionId: _, ...proposal } = noted(2);
    expect(await cs.perform(proposal)).toMatchObject({
      status: 'success',
      actionId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    });
  });

  test('that is denied is an outcome', async () => {
    const answer = await cs.perform({ tool: 'shop-db', input: { op: 'delete', table: 'users', where: { note: 'x' } } });
    expect(answer).toMatchObject({ status: 'denied', error: { code: 'POLICY_DENIED' } });
  });

  test('is tried without being made', async () => {
    expect(await cs.dryRun(noted(3))).toMatchObject({ effect: 'allow', preview: { rows: 1, targets: ['notes'] } });
    expect(await cs.dryRun(await stale('dry'))).toMatchObject({
      effect: 'require_approval',
      missing: [{ roles: ['dba'] }],
    });
    expect((await failure(cs.view('note-3'))).code).toBe('NOT_FOUND');
  });

  test('waits for people, and ends when they decide', async () => {
    const answer = await cs.perform(await stale('one'));
    expect(answer).toMatchObject({
      status: 'pending',
      tenant: 'acme',
      reason: expect.stringContaining('dba') as string,
      pending: { missing: [{ roles: ['dba'], have: 0, need: 1 }] },
    });
    if (answer.status !== 'pending') throw new Error('it does not wait');
    const late = await failure(answer.outcome({ timeoutMs: 300 }));
    expect(late).toMatchObject({ code: 'TIMED_OUT', retryable: true });
    const [outcome] = await Promise.all([answer.outcome(), approve(answer.actionId)]);
    expect(outcome).toMatchObject({ status: 'success', approvals: [{ verdict: 'approve' }] });
    expect(await cs.perform(await stale('one'))).toMatchObject({ status: 'success' });
  });

  test('is cancelled before its effect', async () => {
    const { actionId } = (await cs.perform(await stale('two'))) as { actionId: string };
    await cs.cancel(actionId);
    expect(await cs.outcome(actionId, { timeoutMs: 20_000 })).toMatchObject({ status: 'cancelled' });
    await cs.cancel(actionId);
  });

  test('is found in the list, page by page', async () => {
    const first = await cs.list({ status: ['success', 'denied'], tool: 'shop-db', limit: 1 });
    expect(first.actions).toHaveLength(1);
    const second = await cs.list({ status: ['success', 'denied'], limit: 1, cursor: String(first.next) });
    expect(second.actions[0]?.actionId).not.toBe(first.actions[0]?.actionId);
    expect((await cs.list({ text: 'note-1' })).actions.map(({ actionId }) => actionId)).toEqual(['note-1']);
  });

  test('is proposed by an agent that the gateway knows', async () => {
    expect(await cs.me()).toMatchObject({ kind: 'agent', id: 'agent-1', tenant: 'acme' });
  });
});

describe('a batch', () => {
  test('is begun as a whole: each action has its outcome, or waits for people', async () => {
    const all = [noted(20), await stale('batched')];
    await meddling([lost], async (url) => {
      const { begun, actions } = await new Countersign({ url, token }).performAll(all);
      expect([begun, actions]).toMatchObject([
        true,
        [
          { status: 'success', actionId: 'note-20' },
          { status: 'pending', actionId: 'stale-batched', pending: { missing: [{ roles: ['dba'] }] } },
        ],
      ]);
    });
    const [, waiting] = (await cs.performAll(all)).actions;
    if (waiting?.status !== 'pending') throw new Error('it does not wait');
    const [outcome] = await Promise.all([waiting.outcome(), approve(waiting.actionId)]);
    expect(outcome).toMatchObject({ status: 'success' });
    expect((await cs.performAll(all)).actions.map(({ status }) => status)).toEqual(['success', 'success']);
  });

  test('is not begun where one would be denied', async () => {
    const denied = { tool: 'shop-db', input: { op: 'delete', table: 'users', where: { note: 'x' } } };
    expect(await cs.performAll([noted(21), denied])).toMatchObject({
      begun: false,
      actions: [
        { status: 'not_begun', actionId: 'note-21', decided: { effect: 'allow' } },
        { status: 'not_begun', decided: { effect: 'deny', error: { code: 'POLICY_DENIED' } } },
      ],
    });
    expect((await failure(cs.view('note-21'))).code).toBe('NOT_FOUND');
  });
});

describe('a saga', () => {
  const steps = (id: number, last: SagaInput['steps'][number]): SagaInput['steps'] => [
    ...[id, id + 1].map((n) => ({ tool: 'shop-db', input: noted(n).input })),
    last,
  ];
  const notes = async (...ids: number[]): Promise<number> =>
    (await stack.shop.query('SELECT FROM notes WHERE id = ANY ($1)', [ids])).rowCount ?? 0;

  test('is done in order, and the same again returns what became of it', async () => {
    const saga = { traceId: 'saga-1', steps: steps(100, { tool: 'shop-db', input: noted(102).input }) };
    await meddling([lost, busy(503)], async (url) => {
      expect(await new Countersign({ url, token }).saga(saga)).toMatchObject({
        status: 'success',
        steps: [1, 2, 3].map((n) => ({ actionId: `saga-1:${n}`, status: 'success', receipt: { tenant: 'acme' } })),
        compensations: [],
      });
    });
    expect(await cs.sagaOutcome('saga-1')).toEqual(await cs.sagaView('saga-1'));
    expect(await notes(100, 101, 102)).toBe(3);
    const other = { ...saga, steps: saga.steps.slice(1) };
    expect(await failure(cs.saga(other))).toMatchObject({ code: 'ACTION_CONFLICT', status: 409 });
  });

  test('is undone in reverse order when a step is denied', async () => {
    const denied = { tool: 'shop-db', input: { op: 'delete', table: 'users', where: { note: 'x' } } };
    expect(await cs.saga({ traceId: 'saga-2', steps: steps(110, denied) })).toMatchObject({
      status: 'compensated',
      steps: [{ status: 'success' }, { status: 'success' }, { status: 'denied', error: { code: 'POLICY_DENIED' } }],
      compensations: [
        { cause: 'saga-2:2', status: 'success' },
        { cause: 'saga-2:1', status: 'success' },
      ],
    });
    expect(await notes(110, 111)).toBe(0);
  });

  test('goes on when the agent’s process dies, and the next process gets the outcome', async () => {
    const { actionId: _, ...last } = await stale('saga');
    const saga = { traceId: 'saga-3', steps: steps(120, last) };
    const script = fileURLToPath(new URL('saga-process.ts', import.meta.url));
    const env = { ...process.env, COUNTERSIGN_GATEWAY_URL: gateway.url, COUNTERSIGN_API_KEY: token };
    const agent = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(saga)], { cwd: ROOT, env });
    const exited = once(agent, 'exit');
    const [said] = (await once(agent.stdout, 'data')) as [Buffer];
    expect(said.toString()).toBe('needs_person saga-3:3\n');
    agent.kill('SIGKILL');
    await exited;

    const again = await cs.saga(saga);
    if (again.status !== 'needs_person') throw new Error('it does not wait');
    expect(again.waitsFor).toMatchObject({ kind: 'approval', actionId: 'saga-3:3' });
    expect(await failure(again.outcome({ timeoutMs: 300 }))).toMatchObject({ code: 'TIMED_OUT', retryable: true });
    const [outcome] = await Promise.all([again.outcome(), approve('saga-3:3')]);
    expect(outcome).toMatchObject({ status: 'success', steps: saga.steps.map(() => ({ status: 'success' })) });
  });

  test('is cancelled: what was done is undone', async () => {
    const { actionId: _, ...last } = await stale('unwanted');
    await cs.saga({ traceId: 'saga-4', steps: steps(130, last) });
    await cs.cancelSaga('saga-4');
    expect(await cs.sagaOutcome('saga-4', { timeoutMs: 30_000 })).toMatchObject({ status: 'compensated' });
    expect(await notes(130, 131)).toBe(0);
    await cs.cancelSaga('saga-4');
  });

  test('is found by its own agent only, and no name of a person is told', async () => {
    const other = await gateway.agent({ agent: 'agent-2' });
    for (const [method, at] of [
      ['GET', ''],
      ['POST', '/cancel'],
    ] as const)
      expect(await other.send(method, `/v1/sagas/saga-3${at}`)).toMatchObject({
        status: 404,
        body: { code: 'NOT_FOUND' },
      });
    expect((await failure(cs.sagaView('none'))).code).toBe('NOT_FOUND');
    const { text } = await gateway.sender({ authorization: `Bearer ${token}` }).get('/v1/sagas/saga-3');
    expect(text).not.toContain('dana');
  });

  test('that is malformed is refused before anything is begun', async () => {
    const bad = [{ tool: 'shop-db', input: {}, onMismatch: 'keep' }] as unknown as SagaInput['steps'];
    expect(await failure(cs.saga({ traceId: 'saga-5', steps: bad }))).toMatchObject({
      code: 'INVALID_PROPOSAL',
      status: 400,
    });
    expect((await failure(cs.sagaView('saga-5'))).code).toBe('NOT_FOUND');
  });
});

describe('an error says what to do', () => {
  test.each<[string, () => Promise<unknown>, object]>([
    [
      'a malformed proposal',
      () => cs.perform({ tool: 'shop db', input: {} }),
      { code: 'INVALID_PROPOSAL', status: 400, field: 'proposal.tool', retryable: false },
    ],
    [
      'another proposal under an id',
      () => cs.perform({ ...noted(1), input: { op: 'select', table: 'notes' } }),
      { code: 'ACTION_CONFLICT', status: 409, field: 'actionId', fix: expect.any(String) as string },
    ],
    [
      'an action of nobody',
      () => cs.view('nobodys'),
      { code: 'NOT_FOUND', status: 404, instance: expect.stringMatching(/^urn:uuid:/) as string },
    ],
    [
      'a key that is none',
      () => new Countersign({ url: gateway.url, token: 'csa_none' }).me(),
      { code: 'UNAUTHENTICATED', status: 401 },
    ],
    [
      'no gateway',
      () => new Countersign({ url: 'http://127.0.0.1:9', token, retries: 1 }).me(),
      { code: 'GATEWAY_UNAVAILABLE', retryable: true },
    ],
  ])('%s', async (_, call, error) => {
    expect(await failure(call())).toMatchObject(error);
  });

  test.each<[string, object, string]>([
    ['no address', { token: 'x', url: '' }, 'url'],
    ['http to another host', { token: 'x', url: 'http://gateway.example' }, 'url'],
    ['credentials in the address', { token: 'x', url: 'https://a:b@gateway.example' }, 'url'],
    ['an empty key', { token: '', url: 'https://gateway.example' }, 'token'],
  ])('%s', (_, options, field) => {
    expect(() => new Countersign(options)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', field }) as Error);
  });

  test('http to another host is for whoever says so', () => {
    expect(() => new Countersign({ token: 'x', url: 'http://gateway.internal:8787', allowHttp: true })).not.toThrow();
  });
});

type Meddle = (
  forward: () => Promise<Response>,
  response: ServerResponse,
  request: IncomingMessage,
) => Promise<void> | void;

async function passOn(forward: () => Promise<Response>, response: ServerResponse): Promise<void> {
  const answer = await forward();
  response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
  response.end(await answer.text());
}

/** A proxy before the gateway that meddles with the first requests, one after the other, and passes on the rest. */
async function meddling(
  meddles: readonly Meddle[],
  body: (url: string, seen: () => number) => Promise<void>,
): Promise<void> {
  let seen = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = 'GET', url = '/', headers } = request;
      const sent = Buffer.concat(chunks);
      const forward = (): Promise<Response> =>
        fetch(`${gateway.url}${url}`, {
          method,
          headers: { authorization: headers.authorization ?? '', 'content-type': headers['content-type'] ?? '' },
          body: sent.length === 0 ? null : sent,
        });
      const meddle = meddles[seen++];
      if (meddle !== undefined) return void meddle(forward, response, request);
      void passOn(forward, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await body(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, () => seen);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const busy =
  (status: number, headers: Record<string, string> = {}): Meddle =>
  (_, response) =>
    void response.writeHead(status, headers).end('busy');

/** It was received, and its answer is lost. */
const lost: Meddle = async (forward, response) => {
  await forward();
  response.destroy();
};

test('a page in the place of the gateway is no answer', async () => {
  await meddling([busy(200), busy(404)], async (url) => {
    const lost = new Countersign({ url, token });
    expect(await failure(lost.me())).toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 200, retryable: false });
    expect(await failure(lost.me())).toMatchObject({ code: 'UNEXPECTED_ANSWER', status: 404, retryable: false });
  });
});

describe('what passes', () => {
  test('is tried again under the same id: one effect', async () => {
    await meddling([busy(503), lost, busy(429, { 'retry-after': '1' })], async (url, seen) => {
      const { actionId: _, ...proposal } = noted(10);
      const answer = await new Countersign({ url, token }).perform(proposal);
      expect(answer).toMatchObject({ status: 'success' });
      expect(seen()).toBe(4);
    });
    const { rowCount } = await stack.shop.query('SELECT FROM notes WHERE id = 10');
    expect(rowCount).toBe(1);
  });

  test('is not tried again sooner than is asked for, nor after the caller gave up', async () => {
    await meddling([busy(429, { 'retry-after': '3600' })], async (url, seen) => {
      const error = await failure(new Countersign({ url, token }).perform(noted(11)));
      expect(error).toMatchObject({
        code: 'GATEWAY_UNAVAILABLE',
        status: 429,
        retryable: true,
        retryAfterMs: 3_600_000,
      });
      expect(seen()).toBe(1);
    });
  });

  test('is tried no more often than is said', async () => {
    await meddling([busy(502), busy(502), busy(502)], async (url, seen) => {
      expect(await failure(new Countersign({ url, token, retries: 1 }).perform(noted(12)))).toMatchObject({
        status: 502,
      });
      expect(seen()).toBe(2);
    });
  });

  test('a wait ends with the signal, and the action goes on', async () => {
    const { actionId } = (await cs.perform(await stale('three'))) as { actionId: string };
    const controller = new AbortController();
    const waiting = cs.outcome(actionId, { signal: controller.signal });
    controller.abort(new Error('the user left'));
    await expect(waiting).rejects.toThrow('the user left');
    expect(await cs.view(actionId)).toMatchObject({ status: 'pending' });
    await cs.cancel(actionId);
  });
});

describe('the key', () => {
  test('is in no error, and not to be seen in the client', async () => {
    const errors = await Promise.all([
      failure(new Countersign({ url: 'http://127.0.0.1:9', token, retries: 0 }).me()),
      failure(new Countersign({ url: gateway.url, token: `${token}\n` }).me()),
      failure(new Countersign({ url: gateway.url, token }).view('nobodys')),
    ]);
    expect(errors[1]).toMatchObject({ code: 'CONFIG_INVALID', field: 'token' });
    const shown = [...errors, cs].map((each) => inspect(each, { depth: 10, showHidden: true }) + JSON.stringify(each));
    for (const text of shown) expect(text).not.toContain(token);
  });

  test('goes nowhere else when it is redirected', async () => {
    const elsewhere: (string | undefined)[] = [];
    const other = createServer((request, response) => {
      elsewhere.push(request.headers.authorization);
      response.end('{}');
    }).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`;
    await meddling([busy(307, { location })], async (url) => {
      expect(await failure(new Countersign({ url, token }).me())).toMatchObject({
        code: 'UNEXPECTED_ANSWER',
        status: 307,
      });
    });
    expect(elsewhere).toEqual([]);
    other.close();
  });

  test('is asked for anew with each request, where it is a function', async () => {
    const tokens = ['csa_expired', token];
    const changing = new Countersign({ url: gateway.url, token: async () => tokens.shift() as string });
    expect(await failure(changing.me())).toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(await changing.me()).toMatchObject({ id: 'agent-1' });
  });

  test('goes with the headers that the caller adds, such as a trace', async () => {
    const seen: unknown[] = [];
    const look: Meddle = async (forward, response, { headers }) => {
      seen.push(headers['traceparent'], headers.authorization);
      const answer = await forward();
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text());
    };
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await meddling([look], async (url) => {
      const headers = () => ({ traceparent, Authorization: 'Bearer other' });
      await new Countersign({ url, token, headers }).me();
    });
    expect(seen).toEqual([traceparent, `Bearer ${token}`]);
  });
});

describe('the package', () => {
  const folder = path.join(ROOT, 'clients/typescript');

  test("has the types of the gateway's document; `npx vitest run test/clients/client.test.ts -u` writes them anew", async () => {
    const { components } = (await gateway.nobody.get('/openapi.json')).body as {
      components: { schemas: Record<string, object> };
    };
    const wanted = ['Proposal', 'Outcome', 'Action', 'Actions', 'DryRun', 'Batch', 'Saga', 'Me'];
    const root = {
      title: 'Api',
      type: 'object',
      properties: refs(wanted),
      required: wanted,
      additionalProperties: false,
    };
    const text = JSON.stringify({ ...root, definitions: components.schemas });
    const types = await compile(
      JSON.parse(text.replaceAll('#/components/schemas/', '#/definitions/')) as object,
      'Api',
      {
        bannerComment: "/** The shapes of the gateway's OpenAPI document: written by test/clients/client.test.ts. */",
        // As the formatter of the repository wants it; how many items a list may have is for the gateway to say.
        style: { singleQuote: true, printWidth: 120, trailingComma: 'all' },
        ignoreMinAndMaxItems: true,
      },
    );
    // The root only holds the others together.
    const named = types.replace(/export interface Api \{[^}]*\}\n/, '');
    await expect(named).toMatchFileSnapshot(path.join(folder, 'src/api.ts'));
  });

  test('needs nothing but what every runtime has', async () => {
    const manifest = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as object;
    expect(manifest).not.toHaveProperty('dependencies');
    for (const file of await readdir(path.join(folder, 'src'))) {
      const text = await readFile(path.join(folder, 'src', file), 'utf8');
      expect(text).not.toMatch(/from '(?:node:|\w+\/)/);
      expect(text).not.toMatch(/\bBuffer\b|\bconsole\b/);
    }
  });
});

function refs(names: readonly string[]): object {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/schemas/${name}` }]));
}
