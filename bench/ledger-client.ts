/** One process of the ledger's benchmark: does what it is told for as long as it is told, and says how often it could. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { digestText } from '../src/action/json.js';
import type { HoldRequest } from '../src/action/limits.js';
import { Ledger, type AdmitRequest, type SettleRequest } from '../src/ledger/index.js';

export type Work = 'bareHot' | 'bareMany' | 'placeHot' | 'placeMany' | 'placeAndSettle' | 'placeScarce';

export interface Order {
  readonly work: Work;
  readonly ms: number;
}

export interface Done {
  readonly count: number;
  readonly ms: number;
  /** Reservations that did not fit. */
  readonly limited: number;
}

export const TENANT = 'bench';
export const MANY = 1000;
/** How much of it there is for all processes together: less than they ask for. */
export const SCARCE = 2000;
const DAY = 24 * 3600_000;

export function budget(limit: string, key = '', max = 1e12): HoldRequest {
  return { limit, key, kind: 'budget', amount: 1, max, unit: 'EUR', window: { kind: 'fixed', ms: DAY } };
}

/** What the product asks of the ledger before an action with one budget. */
export function admission(holds: readonly HoldRequest[]): AdmitRequest {
  const actionId = randomUUID();
  return {
    tenant: TENANT,
    actionId,
    digest: digestText(actionId),
    agent: 'bench-agent',
    tool: 'bench-tool',
    environment: 'production',
    targets: ['public.orders'],
    credentials: ['bench-credential'],
    grant: { jti: randomUUID(), ttlSeconds: 300 },
    holds,
  };
}

async function serve(url: string, connections: number): Promise<void> {
  const ledger = await Ledger.connect({ url, poolSize: connections });
  const pool = new pg.Pool({ connectionString: url, max: connections, pipeline: true });
  let turn = Math.floor(Math.random() * MANY);
  let limited = 0;
  const place = async (hold: HoldRequest): Promise<AdmitRequest> => {
    const request = admission([hold]);
    const { kind } = await ledger.actions.admit(request);
    if (kind === 'limited') limited++;
    else if (kind !== 'admitted') throw new Error(kind);
    return request;
  };
  const bare = (id: number): Promise<unknown> =>
    pool.query({ name: 'bare', text: 'update bare set n = n + 1 where id = $1', values: [id] });
  const works: Readonly<Record<Work, () => Promise<unknown>>> = {
    bareHot: () => bare(0),
    bareMany: () => bare(turn++ % MANY),
    placeHot: () => place(budget('hot')),
    placeMany: () => place(budget('many', `key=${turn++ % MANY}`)),
    placeScarce: () => place(budget('scarce', '', SCARCE)),
    placeAndSettle: async () => ledger.receipts.settle(settlement(await place(budget('cycle')))),
  };
  process.on('message', ({ work, ms }: Order) => {
    void (async () => {
      const start = performance.now();
      let count = 0;
      limited = 0;
      const lane = async (): Promise<void> => {
        while (performance.now() - start < ms) {
          await works[work]();
          count++;
        }
      };
      await Promise.all(Array.from({ length: connections }, lane));
      process.send?.({ count, ms: performance.now() - start, limited } satisfies Done);
    })();
  });
  process.on('disconnect', () => {
    void Promise.all([ledger.close(), pool.end()]);
  });
  process.send?.('ready');
}

function settlement({ tenant, actionId, digest }: AdmitRequest): SettleRequest {
  return {
    tenant,
    actionId,
    proposalDigest: digest,
    outcome: {
      status: 'success',
      reason: 'done',
      tenant,
      actionId,
      proposalDigest: digest,
      tool: 'bench-tool',
      approvals: [],
      checks: [],
      steps: {},
    },
    sign: async ({ seq, prev }) => {
      const jws = `${seq}.${prev ?? ''}.${actionId}`;
      return { jws, hash: digestText(jws) };
    },
    holds: { disposition: 'consume' },
  };
}

const [url, connections] = process.argv.slice(2);
if (process.send !== undefined && url !== undefined) await serve(url, Number(connections));
