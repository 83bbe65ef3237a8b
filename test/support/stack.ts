/** Everything a trusted action runs on, real and of one test file's own: databases, namespace, keys, people, a worker in this process. */
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import pino from 'pino';
import { CountersignError } from '../../src/action/errors.js';
import { Countersign } from '../../src/client/countersign.js';
import type { PendingAction, ProposalInput } from '../../src/client/countersign.js';
import type { DecideReply, Outcome, Verdict } from '../../src/action/outcome.js';
import type { TemporalSettings } from '../../src/environment.js';
import { Database, Ledger } from '../../src/ledger/index.js';
import type { Hold } from '../../src/action/hold.js';
import type { ReceiptClaims } from '../../src/action/receipt.js';
import type { Tool } from '../../src/tools/tool.js';
import { postgres } from '../../src/tools/index.js';
import {
  encodeCredential,
  generateKeyringFile,
  issueAgent,
  issueApprover,
  parseKeyring,
  signApproval,
  verifyReceipt,
  type AgentOptions,
  type Credential,
  type Keyring,
} from '../../src/trust/index.js';
import { startWorker, type RunningWorker, type WorkerOptions } from '../../src/worker/worker.js';
import { createDatabase } from './postgres.js';
import { keepQuiet } from './quiet.js';
export { ROOT } from './root.js';
import { createNamespace } from './temporal.js';

keepQuiet();

export const TENANT = 'acme';
export const STARTER = fileURLToPath(new URL('../../policies/starter', import.meta.url));

export interface Stack {
  readonly temporal: TemporalSettings;
  readonly ledgerUrl: string;
  readonly ledger: Ledger;
  /** The ledger's. */
  readonly database: Database;
  readonly shopUrl: string;
  /** The database that the tool `shop-db` acts on: the judge of what really happened. */
  readonly shop: pg.Pool;
  readonly keys: string;
  readonly keyring: Keyring;
  /** Folder of the running policy. */
  readonly policies: string;
  /** The worker of this namespace and task queue that was started last. */
  worker: RunningWorker | undefined;
  startWorker(overrides?: Partial<WorkerOptions>): Promise<RunningWorker>;
  /** The same ledger under a Temporal that knows nothing of what was: what is left after its retention. @param credential default another `agent-1`'s */
  afterRetention(body: (client: Countersign) => Promise<void>, credential?: Credential): Promise<void>;
  /** Edits one file of the running policy, lets the worker take it up, and puts it back when the body is done. */
  withPolicy(file: string, edit: (text: string) => string, body: () => Promise<void>): Promise<void>;
  agent(options?: Partial<AgentOptions>): Promise<Countersign>;
  /** A client of one that has its credential. */
  agentWith(credential: Credential): Promise<Countersign>;
  approver(id: string, roles: readonly string[], tenant?: string): Promise<Credential>;
  /** What an action holds: `limit`, `amount` and `status` of each hold. */
  holdsOf(actionId: string): Promise<readonly Pick<Hold, 'limit' | 'amount' | 'status'>[]>;
  /** The claims of every receipt, chain by chain, each with its signature verified. */
  receipts(): Promise<readonly ReceiptClaims[]>;
  /** What is used and held of a limit, over all of its counters. */
  spent(limit: string): Promise<{ used: number; held: number }>;
  /** Signs and hands in a decision on what the action shows now. */
  decide(action: PendingAction, by: Credential, verdict?: Verdict, reason?: string): Promise<DecideReply>;
  stop(): Promise<void>;
}

export interface StackOptions {
  readonly tools?: (shopUrl: string) => readonly Tool[];
  readonly schema: string;
  /** The policy's limits.yaml. Default: the starter's, which sets none. */
  readonly limits?: string;
  /** Further files of the policy, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** `host:port` of a Temporal server. Default: that of this run. */
  readonly temporalAddress?: string;
  /** Default true. */
  readonly worker?: boolean;
  readonly overrides?: Partial<WorkerOptions>;
}

export function shopTool(url: string, more: Partial<Parameters<typeof postgres>[0]> = {}): Tool {
  return postgres({ name: 'shop-db', environment: 'production', url, ...more });
}

/** What an agent in a process of its own is told by its environment. */
export function agentEnvironment({ temporal }: Stack, credential: Credential): Record<string, string> {
  return {
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    COUNTERSIGN_AGENT: encodeCredential(credential),
  };
}

