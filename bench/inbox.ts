/**
 * What a full inbox costs: 5,000 actions that wait for people, proposed over HTTP through three gateways, each a process of its own.
 * Listing and deciding are timed in the tenant with the full inbox and in one whose inbox is empty, in turns, in one run. Then all of
 * them are decided, each by two people at two gateways at the same moment: each action must have its effect once, and one decision.
 *
 * Not measured: a network between the parts, TLS, a production Temporal cluster, pages (the API's list is what they are made of). Clients,
 * gateways, worker and servers share the machine's cores.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DevServers } from '../src/dev/index.js';
import type { TemporalSettings } from '../src/environment.js';
import type { DevPerson } from '../src/gateway/deps.js';
import { ApiKeys } from '../src/gateway/store/api-keys.js';
import { Database } from '../src/ledger/index.js';
import { Visitor } from './inbox-client.js';
import { lanes, timed } from './lanes.js';
import { SHIPMENTS_ASK } from './shipments.js';
import { onStage, poolOf, say, startGuard } from './stage.js';
import { median, quantile, round } from './statistics.js';

const PENDING = 5_000;
const GATEWAYS = 3;
const AT_ONCE = 24;
const LISTS = 150;
const DECISIONS = 60;
/** How many of each are thrown away: whatever has not run yet is slow the first time. */
const WARM_UP = 20;

/** Two people of the full inbox, and two of the empty one. */
const PEOPLE: readonly DevPerson[] = [
  { id: 'dana', name: 'Dana', tenant: 'full', roles: ['dba'] },
  { id: 'dora', name: 'Dora', tenant: 'full', roles: ['dba'] },
  { id: 'emil', name: 'Emil', tenant: 'empty', roles: ['dba'] },
];

/** What a gateway's process is told. */
export interface GatewayOrder {
  readonly temporal: TemporalSettings;
  readonly ledgerUrl: string;
  readonly keys: string;
  readonly people: readonly DevPerson[];
}

interface Asked {
  readonly actionId: string;
  readonly shownDigest: string;
}

interface Page {
  readonly approvalRequests: readonly Asked[];
  readonly next?: string;
}

type Tenant = 'full' | 'empty';

const here = path.dirname(fileURLToPath(import.meta.url));

export async function inbox(args: readonly string[]): Promise<void> {
  const json = args.includes('--json');
  const start = performance.now();
  await onStage({ durable: false }, async (servers, folder) => {
    const { gateways, agents, people, effects, stop } = await setUp(servers, folder);
    const propose = (tenant: Tenant, id: number): Promise<{ actionId: string; pending: Asked }> =>
      agents[tenant][id % GATEWAYS]!.post('/v1/actions?wait=60', {
        actionId: `${tenant}-${id}`,
        tool: 'shop-db',
        input: { op: 'insert', table: 'shipments', rows: [{ shipped: id }] },
        reasoning: 'The order was paid.',
      });

    say(`${PENDING} proposals through ${GATEWAYS} gateways, ${AT_ONCE} at once`);
    let proposed = 0;
    const filling = performance.now();
    await lanes(PENDING, AT_ONCE, async (id) => {
      await propose('full', id);
      if (++proposed % 500 === 0) say(`  ${proposed} wait for people`);
    });
    const proposalsPerSecond = (PENDING * 1000) / (performance.now() - filling);

    say(`lists: ${LISTS} of the full and of the empty inbox, in turn`);
    const list = { full: [] as number[], empty: [] as number[] };
    for (let i = -WARM_UP; i < LISTS; i++) {
      for (const tenant of ['full', 'empty'] as const) {
        const ms = await timed(() =>
          people[tenant].at(gateways[i % GATEWAYS < 0 ? 0 : i % GATEWAYS]!).get('/v1/approvals'),
        );
        if (i >= 0) list[tenant].push(ms);
      }
    }

    say(`decisions: ${DECISIONS} beside the full inbox and in the empty one, in turn`);
    const decide = { full: [] as number[], empty: [] as number[] };
    const single = WARM_UP + DECISIONS;
    for (let i = 0; i < single; i++) {
      for (const tenant of ['full', 'empty'] as const) {
        const { actionId } = await propose(tenant, PENDING + i);
        const { pending } = await people[tenant].get<{ pending: Asked }>(`/v1/actions/${actionId}`);
        const ms = await timed(() => people[tenant].post(`/v1/actions/${actionId}/decision`, approval(pending)));
        if (i >= WARM_UP) decide[tenant].push(ms);
      }
    }

    say(`deciding all ${PENDING}, each by two people at two gateways at once`);
    const asks = await everything(people.full);
    const waiting = new Set(asks.map(({ actionId }) => actionId));
    let lost = 0;
    for (let id = 0; id < PENDING; id++) if (!waiting.has(`full-${id}`)) lost++;
    let decided = 0;
    const deciding = performance.now();
    await lanes(asks.length, AT_ONCE, async (i) => {
      const ask = asks[i]!;
      const replies = await Promise.all(
        [people.full, people.other].map((person, n) =>
          person.at(gateways[(i + n) % GATEWAYS]!).send(`/v1/actions/${ask.actionId}/decision`, approval(ask)),
        ),
      );
      // The later of the two may find that the action no longer waits.
      for (const reply of replies) {
        const text = await reply.text();
        if (!reply.ok && reply.status !== 409) throw new Error(`${reply.status}: ${text.slice(0, 300)}`);
      }
      if (replies.some(({ ok }) => ok) && ++decided % 500 === 0) say(`  ${decided} decided`);
    });
    const decisionsPerSecond = (asks.length * 1000) / (performance.now() - deciding);
    const made = await effects(PENDING);
    const left = await people.full.get<Page>('/v1/approvals');

    const result = {
      pending: PENDING,
      gateways: GATEWAYS,
      listRatio: round(median(list.full) / median(list.empty)),
      listP95Ratio: round(quantile(list.full, 0.95) / quantile(list.empty, 0.95)),
      decideRatio: round(median(decide.full) / median(decide.empty)),
      decideP95Ratio: round(quantile(decide.full, 0.95) / quantile(decide.empty, 0.95)),
      lost: lost + (PENDING - made.actions),
      decidedTwice: made.twice,
      leftOver: left.approvalRequests.length,
      p50Ms: {
        listFull: round(median(list.full), 1),
        listEmpty: round(median(list.empty), 1),
        decideFull: round(median(decide.full), 1),
        decideEmpty: round(median(decide.empty), 1),
      },
      proposalsPerSecond: round(proposalsPerSecond, 1),
      decisionsPerSecond: round(decisionsPerSecond, 1),
      seconds: round((performance.now() - start) / 1000, 1),
    };
    if (!json) {
      say(
        `list    full ${result.p50Ms.listFull} ms   empty ${result.p50Ms.listEmpty} ms   ratio ${result.listRatio} (at most 2)`,
      );
      say(
        `decide  full ${result.p50Ms.decideFull} ms   empty ${result.p50Ms.decideEmpty} ms   ratio ${result.decideRatio}`,
      );
      say(
        `${PENDING} decided: ${result.lost} lost, ${result.decidedTwice} with more than one effect, ${result.leftOver} left`,
      );
    }
    console.log(JSON.stringify(result));
    await stop();
  });
}

