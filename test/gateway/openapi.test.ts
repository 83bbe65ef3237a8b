/** The API's document says what the API does: it is sound, complete, and what is answered has the shapes that it names. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/action/errors.js';
import { apiDocument } from '../../site/reference/http-api.js';
import { startTestGateway, type Answer, type Sender, type TestGateway } from '../support/gateway.js';
import { recordRadarAlerts } from '../support/radar-alerts.js';
import { startStack, type Stack } from '../support/stack.js';

interface Operation {
  readonly summary?: string;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: object;
  }[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: Readonly<Record<string, { readonly schema: object }>>;
  };
  readonly responses: Readonly<
    Record<
      string,
      { readonly description: string; readonly content?: Readonly<Record<string, { readonly schema: object }>> }
    >
  >;
}

interface EventSchema {
  readonly properties: {
    readonly event: { readonly enum: readonly string[] };
    readonly data: { readonly contentSchema: object };
  };
}

interface Document {
  readonly openapi: string;
  readonly servers: readonly { readonly url: string }[];
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
}

let stack: Stack;
let gateway: TestGateway;
let bot: Sender;
let dana: Sender;
let document: Document;
let routes: readonly { readonly method: string; readonly path: string; readonly operation: Operation }[];

const ajv = new Ajv2020({ strict: false });
(addFormats as unknown as (on: Ajv2020) => void)(ajv);

beforeAll(async () => {
  stack = await startStack({
    schema:
      "CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL); INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n",
  });
  gateway = await startTestGateway(stack);
  bot = await gateway.agent();
  dana = await gateway.person();
  document = (await gateway.nobody.get('/openapi.json')).body as unknown as Document;
  ajv.addSchema({ $id: 'openapi', ...document });
  routes = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});

/** Compiles a schema that stands in the document, with its references. */
function validator(schema: object) {
  return ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')) as object);
}

/** The answer has the shape that the document gives for its status. */
function fits({ status, headers, body }: Answer, method: string, path: string): void {
  const operation = document.paths[path]?.[method.toLowerCase()] as Operation;
  const response = operation.responses[String(status)] ?? operation.responses['default'];
  const type = (headers.get('content-type') ?? '').split(';')[0] as string;
  const schema = response?.content?.[type]?.schema;
  expect(schema, `${method} ${path} ${status} ${type}`).toBeDefined();
  const validate = validator(schema as object);
  expect(validate(body), `${method} ${path} ${status}: ${JSON.stringify(validate.errors)}`).toBe(true);
}

describe('the document', () => {
  test('is the one that the documentation is made from', async () => {
    const [server] = document.servers;
    expect(await apiDocument(server?.url ?? '')).toEqual(document);
  });

  test('is OpenAPI 3.1, every reference leads somewhere and every schema compiles', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(document.info).toMatchObject({ title: 'Countersign', version: expect.stringMatching(/^\d+\./) as string });
    const lost = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)]
      .map(([, reference]) => reference as string)
      .filter((reference) => {
        const at = reference
          .split('/')
          .reduce<unknown>((from, key) => (from as Record<string, unknown>)?.[key], document);
        return at === undefined;
      });
    expect(lost).toEqual([]);
    for (const schema of Object.values(document.components.schemas)) expect(() => validator(schema)).not.toThrow();
  });

  test('tells of each route who may use it, what it takes and what it answers', () => {
    expect(routes.length).toBeGreaterThanOrEqual(18);
    const wanting = routes.filter(({ path, operation: { summary, security = [], parameters = [], responses } }) => {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const declared = parameters.filter((one) => one.in === 'path').map(({ name }) => name);
      const schemes = security.flatMap((one) => Object.keys(one));
      return (
        summary === undefined ||
        schemes.length === 0 ||
        schemes.some((scheme) => document.components.securitySchemes[scheme] === undefined) ||
        named.join() !== declared.join() ||
        responses['default']?.content?.['application/problem+json'] === undefined ||
        !Object.keys(responses).some((status) => status.startsWith('2'))
      );
    });
    expect(wanting).toEqual([]);
    const schemas = routes
      .flatMap(({ operation }) => Object.values(operation.responses))
      .flatMap(({ content = {} }) => Object.values(content).map(({ schema }) => schema));
    for (const schema of schemas) expect(() => validator(schema)).not.toThrow();
  });

  test('names routes that are there: each asks who it is', async () => {
    for (const { method, path } of routes) {
      const at = path.replaceAll(/\{(?:actionId|traceId)\}/g, randomUUID()).replaceAll('{id}', '1');
      const query = method === 'DELETE' ? '?reason=x' : '';
      const answer = await gateway.nobody.send(
        method,
        `${at}${query}`,
        method === 'POST' ? { json: bodyFor(path) } : {},
      );
      expect([answer.status, answer.body['code']], `${method} ${path}`).toEqual([401, 'UNAUTHENTICATED']);
      fits(answer, method, path);
    }
  });
});

