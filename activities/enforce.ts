/** Step 2, `enforce`: evaluates policy, limits and what earlier actions came to, on facts that are recorded completely. */
import type { Cause, Decision, Facts, Preview } from '../src/action/decision.js';
import { CountersignError } from '../src/action/errors.js';
import type { Outcome } from '../src/action/outcome.js';
import type { Agent } from '../src/action/principal.js';
import { deniedAtLimit, type Policy, type Ruling } from '../src/policy/index.js';
import type { CompensationAuthorizationClaims, Editor } from '../src/trust/index.js';
import { admit } from './admit.js';
import { accountable, authenticate, readAuthorizedInput, type Authentic, type ToolInput } from './authenticate.js';
import type { Activities, EnforceInput, Enforced, Proposed, Queued, Refused } from './contract.js';
import type { Dependencies } from './deps.js';
import { NOBODY, readerOf, rulingOf, type Beside } from './ruling.js';
import { fromView } from './effect-reports.js';
import { compareInShadow, withMarksForShadow, type MakeRuling, type ReadLimits } from './shadow.js';
import { StepRun } from './step.js';
import { assertWatched } from './watched.js';

/** Authenticates the agent again: a decision must rest on its signature, not on the record of a worker that has a tool's credentials. */
export async function enforce(input: EnforceInput, deps: Dependencies): ReturnType<Activities['enforce']> {
  const { request, maxWaitOver } = input;
  const run = new StepRun('enforce', request.proposal, deps);
  const context: { facts?: Facts; decision?: Decision } = {};
  let authentic: Authentic | undefined;
  try {
    const proposed = run.open<Proposed>('propose', input.proposed);
    authentic = await authenticate(request, deps);
    await assertRevises(authentic, deps);
    const read = readAuthorizedInput(authentic, deps);
    assertSameTool(proposed, read);

    const note = (facts: Facts): void => {
      context.facts = facts;
    };
    const ruling = await ruleOn(authentic, read, proposed.preview, deps, { note });
    const decided = authentic;
    const again: MakeRuling = (policy, readLimits) =>
      ruleWith(policy, decided, read, proposed.preview, deps, { readLimits });
    compareInShadow(decided, read, ruling, again, deps);
    const { decision, queue, holds, measured, history } = maxWaitOver ? withoutQueue(ruling) : ruling;
    context.facts = ruling.facts;
    context.decision = decision;
    if (decision.effect === 'deny') throw refusal(decision, ruling);
    if (proposed.preview.refusal !== undefined) throw fromView(proposed.preview.refusal);

    await assertWatched(read.tool, read.actionType, deps);

    const { credentials } = authentic.authority;
    const enforced = { facts: ruling.facts, decision };
    if (queue !== undefined) {
      // An action that has ended, conflicts or is frozen does not wait for room.
      const admitted = await admit({ ...enforced, credentials }, request, deps, []);
      if (admitted.kind === 'ended') return admitted;
      const { kind: _kind, ...waiting } = queue;
      return run.seal<Queued>({ kind: 'queued', ...enforced, ...waiting });
    }
    const amounts = measured.map(({ unit, amount }) => ({ unit, amount }));
    const claim = withMarksForShadow(history, ruling.facts, authentic, deps);
    const relied = claim === undefined ? {} : { history: claim };
    return run.seal<Enforced>({ kind: 'enforced', ...enforced, credentials, holds, measured: amounts, ...relied });
  } catch (thrown) {
    const refused = run.refuse(thrown, withoutSample(context));
    if (authentic !== undefined) deps.refusals.count(accountable(authentic.agent));
    return refused;
  }
}

interface RuleOptions {
  /** Is told the facts before they are ruled on, so that a refusal can be recorded with them. */
  readonly note?: (facts: Facts) => void;
  /** Others that are decided together with it, and come first. */
  readonly beside?: Beside;
  /** Default: the ledger's counters. */
  readonly readLimits?: ReadLimits;
}

/** What policy and limits say now. */
export async function ruleOn(
  authentic: Authentic,
  read: ToolInput,
  preview: Preview,
  deps: Dependencies,
  options?: RuleOptions,
): Promise<Ruling> {
  return ruleWith(deps.policy.current(), authentic, read, preview, deps, options);
}

async function ruleWith(
  policy: Policy,
  authentic: Authentic,
  read: ToolInput,
  preview: Preview,
  deps: Dependencies,
  { note = () => {}, beside = NOBODY, readLimits }: RuleOptions = {},
): Promise<Ruling> {
  const facts = factsOf(authentic, read, preview, policy);
  note(facts);
  policy.checkInput(facts);
  return rulingOf(authentic, read.tool, facts, beside, policy, readerOf(deps, readLimits));
}