function approval({ shownDigest }: Asked): object {
  return { verdict: 'approve', shownDigest };
}

async function everything(person: Visitor): Promise<readonly Asked[]> {
  const found: Asked[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await person.get<Page>(
      `/v1/approvals?limit=100${cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    );
    found.push(...page.approvalRequests);
    cursor = page.next;
    if (cursor === undefined) return found;
  }
}

async function setUp(servers: DevServers, folder: string) {
  const { address, namespace } = servers.temporal;
  const { url } = servers.postgres;
  const temporal = { address, namespace, taskQueue: 'inbox' };
  const pool = poolOf(servers, 2);
  // The judge: a row for each effect, however often an order is shipped.
  await pool.query('CREATE TABLE shipments (row int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shipped int NOT NULL)');
  // Nobody here is a person whose attention flags.
  const { worker, keys } = await startGuard(servers, folder, {
    temporal,
    file: 'inbox.cedar',
    text: SHIPMENTS_ASK,
    approvalRateLimit: { approvals: 86_400, withinSeconds: 1 },
  });
  const started = await Promise.all(
    Array.from({ length: GATEWAYS }, () => startGateway({ temporal, ledgerUrl: url, keys, people: PEOPLE })),
  );
  const gateways = started.map((gateway) => gateway.url);
  const database = new Database({ url });
  const apiKeys = new ApiKeys(database);
  const keyOf = (tenant: Tenant) =>
    apiKeys.create({ agent: 'clerk', tenant, roles: ['read_write_user'], scopes: ['*'] });
  const [full, empty] = [await keyOf('full'), await keyOf('empty')];
  await database.close();
  const [first] = gateways as [string];
  return {
    gateways,
    agents: {
      full: gateways.map((gateway) => Visitor.agent(gateway, full.text)),
      empty: gateways.map((gateway) => Visitor.agent(gateway, empty.text)),
    },
    people: {
      full: await Visitor.person(first, 0),
      other: await Visitor.person(first, 1),
      empty: await Visitor.person(first, 2),
    },
    /** What the database shows, once as many of the first actions have had their effect, or nothing happens any more. */
    effects: async (wanted: number): Promise<{ actions: number; twice: number }> => {
      let seen = { actions: -1, twice: 0 };
      for (let still = 0; still < 30; still++) {
        const { rows } = await pool.query<{ actions: number; twice: number }>(
          `SELECT count(*)::int actions, (count(*) FILTER (WHERE n > 1))::int twice
           FROM (SELECT shipped, count(*) n FROM shipments WHERE shipped < $1 GROUP BY shipped) e`,
          [wanted],
        );
        const now = rows[0] ?? seen;
        if (now.actions >= wanted) return now;
        if (now.actions !== seen.actions) still = 0;
        seen = now;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      return seen;
    },
    stop: async (): Promise<void> => {
      for (const { process } of started) process.disconnect();
      await Promise.all(started.map(({ ended }) => ended));
      await worker.stop();
      await pool.end();
    },
  };
}

async function startGateway(
  order: GatewayOrder,
): Promise<{ readonly url: string; readonly process: ChildProcess; readonly ended: Promise<unknown> }> {
  const child = fork(path.join(here, 'inbox-gateway.ts'), { execArgv: ['--import', 'tsx'] });
  const ended = once(child, 'exit');
  child.send(order);
  const started = await Promise.race([once(child, 'message'), ended.then(() => undefined)]);
  if (started === undefined) throw new Error('a gateway did not start');
  return { url: (started[0] as { url: string }).url, process: child, ended };
}
