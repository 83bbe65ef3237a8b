/**
 * Canaries: what nobody proposed is previewed and decided on like a proposal, and shown to people where policy asks for them. Its steps end
 * there: nothing is sealed, admitted, held or granted, and no step of an action takes anything that these return.
 */
import { canaryOutcome, canaryPreDigest, endOf, type Canary, type CanaryTemplate } from '../src/action/canary.js';
import { canaryProposal } from '../src/action/canary-template.js';
import { CountersignError } from '../src/action/errors.js';
import { digest } from '../src/action/json.js';
import { proposalDigest } from '../src/action/proposal.js';
import { samePerson } from '../src/action/quorum.js';
import { EMPTY_SNAPSHOT } from '../src/action/snapshot.js';
import type { Outcome } from '../src/action/outcome.js';
import { verifyCommand, type SignedCommand } from '../src/trust/index.js';
import { verifiedDecision } from './approvals.js';
import { readAuthorizedInput, type Authentic } from './authenticate.js';
import { canaryOdds } from './canary-round.js';
import { appendCommandReceipt } from './command-receipt.js';
import type { Activities, CanaryDecided, CanarySeen, CanaryTicket, OpenedCanary, OtherTaskQueue } from './contract.js';
import type { Dependencies } from './deps.js';
import { assertNothingAgainst } from './dry-run.js';
import { assertSameTool, ruleOn } from './enforce.js';
import { assertCredentialsValid, assertMay, useOnce } from './execute-command.js';
import { previewOf } from './propose.js';
import { shownOf } from './request-approval.js';
import { redactorOf, workflowIdentity } from './step.js';

/** How many may wait for the people of a tenant at the same time. */
const MOST_OPEN = 3;

type SendCanary = Extract<SignedCommand, { kind: 'send_canary' }>;

/** What is to be sent, and on whose word. */
interface Order {
  readonly template: CanaryTemplate;
  readonly reason: string;
  readonly nonce: string;
  /** Absent where it is due by the config. */
  readonly command?: SendCanary;
}

/** What the tool's system says: on a worker that has the tool. @throws CountersignError COMMAND_INVALID, ROLE_REQUIRED, CANARY_INVALID, INVALID_* */
export async function previewCanary(ticket: CanaryTicket, deps: Dependencies): Promise<CanarySeen | OtherTaskQueue> {
  const read = readAuthorizedInput(authenticOf(await orderOf(ticket, deps), deps), deps);
  const { tool, actionType, operation } = read;
  if (tool.taskQueue !== undefined && tool.taskQueue !== deps.taskQueue) {
    return { kind: 'other_task_queue', taskQueue: tool.taskQueue };
  }
  const preview = await previewOf(read);
  const { name, kind, environment } = tool;
  return { kind: 'seen', tool: { name, kind, environment }, actionType, operation, preview };
}

/**
 * Shows it to people, where policy asks for them as of any proposal. Idempotent: what an earlier attempt has shown stays shown, whatever has
 * been decided, frozen or configured since, because no later one may say that it was never sent.
 *
 * @throws CountersignError as `previewCanary`; RATE_LIMITED, ACTION_CONFLICT, FROZEN
 */
export async function openCanary(
  { ticket, seen }: { readonly ticket: CanaryTicket; readonly seen: CanarySeen },
  deps: Dependencies,
): ReturnType<Activities['openCanary']> {
  const { tenant, actionId } = workflowIdentity();
  const command = 'command' in ticket ? await verifiedSending(ticket.command, deps) : undefined;
  const nonce = 'command' in ticket ? (command?.jti ?? '') : ticket.nonce;
  const earlier = await deps.ledger.canaries.opened({ tenant, actionId, nonce });
  const canary = earlier ?? (await opened(await orderOf(ticket, deps), seen, deps));
  const request = await deps.ledger.approvalRequests.find(tenant, actionId);
  if (request === undefined) throw gone(actionId);
  const { shown, shownDigest, decision } = request;
  const { sentAt: since, expiresAt } = canary;
  const answer: OpenedCanary = {
    pending: { shown, shownDigest, decision, expiresAt, since },
    canary,
    announce: deps.notifier !== undefined,
  };
  if (command === undefined) return answer;
  const summary = `${command.by} sent a canary to the people who decide by ${canary.rules.join(', ')}`;
  return { ...answer, receipt: await appendCommandReceipt(command, summary, deps) };
}

