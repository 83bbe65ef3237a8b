/** What a person may decide as. */
import type { Ledger } from '../../ledger/index.js';
import type { PersonPrincipal } from './principal.js';

/** The person's own roles, and those that others delegated to them for now. @throws CountersignError LEDGER_UNAVAILABLE */
export async function rolesOfPerson(
  { roleDelegations }: Pick<Ledger, 'roleDelegations'>,
  { tenant, id, roles }: PersonPrincipal,
): Promise<readonly string[]> {
  const delegated = await roleDelegations.of(tenant, id);
  return [...new Set([...roles, ...delegated.map(({ role }) => role)])];
}
