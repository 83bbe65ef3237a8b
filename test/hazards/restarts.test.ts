/** While people take their time, everything that they will need is restarted: what waits still waits, and happens once. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Visitor } from '../../bench/inbox-client.js';
import { lanes } from '../../bench/lanes.js';
import { SHIPMENTS_ASK } from '../../bench/shipments.js';
import { freePort } from '../../src/dev/free-port.js';
import { startTemporal, type TemporalServer } from '../../src/dev/temporal.js';
import type { DevPerson } from '../../src/gateway/deps.js';
import { ApiKeys } from '../../src/gateway/store/api-keys.js';
import { setUpTables } from '../../src/gateway/store/set-up.js';
import { Database } from '../../src/ledger/index.js';
import { generateKeyringFile } from '../../src/trust/index.js';
import { spawnGateway, type GatewayProcess } from '../support/gateway-process.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { STARTER, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker, type WorkerProcess } from '../support/worker-process.js';

/** Of which a quarter is decided during each restart: more than come in at once, so that some come while what is restarted is away. */
const WAITING = 48;
const AT_ONCE = 8;

/** Ten people, so that none says yes too often in too short a time. */
const PEOPLE: readonly DevPerson[] = Array.from({ length: 10 }, (_, n) => ({
  id: `dba-${n}`,
  name: `Person ${n}`,
  tenant: 'acme',
  roles: ['dba'],
}));

interface Asked {
  readonly actionId: string;
  readonly shownDigest: string;
}

let folder: string;
let temporal: TemporalServer;
let ledgerDb: TestDatabase;
let shopDb: TestDatabase;
let shop: pg.Pool;
let worker: WorkerProcess;
let gateway: GatewayProcess;
let place: Pick<Stack, 'temporal' | 'ledgerUrl' | 'shopUrl' | 'keys'>;
let ports: { readonly temporal: number; readonly gateway: number };

const policies = (): string => path.join(folder, 'policies');

function startServer(): Promise<TemporalServer> {
  return startTemporal({
    env: { ...process.env, TEMPORAL_ADDRESS: '' },
    dataDir: path.join(folder, 'temporal'),
    port: ports.temporal,
    headless: true,
  });
}

function startGateway(): Promise<GatewayProcess> {
  return spawnGateway({ ...place, people: PEOPLE, port: ports.gateway });
}

function startWorker(): Promise<WorkerProcess> {
  return spawnWorker(place as Stack, policies());
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-restarts-'));
  ports = { temporal: await freePort(), gateway: await freePort() };
  [temporal, ledgerDb, shopDb] = await Promise.all([startServer(), createDatabase(), createDatabase()]);
  shop = new pg.Pool({ connectionString: shopDb.url });
  await shop.query('CREATE TABLE shipments (row int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shipped int NOT NULL)');
  await cp(STARTER, policies(), { recursive: true });
  await writeFile(path.join(policies(), 'shipments.cedar'), SHIPMENTS_ASK);
  place = {
    temporal: { address: temporal.address, namespace: temporal.namespace, taskQueue: 'restarts' },
    ledgerUrl: ledgerDb.url,
    shopUrl: shopDb.url,
    keys: JSON.stringify(await generateKeyringFile()),
  };
  const database = new Database({ url: ledgerDb.url });
  await setUpTables(database);
  await database.close();
  [worker, gateway] = await Promise.all([startWorker(), startGateway()]);
});

afterAll(async () => {
  await Promise.all([worker?.kill(), gateway?.kill()]);
  await temporal?.kill();
  await shop?.end();
  await Promise.all([ledgerDb?.drop(), shopDb?.drop(), rm(folder, { recursive: true, force: true })]);
});

async function agent(): Promise<Visitor> {
  const database = new Database({ url: ledgerDb.url });
  try {
    const named = { agent: 'clerk', tenant: 'acme', roles: ['read_write_user'], scopes: ['*'] };
    const key = await new ApiKeys(database).create(named);
    return Visitor.agent(gateway.url, key.text);
  } finally {
    await database.close();
  }
}

function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  return lanes(items.length, AT_ONCE, (index) => work(items[index] as T, index));
}

/** What was asked in vain while something was away is asked again, as a person would. Two minutes, because what was lost with a process is taken up again step by step. */
async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  const { answer } = await until(
    () =>
      ask().then(
        (answer) => ({ answer }),
        (error: unknown) => ({ answer: undefined, problem: String(error) }),
      ),
    (seen) => seen.answer !== undefined,
    { withinMs: 120_000, everyMs: 250 },
  );
  return answer as T;
}