/** Removes the sampled rows from a refusal, so that the agent does not learn from it what they hold. */
function withoutSample({ facts, decision }: Pick<Refused, 'facts' | 'decision'>): Pick<Refused, 'facts' | 'decision'> {
  return {
    ...(facts === undefined ? {} : { facts: { ...facts, preview: { ...facts.preview, sample: [] } } }),
    ...(decision === undefined ? {} : { decision }),
  };
}

/** All workers must have the same definition of a tool, or the decision would be about something other than what is executed. */
export function assertSameTool(
  proposed: Pick<Proposed, 'tool' | 'actionType' | 'operation'>,
  { tool, actionType, operation }: ToolInput,
): void {
  const same =
    proposed.tool.name === tool.name &&
    proposed.tool.environment === tool.environment &&
    proposed.actionType === actionType &&
    proposed.operation === operation;
  if (same) return;
  throw new CountersignError('UNKNOWN_TOOL', `Workers disagree on what the tool ${tool.name} is.`, {
    field: 'proposal.tool',
    expected: 'the same config of the tool on every worker',
    fix: 'Give all workers the same config, then propose again.',
  });
}

/** Denies an action that would be queued again after it has waited for as long as it may. */
function withoutQueue(ruling: Ruling): Ruling {
  const { queue, ...rest } = ruling;
  if (queue === undefined) return ruling;
  return { ...rest, decision: queue.inVain ?? deniedAtLimit(ruling.decision, 'LIMIT_EXCEEDED', queue.reason) };
}

export function refusal({ code, reason }: Decision, { problem = {} }: Ruling): CountersignError {
  return new CountersignError(code ?? 'POLICY_DENIED', reason, problem);
}

/** @throws CountersignError POLICY_ERROR when what the policy declares of the input cannot be recorded */
function factsOf(
  { proposal, agent, authority, authorization, editor, at }: Authentic,
  { tool, actionType, operation, input }: ToolInput,
  preview: Preview,
  policy: Policy,
): Facts {
  const declared = policy.declaredInput(actionType, input);
  return {
    agent,
    ...(authority.above.length === 0 ? {} : { above: authority.above }),
    actionType,
    tool: { name: tool.name, kind: tool.kind, environment: tool.environment },
    operation,
    preview,
    ...(declared === undefined ? {} : { input: declared }),
    ...(authorization === undefined ? {} : { compensates: causeOf(authorization) }),
    ...(editor === undefined ? {} : { editedBy: editor.id }),
    ...(proposal.from === undefined ? {} : { from: proposal.from }),
    now: at.toISOString(),
  };
}

function causeOf({ cause: { actionId, receipt }, agent }: CompensationAuthorizationClaims): Cause {
  return { actionId, agent, receipt };
}

/**
 * A proposal may revise only an action of the same agent, or of one in the same chain, for which a person requested changes. Otherwise it
 * would claim to do what people requested although nobody did. What a person made of it themselves must be on its record: there is one
 * edit of an action.
 *
 * @throws CountersignError INVALID_PROPOSAL
 */
export async function assertRevises({ proposal, agent, editor }: Authentic, { ledger }: Dependencies): Promise<void> {
  const { revises } = proposal;
  if (revises === undefined) return;
  const outcome = (await ledger.actions.find(agent.tenant, revises))?.outcome;
  const proposer = outcome?.facts?.agent;
  const decided = editor === undefined || isRecorded(editor, outcome);
  const asked = outcome?.error?.code === 'CHANGES_REQUESTED' && decided;
  if (asked && proposer !== undefined && rootOf(proposer) === rootOf(agent)) return;
  // The error is the same when there is no such action, so that no agent learns of another agent's actions.
  throw new CountersignError('INVALID_PROPOSAL', `No changes were asked for of an action ${revises} of this agent.`, {
    field: 'proposal.revises',
    expected: 'the id of an action of the same agent that ended with CHANGES_REQUESTED',
    fix: 'Leave it out, or name the action whose outcome asks for changes.',
  });
}

function isRecorded(editor: Editor, outcome: Outcome | undefined): boolean {
  if (outcome?.revisedBy !== editor.edited) return false;
  return outcome.approvals.some(({ digest }) => digest === editor.decision);
}

function rootOf({ id, via: [root = id] = [] }: Agent): string {
  return root;
}