async function opened(order: Order, seen: CanarySeen, deps: Dependencies): Promise<Canary> {
  const authentic = authenticOf(order, deps);
  const { tenant } = authentic.agent;
  const { actionId } = authentic.proposal;
  const read = readAuthorizedInput(authentic, deps);
  assertSameTool(seen, read);
  const { facts, decision, queue } = await ruleOn(authentic, read, seen.preview, deps);
  const { effect, reason: said, requirements } = decision;
  if (effect !== 'require_approval') throw notAsked(`Policy would ${effect} it: ${said}`, 'command.canary');
  if (queue !== undefined) throw notAsked(`It would wait for room in a limit: ${queue.reason}`, 'command.canary');
  if (seen.preview.refusal !== undefined) throw notAsked(seen.preview.refusal.message, 'command.canary.input');
  const { rule } = order.template;
  if (rule !== undefined && !requirements.some(({ policy }) => policy === rule)) {
    throw notAsked(
      `People would be asked by ${requirements.map(({ policy }) => policy).join(', ')}, and not by ${rule}.`,
      'command.canary.rule',
    );
  }
  await assertNothingAgainst(authentic, seen, deps);

  const pre = { ...EMPTY_SNAPSHOT, digest: canaryPreDigest({ tenant, actionId }, order.nonce) };
  const shown = shownOf(authentic, { facts, decision, pre }, await redactorOf(authentic, deps));
  const { command, reason, nonce } = order;
  const { mostPerWeek, mostPerPersonPerDay } = deps.settings.canaries;
  if (command !== undefined) await useOnce(command, deps);
  return deps.ledger.canaries.open({
    tenant,
    actionId,
    nonce,
    shown,
    shownDigest: digest(shown),
    decision,
    reason,
    ...(command === undefined ? {} : { sentBy: command.by }),
    most: { perWeek: mostPerWeek, open: MOST_OPEN, perPersonPerDay: mostPerPersonPerDay },
  });
}

/**
 * Ends a canary with a person's signed decision, verified as one on an action, and counted nowhere but here.
 *
 * @throws CountersignError APPROVAL_*, PASSKEY_*, CREDENTIAL_REVOKED, NOT_PENDING
 */
export async function decideCanary(token: string, deps: Dependencies): Promise<CanaryDecided> {
  const { tenant, actionId } = workflowIdentity();
  const [request, canary] = await Promise.all([
    deps.ledger.approvalRequests.find(tenant, actionId),
    deps.ledger.canaries.find(tenant, actionId),
  ]);
  if (request === undefined || canary === undefined) throw gone(actionId);
  const { shown, shownDigest, requirements, policyDigest } = request;
  const record = await verifiedDecision({ token, shown, shownDigest, requirements, policyDigest }, deps, (approval) => {
    const { sentBy } = canary;
    if (sentBy === undefined || !samePerson(approval.approver.id, sentBy)) return;
    throw new CountersignError('APPROVAL_FORBIDDEN', 'You sent this canary yourself, so your decision says nothing.', {
      field: 'approval.approver',
      expected: 'another person',
      fix: 'Leave it to the others, or take it back: countersign cancel.',
    });
  });
  const decided = await deps.ledger.canaries.decide({ tenant, actionId, shownDigest }, record);
  return { record, outcome: outcomeOf(decided, request.shown) };
}

/** Ends a canary that nobody decided on. @returns how it ended, which may be otherwise */
export async function endCanary(ending: 'expired' | 'withdrawn', deps: Dependencies): Promise<Outcome> {
  const { tenant, actionId } = workflowIdentity();
  const [canary, request] = await Promise.all([
    deps.ledger.canaries.close({ tenant, actionId }, ending),
    deps.ledger.approvalRequests.find(tenant, actionId),
  ]);
  if (canary === undefined || request === undefined) throw gone(actionId);
  return outcomeOf(canary, request.shown);
}

