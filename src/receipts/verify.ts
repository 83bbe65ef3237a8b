/**
 * Verifies the receipts against everything that bears witness to them: their signatures and links, the stored head, the recorded
 * outcomes, what an earlier verification saw, and Temporal. Somebody who can rewrite the ledger cannot sign a receipt, so an edit
 * or a gap shows in the chain itself; the last receipts removed together with the head show only in the other two.
 */
import type { Client } from '@temporalio/client';
import { TENANT_PATTERN } from '../action/proposal.js';
import type { Actions, Receipts as LedgerReceipts } from '../ledger/index.js';
import { verifyChain, type ChainPosition, type Keyring, type ChainedReceipt } from '../trust/index.js';
import { OutcomeCheck } from './outcomes.js';
import { receiptsBeyond, tenantsBeside } from './witness.js';

interface VerifyReceiptsOptions {
  readonly ledger: {
    readonly receipts: Pick<LedgerReceipts, 'list' | 'head' | 'tenants'>;
    readonly actions: Pick<Actions, 'listEnded'>;
  };
  readonly keyring: Keyring;
  /** Asked whether it saw receipts that the ledger does not have (any more). */
  readonly temporal?: Client;
  /** By tenant: the last receipt that an earlier verification saw. */
  readonly anchors?: Readonly<Record<string, ChainPosition>>;
  /** Default: every tenant that the ledger, the anchors or Temporal know of. */
  readonly tenant?: string;
}

interface ReceiptProblem {
  /** The receipt concerned. */
  readonly seq: number;
  /** One sentence for people. It may quote what stands in the ledger. */
  readonly problem: string;
}

export interface TenantReport {
  readonly tenant: string;
  readonly ok: boolean;
  /** How many were read. */
  readonly receipts: number;
  /** How many of them were compared with the recorded outcome they settle. */
  readonly outcomes: number;
  /** The last receipt. Kept elsewhere, it is the anchor of the next verification. */
  readonly head?: { readonly seq: number; readonly hash: string };
  /** The receipt that an earlier verification saw last, if there was one. */
  readonly anchor?: ChainPosition;
  /** Whether Temporal was asked. */
  readonly witnessed: boolean;
  /** The first 40. */
  readonly problems: readonly ReceiptProblem[];
  readonly problemCount: number;
}

export interface ReceiptsReport {
  readonly ok: boolean;
  /** Sorted by name. */
  readonly tenants: readonly TenantReport[];
}

const MAX_PROBLEMS = 40;

/** Works while actions go on: what is appended meanwhile is left to the next verification. @throws CountersignError when ledger or Temporal do not answer */
export async function verifyReceipts(options: VerifyReceiptsOptions): Promise<ReceiptsReport> {
  const tenants: TenantReport[] = [];
  for (const tenant of await tenantsOf(options)) tenants.push(await verifyTenant(tenant, options));
  return { ok: tenants.every(({ ok }) => ok), tenants };
}

async function tenantsOf({
  ledger,
  temporal,
  anchors = {},
  tenant,
}: VerifyReceiptsOptions): Promise<readonly string[]> {
  if (tenant !== undefined) return [tenant];
  const known = new Set([...(await ledger.receipts.tenants()), ...Object.keys(anchors)]);
  if (temporal !== undefined) for (const other of await tenantsBeside(temporal, known)) known.add(other);
  return [...known].sort();
}

/** Refusals of proposals that nobody attested have a chain of their own, under a name that no tenant can have. They end no action. */
function endsActions(tenant: string): boolean {
  return !tenant.startsWith('_');
}

async function verifyTenant(tenant: string, options: VerifyReceiptsOptions): Promise<TenantReport> {
  const { ledger, keyring, temporal, anchors = {} } = options;
  const problems: ReceiptProblem[] = [];
  let problemCount = 0;
  const report = (seq: number, problem: string): void => {
    problemCount++;
    if (problems.length < MAX_PROBLEMS) problems.push({ seq, problem });
  };

  const head = await ledger.receipts.head(tenant);
  const anchor = Object.hasOwn(anchors, tenant) ? anchors[tenant] : undefined;
  const outcomes = endsActions(tenant) ? new OutcomeCheck(tenant, ledger.actions.listEnded(tenant), report) : undefined;
  const receipts = upToNow(ledger, tenant, head.seq);
  const chain = await verifyChain(
    keyring,
    outcomes === undefined ? receipts : compared(receipts, outcomes),
    head.hash === null ? undefined : { seq: head.seq, hash: head.hash },
    { tenant, ...(anchor === undefined ? {} : { anchors: [anchor] }) },
  );
  const headNow = async (): Promise<number> => (await ledger.receipts.head(tenant)).seq;
  await outcomes?.finish(head.seq, headNow);

  const last = chain.head?.seq ?? 0;
  const witnessed = temporal !== undefined && TENANT_PATTERN.test(tenant);
  if (witnessed) {
    for (const seen of await receiptsBeyond(temporal, tenant, last, headNow)) {
      report(
        seen.seq,
        `Temporal saw receipt ${seen.seq}, of action ${seen.actionId}, and the ledger does not have it.`,
      );
    }
  }

  const all = [...chain.problems, ...problems].sort((a, b) => a.seq - b.seq);
  const count = chain.problemCount + problemCount;
  return {
    tenant,
    ok: count === 0,
    receipts: chain.count,
    outcomes: outcomes?.compared ?? 0,
    ...(chain.head === undefined ? {} : { head: chain.head }),
    ...(anchor === undefined ? {} : { anchor }),
    witnessed,
    problems: all.slice(0, MAX_PROBLEMS),
    problemCount: count,
  };
}

type Receipts = AsyncIterable<ChainedReceipt & { readonly actionId: string }>;

/** Ends at what was appended after the verification began. A receipt beyond a head that did not move is not such. */
async function* upToNow(ledger: VerifyReceiptsOptions['ledger'], tenant: string, head: number): Receipts {
  for await (const receipt of ledger.receipts.list(tenant)) {
    if (receipt.seq > head && (await ledger.receipts.head(tenant)).seq >= receipt.seq) return;
    yield receipt;
  }
}

async function* compared(receipts: Receipts, outcomes: OutcomeCheck): Receipts {
  for await (const receipt of receipts) {
    await outcomes.compare(receipt);
    yield receipt;
  }
}
