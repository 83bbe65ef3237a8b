/** What people gave others: read from the ledger, believed for what they signed. */
import { decodeJwt } from 'jose';
import { CountersignError } from '../src/action/errors.js';
import { digest } from '../src/action/json.js';
import type { Duty } from '../src/action/outcome.js';
import type { Approver } from '../src/action/principal.js';
import type { NewAuthorization, SignedAuthorization } from '../src/action/person-authorization.js';
import type { RoleDelegation } from '../src/action/role-delegation.js';
import { verifyStatement, type Keyring, type Statement } from '../src/trust/index.js';
import type { Dependencies } from './deps.js';

/**
 * A statement that was carried out before, as it was good when it was signed. By the keys of now: one taken out takes with it what
 * was signed below it.
 *
 * @throws CountersignError STATEMENT_INVALID
 */
export async function asSigned(keyring: Keyring, token: string): Promise<Statement> {
  let iat: number | undefined;
  try {
    ({ iat } = decodeJwt(token));
  } catch (error) {
    throw new CountersignError('STATEMENT_INVALID', 'What the ledger keeps is no statement.', { cause: error });
  }
  return verifyStatement(keyring, token, { now: new Date((iat ?? NaN) * 1000) });
}

type Give = Extract<Statement, { kind: 'duty' }>;

/** What a statement says, as the ledger keeps it. */
export function dutyOf(said: Give, token: string): NewAuthorization<RoleDelegation> {
  const { tenant, subject, role, from, until, jti, by, credentials, reason } = said;
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
    digest: said.digest,
    statement: token,
  };
}

/**
 * The roles that a person has for others now. Each was given by somebody who has it themselves, and rests on nothing that was revoked.
 *
 * @throws CountersignError LEDGER_UNAVAILABLE
 */
export async function dutiesOf(
  { tenant, id }: Pick<Approver, 'tenant' | 'id'>,
  { ledger, keyring }: Pick<Dependencies, 'ledger' | 'keyring'>,
): Promise<readonly Duty[]> {
  const duties: Duty[] = [];
  for (const row of await ledger.roleDelegations.of(tenant, id)) {
    if (await isSigned(row, keyring)) duties.push({ role: row.role, from: row.by });
  }
  return duties;
}

async function isSigned(
  { at: _at, ended: _ended, ...row }: SignedAuthorization<RoleDelegation>,
  keyring: Keyring,
): Promise<boolean> {
  try {
    const said = await asSigned(keyring, row.statement);
    return (
      said.kind === 'duty' && said.roles.includes(said.role) && digest(dutyOf(said, row.statement)) === digest(row)
    );
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'STATEMENT_INVALID') return false;
    throw error;
  }
}