/** `schema` is the SQL that makes the shop's database. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const [ledgerDb, shopDb, namespace] = await Promise.all([
    createDatabase('installation'),
    createDatabase(),
    createNamespace(options.temporalAddress),
  ]);
  const temporal: TemporalSettings = { ...namespace, taskQueue: 'countersign' };
  const keys = JSON.stringify(await generateKeyringFile());
  const keyring = await parseKeyring(keys, 'test');
  const database = new Database({ url: ledgerDb.url });
  const ledger = new Ledger(database);
  const shop = new pg.Pool({ connectionString: shopDb.url });
  shop.on('error', () => {});
  await shop.query(options.schema);
  const policies = await mkdtemp(path.join(os.tmpdir(), 'countersign-policies-'));
  await cp(STARTER, policies, { recursive: true });
  if (options.limits !== undefined) await writeFile(path.join(policies, 'limits.yaml'), options.limits);
  for (const [file, text] of Object.entries(options.files ?? {})) await writeFile(path.join(policies, file), text);
  const clients: Countersign[] = [];
  const workers: RunningWorker[] = [];
  const newAgent = (more?: Partial<AgentOptions>): Promise<Credential> =>
    issueAgent(keyring, { id: 'agent-1', tenant: TENANT, roles: ['admin_user'], scopes: ['*'], ...more });

  const stack: Stack = {
    temporal,
    ledgerUrl: ledgerDb.url,
    ledger,
    database,
    shopUrl: shopDb.url,
    shop,
    keys,
    keyring,
    policies,
    worker: undefined,
    async startWorker(overrides) {
      const worker = await startWorker({
        config: { policies, tools: options.tools?.(shopDb.url) ?? [shopTool(shopDb.url)] },
        temporal,
        ledgerUrl: ledgerDb.url,
        keyring,
        logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
        reconcileEveryMs: 0,
        ...options.overrides,
        ...overrides,
      });
      workers.push(worker);
      if (overrides?.temporal === undefined) stack.worker = worker;
      return worker;
    },
    async afterRetention(body, credential) {
      const elsewhere = { ...temporal, ...(await createNamespace(options.temporalAddress)) };
      const worker = await stack.startWorker({ temporal: elsewhere });
      const client = await Countersign.connect({ ...elsewhere, credential: credential ?? (await newAgent()) });
      try {
        await body(client);
      } finally {
        await client.close();
        await worker.stop();
      }
    },
    async withPolicy(file, edit, body) {
      const target = path.join(policies, file);
      const before = await readFile(target, 'utf8');
      await writeFile(target, edit(before));
      await stack.worker?.policy.reload();
      try {
        await body();
      } finally {
        await writeFile(target, before);
        await stack.worker?.policy.reload();
      }
    },
    agent: async (agentOptions) => stack.agentWith(await newAgent(agentOptions)),
    async agentWith(credential) {
      const client = await Countersign.connect({ ...temporal, credential });
      clients.push(client);
      return client;
    },
    approver: (id, roles, tenant = TENANT) => issueApprover(keyring, { id, tenant, roles }),
    async holdsOf(actionId) {
      const holds = await ledger.limits.holds({ tenant: TENANT, actionId });
      return holds.map(({ limit, amount, status }) => ({ limit, amount, status }));
    },
    async receipts() {
      const claims: ReceiptClaims[] = [];
      for (const tenant of await ledger.receipts.tenants()) {
        for await (const { jws } of ledger.receipts.list(tenant)) claims.push(await verifyReceipt(keyring, jws));
      }
      return claims;
    },
    async spent(limit) {
      const counters = (await ledger.limits.counters({ tenant: TENANT })).filter((counter) => counter.limit === limit);
      const sum = (of: 'used' | 'held'): number => counters.reduce((total, counter) => total + counter[of], 0);
      return { used: sum('used'), held: sum('held') };
    },
    async decide(action, by, verdict = 'approve', reason) {
      const { tenant, actionId } = action;
      const client = clients[0] as Countersign;
      const { pending } = await client.view(actionId, tenant);
      const token = await signApproval(by, {
        tenant,
        actionId,
        shownDigest: (pending ?? action.pending).shownDigest,
        verdict,
        ...(reason === undefined ? {} : { reason }),
      });
      return client.decide(actionId, token, tenant);
    },
    async stop() {
      await Promise.all(clients.map((client) => client.close()));
      // One that another one followed polls on, and would for the rest of the run.
      await Promise.all(workers.map((worker) => worker.stop().catch(() => {})));
      await ledger.close();
      await shop.end();
      await Promise.all([ledgerDb.drop(), shopDb.drop(), rm(policies, { recursive: true, force: true })]);
    },
  };
  if (options.worker !== false) await stack.startWorker();
  return stack;
}

/** Proposes, and once more where Temporal could not be asked for a moment, as the error says to do: a busy machine is not a wrong result. */
async function performed(client: Countersign, proposal: ProposalInput): Promise<Outcome | PendingAction> {
  const named = { ...proposal, actionId: proposal.actionId ?? randomUUID() };
  try {
    return await client.perform(named);
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'TEMPORAL_UNAVAILABLE') throw error;
    return client.perform(named);
  }
}

/** Proposes and expects an end, not a wait for people. */
export async function ended(client: Countersign, proposal: ProposalInput): Promise<Outcome> {
  const answer = await performed(client, proposal);
  if (answer.status === 'pending') throw new Error(`pending: ${answer.reason}`);
  return answer;
}

/** Proposes and expects to wait for people. */
export async function pending(client: Countersign, proposal: ProposalInput): Promise<PendingAction> {
  const answer = await performed(client, proposal);
  if (answer.status !== 'pending') throw new Error(`${answer.status}: ${answer.reason}`);
  return answer;
}
