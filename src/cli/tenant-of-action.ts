/** Finds whose an action is, where its id alone was given. */
import { actionNotFound } from '../action/errors-not-found.js';
import { asCountersignError } from '../action/errors.js';
import type { Context } from './context.js';
import { usageError } from './usage-error.js';

/**
 * The tenant that has the action: `own` where it has it, else the only one.
 *
 * @param own the credential's tenant, if there is a credential
 * @throws CountersignError USAGE when several others have it, or when only the ledger could tell and is away; NOT_FOUND when none has it
 */
export async function tenantOfAction(context: Context, actionId: string, own: string | undefined): Promise<string> {
  const tenants = await tenantsOf(context, actionId, own);
  const [only, ...others] = tenants;
  // What the ledger does not know yet may still be under way.
  if (own !== undefined && (only === undefined || tenants.includes(own))) return own;
  if (only === undefined) {
    throw actionNotFound(actionId, ' in the ledger', {
      expected: 'the id of an action that some tenant has',
      fix: `List the actions: countersign list; one that has only just begun: countersign show <tenant>/${actionId}`,
    });
  }
  if (others.length === 0) return only;
  throw usageError(`${tenants.length} tenants have an action ${actionId}: ${tenants.join(', ')}.`, {
    field: '--tenant',
    expected: `one of ${tenants.map((tenant) => `${tenant}/${actionId}`).join(', ')}`,
    fix: `Name the tenant: ${only}/${actionId}`,
  });
}

async function tenantsOf(context: Context, actionId: string, own: string | undefined): Promise<readonly string[]> {
  try {
    return await (await context.ledger()).archive.tenantsOf(actionId);
  } catch (error) {
    const { message } = asCountersignError(error);
    if (own === undefined) {
      throw usageError(`The tenant of the action is not known, and the ledger cannot tell: ${message}`, {
        field: '--tenant',
        expected: 'a tenant',
        fix: `Write --tenant T or <tenant>/${actionId}, or set COUNTERSIGN_AGENT or COUNTERSIGN_APPROVER.`,
      });
    }
    context.out.warn(`${message} Only the tenant ${own} is looked at.`);
    return [];
  }
}
