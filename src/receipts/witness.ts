/**
 * What Temporal saw of receipts: each ended action carries the number of its receipt as a search attribute. Whoever can write to
 * Temporal can forge that, so it can raise a false alarm, and never silence a true one from elsewhere.
 */
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { Outcome } from '../action/outcome.js';
import { TENANT_PATTERN } from '../action/proposal.js';
import { ATTRIBUTES } from '../temporal.js';

/** Enough to see that something is wrong. */
const MAX_SEEN = 20;
/** Tenants that the ledger has lost altogether; more than these need not be told apart. */
const MAX_TENANTS = 20;

interface SeenReceipt {
  readonly seq: number;
  readonly actionId: string;
}

/**
 * Receipts of the tenant after `last` that Temporal saw and the ledger does not have. `headNow` tells those apart that were
 * appended since: what Temporal shows was in the ledger first.
 *
 * @throws CountersignError TEMPORAL_UNAVAILABLE
 */
export async function receiptsBeyond(
  temporal: Client,
  tenant: string,
  last: number,
  headNow: () => Promise<number>,
): Promise<readonly SeenReceipt[]> {
  return asking(async () => {
    const query = `WorkflowType = "trustedAction" AND CountersignTenant = "${tenant}" AND CountersignReceipt > ${last}`;
    const { count } = await temporal.workflow.count(query);
    if (count === 0) return [];
    const seen: SeenReceipt[] = [];
    for await (const execution of temporal.workflow.list({ query })) {
      const seq = execution.typedSearchAttributes.get(ATTRIBUTES.receipt) ?? 0;
      if (seq > last && (await isOf(temporal, execution, tenant))) {
        seen.push({ seq, actionId: execution.workflowId.slice(tenant.length + 1) });
      }
      if (seen.length >= MAX_SEEN) break;
    }
    const head = seen.length === 0 ? 0 : await headNow();
    return seen.filter(({ seq }) => seq > head);
  });
}

/** Tenants with receipts in Temporal that are not among the known ones. @throws CountersignError TEMPORAL_UNAVAILABLE */
export async function tenantsBeside(temporal: Client, known: ReadonlySet<string>): Promise<readonly string[]> {
  return asking(async () => {
    const found = new Set<string>();
    for (let tries = 0; tries < MAX_TENANTS; tries++) {
      const named = [...known, ...found].filter((tenant) => TENANT_PATTERN.test(tenant));
      const others =
        named.length === 0 ? '' : ` AND CountersignTenant NOT IN (${named.map((tenant) => `"${tenant}"`).join(', ')})`;
      const query = `WorkflowType = "trustedAction" AND CountersignReceipt > 0 AND CountersignTenant IS NOT NULL${others}`;
      const tenant = await firstTenant(temporal, query);
      if (tenant === undefined) break;
      found.add(tenant);
    }
    return [...found];
  });
}

async function firstTenant(temporal: Client, query: string): Promise<string | undefined> {
  for await (const execution of temporal.workflow.list({ query, pageSize: 1 })) {
    const tenant = execution.typedSearchAttributes.get(ATTRIBUTES.tenant);
    // A name that no tenant can have is somebody's own doing, and must not end up in a query.
    return tenant !== undefined && TENANT_PATTERN.test(tenant) ? tenant : undefined;
  }
  return undefined;
}

/**
 * Whether the workflow's receipt is in this tenant's chain. The refusal of a forged proposal has its receipt in another one,
 * whatever tenant its workflow names.
 */
async function isOf(temporal: Client, execution: WorkflowExecutionInfo, tenant: string): Promise<boolean> {
  if (execution.status.name !== 'COMPLETED') return true;
  const handle = temporal.workflow.getHandle(execution.workflowId, execution.runId);
  // Unreadable counts: an alarm too many is the safe side.
  const outcome = await handle.result().then(
    (result: unknown) => result as Partial<Outcome> | undefined,
    () => undefined,
  );
  return outcome?.receipt === undefined || outcome.receipt.tenant === tenant;
}

async function asking<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw new CountersignError(
      'TEMPORAL_UNAVAILABLE',
      `Temporal cannot be asked about receipts: ${asCountersignError(error).message}`,
      {
        fix: 'Check TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE, and that `countersign setup` registered the search attributes.',
        cause: error,
        retryable: true,
      },
    );
  }
}
