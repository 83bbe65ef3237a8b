/** What the Temporal UI shows of an action: its current details and its search attributes. No secret may enter either. */
import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import { defineSearchAttributeKey, SearchAttributeType, type SearchAttributePair } from '@temporalio/common';
import type { Facts, Effect } from '../src/action/decision.js';
import type { Outcome, PendingView } from '../src/action/outcome.js';

export const STATUS = defineSearchAttributeKey('CountersignStatus', SearchAttributeType.KEYWORD);
const DECISION = defineSearchAttributeKey('CountersignDecision', SearchAttributeType.KEYWORD);
const ENVIRONMENT = defineSearchAttributeKey('CountersignEnvironment', SearchAttributeType.KEYWORD);
const ACTION_TYPE = defineSearchAttributeKey('CountersignActionType', SearchAttributeType.KEYWORD);
const AGENT = defineSearchAttributeKey('CountersignAgent', SearchAttributeType.KEYWORD);
const RECEIPT = defineSearchAttributeKey('CountersignReceipt', SearchAttributeType.INT);

function attributes(status: string, facts: Facts | undefined, effect: Effect | undefined): SearchAttributePair[] {
  return [
    { key: STATUS, value: status },
    ...(effect === undefined ? [] : [{ key: DECISION, value: effect }]),
    ...(facts === undefined
      ? []
      : [
          { key: ENVIRONMENT, value: facts.tool.environment },
          { key: ACTION_TYPE, value: facts.actionType },
          { key: AGENT, value: facts.agent.id },
        ]),
  ];
}

export function showPending(pending: PendingView, facts: Facts): void {
  upsertSearchAttributes(attributes('pending', facts, 'require_approval'));
  setCurrentDetails(
    `**Waiting for people** until ${pending.expiresAt}\n\n${headline(facts)}\n\n` +
      pending.shown.requirements
        .map((need) => `- ${need.quorum} × ${need.roles.join(' or ')}: ${need.reason} (\`${need.policy}\`)`)
        .join('\n'),
  );
}

/** One upsert for the whole wait, however often the limit is looked at. */
export function showQueued(
  facts: Facts,
  { reason, until, first }: { reason: string; until: string; first: boolean },
): void {
  if (first) upsertSearchAttributes(attributes('queued', facts, undefined));
  setCurrentDetails(`**Waiting for room** until ${until}: ${reason}\n\n${headline(facts)}`);
}

export function showExecuting(facts: Facts): void {
  setCurrentDetails(`**Executing**\n\n${headline(facts)}`);
}

/** One upsert, whatever the action went through: an allowed action pays for a single event here. */
export function showOutcome(outcome: Outcome): void {
  upsertSearchAttributes([
    ...attributes(outcome.status, outcome.facts, outcome.decision?.effect),
    // A stranger's refusal is in a chain of its own: its number says nothing of this tenant's.
    ...(outcome.receipt?.tenant === outcome.tenant ? [{ key: RECEIPT, value: outcome.receipt.seq }] : []),
  ]);
  const facts = outcome.facts === undefined ? '' : `${headline(outcome.facts)}\n\n`;
  const receipt = outcome.receipt === undefined ? 'no receipt yet' : `receipt ${outcome.receipt.seq}`;
  setCurrentDetails(`**${outcome.status}**: ${outcome.reason}\n\n${facts}${receipt}`);
}

/** One trusted line: what, on which tool, where, for whom. The names in it are of the operator or checked. */
export function headline(facts: Facts): string {
  return `${facts.preview.summary} on \`${facts.tool.name}\` (**${facts.tool.environment}**), proposed by \`${facts.agent.id}\``;
}