/** Something that fits, so that what is refused is whoever sends it. */
function bodyFor(path: string): object {
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const shownDigest = `sha256:${'0'.repeat(64)}`;
  const bodies: Readonly<Record<string, object>> = {
    '/v1/actions': { tool: 'shop-db', input: {} },
    '/v1/dry-runs': { tool: 'shop-db', input: {} },
    '/v1/sagas': { traceId: 'order-1', steps: [{ tool: 'shop-db', input: {} }] },
    '/v1/batches': { proposals: [{ tool: 'shop-db', input: {} }] },
    '/access/v1/evaluation': {
      subject: { type: 'agent', id: 'agent-1' },
      action: { name: 'select' },
      resource: { type: 'tool', id: 'shop-db' },
    },
    '/v1/actions/{actionId}/decision': { shownDigest, verdict: 'approve' },
    '/v1/actions/{actionId}/resolution': { verdict: 'happened', evidence: 'seen' },
    '/v1/freezes': { scope: { kind: 'agent', value: 'nobody' }, reason: 'test' },
    '/v1/freezes/{id}/lift': { reason: 'test' },
    '/v1/radar/alerts/{id}/acknowledge': { note: 'test' },
    '/v1/standing-approvals': { agent: 'bot', tool: 'shop-db', until, reason: 'test' },
    '/v1/role-delegations': { person: 'ian', role: 'dba', from: new Date().toISOString(), until, reason: 'test' },
  };
  return bodies[path] ?? {};
}

