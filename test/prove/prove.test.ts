/** `countersign prove`: a sound installation is proven, planted defects are found, and nothing of the operator's is touched. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { CountersignConfig } from '../../src/config/config.js';
import { freePort } from '../../src/dev/index.js';
import { sampleOf } from '../../src/prove/candidates/operations.js';
import { prove, type ProveOptions } from '../../src/prove/prove.js';
import { GUARANTEES } from '../../src/prove/registry.js';
import { junitOf, type ProvenReport, type Result } from '../../src/prove/report.js';
import { startRelay } from '../../src/prove/scratch/relay.js';
import { neutral } from '../../src/prove/scratch/servers.js';
import { http, postgres, type Tool } from '../../src/tools/index.js';
import type { Place } from '../../src/tools/elsewhere.js';
import { generateKeyringFile } from '../../src/trust/index.js';
import { cli, folder, spawned } from '../cli/support.js';
import { installInto } from '../support/install.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { STARTER } from '../support/stack.js';
import { OPERATIONS, openPayments } from '../tools/http-payments.js';

const SCHEMA = `
  CREATE TYPE plan AS ENUM ('free', 'pro');
  CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := trim(NEW.name); RETURN NEW; END $$;
  CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, plan plan NOT NULL DEFAULT 'free');
  CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int NOT NULL REFERENCES customers,
    status text NOT NULL CHECK (status IN ('new', 'paid')), total numeric(10,2) NOT NULL CHECK (total >= 0), note varchar(20));
  CREATE INDEX ON orders (status);
  CREATE TRIGGER touch BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION touch();
  INSERT INTO customers VALUES (1, 'the operator’s own', 'own@example.com');`;

let shop: TestDatabase;
let client: pg.Client;
let work: string;

beforeAll(async () => {
  shop = await createDatabase();
  client = new pg.Client({ connectionString: shop.url });
  await client.connect();
  await client.query(SCHEMA);
  work = await mkdtemp(path.join(os.tmpdir(), 'countersign-proving-'));
});
afterAll(async () => {
  await client.end();
  await shop.drop();
  await rm(work, { recursive: true, force: true });
});

/** What the operator's own database holds, but for what the tool keeps of effects: there must be nothing of that. */
async function untouched(): Promise<void> {
  const { rows } = await client.query('SELECT * FROM customers');
  expect(rows).toEqual([{ id: 1, name: 'the operator’s own', email: 'own@example.com', plan: 'free' }]);
  const { rows: schemas } = await client.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'countersign%'");
  expect(schemas).toEqual([]);
}

function resultOf({ guarantees }: ProvenReport, id: string): Result {
  return guarantees.find((one) => one.id === id) as Result;
}

/** In this process, on the servers of the run. */
async function proven(config: CountersignConfig, more: Partial<ProveOptions> = {}): Promise<ProvenReport> {
  return prove({
    config,
    configFile: path.join(work, 'countersign.config.mjs'),
    env: neutral(process.env),
    developmentKeys: path.join(work, 'keys.json'),
    tenant: 'countersign-prove',
    scratchDatabase: inject('postgresUrl'),
    scratchTemporal: inject('temporalAddress'),
    sandboxes: {},
    schemas: {},
    log: () => {},
    told: () => {},
    ...more,
  });
}

test('what `countersign init` writes is proven, in text for people, JSON for scripts and JUnit for CI, and its database is only read', async () => {
  const [cwd, port, ledger] = await Promise.all([folder(), freePort(), createDatabase()]);
  await installInto(cwd);
  const flags = ['--database-url', 'env:MINE', '--tool', 'shop-db', '--gateway-port', String(port)];
  const made = await cli(['init', '--yes', ...flags], { cwd, env: { DATABASE_URL: ledger.url, MINE: shop.url } });
  expect(made).toMatchObject({ code: 0 });
  const servers = ['--scratch-database', inject('postgresUrl'), '--scratch-temporal', inject('temporalAddress')];
  const env = { MINE: shop.url, COUNTERSIGN_LEDGER_URL: ledger.url, TEMPORAL_ADDRESS: '127.0.0.1:1' };

  const ended = await spawned(['prove', '--json', '--junit', 'proven.xml', ...servers], { cwd, env });
  const report = ended.json() as ProvenReport;
  expect(report.guarantees.filter(({ status }) => status !== 'holds' && status !== 'not_applicable')).toEqual([]);
  expect(ended.code).toBe(0);
  expect(report).toMatchObject({
    ok: true,
    broken: 0,
    notTried: 0,
    tools: [{ name: 'shop-db', leftOut: [] }],
    untried: {},
  });
  expect(report.guarantees.map(({ id }) => id)).toEqual(GUARANTEES.map(({ id }) => id));
  // What the starter policies do not have is not claimed to hold.
  expect(report.guarantees.flatMap(({ status, id }) => (status === 'not_applicable' ? [id] : []))).toEqual([
    'public-keys-are-good',
    'payload-keys-are-good',
    'passkeys-are-needed',
    'passkeys-cover-what-was-shown',
    'passkeys-are-of-one-site',
    'passkeys-are-their-owners',
    'copied-passkeys-are-found',
    'passkeys-are-enough',
    'tokens-cannot-be-forged',
    'limits-are-not-overspent',
    'redaction-holds',
  ]);
  expect(report.guarantees.filter(({ detail, promise }) => !detail.endsWith('.') || !promise.endsWith('.'))).toEqual(
    [],
  );
  expect(await readFile(path.join(cwd, 'proven.xml'), 'utf8')).toContain(
    `<testsuites name="countersign prove" tests="${GUARANTEES.length}" failures="0" skipped="11">`,
  );
  await untouched();
  await ledger.drop();
}, 180_000);