function outcomeOf(canary: Canary, shown: Parameters<typeof canaryOutcome>[0]): Outcome {
  const end = endOf(canary);
  if (end === undefined) throw new CountersignError('INTERNAL', 'The canary was ended, and is not.');
  return canaryOutcome(shown, end);
}

/** @throws CountersignError COMMAND_INVALID, ROLE_REQUIRED, CREDENTIAL_REVOKED, CANARY_INVALID */
async function orderOf(ticket: CanaryTicket, deps: Dependencies): Promise<Order> {
  if ('command' in ticket) {
    const command = await verifiedSending(ticket.command, deps);
    await assertCredentialsValid(command, deps);
    assertMay(command, undefined, deps);
    return { template: command.canary, reason: command.reason, nonce: command.jti, command };
  }
  return { ...dueTemplate(ticket.template, deps), nonce: ticket.nonce };
}

/** Whether its sender may send it is another question. @throws CountersignError COMMAND_INVALID */
async function verifiedSending(token: string, deps: Dependencies): Promise<SendCanary> {
  const { tenant, actionId } = workflowIdentity();
  const command = await verifyCommand(deps.keyring, token, { now: await deps.ledger.clock.read() });
  if (command.kind === 'send_canary' && command.tenant === tenant && command.subject === actionId) return command;
  throw new CountersignError('COMMAND_INVALID', 'The signed command does not send this canary.', {
    field: 'command.subject',
    expected: `a canary of the id ${actionId}`,
    fix: 'Hand it in with `countersign canary send`, or through the client.',
  });
}

/** Time may have passed since it was drawn, and the config may be another by now. @throws CountersignError CANARY_INVALID */
function dueTemplate(
  name: string,
  { settings: { canaries }, ledger }: Dependencies,
): Pick<Order, 'template' | 'reason'> {
  const { tenant } = workflowIdentity();
  const template = canaries.templates[name];
  if (template === undefined || !canaries.tenants.includes(tenant)) {
    throw new CountersignError('CANARY_INVALID', `No canary ${JSON.stringify(name)} is due in ${tenant}.`, {
      field: 'oversight.canaries.templates',
      expected: 'the same `oversight.canaries` in the config of every worker',
      fix: 'Give all workers the same config.',
      // Another worker may have it.
      retryable: true,
    });
  }
  if (canaryOdds(canaries, ledger.clock.now()) === 0) {
    throw new CountersignError('CANARY_INVALID', `The canary ${JSON.stringify(name)} is due no more.`, {
      field: canaries.perWeek === 0 ? 'oversight.canaries.perWeek' : 'oversight.canaries.hours',
      expected: 'a moment at which canaries are sent by themselves',
      fix: 'Do nothing: it is not sent, and another one will be due in time.',
    });
  }
  const { reason, ...content } = template;
  return { template: content, reason };
}

/** As if the agent had proposed it. Nothing is signed in its name, so no step of an action would take it. */
function authenticOf({ template }: Order, { ledger }: Dependencies): Authentic {
  const { tenant, actionId } = workflowIdentity();
  const proposal = canaryProposal(actionId, template);
  const { id, roles, owner } = template.agent;
  return {
    proposal,
    digest: proposalDigest(proposal),
    agent: { id, tenant, roles, scopes: ['*'], ...(owner === undefined ? {} : { owner }) },
    authority: { credentials: [], caps: [], above: [] },
    at: ledger.clock.now(),
  };
}

function notAsked(why: string, field: string): CountersignError {
  return new CountersignError('CANARY_INVALID', `Nobody would be asked about such an action. ${why}`, {
    field,
    expected: 'an action that policy asks people about, by the rule that is named',
    fix: 'Change the input, the agent or the rule; `countersign policy explain` says what policy makes of it.',
  });
}

function gone(actionId: string): CountersignError {
  return new CountersignError('NOT_FOUND', `There is no canary ${actionId}.`, { field: 'actionId' });
}
