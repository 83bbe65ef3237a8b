/**
 * Signed commands by which people give and withdraw authority: their own passkeys, standing approvals and role delegations. Each command
 * is checked first and carried out afterwards.
 */
import { decodeJwt } from 'jose';
import { CountersignError } from '../src/action/errors.js';
import { isAgentItself } from '../src/action/own-agents.js';
import { samePerson } from '../src/action/quorum.js';
import { verifyEnrolment, type SignedCommand } from '../src/trust/index.js';
import type { CommandResult } from './contract.js';
import type { Dependencies } from './deps.js';
import { roleDelegationOf } from './role-delegations.js';
import { standingApprovalOf } from './standing-approvals.js';
import { appendCommandReceipt } from './command-receipt.js';

export type AuthorityCommandKind =
  | 'enrol_passkey'
  | 'retire_passkey'
  | 'create_standing_approval'
  | 'withdraw_standing_approval'
  | 'delegate_role'
  | 'end_role_delegation';
type AuthorityCommand<K extends AuthorityCommandKind = AuthorityCommandKind> = Extract<SignedCommand, { kind: K }>;

/** Carries out a command that was checked. It can be repeated without a second effect. */
export type Execute = () => Promise<CommandResult>;

const DAY_MS = 86_400_000;
/** The longest time a standing approval may last. What should be allowed for longer belongs in policy. */
const MAX_STANDING_APPROVAL_MS = 31 * DAY_MS;
const MAX_ROLE_DELEGATION_MS = 366 * DAY_MS;

export function isAuthorityCommand(command: SignedCommand): command is AuthorityCommand {
  switch (command.kind) {
    case 'enrol_passkey':
    case 'retire_passkey':
    case 'create_standing_approval':
    case 'withdraw_standing_approval':
    case 'delegate_role':
    case 'end_role_delegation':
      return true;
    default:
      return false;
  }
}

/**
 * Checks whether the command may be carried out, and returns the function that does so. Nothing is changed yet.
 *
 * @throws CountersignError ROLE_REQUIRED, APPROVAL_FORBIDDEN, COMMAND_INVALID, PASSKEY_INVALID, NOT_FOUND
 */
export async function checkAuthorityCommand(
  command: AuthorityCommand,
  token: string,
  deps: Dependencies,
): Promise<Execute> {
  switch (command.kind) {
    case 'enrol_passkey':
      return enrolPasskey(command, deps);
    case 'retire_passkey':
      return retirePasskey(command, deps);
    case 'create_standing_approval':
      return createStandingApproval(command, token, deps);
    case 'withdraw_standing_approval':
      return withdrawStandingApproval(command, deps);
    case 'delegate_role':
      return delegateRole(command, token, deps);
    case 'end_role_delegation':
      return endRoleDelegation(command, deps);
  }
}

async function enrolPasskey(command: AuthorityCommand<'enrol_passkey'>, deps: Dependencies): Promise<Execute> {
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
  const registration = await verifyEnrolment(command, settings);
  const { tenant, by: person } = command;
  return async () => {
    const passkey = await deps.ledger.passkeys.add({ tenant, person, ...registration, statement: command.digest });
    const receipt = await appendCommandReceipt(command, `${person} enrolled the passkey ${passkey.credentialId}`, deps);
    return { kind: 'enrol_passkey', passkey, receipt };
  };
}

async function retirePasskey(command: AuthorityCommand<'retire_passkey'>, deps: Dependencies): Promise<Execute> {
  const { tenant, subject, by, reason } = command;
  const found = await deps.ledger.passkeys.find(tenant, subject);
  if (found === undefined) throw notFound('passkey', subject, tenant);
  assertOwn(command, [found.person], deps);
  return async () => {
    const passkey = await deps.ledger.passkeys.retire({ tenant, credentialId: subject, by, reason });
    const whose = samePerson(by, passkey.person) ? 'the passkey' : `${passkey.person}'s passkey`;
    return {
      kind: 'retire_passkey',
      passkey,
      receipt: await appendCommandReceipt(command, `${by} retired ${whose} ${subject}: ${reason}`, deps),
    };
  };
}

async function createStandingApproval(
  command: AuthorityCommand<'create_standing_approval'>,
  token: string,
  deps: Dependencies,
): Promise<Execute> {
  const { by, roles, subject, until, reason } = command;
  if (roles.length === 0) {
    throw new CountersignError('ROLE_REQUIRED', `${by} has no role, so there is nothing that they could approve.`, {
      field: 'command.roles',
      expected: 'at least one role by their own credential',
      fix: 'Ask somebody who has the role.',
    });
  }
  if (isAgentItself(by, { id: subject })) {
    throw new CountersignError('APPROVAL_FORBIDDEN', 'Nobody approves what they do themselves.', {
      field: 'command.subject',
      expected: 'the id of somebody else',
      fix: 'Ask somebody else.',
    });
  }
  assertTime(until, MAX_STANDING_APPROVAL_MS, token, command, deps);
  return async () => {
    const standingApproval = await deps.ledger.standingApprovals.add(standingApprovalOf(command, token));
    const summary = `${by} approves in advance what ${subject} does: ${boundsOf(command)}, until ${standingApproval.until}: ${reason}`;
    return {
      kind: 'create_standing_approval',
      standingApproval,
      receipt: await appendCommandReceipt(command, summary, deps),
    };
  };
}

