/** Carries out signed commands: verifies who signed one, whether they may give it, and that it was not used before. */
import { Context } from '@temporalio/activity';
import { CountersignError } from '../src/action/errors.js';
import { freezeNotFound } from '../src/action/errors-not-found.js';
import type { Freeze } from '../src/action/freeze.js';
import { compensationWorkflowId } from '../src/action/compensation-ids.js';
import { pinsReceiptId } from '../src/ledger/index.js';
import { verifyCommand, type SignedCommand } from '../src/trust/index.js';
import type { CommandResult } from './contract.js';
import type { CommandRoles, Dependencies } from './deps.js';
import {
  checkAuthorityCommand,
  isAuthorityCommand,
  type Execute,
  type AuthorityCommandKind,
} from './authority-commands.js';
import { acknowledgeAlerts } from './acknowledge-alerts.js';
import { appendCommandReceipt } from './command-receipt.js';
import { checkPolicyCommand, isPolicyCommand, type PolicyCommandKind } from './policy-commands.js';
import { checkResolution } from './resolve-unknown.js';

type Unfreeze = Extract<SignedCommand, { kind: 'unfreeze' }>;
type Revoke = Extract<SignedCommand, { kind: 'revoke' }>;
type AcceptPins = Extract<SignedCommand, { kind: 'accept_pins' }>;
type Recover = Extract<SignedCommand, { kind: 'recover' }>;

const NONCES = 'statement';

/**
 * Carries out a signed command. Each part can be repeated without a second effect, so another worker can continue when this one dies. The
 * signed command itself works only once: it is refused when it is submitted again.
 *
 * @throws CountersignError COMMAND_INVALID, ROLE_REQUIRED, APPROVAL_FORBIDDEN, PASSKEY_INVALID, CREDENTIAL_REVOKED, NOT_FOUND, NOT_UNKNOWN,
 *   POLICY_CONFLICT, POLICY_INVALID, EVIDENCE_REQUIRED
 */
export async function executeCommand(token: string, deps: Dependencies): Promise<CommandResult> {
  const command = await verifiedCommand(token, deps);
  const carryOut = isAuthorityCommand(command)
    ? await checkAuthorityCommand(command, token, deps)
    : isPolicyCommand(command)
      ? await checkPolicyCommand(command, token, deps)
      : await checkOperatorCommand(command, deps);
  await useOnce(command, deps);
  await deps.faults.at('command.after-nonce');
  return carryOut();
}

/** @throws CountersignError COMMAND_INVALID, CREDENTIAL_REVOKED */
async function verifiedCommand(token: string, deps: Dependencies): Promise<SignedCommand> {
  const command = await verifyCommand(deps.keyring, token, { now: await deps.ledger.clock.read() });
  await assertCredentialsValid(command, deps);
  return command;
}

type OperatorCommand = Exclude<SignedCommand, { kind: AuthorityCommandKind | PolicyCommandKind }>;

async function checkOperatorCommand(command: OperatorCommand, deps: Dependencies): Promise<Execute> {
  const freeze = command.kind === 'unfreeze' ? await freezeOf(command, deps) : undefined;
  assertMay(command, freeze, deps);
  if (command.kind === 'recover') assertAddressee(command);
  switch (command.kind) {
    case 'unfreeze':
      return () => lift(command, freeze as Freeze, deps);
    case 'resolve':
      return checkResolution(command, deps);
    case 'revoke':
      return () => revoke(command, deps);
    case 'recover':
      return () => recover(command, deps);
    case 'accept_pins':
      return () => acceptPins(command, deps);
    case 'acknowledge_alerts':
      return () => acknowledgeAlerts(command, deps);
    case 'send_canary':
      throw misdirectedCanary();
  }
}

/** Checks that a `recover` command was submitted to the workflow that waits for it. In any other it would have no effect. */
function assertAddressee({ tenant, subject }: Recover): void {
  const expected = compensationWorkflowId(tenant, subject);
  if (Context.current().info.workflowExecution?.workflowId === expected) return;
  throw new CountersignError('COMMAND_INVALID', 'The signed command is for the undoing of another action.', {
    field: 'command.subject',
    expected: `to be handed in to ${expected}`,
    fix: 'Hand it in with `countersign saga retry` or `accept`, or through the client.',
  });
}

/** It is sent by a workflow that goes on when it is sent. */
function misdirectedCanary(): CountersignError {
  return new CountersignError('COMMAND_INVALID', 'A canary is not sent by this workflow.', {
    field: 'command.kind',
    fix: 'Hand it in with `countersign canary send`, or through the client.',
  });
}

async function recover(command: Recover, deps: Dependencies): Promise<CommandResult> {
  const { by, verdict, subject, reason } = command;
  const summary =
    verdict === 'retry'
      ? `${by} has the undoing of ${subject} tried again: ${reason}`
      : `${by} accepts that ${subject} is not undone: ${reason}`;
  return { kind: 'recover', verdict, by, reason, receipt: await appendCommandReceipt(command, summary, deps) };
}

/** The receipt is the acceptance: workers that start look for it. */
async function acceptPins(command: AcceptPins, deps: Dependencies): Promise<CommandResult> {
  const { by, subject, pins, reason, jti } = command;
  const summary = `${by} accepts what ${subject} offers, pinned as ${pins}: ${reason}`;
  const receipt = await appendCommandReceipt(command, summary, deps, pinsReceiptId(pins, jti));
  return { kind: 'accept_pins', pins, receipt };
}