/** The tool, whose copies elsewhere are changed by `defect`. */
function defective(name: string, defect: (made: Tool, place: Place) => Partial<Tool>): Tool {
  const tool = postgres({ name, environment: 'production', url: shop.url, tables: ['customers'] }) as Tool;
  const { elsewhere } = tool;
  if (elsewhere === undefined) throw new Error('the tool cannot be made anew');
  const at = (place: Place): Tool => {
    const made = elsewhere.at(place);
    return { ...made, ...defect(made, place) };
  };
  return { ...tool, elsewhere: { ...elsewhere, at } };
}

describe('with planted defects', () => {
  let report: ProvenReport;
  beforeAll(async () => {
    const policies = path.join(work, 'policies');
    await cp(STARTER, policies, { recursive: true });
    await writeFile(path.join(policies, 'open.cedar'), '@id("anything") permit (principal, action, resource);');
    await writeFile(
      path.join(policies, 'limits.yaml'),
      `limits:\n  changes: { kind: count, scope: agent, when: 'tool.name == "sound-db"', max: 900, window: 1d }\n`,
    );
    const twice = defective('twice-db', (made, { url }) => ({
      async execute(input, context) {
        const done = await made.execute(input, context);
        const again = new pg.Client({ connectionString: url });
        await again.connect();
        await again.query('UPDATE customers SET plan = plan WHERE id = 20');
        await again.end();
        return done;
      },
    }));
    const lying = defective('lying-db', () => ({ verify: () => [{ name: 'derived', ok: true }] }));
    const sound = defective('sound-db', () => ({}));
    const [issuer] = (await generateKeyringFile()).issuer ?? [];
    const tools = [twice, lying, sound];
    report = await proven(
      {
        policies,
        tools,
        privacy: {
          payloads: { keysFile: path.join(work, 'none.json') },
          redaction: {
            keysFile: path.join(work, 'none.json'),
            tools: { 'sound-db': { fields: ['email'], input: ['/set/name', '/set/fax'] } },
          },
        },
      },
      {
        env: { ...neutral(process.env), COUNTERSIGN_KEYS: JSON.stringify({ issuer: [issuer], grant: [issuer] }) },
        only: [
          'keys-are-good',
          'roles-are-needed',
          'one-proposal-one-effect',
          'success-is-verified',
          'every-change-is-explained',
          'limits-are-not-overspent',
          'redaction-holds',
          'payload-keys-are-good',
        ],
      },
    );
    await Promise.all(tools.map((tool) => tool.close()));
  }, 120_000);

  test('a key that is for two purposes is found', () => {
    expect(resultOf(report, 'keys-are-good')).toMatchObject({
      status: 'broken',
      detail: expect.stringContaining('is the same key as issuer[0]') as string,
      fix: 'Give every role keys of its own.',
    });
  });

  test('keys that the config names, and that are not there, are found', () => {
    expect(resultOf(report, 'payload-keys-are-good')).toMatchObject({ status: 'broken' });
  });

  test('policies that let everybody change production are found', () => {
    expect(resultOf(report, 'roles-are-needed')).toMatchObject({
      status: 'broken',
      detail: expect.stringContaining('The rule anything') as string,
      fix: expect.stringContaining('Name a role') as string,
    });
  });

  test('a tool that has its effect twice is found, and named', () => {
    expect(resultOf(report, 'one-proposal-one-effect')).toMatchObject({
      status: 'broken',
      detail: 'A change that was proposed 5 times at once and once more had 2 effects on twice-db.',
      fix: expect.stringContaining('The tool twice-db does not make one effect of one key') as string,
    });
    expect(resultOf(report, 'every-change-is-explained')).toMatchObject({
      status: 'broken',
      detail: 'The tool twice-db changed its database past the effects that it recorded: UPDATE on customers.',
    });
  });

  test('a tool that takes the word of its system for what was done is found', () => {
    const { status, detail, fix } = resultOf(report, 'success-is-verified');
    expect({ status, fix }).toMatchObject({ status: 'broken', fix: expect.stringContaining('lying-db') as string });
    expect(detail).not.toContain('sound-db');
  });

  test('what is sound beside them holds: a limit that is raced for, and what is redacted', () => {
    expect(resultOf(report, 'limits-are-not-overspent')).toMatchObject({
      status: 'holds',
      detail: '20 proposals at once had 3 effects where changes, tightened, had room for 3.',
    });
    expect(resultOf(report, 'redaction-holds')).toMatchObject({
      status: 'holds',
      detail: expect.stringMatching(/sound-db redacts \(\/set\/name, email\).*has them: \/set\/fax\.$/) as string,
    });
  });

  test('the report says that it is not well, to scripts and to CI', () => {
    expect(report).toMatchObject({ ok: false, broken: 6, notTried: 0 });
    const xml = junitOf(report);
    expect(xml).toContain('<testsuites name="countersign prove" tests="8" failures="6">');
    expect(xml).toMatch(
      /<testcase classname="countersign\.prove\.keys" name="keys-are-good: [^"]+" time="[\d.]+">\n\s+<failure message="The keys cannot be used: [^"]+" type="broken">/,
    );
  });

  test('nothing of the operator’s was changed', untouched);
});

