/** One process of agents in the runaway's benchmark: one that runs away, or some that work at a steady pace. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Countersign, type ProposalInput } from '../src/client/countersign.js';
import type { TemporalSettings } from '../src/environment.js';

/** What the runaway proposes: `made` succeeds, `brittle` always violates a constraint of the target. */
export type Table = 'made' | 'brittle';

export type Order =
  | { readonly kind: 'connect'; readonly temporal: TemporalSettings; readonly credentials: readonly string[] }
  /** The agent at `agent` proposes `count` actions, `atOnce` of them at a time, until `untilMs` (since the epoch) at the latest. */
  | {
      readonly kind: 'run';
      readonly agent: number;
      readonly table: Table;
      readonly count: number;
      readonly atOnce: number;
      readonly untilMs: number;
    }
  /** Every agent proposes an action each `everyMs`, whether or not the one before has ended, until told to stop. */
  | { readonly kind: 'work'; readonly everyMs: number }
  | { readonly kind: 'stop' };

/** How often each status or code of a refusal came. */
export type Counts = Readonly<Record<string, number>>;

export interface Ran {
  readonly counts: Counts;
  /** Refusals that say when to try again. */
  readonly timed: number;
  readonly ms: number;
}

/** Milliseconds from when each action was due to its outcome. */
export type Worked = readonly number[];

let clients: readonly Countersign[] = [];
let sequence = 0;
let stopped = new AbortController();
let work: Promise<Worked> = Promise.resolve([]);

async function run({ agent, table, count, atOnce, untilMs }: Extract<Order, { kind: 'run' }>): Promise<Ran> {
  const client = clients[agent];
  if (client === undefined) throw new Error('not connected');
  const counts: Record<string, number> = {};
  let timed = 0;
  let left = count;
  const lane = async (): Promise<void> => {
    while (left > 0 && Date.now() < untilMs) {
      left--;
      const outcome = await client.perform(table === 'made' ? insertion() : violation());
      if (outcome.status === 'pending') throw new Error(`pending: ${outcome.reason}`);
      const code = outcome.status === 'denied' ? (outcome.error?.code ?? 'denied') : outcome.status;
      counts[code] = (counts[code] ?? 0) + 1;
      if (outcome.facts?.limits?.some(({ fits, retryAfterMs = 0 }) => !fits && retryAfterMs > 0) === true) timed++;
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: atOnce }, lane));
  return { counts, timed, ms: performance.now() - start };
}

async function workOn(everyMs: number, signal: AbortSignal): Promise<Worked> {
  const times: number[] = [];
  const under: Promise<void>[] = [];
  const start = performance.now();
  for (let turn = 0; !signal.aborted; turn++) {
    // The agents take turns, so that they do not meet on purpose.
    const due = start + (turn * everyMs) / clients.length;
    await delay(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    const act = async (client: Countersign): Promise<void> => {
      const outcome = await client.perform(errand());
      if (outcome.status !== 'success') throw new Error(`${outcome.status}: ${outcome.reason}`);
      times.push(performance.now() - due);
    };
    const client = clients[turn % clients.length];
    if (client !== undefined) under.push(act(client));
  }
  await Promise.all(under);
  return times;
}

/** Rows that the steady agents change, one after the other. */
export const ROWS = 2000;

function insertion(): ProposalInput {
  return propose({ op: 'insert', table: 'made', rows: [{ id: ++sequence }] });
}

function violation(): ProposalInput {
  return propose({ op: 'update', table: 'brittle', set: { n: 100 }, where: { id: 1 } });
}

function errand(): ProposalInput {
  const turn = ++sequence;
  return propose({ op: 'update', table: 'customers', set: { plan: `plan ${turn}` }, where: { id: turn % ROWS } });
}

function propose(input: ProposalInput['input']): ProposalInput {
  return { actionId: randomUUID(), tool: 'shop-db', input, reasoning: 'It is what I was asked for.' };
}

async function obey(order: Order): Promise<unknown> {
  switch (order.kind) {
    case 'connect':
      clients = await Promise.all(
        order.credentials.map((credential) => Countersign.connect({ ...order.temporal, credential })),
      );
      return 'connected';
    case 'run':
      return run(order);
    case 'work':
      stopped = new AbortController();
      work = workOn(order.everyMs, stopped.signal);
      return 'working';
    case 'stop':
      stopped.abort();
      return work;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('message', (order: Order) => {
    void (async () => process.send?.(await obey(order)))();
  });
  process.on('disconnect', () => {
    void Promise.all(clients.map((client) => client.close()));
  });
  process.send?.('ready');
}