/** Refuses a command whose signer's credential was revoked. @throws CountersignError CREDENTIAL_REVOKED */
export async function assertCredentialsValid(
  { tenant, credentials }: SignedCommand,
  { ledger }: Dependencies,
): Promise<void> {
  const revocation = await ledger.controls.revoked({ tenant, credentials });
  if (revocation === undefined) return;
  throw new CountersignError(
    'CREDENTIAL_REVOKED',
    `The credential that signed this was revoked: ${revocation.reason}`,
    {
      field: 'command.credential',
      fix: 'Ask the operator for a new credential.',
    },
  );
}

/** Finds the freeze to lift. To the signer, only freezes of their own tenant and of all tenants exist. @throws CountersignError NOT_FOUND */
async function freezeOf({ subject, tenant }: Unfreeze, { ledger }: Dependencies): Promise<Freeze> {
  const found = (await ledger.controls.freezes()).find(({ id }) => id === Number(subject));
  if (found !== undefined && (found.tenant === tenant || found.tenant === '*')) return found;
  throw freezeNotFound(subject, ` of tenant ${tenant}`);
}

/** Which of the config's `roles` each asks for. */
const ROLES = {
  unfreeze: 'unfreeze',
  resolve: 'resolve',
  revoke: 'revoke',
  recover: 'recover',
  accept_pins: 'pins',
  send_canary: 'canary',
  // What the radar finds is of no tenant, as what stops all of them.
  acknowledge_alerts: 'unfreezeAll',
} as const satisfies Record<OperatorCommand['kind'], keyof CommandRoles>;

const WORDS: Readonly<Record<OperatorCommand['kind'], string>> = {
  unfreeze: 'unfreeze this',
  resolve: 'resolve this',
  revoke: 'revoke this',
  recover: 'recover this',
  accept_pins: 'accept pins',
  send_canary: 'send canaries',
  acknowledge_alerts: 'acknowledge what the radar found',
};

/**
 * Checks that the signer has a role for the command. An agent needs none: verifying its signature showed that it may revoke this.
 *
 * @throws CountersignError ROLE_REQUIRED
 */
export function assertMay(
  command: OperatorCommand,
  freeze: Freeze | undefined,
  { settings: { roles } }: Dependencies,
): void {
  if (command.signer === 'agent') return;
  const needed = freeze?.tenant === '*' ? roles.unfreezeAll : roles[ROLES[command.kind]];
  if (needed.some((role) => command.roles.includes(role))) return;
  const what = WORDS[command.kind];
  throw new CountersignError('ROLE_REQUIRED', `${command.by} has none of the roles that may ${what}.`, {
    field: 'command.roles',
    expected: `one of: ${needed.join(', ') || '(nobody may)'}`,
    fix: 'Ask somebody who has the role; the operator gives it with `countersign approver create --role`.',
  });
}

/** Uses up the command's id. A retry of the same activity is the same use. @throws CountersignError COMMAND_INVALID */
export async function useOnce({ jti, expiresAt }: SignedCommand, { ledger }: Dependencies): Promise<void> {
  const { workflowExecution, activityId } = Context.current().info;
  const by = `${workflowExecution?.workflowId ?? ''}/${workflowExecution?.runId ?? ''}/${activityId}`;
  if (await ledger.nonces.use({ scope: NONCES, nonce: jti, expiresAt, by })) return;
  throw new CountersignError('COMMAND_INVALID', 'The signed command was used before, or is over.', {
    field: 'command.jti',
    expected: 'a signed command that was never handed in',
    fix: 'Sign a new one.',
  });
}

async function lift(command: Unfreeze, freeze: Freeze, deps: Dependencies): Promise<CommandResult> {
  const { by, reason } = command;
  const lifted = await deps.ledger.controls.unfreeze(freeze.id, { by, reason });
  const end = lifted.lifted;
  // A freeze that the same person lifted for the same reason was lifted by an earlier attempt of this command.
  if (end?.by !== by || end.reason !== reason) throw liftedBefore(lifted);
  const scope = freeze.scope.kind === 'all' ? 'everything' : `${freeze.scope.kind} ${freeze.scope.value ?? ''}`;
  const receipt = await appendCommandReceipt(command, `${by} lifted freeze ${freeze.id} (${scope}): ${reason}`, deps);
  return { kind: 'unfreeze', freeze: lifted, receipt };
}

function liftedBefore({ id, lifted }: Freeze): CountersignError {
  return new CountersignError('NOT_FOUND', `Freeze ${id} was lifted before, by ${lifted?.by ?? 'somebody'}.`, {
    field: 'id',
    expected: 'a freeze that still holds',
    fix: 'List them: countersign freezes',
  });
}

async function revoke(command: Revoke, deps: Dependencies): Promise<CommandResult> {
  const { tenant, subject: jti, by, reason } = command;
  const revocation = await deps.ledger.controls.revoke({ tenant, jti, by, reason });
  const again = revocation.by === by ? '' : `, which ${revocation.by} had revoked before`;
  const receipt = await appendCommandReceipt(command, `${by} revoked ${jti}${again}: ${reason}`, deps);
  return { kind: 'revoke', revocation, receipt };
}