test('where a limit leaves room for one change, what could not be tried does not hold', async () => {
  const policies = path.join(work, 'once');
  await cp(STARTER, policies, { recursive: true });
  await writeFile(path.join(policies, 'open.cedar'), '@id("anything") permit (principal, action, resource);');
  await writeFile(
    path.join(policies, 'limits.yaml'),
    'limits:\n  once: { kind: count, scope: tenant, max: 1, window: 1d }\n',
  );
  const tools = [defective('once-db', () => ({}))];
  const only = ['success-is-verified', 'undeclared-arguments-are-refused', 'freezes-stop'];
  const report = await proven({ policies, tools }, { only });
  await Promise.all(tools.map((tool) => tool.close()));
  expect(resultOf(report, 'success-is-verified')).toMatchObject({
    status: 'not_applicable',
    detail: expect.stringContaining('was not made: ') as string,
  });
  expect(resultOf(report, 'undeclared-arguments-are-refused')).toMatchObject({
    status: 'holds',
    detail: expect.stringContaining('(INVALID_INPUT)') as string,
  });
  expect(report.guarantees.filter(({ status }) => status === 'broken')).toEqual([]);
}, 120_000);

test('an http tool is proven on its sandbox, under credentials that are not its own', async () => {
  const payments = await openPayments();
  const { id } = payments.newOrder();
  process.env['PROVING_TOKEN'] = 'the-token-of-production';
  const tool = http({
    name: 'payments',
    environment: 'production',
    baseUrl: 'https://payments.example',
    operations: OPERATIONS,
    headers: { authorization: { secret: 'env:PROVING_TOKEN', prefix: 'Bearer ' } },
  });
  const policies = path.join(work, 'api-policies');
  await cp(STARTER, policies, { recursive: true });
  await writeFile(
    path.join(policies, 'api.cedar'),
    '@id("api") permit (principal in Countersign::Role::"billing", action == Countersign::Action::"CALL_API", resource);',
  );
  const proposals = path.join(work, 'proposals.yaml');
  await writeFile(
    proposals,
    `- { tool: payments, input: { op: noteOrder, path: { id: '${id}' }, body: { note: 'note {n}' } } }\n`,
  );
  try {
    const report = await proven(
      { policies, tools: [tool] },
      {
        sandboxes: { payments: payments.url },
        proposals,
        only: [
          'one-proposal-one-effect',
          'mismatches-are-told',
          'grants-cannot-be-made-up',
          'grants-are-good-once',
          'grants-are-for-one-action',
          'secrets-are-nowhere',
        ],
      },
    );
    expect(report.guarantees.map(({ status, detail }) => ({ status, detail }))).toEqual(
      Array.from({ length: 6 }, () => ({ status: 'holds', detail: expect.any(String) as string })),
    );
    expect(payments.seen.length).toBeGreaterThan(0);
    const sent = new Set(payments.seen.map(({ headers }) => headers.authorization));
    expect([...sent]).toEqual([expect.stringMatching(/^Bearer canary[0-9a-f]+$/)]);
  } finally {
    delete process.env['PROVING_TOKEN'];
    await Promise.all([tool.close(), payments.stop()]);
  }
}, 60_000);

