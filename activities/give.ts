/** What people give and take back: passkeys of their own, standing approvals, duties. Checked first, and then carried out. */
import { decodeJwt } from 'jose';
import { CountersignError } from '../src/action/errors.js';
import { samePerson } from '../src/action/quorum.js';
import { verifyEnrolment, type Statement } from '../src/trust/index.js';
import type { Fulfilled } from './contract.js';
import type { Dependencies } from './deps.js';
import { dutyOf } from './given.js';
import { standingOf } from './standing-approvals.js';
import { receiptOf } from './command-receipt.js';

export type GivingKind = 'enrol' | 'retire' | 'stand' | 'withdraw' | 'duty' | 'relieve';
type Giving<K extends GivingKind = GivingKind> = Extract<Statement, { kind: K }>;

/** Does what was checked. It can be repeated without a second effect. */
export type CarryOut = () => Promise<Fulfilled>;

const DAY_MS = 86_400_000;
/** What is to be approved for longer is for policy to allow. */
const LONGEST_STANDING_MS = 31 * DAY_MS;
const LONGEST_DUTY_MS = 366 * DAY_MS;

export function isGiving(statement: Statement): statement is Giving {
  switch (statement.kind) {
    case 'enrol':
    case 'retire':
    case 'stand':
    case 'withdraw':
    case 'duty':
    case 'relieve':
      return true;
    default:
      return false;
  }
}

/**
 * Whether it may be done. Nothing is done yet.
 *
 * @throws CountersignError ROLE_REQUIRED, APPROVAL_FORBIDDEN, STATEMENT_INVALID, PASSKEY_INVALID, NOT_FOUND
 */
export async function giving(statement: Giving, token: string, deps: Dependencies): Promise<CarryOut> {
  switch (statement.kind) {
    case 'enrol':
      return enrol(statement, deps);
    case 'retire':
      return retire(statement, deps);
    case 'stand':
      return stand(statement, token, deps);
    case 'withdraw':
      return withdraw(statement, deps);
    case 'duty':
      return duty(statement, token, deps);
    case 'relieve':
      return relieve(statement, deps);
  }
}

async function enrol(statement: Giving<'enrol'>, deps: Dependencies): Promise<CarryOut> {
  const { passkeys: settings } = deps.settings;
  if (settings === undefined) {
    throw new CountersignError(
      'PASSKEY_INVALID',
      'No passkey can be enrolled: the workers do not know for which site.',
      {
        field: 'passkeys',
        expected: 'passkeys: {rpId, origins} in the config',
        fix: "Ask the operator to set passkeys in the workers' config and the gateway's.",
      },
    );
  }
  const registration = await verifyEnrolment(statement, settings);
  const { tenant, by: person } = statement;
  return async () => {
    const passkey = await deps.ledger.passkeys.add({ tenant, person, ...registration, statement: statement.digest });
    const receipt = await receiptOf(statement, `${person} enrolled the passkey ${passkey.credentialId}`, deps);
    return { kind: 'enrol', passkey, receipt };
  };
}

async function retire(statement: Giving<'retire'>, deps: Dependencies): Promise<CarryOut> {
  const { tenant, subject, by, reason } = statement;
  const found = await deps.ledger.passkeys.find(tenant, subject);
  if (found === undefined) throw notFound('passkey', subject, tenant);
  assertOwn(statement, [found.person], deps);
  return async () => {
    const passkey = await deps.ledger.passkeys.retire({ tenant, credentialId: subject, by, reason });
    const whose = samePerson(by, passkey.person) ? 'the passkey' : `${passkey.person}'s passkey`;
    return {
      kind: 'retire',
      passkey,
      receipt: await receiptOf(statement, `${by} retired ${whose} ${subject}: ${reason}`, deps),
    };
  };
}

async function stand(statement: Giving<'stand'>, token: string, deps: Dependencies): Promise<CarryOut> {
  const { by, roles, subject, until, reason } = statement;
  if (roles.length === 0) {
    throw new CountersignError('ROLE_REQUIRED', `${by} has no role, so there is nothing that they could approve.`, {
      field: 'statement.roles',
      expected: 'at least one role by their own credential',
      fix: 'Ask somebody who has the role.',
    });
  }
  const [root = subject] = subject.split('/');
  if (samePerson(by, root)) {
    throw new CountersignError('APPROVAL_FORBIDDEN', 'Nobody approves what they do themselves.', {
      field: 'statement.subject',
      expected: 'the id of somebody else',
      fix: 'Ask somebody else.',
    });
  }
  assertTime(until, LONGEST_STANDING_MS, token, statement);
  return async () => {
    const standing = await deps.ledger.standingApprovals.add(standingOf(statement, token));
    const said = `${by} approves in advance what ${subject} does: ${boundsOf(statement)}, until ${standing.until}: ${reason}`;
    return { kind: 'stand', standing, receipt: await receiptOf(statement, said, deps) };
  };
}