/** What Temporal waits for, of each workflow that has not ended. */
async function underWay(): Promise<string> {
  const connection = await Connection.connect({ address: temporal.address });
  try {
    const client = new Client({ connection, namespace: temporal.namespace });
    const seen: string[] = [];
    for await (const { workflowId, runId } of client.workflow.list({ query: "ExecutionStatus = 'Running'" })) {
      const { raw } = await client.workflow.getHandle(workflowId, runId).describe();
      seen.push(JSON.stringify({ workflowId, task: raw.pendingWorkflowTask, activities: raw.pendingActivities }));
    }
    return seen.join('\n');
  } finally {
    await connection.close();
  }
}

async function inbox(person: Visitor): Promise<readonly Asked[]> {
  const found: Asked[] = [];
  for (let cursor = ''; ;) {
    const page = await person.get<{ approvalRequests: readonly Asked[]; next?: string }>(
      `/v1/approvals?limit=100${cursor}`,
    );
    found.push(...page.approvalRequests);
    if (page.next === undefined) return found;
    cursor = `&cursor=${encodeURIComponent(page.next)}`;
  }
}

test(`gateway, worker and Temporal are killed and come back while ${WAITING} approvals wait: all can be decided, each has one effect`, async () => {
  const clerk = await agent();
  await each(Array.from({ length: WAITING }), async (_, id) => {
    const { status } = await clerk.post<{ status: string }>('/v1/actions?wait=60', {
      actionId: `ship-${id}`,
      tool: 'shop-db',
      input: { op: 'insert', table: 'shipments', rows: [{ shipped: id }] },
    });
    expect(status).toBe('pending');
  });
  const people = await Promise.all(PEOPLE.map((_, n) => Visitor.person(gateway.url, n)));
  const [first] = people as [Visitor];
  const asked = await inbox(first);
  expect(asked).toHaveLength(WAITING);

  const decide = async ({ actionId, shownDigest }: Asked, index: number): Promise<void> => {
    await persistently(async () => {
      const person = people[index % people.length] as Visitor;
      const reply = await person.send(`/v1/actions/${actionId}/decision`, { verdict: 'approve', shownDigest });
      const text = await reply.text();
      // Its first answer was lost with what was killed: the decision itself was taken.
      if (reply.ok || text.includes('NOT_PENDING')) return text;
      throw new Error(`${reply.status}: ${text.slice(0, 300)}`);
    });
  };
  const quarter = (n: number): readonly Asked[] => asked.slice((n * WAITING) / 4, ((n + 1) * WAITING) / 4);
  /** Something is restarted while the decisions come in. */
  const during = async (n: number, restart: () => Promise<void>): Promise<void> => {
    const restarting = restart();
    await Promise.all([restarting, each(quarter(n), (ask, index) => decide(ask, n + 4 * index))]);
  };

  await during(0, async () => {
    await gateway.kill();
    gateway = await startGateway();
  });
  await during(1, async () => {
    await worker.kill();
    worker = await startWorker();
  });
  await during(2, async () => {
    await temporal.kill();
    temporal = await startServer();
  });
  expect(await persistently(() => inbox(first))).toHaveLength(WAITING / 4);
  // All at once, and with nobody who remembers anything.
  await Promise.all([gateway.kill(), worker.kill(), temporal.kill()]);
  temporal = await startServer();
  [gateway, worker] = await Promise.all([startGateway(), startWorker()]);
  await each(quarter(3), (ask, index) => decide(ask, 3 + 4 * index));

  const effects = await until(
    async () => (await shop.query<{ shipped: number }>('SELECT shipped FROM shipments ORDER BY shipped')).rows,
    (rows) => rows.length >= WAITING,
    { withinMs: 180_000 },
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}\n${await underWay()}`);
  });
  expect(effects.map(({ shipped }) => shipped)).toEqual(Array.from({ length: WAITING }, (_, id) => id));
  const outcomes = new Set<string>();
  await each(asked, async ({ actionId }) => {
    const { status } = await persistently(() =>
      clerk.get<{ status: string }>(`/v1/actions/${actionId}/outcome?wait=60`),
    );
    outcomes.add(status);
  });
  expect([...outcomes]).toEqual(['success']);
  expect(await inbox(first)).toEqual([]);
}, 600_000);