test('what is answered has the shapes that the document names', async () => {
  const actionId = randomUUID();
  const input = { op: 'delete', table: 'sessions', where: { note: 'stale' } };
  const ask = async (
    by: Sender,
    method: string,
    path: string,
    { query = '', json }: { query?: string; json?: object } = {},
  ) => {
    const answer = await by.send(
      method,
      path.replace('{actionId}', actionId) + query,
      json === undefined ? {} : { json },
    );
    expect(answer.status, `${method} ${path}: ${answer.text.slice(0, 300)}`).toBeLessThan(300);
    fits(answer, method, path);
    return answer;
  };
  await ask(bot, 'POST', '/v1/actions', {
    query: '?wait=30',
    json: { actionId, tool: 'shop-db', input, reasoning: 'they are stale' },
  });
  const read = { tool: 'shop-db', input: { op: 'select', table: 'sessions', limit: 1 } };
  await ask(bot, 'POST', '/v1/batches', {
    query: '?wait=30',
    json: { proposals: [{ actionId, tool: 'shop-db', input }, read] },
  });
  await ask(bot, 'POST', '/v1/batches', { json: { proposals: [{ tool: 'nowhere', input: {} }, read] } });
  const sagaOf = (...steps: object[]): object => ({
    query: '?wait=30',
    json: { traceId: `saga-${steps.length}`, steps },
  });
  await ask(bot, 'POST', '/v1/sagas', sagaOf(read, { tool: 'nowhere', input: {} }));
  await ask(bot, 'POST', '/v1/sagas', sagaOf({ tool: 'shop-db', input: { ...input, where: { id: { gt: 1 } } } }));
  for (const at of ['saga-1', 'saga-2']) {
    fits(await bot.get(`/v1/sagas/${at}`), 'GET', '/v1/sagas/{traceId}');
    fits(await bot.post(`/v1/sagas/${at}/cancel`), 'POST', '/v1/sagas/{traceId}/cancel');
  }
  for (const by of [bot, dana]) {
    await ask(by, 'GET', '/v1/actions/{actionId}');
    await ask(by, 'GET', '/v1/actions/{actionId}/outcome');
    await ask(by, 'GET', '/v1/actions', { query: '?status=pending,open&limit=1' });
    await ask(by, 'GET', '/v1/me');
  }
  await ask(dana, 'GET', '/v1/approvals');
  const seen = await dana.get(`/v1/actions/${actionId}`);
  const { shownDigest } = seen.body['pending'] as { shownDigest: string };
  await ask(dana, 'POST', '/v1/actions/{actionId}/decision', {
    json: { shownDigest, verdict: 'approve', reason: 'yes' },
  });
  for (const by of [bot, dana]) {
    await ask(by, 'GET', '/v1/actions/{actionId}/outcome', { query: '?wait=30' });
    await ask(by, 'GET', '/v1/actions/{actionId}');
    await ask(by, 'POST', '/v1/actions/{actionId}/cancel');
    await ask(by, 'GET', '/v1/actions', { query: '?text=sessions' });
  }
  await ask(bot, 'POST', '/v1/actions', {
    query: '?wait=30',
    json: { tool: 'shop-db', input: { op: 'sql', statement: 'drop table sessions' } },
  });
  for (const path of ['/v1/freezes', '/v1/standing-approvals', '/v1/role-delegations']) {
    await ask(dana, 'POST', path, { json: bodyFor(path) });
    await ask(dana, 'GET', path);
  }
  await ask(dana, 'GET', '/v1/oversight');
  const paula = await gateway.person({ id: 'paula', roles: ['platform-operator'] });
  await recordRadarAlerts(stack.ledger);
  for (const query of ['?limit=1', '?kind=gap&acknowledged=false'])
    await ask(paula, 'GET', '/v1/radar/alerts', { query });
  await ask(paula, 'GET', '/v1/radar/sources');
  const noted = await paula.post('/v1/radar/alerts/1/acknowledge', { note: 'seen' });
  expect(noted.body).toMatchObject({ acknowledged: { by: 'paula' } });
  fits(noted, 'POST', '/v1/radar/alerts/{id}/acknowledge');
});

