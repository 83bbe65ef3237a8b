/** What the Temporal UI shows of an action: its current details and its search attributes. No secret may enter either. */
import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import type { SearchAttributePair } from '@temporalio/common';
import type { Facts, DecisionEffect } from '../src/action/decision.js';
import { ATTRIBUTES, MAX_SUMMARY } from '../src/temporal.js';
import { STEPS, type Outcome, type PendingView, type Step } from '../src/action/outcome.js';
import type { CompensationView, SagaView } from '../src/action/saga.js';

/** What is said of an action here. A canary has no more facts than these. */
type Told = Pick<Facts, 'tool' | 'actionType'> & {
  readonly agent: Pick<Facts['agent'], 'id'>;
  readonly preview: Pick<Facts['preview'], 'summary'>;
};

function attributes(
  status: string,
  facts: Told | undefined,
  effect: DecisionEffect | undefined,
): SearchAttributePair[] {
  return [
    { key: ATTRIBUTES.status, value: status },
    ...(effect === undefined ? [] : [{ key: ATTRIBUTES.decision, value: effect }]),
    ...(facts === undefined
      ? []
      : [
          { key: ATTRIBUTES.environment, value: facts.tool.environment },
          { key: ATTRIBUTES.actionType, value: facts.actionType },
          { key: ATTRIBUTES.agent, value: facts.agent.id },
        ]),
  ];
}

export function showPending(pending: PendingView, facts: Told): void {
  upsertSearchAttributes(attributes('pending', facts, 'require_approval'));
  tellPending(pending, facts);
}

/** The details alone: an escalation makes it no other status, and costs no event here. */
export function tellPending({ shown, expiresAt, escalated }: PendingView, facts: Told): void {
  const others = escalated === undefined ? '' : `\n\nnow also: ${escalated.join(', ')}`;
  setCurrentDetails(
    `**Waiting for people** until ${expiresAt}\n\n${headline(facts)}\n\n` +
      shown.requirements
        .map(
          ({ quorum, roles, passkey, reason, policy }) =>
            `- ${quorum} × ${roles.join(' or ')}${passkey === true ? ', with a passkey' : ''}: ${reason} (\`${policy}\`)`,
        )
        .join('\n') +
      others,
  );
}

/** One upsert for the whole wait, however often the limit is looked at. */
export function showQueued(
  facts: Facts,
  waits: { reason: string; until: string; first: boolean; for: 'room' | 'earlier actions' },
): void {
  if (waits.first) upsertSearchAttributes(attributes('queued', facts, undefined));
  setCurrentDetails(`**Waiting for ${waits.for}** until ${waits.until}: ${waits.reason}\n\n${headline(facts)}`);
}

/** What each step came to so far. Local activities have no summary of their own, so their lines are here. Costs no event. */
export function showSteps(lines: ReadonlyMap<Step, string>): void {
  setCurrentDetails(stepLines(lines));
}

function stepLines(lines: ReadonlyMap<Step, string>): string {
  return STEPS.flatMap((step) => {
    const line = lines.get(step);
    return line === undefined ? [] : [`- **${step}**: ${line}`];
  }).join('\n');
}

/** One upsert, whatever the action went through: an allowed action pays for a single event here. */
export function showOutcome(outcome: Outcome, lines: ReadonlyMap<Step, string>): void {
  upsertSearchAttributes([
    ...attributes(outcome.status, outcome.facts, outcome.decision?.effect),
    // A stranger's refusal is in a chain of its own: its number says nothing of this tenant's.
    ...(outcome.receipt?.tenant === outcome.tenant ? [{ key: ATTRIBUTES.receipt, value: outcome.receipt.seq }] : []),
  ]);
  const facts = outcome.facts === undefined ? '' : `${headline(outcome.facts)}\n\n`;
  const receipt = outcome.receipt === undefined ? 'no receipt yet' : `receipt ${outcome.receipt.seq}`;
  const steps = stepLines(new Map([...lines, [lastStep(outcome), lastLine(outcome)]]));
  setCurrentDetails(`**${outcome.status}**: ${outcome.reason}\n\n${facts}${steps}\n\n${receipt}${related(outcome)}`);
}

function lastStep({ steps }: Outcome): Step {
  return steps.verify === undefined ? 'settle' : 'verify';
}

function lastLine({ checks, status }: Outcome): string {
  if (checks.length === 0) return status;
  const broken = checks.filter(({ ok }) => !ok).length;
  return broken === 0 ? `${checks.length} checks hold` : `${broken} of ${checks.length} checks do not hold`;
}

/** What it undoes, or is undone by. */
function related({ tenant, facts, compensation }: Outcome): string {
  const cause = facts?.compensates;
  const undoes = cause === undefined ? '' : `\n\nundoes ${linkTo(`${tenant}/${cause.actionId}`)}`;
  if (compensation === undefined) return undoes;
  const by = compensation.actionId === undefined ? '' : `, by ${linkTo(`${tenant}/${compensation.actionId}`)}`;
  return `${undoes}\n\nundoing it: ${compensation.status}${by}`;
}

/** One trusted line: what, on which tool, where, for whom. The names in it are of the operator or checked. */
function headline(facts: Told): string {
  return `${facts.preview.summary} on \`${facts.tool.name}\` (**${facts.tool.environment}**), proposed by \`${facts.agent.id}\``;
}

/** The same as plain text: the timeline shows a summary as it is. */
export function summaryOf({ preview, tool, agent }: Facts): string {
  return `${preview.summary} on ${tool.name} (${tool.environment}), proposed by ${agent.id}`.slice(0, MAX_SUMMARY);
}

/** Loud where it failed: a status that can be searched for, and what to do about it. */
export function showCompensation(
  { tenant, cause, status, actionId, reason }: CompensationView,
  { changed }: { readonly changed: boolean },
): void {
  if (changed) upsertSearchAttributes([{ key: ATTRIBUTES.status, value: status }]);
  const link = actionId === undefined ? '' : `\n\nby ${linkTo(`${tenant}/${actionId}`)}`;
  const todo =
    status === 'needs_person'
      ? `\n\nA person must decide: \`countersign saga retry ${cause}\` or \`countersign saga accept ${cause}\``
      : '';
  setCurrentDetails(`**${status}**: ${reason}\n\nundoes ${linkTo(`${tenant}/${cause}`)}${link}${todo}`);
}

/** One search attribute when the status changes; the details say where it stands. */
export function showSaga(
  { tenant, status, reason, steps, compensations }: SagaView,
  { changed }: { readonly changed: boolean },
): void {
  if (changed) upsertSearchAttributes([{ key: ATTRIBUTES.status, value: status }]);
  const undone = new Map(compensations.map((one) => [one.cause, one]));
  const lines = steps.map(({ actionId, status: how }, index) => {
    const undoing = undone.get(actionId);
    const by = undoing?.actionId === undefined ? '' : ` by ${linkTo(`${tenant}/${undoing.actionId}`)}`;
    return `${index + 1}. ${linkTo(`${tenant}/${actionId}`)}: ${how}${undoing === undefined ? '' : `, undoing: ${undoing.status}${by}`}`;
  });
  setCurrentDetails(`**${status}**: ${reason}\n\n${lines.join('\n')}`);
}

/** The UI lists workflows at this path, whatever it is mounted on. Ids hold nothing that Markdown reads as more than text. */
function linkTo(workflowId: string): string {
  return `[${workflowId}](../../${encodeURIComponent(workflowId)})`;
}