/** Describes the bounds of a standing approval: `payments:refund in production, at most 1 rows each, 10 actions, 50 EUR`. */
function boundsOf({
  tool,
  operation = '*',
  environment,
  maxRows,
  actions,
  amounts = {},
}: AuthorityCommand<'create_standing_approval'>): string {
  return [
    `${tool}:${operation}${environment === undefined ? '' : ` in ${environment}`}`,
    ...(maxRows === undefined ? [] : [`at most ${maxRows} rows each`]),
    ...(actions === undefined ? [] : [`${actions} actions`]),
    ...Object.entries(amounts).map(([unit, amount]) => `${amount} ${unit}`),
  ].join(', ');
}

async function withdrawStandingApproval(
  command: AuthorityCommand<'withdraw_standing_approval'>,
  deps: Dependencies,
): Promise<Execute> {
  const { tenant, subject, by, reason } = command;
  const found = await deps.ledger.standingApprovals.find(tenant, subject);
  if (found === undefined) throw notFound('standing approval', subject, tenant);
  assertOwn(command, [found.by], deps);
  return async () => {
    await deps.ledger.controls.revoke({ tenant, jti: subject, by, reason });
    const standingApproval = (await deps.ledger.standingApprovals.find(tenant, subject)) ?? found;
    const summary = `${by} withdrew the standing approval ${subject} of ${found.by} for ${found.agent}: ${reason}`;
    return {
      kind: 'withdraw_standing_approval',
      standingApproval,
      receipt: await appendCommandReceipt(command, summary, deps),
    };
  };
}

/** People can delegate only a role of their own: a role that was delegated to them is not passed on. */
async function delegateRole(
  command: AuthorityCommand<'delegate_role'>,
  token: string,
  deps: Dependencies,
): Promise<Execute> {
  const { by, subject, role, roles, until, reason } = command;
  if (!roles.includes(role)) {
    throw new CountersignError('ROLE_REQUIRED', `${by} does not have the role ${role} by their own credential.`, {
      field: 'command.role',
      expected: `one of: ${roles.join(', ') || '(none)'}`,
      fix: 'Ask somebody who has the role.',
    });
  }
  if (samePerson(by, subject))
    throw invalid('subject', 'A role delegation is given to somebody else.', "another person's id");
  assertTime(until, MAX_ROLE_DELEGATION_MS, token, command, deps);
  return async () => {
    const roleDelegation = await deps.ledger.roleDelegations.add(roleDelegationOf(command, token));
    const summary = `${by} has ${subject} exercise the role ${role} from ${roleDelegation.since} until ${roleDelegation.until}: ${reason}`;
    return { kind: 'delegate_role', roleDelegation, receipt: await appendCommandReceipt(command, summary, deps) };
  };
}

/** The person who holds the role delegation may end it too, not only its giver. */
async function endRoleDelegation(
  command: AuthorityCommand<'end_role_delegation'>,
  deps: Dependencies,
): Promise<Execute> {
  const { tenant, subject, by, reason } = command;
  const found = await deps.ledger.roleDelegations.find(tenant, subject);
  if (found === undefined) throw notFound('role delegation', subject, tenant);
  assertOwn(command, [found.by, found.person], deps);
  return async () => {
    await deps.ledger.controls.revoke({ tenant, jti: subject, by, reason });
    const roleDelegation = (await deps.ledger.roleDelegations.find(tenant, subject)) ?? found;
    const summary = `${by} relieved ${found.person} of the role delegation ${subject} (${found.role} for ${found.by}): ${reason}`;
    return {
      kind: 'end_role_delegation',
      roleDelegation,
      receipt: await appendCommandReceipt(command, summary, deps),
    };
  };
}

/** People need no role to change what is their own; to change what is another's, they need a role that may revoke. */
function assertOwn({ by, roles }: AuthorityCommand, own: readonly string[], { settings }: Dependencies): void {
  const { revoke } = settings.roles;
  if (own.some((person) => samePerson(person, by)) || revoke.some((role) => roles.includes(role))) return;
  throw new CountersignError('ROLE_REQUIRED', `${by} may not do this with what is another's.`, {
    field: 'command.roles',
    expected: `one of: ${revoke.join(', ') || '(nobody may)'}`,
    fix: `Ask ${own.join(' or ')}, or somebody who has the role.`,
  });
}

/**
 * Checks that `until` lies in the future and at most `longestMs` after the command was signed. Where the person signed with a credential of
 * their own, rather than through a gateway, `until` must not be later than the credential's expiry either.
 */
function assertTime(
  until: string,
  longestMs: number,
  token: string,
  { auth, at }: AuthorityCommand,
  { ledger }: Dependencies,
): void {
  const end = Date.parse(until);
  const [from, longest] = [Date.parse(at), Date.parse(at) + longestMs];
  if (!(end > ledger.clock.now().getTime() && end > from))
    throw invalid('until', 'It would be over already.', 'a time in the future');
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
  return new CountersignError('COMMAND_INVALID', message, {
    field: `command.${field}`,
    expected,
    fix: 'Say it anew.',
  });
}

/** The error is the same for what belongs to another tenant, so that the signer learns nothing about it. */
function notFound(what: string, id: string, tenant: string): CountersignError {
  return new CountersignError('NOT_FOUND', `There is no ${what} ${id} of tenant ${tenant}.`, {
    field: 'id',
    expected: `the id of a ${what} of this tenant`,
    fix: 'List them and choose one.',
  });
}
