/** Gathers the evidence after the run: from the journals, the ledger and the receipts. */
import type { Client } from '@temporalio/client';
import { decodeJwt } from 'jose';
import pg from 'pg';
import { withoutUndefined } from '../src/action/json.js';
import { STATE_AFTER } from '../src/action/policy-rollout.js';
import type { ReceiptClaims } from '../src/action/receipt.js';
import { verifyReceipts } from '../src/receipts/verify.js';
import type { ChainPosition } from '../src/trust/index.js';
import type { Effect, Evidence, FreezeSpan, HeldAmount, Recorded, Send } from './evidence.js';
import { readJournal, type Entry } from './payments/journal.js';
import { shopEffects } from './world/shop.js';
import { TENANT, type World } from './world/world.js';

export interface Testimony extends Pick<Evidence, 'proposed' | 'told' | 'terminated'> {
  /** Receipts that were seen on the way: they must still be there. */
  readonly seen: Readonly<Record<string, ChainPosition>>;
}

export async function collect(world: World, temporal: Client, testimony: Testimony): Promise<Evidence> {
  const { seen, ...told } = testimony;
  const journal = await readJournal(world.journalFile);
  const [recorded, receipts, holds, counters, freezes, changes, rolledOut] = await Promise.all([
    fromLedger<Recorded>(world, ACTIONS),
    receiptsOf(world, temporal, seen),
    fromLedger<HeldAmount>(world, HOLDS),
    world.ledger.limits.counters({ tenant: TENANT }),
    freezesOf(world),
    shopEffects(world.shopOwnerUrl),
    world.ledger.rollout.history({ limit: 1000 }),
  ]);
  return {
    ...told,
    effects: [...paymentEffects(journal), ...changes],
    sends: paymentSends(journal),
    recorded,
    receipts,
    holds,
    counters,
    freezes,
    budgets: world.budgets,
    ...(world.places.policySource === 'ledger'
      ? { inForce: rolledOut.flatMap(({ kind, digest }) => (STATE_AFTER[kind] === 'active' ? [digest] : [])) }
      : {}),
  };
}

const WHAT = { payments: 'pay', refunds: 'refund', payouts: 'payout' } as const;

function paymentEffects(entries: readonly Entry[]): readonly Effect[] {
  return entries.flatMap((entry) =>
    entry.kind === 'booking'
      ? [
          {
            system: 'payments',
            what: WHAT[entry.collection],
            actionId: entry.reference,
            content: { account: entry.account, amount: entry.amount },
            amount: entry.amount,
            // Once it has come in, a freeze cannot reach it any more.
            at: entry.receivedAt,
            where: `${entry.collection} ${entry.id}`,
          },
        ]
      : [],
  );
}

function paymentSends(entries: readonly Entry[]): readonly Send[] {
  return entries.flatMap((entry) =>
    entry.kind === 'received' ? [{ actionId: entry.reference, where: `${entry.collection} at ${entry.at}` }] : [],
  );
}

/** How often the payment service and its network misbehaved, by kind. */
export async function misdeeds(world: World): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const entry of await readJournal(world.journalFile)) {
    if (entry.kind === 'mischief') counts[entry.what] = (counts[entry.what] ?? 0) + 1;
  }
  return counts;
}

const ACTIONS = `
  SELECT action_id AS "actionId", digest, coalesce(status, 'open') AS status, uses,
    EXISTS (SELECT FROM countersign.resolved r WHERE r.tenant = a.tenant AND r.action_id = a.action_id) AS resolved
  FROM countersign.actions a WHERE tenant = $1 ORDER BY created_at`;

const HOLDS = `
  SELECT action_id AS "actionId", "limit", key, kind, amount::float8 AS amount, status, placed_at AS "placedAt"
  FROM countersign.holds WHERE tenant = $1 ORDER BY placed_at`;

/** Past the ledger's own code: what stands in its tables. */
async function fromLedger<Row>({ places }: World, query: string): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: places.ledgerUrl });
  await client.connect();
  try {
    const { rows } = await client.query(query, [TENANT]);
    // Times as everywhere in the evidence: texts.
    return JSON.parse(JSON.stringify(rows)) as readonly Row[];
  } finally {
    await client.end();
  }
}

async function receiptsOf(
  { ledger, keyring }: World,
  temporal: Client,
  seen: Testimony['seen'],
): Promise<Evidence['receipts']> {
  const report = await verifyReceipts({ ledger, keyring, temporal, anchors: seen });
  const claims: Evidence['receipts']['claims'][number][] = [];
  for (const tenant of await ledger.receipts.tenants()) {
    for await (const { jws } of ledger.receipts.list(tenant)) {
      const { actionId, status, code, policyDigest: policy } = decodeJwt(jws) as unknown as ReceiptClaims;
      claims.push({ tenant, actionId, status, ...withoutUndefined({ code, policy }) });
    }
  }
  const problems = report.tenants.flatMap(({ tenant, problems }) =>
    problems.map(({ seq, problem }) => `${tenant}, receipt ${seq}: ${problem}`),
  );
  return { valid: report.ok, problems, claims };
}

async function freezesOf({ ledger }: World): Promise<readonly FreezeSpan[]> {
  return (await ledger.controls.freezes()).map(({ scope, at, lifted }) => ({
    scope: `${scope.kind} ${scope.value ?? ''}`.trim(),
    ...(scope.kind === 'agent' ? { agent: scope.value ?? '' } : {}),
    ...(scope.kind === 'tool' ? { system: scope.value ?? '' } : {}),
    // Targets are tables and collections: `orders`, `payments.refunds`.
    ...(scope.kind === 'target' ? { what: WHAT_OF[scope.value ?? ''] ?? scope.value ?? '' } : {}),
    from: at,
    ...(lifted === undefined ? {} : { until: lifted.at }),
  }));
}

const WHAT_OF: Readonly<Record<string, string>> = {
  'payments.payments': 'pay',
  'payments.refunds': 'refund',
  orders: 'order',
  stock: 'stock',
};
