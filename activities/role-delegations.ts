/** Reads role delegations from the ledger. Only what their givers signed counts. */
import { decodeJwt } from 'jose';
import { CountersignError } from '../src/action/errors.js';
import { digest } from '../src/action/json.js';
import type { DelegatedRole } from '../src/action/outcome.js';
import type { Approver } from '../src/action/principal.js';
import type { NewAuthorization, SignedAuthorization } from '../src/action/person-authorization.js';
import type { RoleDelegation } from '../src/action/role-delegation.js';
import { verifyCommand, type Keyring, type SignedCommand } from '../src/trust/index.js';
import type { Dependencies } from './deps.js';

/**
 * Verifies a signed command that was carried out before, as of the time it was signed but with the current keys: removing a key
 * invalidates everything that was signed under it.
 *
 * @throws CountersignError COMMAND_INVALID
 */
export async function verifyAsOfSigning(keyring: Keyring, token: string): Promise<SignedCommand> {
  let iat: number | undefined;
  try {
    ({ iat } = decodeJwt(token));
  } catch (error) {
    throw new CountersignError('COMMAND_INVALID', 'What the ledger keeps is no signed command.', { cause: error });
  }
  return verifyCommand(keyring, token, { now: new Date((iat ?? NaN) * 1000) });
}

type DelegateRole = Extract<SignedCommand, { kind: 'delegate_role' }>;

/** The entry that the ledger keeps for a signed command. */
export function roleDelegationOf(command: DelegateRole, token: string): NewAuthorization<RoleDelegation> {
  const { tenant, subject, role, from, until, jti, by, credentials, reason } = command;
  return {
    tenant,
    id: jti,
    person: subject,
    role,
    since: new Date(from).toISOString(),
    until: new Date(until).toISOString(),
    by,
    credentials,
    reason,
    digest: command.digest,
    statement: token,
  };
}

/**
 * The roles delegated to a person that they may exercise now. Each was delegated by somebody who has the role themselves, and rests on
 * nothing that was revoked.
 *
 * @throws CountersignError LEDGER_UNAVAILABLE
 */
export async function delegatedRolesOf(
  { tenant, id }: Pick<Approver, 'tenant' | 'id'>,
  { ledger, keyring }: Pick<Dependencies, 'ledger' | 'keyring'>,
): Promise<readonly DelegatedRole[]> {
  const delegatedRoles: DelegatedRole[] = [];
  for (const row of await ledger.roleDelegations.of(tenant, id)) {
    if (await isSigned(row, keyring)) delegatedRoles.push({ role: row.role, from: row.by });
  }
  return delegatedRoles;
}

async function isSigned(
  { at: _at, ended: _ended, ...row }: SignedAuthorization<RoleDelegation>,
  keyring: Keyring,
): Promise<boolean> {
  try {
    const command = await verifyAsOfSigning(keyring, row.statement);
    return (
      command.kind === 'delegate_role' &&
      command.roles.includes(command.role) &&
      digest(roleDelegationOf(command, row.statement)) === digest(row)
    );
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'COMMAND_INVALID') return false;
    throw error;
  }
}
