/** The API's document says what the API does: it is sound, complete, and what is answered has the shapes that it names. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/action/errors.js';
import { startTestGateway, type Answer, type Sender, type TestGateway } from '../support/gateway.js';
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

interface Document {
  readonly openapi: string;
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
      const at = path.replaceAll('{actionId}', randomUUID()).replaceAll('{id}', '1');
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
    '/v1/actions/{actionId}/decision': { shownDigest, verdict: 'approve' },
    '/v1/actions/{actionId}/resolution': { verdict: 'happened', evidence: 'seen' },
    '/v1/freezes': { scope: { kind: 'agent', value: 'nobody' }, reason: 'test' },
    '/v1/freezes/{id}/lift': { reason: 'test' },
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
});

test('the page for people tells of every route and every error, without any script', async () => {
  const { status, text } = await gateway.nobody.get('/docs');
  expect(status).toBe(200);
  for (const { method, path } of routes) expect(text).toContain(`${method} ${path}`);
  for (const code of Object.keys(ERROR_CODES)) expect(text).toContain(`id="${code}"`);
  expect(text).not.toMatch(/<script(?![^>]* src="\/assets\/)|<style| style="| on\w+="/);
});