/** `payments:refund in production, at most 1 rows each, 10 actions, 50 EUR` */
function boundsOf({ tool, operation = '*', environment, maxRows, actions, amounts = {} }: Giving<'stand'>): string {
  return [
    `${tool}:${operation}${environment === undefined ? '' : ` in ${environment}`}`,
    ...(maxRows === undefined ? [] : [`at most ${maxRows} rows each`]),
    ...(actions === undefined ? [] : [`${actions} actions`]),
    ...Object.entries(amounts).map(([unit, amount]) => `${amount} ${unit}`),
  ].join(', ');
}

async function withdraw(statement: Giving<'withdraw'>, deps: Dependencies): Promise<CarryOut> {
  const { tenant, subject, by, reason } = statement;
  const found = await deps.ledger.standingApprovals.find(tenant, subject);
  if (found === undefined) throw notFound('standing approval', subject, tenant);
  assertOwn(statement, [found.by], deps);
  return async () => {
    await deps.ledger.controls.revoke({ tenant, jti: subject, by, reason });
    const standing = (await deps.ledger.standingApprovals.find(tenant, subject)) ?? found;
    const said = `${by} withdrew the standing approval ${subject} of ${found.by} for ${found.agent}: ${reason}`;
    return { kind: 'withdraw', standing, receipt: await receiptOf(statement, said, deps) };
  };
}

/** Only what one has oneself can be given: a role on duty is not passed on. */
async function duty(statement: Giving<'duty'>, token: string, deps: Dependencies): Promise<CarryOut> {
  const { by, subject, role, roles, until, reason } = statement;
  if (!roles.includes(role)) {
    throw new CountersignError('ROLE_REQUIRED', `${by} does not have the role ${role} by their own credential.`, {
      field: 'statement.role',
      expected: `one of: ${roles.join(', ') || '(none)'}`,
      fix: 'Ask somebody who has the role.',
    });
  }
  if (samePerson(by, subject)) throw invalid('subject', 'A duty is given to somebody else.', "another person's id");
  assertTime(until, LONGEST_DUTY_MS, token, statement);
  return async () => {
    const given = await deps.ledger.roleDelegations.add(dutyOf(statement, token));
    const said = `${by} has ${subject} exercise the role ${role} from ${given.since} until ${given.until}: ${reason}`;
    return { kind: 'duty', duty: given, receipt: await receiptOf(statement, said, deps) };
  };
}

/** Also whoever has the duty may lay it down. */
async function relieve(statement: Giving<'relieve'>, deps: Dependencies): Promise<CarryOut> {
  const { tenant, subject, by, reason } = statement;
  const found = await deps.ledger.roleDelegations.find(tenant, subject);
  if (found === undefined) throw notFound('duty', subject, tenant);
  assertOwn(statement, [found.by, found.person], deps);
  return async () => {
    await deps.ledger.controls.revoke({ tenant, jti: subject, by, reason });
    const relieved = (await deps.ledger.roleDelegations.find(tenant, subject)) ?? found;
    const said = `${by} relieved ${found.person} of the duty ${subject} (${found.role} for ${found.by}): ${reason}`;
    return { kind: 'relieve', duty: relieved, receipt: await receiptOf(statement, said, deps) };
  };
}

/** What is one's own needs no role; what is another's, the one that revokes. */
function assertOwn({ by, kind, roles }: Giving, own: readonly string[], { settings }: Dependencies): void {
  const { revoke } = settings.roles;
  if (own.some((person) => samePerson(person, by)) || revoke.some((role) => roles.includes(role))) return;
  throw new CountersignError('ROLE_REQUIRED', `${by} may not ${kind} what is another's.`, {
    field: 'statement.roles',
    expected: `one of: ${revoke.join(', ') || '(nobody may)'}`,
    fix: `Ask ${own.join(' or ')}, or somebody who has the role.`,
  });
}

/** A gateway vouches at the moment; a credential of one's own says how long it is good, and what rests on it is not good for longer. */
function assertTime(until: string, longestMs: number, token: string, { auth, at }: Giving): void {
  const end = Date.parse(until);
  const [from, longest] = [Date.parse(at), Date.parse(at) + longestMs];
  if (!(end > Date.now() && end > from)) throw invalid('until', 'It would be over already.', 'a time in the future');
  if (end > longest) {
    throw invalid('until', 'It would last too long.', `at most ${longestMs / DAY_MS} days from now`);
  }
  if (auth !== undefined) return;
  const { exp = 0 } = decodeJwt(String(decodeJwt(token)['credential']));
  if (end <= exp * 1000) return;
  throw invalid(
    'until',
    'It would outlast the credential that it is given by.',
    `at most ${new Date(exp * 1000).toISOString()}`,
  );
}

function invalid(field: string, message: string, expected: string): CountersignError {
  return new CountersignError('STATEMENT_INVALID', message, {
    field: `statement.${field}`,
    expected,
    fix: 'Say it anew.',
  });
}

/** What is not of the signer's tenant does not exist for them. */
function notFound(what: string, id: string, tenant: string): CountersignError {
  return new CountersignError('NOT_FOUND', `There is no ${what} ${id} of tenant ${tenant}.`, {
    field: 'id',
    expected: `the id of a ${what} of this tenant`,
    fix: 'List them and choose one.',
  });
}