/** What a table row sends: a body, parameters of the query or headers. */
interface Sent {
  readonly json?: unknown;
  /** Sent as it is, for what no object of JavaScript holds. */
  readonly text?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Whether the document allows it: its body and each of its parameters. */
function allows(operation: Operation, { json, text, query = {}, headers = {} }: Sent): boolean {
  const body = text === undefined ? json : (JSON.parse(text) as unknown);
  const schema = operation.requestBody?.content['application/json']?.schema;
  const bodyFits = body === undefined || schema === undefined || validator(schema)(body);
  const given = { query, header: headers };
  const parameters = (operation.parameters ?? []).filter((one) => one.in === 'query' || one.in === 'header');
  const fitting = parameters.every((parameter) => {
    const value = given[parameter.in as 'query' | 'header'][parameter.name];
    if (value === undefined) return parameter.required !== true;
    const isNumber = (parameter.schema as { type?: string }).type === 'integer' && /^-?\d+$/.test(value);
    return validator(parameter.schema)(isNumber ? Number(value) : value);
  });
  return bodyFits && fitting;
}

/** The document and the API say the same of it: what is allowed is never malformed, and what is not is. */
async function agrees(by: Sender, at: string, sent: Sent, allowed: boolean): Promise<void> {
  const [method = '', path = ''] = at.split(' ');
  const operation = document.paths[path]?.[method.toLowerCase()] as Operation;
  const query = new URLSearchParams(sent.query).toString();
  const answer = await by.send(method, `${path.replace('{actionId}', 'nobody-s').replace('{id}', '1')}?${query}`, {
    ...(sent.json === undefined ? {} : { json: sent.json }),
    ...(sent.text === undefined ? {} : { body: sent.text }),
    headers: { ...(sent.text === undefined ? {} : { 'content-type': 'application/json' }), ...sent.headers },
  });
  const malformed = [400, 413, 415].includes(answer.status);
  expect({ document: allows(operation, sent), api: !malformed, told: answer.text.slice(0, 300) }).toMatchObject({
    document: allowed,
    api: allowed,
  });
  expect(answer.status).toBeLessThan(500);
  fits(answer, method, path);
  // Whoever is refused is told where and what was expected.
  const { field, expected } = answer.body;
  expect([malformed, typeof field, typeof expected]).toEqual([
    malformed,
    ...(malformed ? ['string', 'string'] : [typeof field, typeof expected]),
  ]);
}

describe('the document and the API agree on', () => {
  const PROPOSE = 'POST /v1/actions';
  const nowhere = (more: object): object => ({ tool: 'nowhere', input: {}, ...more });
  const source = (name: string, trust = 'untrusted') => ({ source: name, trust });

  test.each<[string, Sent, boolean]>([
    ['a text of any script', { json: nowhere({ input: { s: 'Zoë 返金 \t 😀 \u0085' } }) }, true],
    ['a NUL in a text', { json: nowhere({ input: { s: 'a\u0000b' } }) }, false],
    ['a NUL in a name', { json: nowhere({ input: { 'a\u0000b': 1 } }) }, false],
    ['a NUL deep within', { json: nowhere({ input: { a: [{ b: ['\u0000'] }] } }) }, false],
    ['a NUL in the agent’s words', { json: nowhere({ reasoning: '\u0000' }) }, false],
    ['a name that would change what objects are', { text: '{"tool":"nowhere","input":{"__proto__":{}}}' }, false],
    ['the largest exact integer', { json: nowhere({ input: { n: Number.MAX_SAFE_INTEGER } }) }, true],
    ['the smallest fraction', { json: nowhere({ input: { n: 5e-324 } }) }, true],
    ['an integer that is not exact', { json: nowhere({ input: { n: 1e307 } }) }, false],
    ['its negative', { json: nowhere({ input: { n: -1e307 } }) }, false],
    ['words as long as may be, in characters', { json: nowhere({ reasoning: '😀'.repeat(16_384) }) }, true],
    ['words that are longer', { json: nowhere({ reasoning: 'x'.repeat(16_385) }) }, false],
    ['a claim', { json: nowhere({ claims: { ['😀'.repeat(64)]: '😀'.repeat(256) } }) }, true],
    ['a claim of a longer name', { json: nowhere({ claims: { ['x'.repeat(65)]: 'x' } }) }, false],
    ['a claim that is no text', { json: nowhere({ claims: { a: 1 } }) }, false],
    ['sources', { json: nowhere({ from: [source('😀'.repeat(256)), source('prompt', 'trusted')] }) }, true],
    ['as many as may be', { json: nowhere({ from: Array.from({ length: 20 }, (_, n) => source(`s${n}`)) }) }, true],
    ['more sources', { json: nowhere({ from: Array.from({ length: 21 }, (_, n) => source(`s${n}`)) }) }, false],
    ['no source at all', { json: nowhere({ from: [] }) }, false],
    ['a source without a name', { json: nowhere({ from: [source('')] }) }, false],
    ['a source of a longer name', { json: nowhere({ from: [source('x'.repeat(257))] }) }, false],
    ['a NUL in a source', { json: nowhere({ from: [source('a\u0000b')] }) }, false],
    ['a source trusted otherwise', { json: nowhere({ from: [source('a', 'verified')] }) }, false],
    ['a source with more to it', { json: nowhere({ from: [{ ...source('a'), by: 'me' }] }) }, false],
    ['a source that is a text', { json: nowhere({ from: ['prompt'] }) }, false],
    ['an expectation', { json: nowhere({ expect: { cel: 'true', withinMs: 600_000 } }) }, true],
    ['an empty expectation', { json: nowhere({ expect: '' }) }, false],
    ['an expectation that waits for longer', { json: nowhere({ expect: { cel: 'true', withinMs: 600_001 } }) }, false],
    ['named expectations', { json: nowhere({ expect: [{ name: 'a', cel: 'true' }] }) }, true],
    ['an expectation of an odd name', { json: nowhere({ expect: [{ name: 'a b', cel: 'true' }] }) }, false],
    // No JSON Schema can say it: it is refused, and not as malformed.
    [
      'two expectations of one name',
      { json: nowhere({ expect: ['true', 'false'].map((cel) => ({ name: 'a', cel })) }) },
      true,
    ],
    ['a member that is not known', { json: nowhere({ approved: true }) }, false],
    ['an idempotency key', { json: nowhere({}), headers: { 'idempotency-key': randomUUID() } }, true],
    ['one in quotes', { json: nowhere({}), headers: { 'idempotency-key': `"${randomUUID()}"` } }, true],
    ['one that is none', { json: nowhere({}), headers: { 'idempotency-key': 'a b' } }, false],
    [
      'one that is none beside an id',
      { json: nowhere({ actionId: randomUUID() }), headers: { 'idempotency-key': '"' } },
      false,
    ],
    ['a time to wait', { json: nowhere({}), query: { wait: '60' } }, true],
    ['a longer one', { json: nowhere({}), query: { wait: '61' } }, false],
  ])('a proposal with %s', async (_, sent, allowed) => {
    await agrees(bot, PROPOSE, sent, allowed);
  });

  test.each<[string, Readonly<Record<string, string>>, boolean]>([
    ['statuses', { status: 'open,pending' }, true],
    ['a status that there is not', { status: 'open,gone' }, false],
    ['the status of nothing', { status: '' }, false],
    ['a text of any script', { text: '返金 % _ \\ \u0001' }, true],
    ['a NUL', { tool: '\u0000' }, false],
    ['a text that is too long', { text: 'x'.repeat(201) }, false],
    ['as many characters as may be', { text: '😀'.repeat(200) }, true],
    ['a time of the year 121, with any offset', { from: '0121-03-01T00:00:00+17:29' }, true],
    ['the last time that there is', { to: '9999-12-31T23:59:59.999999-23:59' }, true],
    ['a leap second', { from: '2016-12-31T23:59:60Z' }, true],
    ['a day that there is not', { from: '2026-02-30T00:00:00Z' }, false],
    ['a time without an offset', { from: '2026-02-28T00:00:00' }, false],
    ['a cursor of somebody else', { cursor: 'abc' }, true],
    ['a cursor that is none', { cursor: '../..' }, false],
    ['a limit', { limit: '200' }, true],
    ['none', { limit: '0' }, false],
  ])('a search for %s', async (_, query, allowed) => {
    await agrees(dana, 'GET /v1/actions', { query }, allowed);
  });

  const until = '0121-03-01T00:00:00+17:29';
  const standing = (more: object): object => ({ agent: 'bot', tool: 'shop-db', until, reason: 'r', ...more });
  const delegation = (more: object): object => ({
    person: 'ian',
    role: 'dba',
    from: until,
    until,
    reason: 'r',
    ...more,
  });
  const shownDigest = `sha256:${'0'.repeat(64)}`;

  test.each<[string, string, object, boolean]>([
    // Each of these is understood, and refused because its time is over.
    ['a standing approval until the year 121', 'POST /v1/standing-approvals', standing({}), true],
    ['its amounts', 'POST /v1/standing-approvals', standing({ amounts: { EUR: 0.5 } }), true],
    ['an amount of 1e307', 'POST /v1/standing-approvals', standing({ amounts: { EUR: 1e307 } }), false],
    ['a negative amount', 'POST /v1/standing-approvals', standing({ amounts: { EUR: -1 } }), false],
    ['amounts of nothing', 'POST /v1/standing-approvals', standing({ amounts: {} }), false],
    ['an amount of an odd unit', 'POST /v1/standing-approvals', standing({ amounts: { 'a b': 1 } }), false],
    ['half a row', 'POST /v1/standing-approvals', standing({ maxRows: 0.5 }), false],
    ['rows beyond what is exact', 'POST /v1/standing-approvals', standing({ maxRows: 2 ** 53 }), false],
    ['an agent that can be none', 'POST /v1/standing-approvals', standing({ agent: 'a b' }), false],
    ['no tool', 'POST /v1/standing-approvals', standing({ tool: '' }), false],
    ['an operation that can be none', 'POST /v1/standing-approvals', standing({ operation: 'a b' }), false],
    ['no environment', 'POST /v1/standing-approvals', standing({ environment: '' }), false],
    ['a time that is none', 'POST /v1/standing-approvals', standing({ until: 'soon' }), false],
    ['a role delegation', 'POST /v1/role-delegations', delegation({}), true],
    ['to nobody', 'POST /v1/role-delegations', delegation({ person: 'a b' }), false],
    ['of no role', 'POST /v1/role-delegations', delegation({ role: '' }), false],
    ['a reason of several lines', 'POST /v1/role-delegations', delegation({ reason: 'a\r\n\tb\n' }), true],
    ['a reason that rings', 'POST /v1/role-delegations', delegation({ reason: '\u0007' }), false],
    ['a reason with a C1 control', 'POST /v1/role-delegations', delegation({ reason: '\u0085' }), false],
    ['a reason of 2,000 characters', 'POST /v1/role-delegations', delegation({ reason: '😀'.repeat(2000) }), true],
    ['a longer one', 'POST /v1/role-delegations', delegation({ reason: 'x'.repeat(2001) }), false],
    ['no reason', 'POST /v1/role-delegations', delegation({ reason: '' }), false],
    ['a freeze of all with a name', 'POST /v1/freezes', { scope: { kind: 'all', value: 'x' }, reason: 'r' }, false],
    ['a freeze of no agent', 'POST /v1/freezes', { scope: { kind: 'agent' }, reason: 'r' }, false],
    [
      'a freeze of another tenant',
      'POST /v1/freezes',
      { scope: { kind: 'tenant', value: 'globex' }, reason: 'r' },
      true,
    ],
    [
      'a decision on what is not there',
      'POST /v1/actions/{actionId}/decision',
      { shownDigest, verdict: 'approve', reason: 'r' },
      true,
    ],
    [
      'a decision on no digest',
      'POST /v1/actions/{actionId}/decision',
      { shownDigest: 'sha256:0', verdict: 'approve' },
      false,
    ],
    [
      'a resolution without evidence',
      'POST /v1/actions/{actionId}/resolution',
      { verdict: 'happened', evidence: '' },
      false,
    ],
  ])('%s', async (_, at, json, allowed) => {
    await agrees(dana, at, { json }, allowed);
  });

  test.each<[string, Readonly<Record<string, string>>, boolean]>([
    ['a kind', { kind: 'gap', acknowledged: 'false' }, true],
    ['a kind that there is not', { kind: 'read' }, false],
    ['neither yes nor no', { acknowledged: '1' }, false],
    ['a time with an offset', { since: '2026-05-01T14:00:00+02:00' }, true],
    ['a time without one', { since: '2026-05-01T14:00:00' }, false],
    ['a tool of any script', { source: '返金' }, true],
    ['a tool of a longer name', { source: 'x'.repeat(65) }, false],
    ['a cursor that is none', { cursor: '../..' }, false],
    ['a larger page', { limit: '201' }, false],
  ])('alerts of the radar with %s', async (_, query, allowed) => {
    const paula = await gateway.person({ id: 'paula', roles: ['platform-operator'] });
    await agrees(paula, 'GET /v1/radar/alerts', { query }, allowed);
  });

  test('who needs the token of a session, and who does not', async () => {
    const { cookie = '' } = dana.headers;
    const withoutToken = gateway.sender({ cookie });
    const forPeople = routes.filter(({ operation }) => operation.security?.some((one) => 'session' in one));
    expect(forPeople.length).toBeGreaterThan(10);
    for (const { method, path, operation } of forPeople) {
      // A stream would not end.
      if (path.endsWith('events')) continue;
      const wants = operation.security?.some((one) => 'session' in one && 'csrf' in one) ?? false;
      const at = path.replaceAll('{actionId}', randomUUID()).replaceAll('{id}', '1');
      const query = method === 'DELETE' ? '?reason=x' : '';
      const answer = await withoutToken.send(method, `${at}${query}`, method === 'POST' ? { json: bodyFor(path) } : {});
      expect([method, path, answer.body['code'] === 'CSRF']).toEqual([method, path, wants]);
    }
  });
});

/** The events of a stream until it ends, or so many of them. */
async function eventsOf(sender: Sender, path: string, most = Infinity): Promise<Readonly<Record<string, string>>[]> {
  const controller = new AbortController();
  const response = await fetch(`${gateway.url}${path}`, { headers: sender.headers, signal: controller.signal });
  const events: Readonly<Record<string, string>>[] = [];
  let text = '';
  for await (const part of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
    text += part;
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const fields = text
        .slice(0, end)
        .split('\n')
        .map((line) => /^(\w+): (.*)$/.exec(line)?.slice(1) ?? []);
      const event = Object.fromEntries(fields) as Readonly<Record<string, string>>;
      if (event['data'] !== undefined) events.push(event);
      text = text.slice(end + 2);
    }
    if (events.length >= most) break;
  }
  controller.abort();
  return events;
}