describe('is refused before anything is done', () => {
  const nowhere = 'postgres://nobody@127.0.0.1:1/shop';
  const database = postgres({ name: 'shop-db', environment: 'production', url: nowhere }) as Tool;
  const service = http({
    name: 'api',
    environment: 'production',
    baseUrl: 'https://api.example',
    operations: { list: { method: 'GET', url: '/list' } },
  }) as Tool;
  const { elsewhere: _elsewhere, ...fixed } = postgres({
    name: 'fixed',
    environment: 'production',
    url: nowhere,
  }) as Tool;

  test.each<[string, readonly Tool[], Partial<ProveOptions>, object]>([
    [
      'no tool can be made anew',
      [fixed, service],
      {},
      { field: 'tools', message: /fixed: it cannot be made anew.*api: no sandbox/ },
    ],
    [
      'the sandbox is the service itself',
      [service],
      { sandboxes: { api: 'https://api.example/v2' } },
      { field: '--sandbox api' },
    ],
    ['the sandbox is no address', [service], { sandboxes: { api: 'api.example' } }, { field: '--sandbox api' }],
    ['the sandbox is of no tool', [service], { sandboxes: { app: 'http://127.0.0.1:1' } }, { field: '--sandbox app' }],
    ['the scratch database is a tool’s own', [database], { scratchDatabase: nowhere }, { field: '--scratch-database' }],
    [
      'the scratch database is the ledger',
      [database],
      {
        scratchDatabase: 'postgres://other@127.0.0.1:1/ledger',
        env: { COUNTERSIGN_LEDGER_URL: 'postgres://x@127.0.0.1:1/ledger' },
      },
      { field: '--scratch-database' },
    ],
    [
      'the scratch Temporal is the operator’s',
      [database],
      { scratchTemporal: '127.0.0.1:1', env: { TEMPORAL_ADDRESS: '127.0.0.1:1' } },
      { field: '--scratch-temporal' },
    ],
    ['a guarantee is named that there is not', [database], { only: ['everything'] }, { field: '--only' }],
  ])('where %s', async (_, tools, more, { field, message = /./ }: { field?: string; message?: RegExp }) => {
    const error: unknown = await proven({ policies: STARTER, tools }, more).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', field, message: expect.stringMatching(message) as string });
  });

  test('where the policies are in the ledger and no folder is named', async () => {
    const refused = proven({ policies: { from: 'ledger' }, tools: [database] });
    await expect(refused).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: '--policies' });
  });

  test('and the command ends with 2, as for every reason that nothing was tried', async () => {
    const cwd = await folder();
    const [none, unknown] = await Promise.all([
      spawned(['prove', '--json'], { cwd }),
      spawned(['prove', '--config', 'missing.mjs'], { cwd }),
    ]);
    expect([none.code, unknown.code]).toEqual([2, 2]);
    expect(none.json()).toMatchObject({ error: { code: 'USAGE', field: '--config' } });
    expect(unknown.stderr).toContain('CONFIG_INVALID');
  });
});

test('the relay sends every request to the sandbox, whatever address the request names', async () => {
  const payments = await openPayments();
  const relay = await startRelay(payments.url, new Set());
  const { id } = payments.newOrder();
  try {
    const net = await import('node:net');
    const answer = await new Promise<string>((resolve) => {
      const socket = net.connect(Number(new URL(relay.url).port), '127.0.0.1', () => {
        socket.write(`GET /orders/${id} HTTP/1.1\r\nHost: production.example\r\nConnection: close\r\n\r\n`);
      });
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString())).on('close', () => resolve(text));
    });
    expect(answer).toContain('200 OK');
    expect(payments.seen.map(({ url, headers }) => [url, headers.host])).toEqual([
      [`/orders/${id}`, new URL(payments.url).host],
    ]);
    expect(relay.effects()).toBe(0);
  } finally {
    await Promise.all([relay.close(), payments.stop()]);
  }
});

test.each<[string, Parameters<typeof sampleOf>[0], unknown]>([
  [
    'required members, and no others',
    { type: 'object', properties: { a: { type: 'integer', minimum: 5 }, b: {} }, required: ['a'] },
    { a: 5 },
  ],
  ['a choice', { enum: ['x', 'y'] }, 'x'],
  ['the example of the schema', { type: 'string', examples: ['DE', 'FR'] }, 'FR'],
  ['a format', { type: 'string', format: 'uuid' }, '00000000-0000-4000-8000-000000000001'],
  ['a list that must not be empty', { type: 'array', items: { type: 'boolean' }, minItems: 2 }, [false, false]],
  ['one of several', { anyOf: [{ const: 3 }, { type: 'string' }] }, 3],
])('an input is made up from its schema: %s', (_, schema, expected) => {
  expect(sampleOf(schema, 1)).toEqual(expected);
});
