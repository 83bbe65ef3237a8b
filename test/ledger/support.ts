/** What the ledger's tests share: a ledger in a database of its own, and requests that differ only where a test says so. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { digestText, type Digest } from '../../src/action/json.js';
import { Ledger, type AdmitRequest, type DatabaseOptions, type SettleRequest } from '../../src/ledger/index.js';
import type { Settled, SignReceipt, LedgerReceipt, UseGrantRequest } from '../../src/ledger/index.js';
import type { UnreceiptedOutcome } from '../../src/action/outcome.js';
import { createDatabase } from '../support/postgres.js';

export interface TestLedger {
  readonly url: string;
  readonly ledger: Ledger;
  /** Looks at the tables, past the ledger. */
  readonly pool: pg.Pool;
  /** One more client of the same ledger, closed with it. */
  another(options?: Partial<DatabaseOptions>): Promise<Ledger>;
  stop(): Promise<void>;
  /** Only the end of `stop`, for a test that closed the rest itself. */
  drop(): Promise<void>;
}

export async function startLedger(options: Partial<DatabaseOptions> = {}): Promise<TestLedger> {
  const database = await createDatabase('ledger');
  const ledger = await Ledger.connect({ url: database.url, ...options });
  const pool = new pg.Pool({ connectionString: database.url, application_name: 'witness' });
  pool.on('error', () => {});
  const others: Ledger[] = [];
  return {
    url: database.url,
    ledger,
    pool,
    async another(more) {
      const other = await Ledger.connect({ url: database.url, ...options, ...more });
      others.push(other);
      return other;
    },
    async stop() {
      await Promise.all([ledger, ...others].map((one) => one.close()));
      await pool.end();
      await database.drop();
    },
    drop: () => database.drop(),
  };
}

/** A tenant that no other test has. */
export function newTenant(): string {
  return `t-${randomUUID().slice(0, 13)}`;
}

export function proposal(name: string): Digest {
  return digestText(name);
}

export interface Names {
  readonly tenant: string;
  readonly actionId: string;
}

export function admission(names: Names, more: Partial<AdmitRequest> = {}): AdmitRequest {
  return {
    ...names,
    digest: proposal(names.actionId),
    agent: 'agent-1',
    tool: 'shop-db',
    environment: 'production',
    targets: ['public.orders', 'public.items'],
    grant: grant(),
    ...more,
  };
}

export function grant(ttlSeconds = 60): { jti: string; ttlSeconds: number } {
  return { jti: randomUUID(), ttlSeconds };
}

export function useOf(request: AdmitRequest, usedBy = 'run-1/1'): UseGrantRequest {
  const { tenant, actionId, agent, tool, targets } = request;
  return { jti: request.grant.jti, tenant, actionId, agent, tool, targets, usedBy };
}

export function outcomeFor(names: Names, more: Partial<UnreceiptedOutcome> = {}): UnreceiptedOutcome {
  return {
    status: 'success',
    reason: 'done',
    ...names,
    proposalDigest: proposal(names.actionId),
    tool: 'shop-db',
    approvals: [],
    checks: [{ name: 'expect', ok: true }],
    steps: {},
    ...more,
  };
}

export function settlement(names: Names, more: Partial<SettleRequest> = {}): SettleRequest {
  return { ...names, proposalDigest: proposal(names.actionId), outcome: outcomeFor(names), sign: signLink, ...more };
}

/** Settles an action where nothing stands against it. */
export async function recordOutcome(ledger: Pick<Ledger, 'receipts'>, request: SettleRequest): Promise<Settled> {
  const settlement = await ledger.receipts.settle(request);
  if (settlement.kind === 'settled') return settlement;
  throw new Error(`nothing was recorded, for ${settlement.uses} grants were used`);
}

/** Says where it stands and is unlike any other: what the ledger needs of a receipt. Signatures are the trust tests' matter. */
export const signLink: SignReceipt = async ({ seq, prev }) => {
  const jws = `${seq}.${prev ?? 'first'}.${randomUUID()}`;
  return { jws, hash: digestText(jws) };
};

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The receipts of a tenant, after checking that they are numbered without a gap and that each names the hash of the one before. */
export async function wholeChain(ledger: Ledger, tenant: string): Promise<LedgerReceipt[]> {
  const receipts = await collect(ledger.receipts.list(tenant));
  let prev: string = 'first';
  for (const [index, receipt] of receipts.entries()) {
    const [seq, named] = receipt.jws.split('.');
    if (receipt.seq !== index + 1 || Number(seq) !== index + 1)
      throw new Error(`receipt ${index + 1} is ${receipt.seq}`);
    if (receipt.hash !== digestText(receipt.jws)) throw new Error(`the hash of ${receipt.seq} is not that of its text`);
    if (named !== prev) throw new Error(`receipt ${receipt.seq} names ${named}, not ${prev}`);
    prev = receipt.hash;
  }
  return receipts;
}

export function times<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => make(index)));
}

/** Until a connection of the ledger waits for a lock that another holds. */
export async function someoneWaitsForLock(pool: pg.Pool): Promise<void> {
  for (;;) {
    const { rows } = await pool.query(
      `select 1 from pg_stat_activity
       where datname = current_database() and application_name = 'countersign' and wait_event_type = 'Lock'`,
    );
    if (rows.length > 0) return;
  }
}

/** Ends every connection of the ledger to this database, as a restart of the server would. */
export async function endConnections(pool: pg.Pool): Promise<number> {
  const { rowCount } = await pool.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity
     where datname = current_database() and application_name = 'countersign'`,
  );
  return rowCount ?? 0;
}