describe('each event of a stream', () => {
  const schemaOf = (path: string): object =>
    document.paths[path]?.['get']?.responses['200']?.content?.['text/event-stream']?.schema as object;

  function fitsStream(path: string, events: readonly Readonly<Record<string, string>>[]): void {
    const schema = schemaOf(path) as { oneOf?: readonly object[] };
    for (const event of events) {
      const validate = validator(schema);
      expect(validate(event), `${path}: ${JSON.stringify([event, validate.errors])}`).toBe(true);
      const kinds = (schema.oneOf ?? [schema]) as readonly EventSchema[];
      const kind = kinds.find(({ properties }) => properties.event.enum.includes(event['event'] ?? ''));
      const ofData = validator(kind?.properties.data.contentSchema ?? { not: {} });
      expect(ofData(JSON.parse(event['data'] ?? '')), `${path}: ${JSON.stringify([event, ofData.errors])}`).toBe(true);
    }
  }

  test('of an action, from its wait to its outcome', async () => {
    const actionId = randomUUID();
    const input = { op: 'update', table: 'freezable', set: { note: 'seen' }, all: true };
    await stack.shop.query('CREATE TABLE freezable (id int PRIMARY KEY, note text)');
    await stack.shop.query("INSERT INTO freezable SELECT n, 'a' FROM generate_series(1, 150) n");
    const sent = await bot.post('/v1/actions?wait=30', { actionId, tool: 'shop-db', input });
    expect(sent.status).toBe(202);
    for (const by of [bot, dana]) {
      fitsStream('/v1/actions/{actionId}/events', await eventsOf(by, `/v1/actions/${actionId}/events`, 1));
    }
    await bot.post(`/v1/actions/${actionId}/cancel`);
    await bot.get(`/v1/actions/${actionId}/outcome?wait=30`);
    for (const by of [bot, dana]) {
      const events = await eventsOf(by, `/v1/actions/${actionId}/events`);
      expect(events.map(({ event }) => event)).toEqual(['status', 'outcome']);
      fitsStream('/v1/actions/{actionId}/events', events);
    }
  });

  test('of the inbox', async () => {
    const events = await eventsOf(dana, '/v1/events', 1);
    expect(events).toHaveLength(1);
    fitsStream('/v1/events', events);
  });
});

test('the page for people tells of every route and every error, without any script', async () => {
  const { status, text } = await gateway.nobody.get('/docs');
  expect(status).toBe(200);
  for (const { method, path } of routes) expect(text).toContain(`${method} ${path}`);
  for (const code of Object.keys(ERROR_CODES)) expect(text).toContain(`id="${code}"`);
  expect(text).not.toMatch(/<script(?![^>]* src="\/assets\/)|<style| style="| on\w+="/);
});
