/** A ledger that ends before what Temporal saw was restored to an earlier state, or cut: its tenants are frozen until a person has looked. */
import type { Client } from '@temporalio/client';
import { TENANT_PATTERN } from '../action/proposal.js';
import type { Ledger } from '../ledger/index.js';
import { receiptsBeyond, tenantsBeside } from './witness.js';

export interface SetBack {
  readonly tenant: string;
  /** The last receipt of the ledger; 0 where it has none. */
  readonly head: number;
  /** The last of those that Temporal saw after it. */
  readonly seen: number;
}

/** Who such a freeze is of. */
const BY = 'countersign';

/** How many tenants are asked about at once. */
const AT_ONCE = 4;

type Records = Pick<Ledger, 'receipts'>;

/** The tenants whose chain ends before a receipt that Temporal saw. @throws CountersignError TEMPORAL_UNAVAILABLE, LEDGER_UNAVAILABLE */
export async function setBackTenants(ledger: Records, temporal: Client): Promise<readonly SetBack[]> {
  const known = await ledger.receipts.tenants();
  const all = [
    ...known.filter((tenant) => TENANT_PATTERN.test(tenant)),
    ...(await tenantsBeside(temporal, new Set(known))),
  ];
  const found: SetBack[] = [];
  for (let from = 0; from < all.length; from += AT_ONCE) {
    const looked = await Promise.all(
      all.slice(from, from + AT_ONCE).map((tenant) => setBackOf(tenant, ledger, temporal)),
    );
    found.push(...looked.filter((one) => one !== undefined));
  }
  return found;
}

async function setBackOf(tenant: string, { receipts }: Records, temporal: Client): Promise<SetBack | undefined> {
  const headNow = async (): Promise<number> => (await receipts.head(tenant)).seq;
  const head = await headNow();
  const beyond = await receiptsBeyond(temporal, tenant, head, headNow);
  if (beyond.length === 0) return undefined;
  return { tenant, head, seen: Math.max(...beyond.map(({ seq }) => seq)) };
}

/**
 * Freezes each of them, unless it was frozen for the same before: a person who lifted that freeze has looked.
 *
 * @returns those that this call froze
 */
export async function freezeSetBack(
  ledger: Records & Pick<Ledger, 'controls'>,
  temporal: Client,
): Promise<readonly SetBack[]> {
  const setBack = await setBackTenants(ledger, temporal);
  if (setBack.length === 0) return [];
  const before = await ledger.controls.freezes();
  const fresh = setBack.filter(
    (one) =>
      !before.some((freeze) => freeze.tenant === one.tenant && freeze.by === BY && freeze.reason === reasonFor(one)),
  );
  for (const one of fresh) {
    await ledger.controls.freeze({
      tenant: one.tenant,
      scope: { kind: 'tenant', value: one.tenant },
      reason: reasonFor(one),
      by: BY,
    });
  }
  return fresh;
}

/** The same however far the chain has grown since. */
function reasonFor({ seen }: SetBack): string {
  return (
    `Temporal saw receipt ${seen}, and the ledger does not have it: it was restored to an earlier state, or receipts were removed. ` +
    'See countersign receipts unrecorded.'
  );
}
