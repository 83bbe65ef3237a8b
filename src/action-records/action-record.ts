/** What is known of one action, from wherever it is still kept, in the shape that is told to people. */
import type { Facts } from '../action/decision.js';
import type { ActionView, Outcome, Shown } from '../action/outcome.js';
import type { Proposal } from '../action/proposal.js';

export interface Story {
  readonly view: ActionView;
  /** Absent when only the ledger still knows the action: it keeps the proposal's digest. */
  readonly proposal?: Proposal;
  /** RFC 3339 UTC. */
  readonly proposedAt?: string;
  readonly endedAt?: string;
  readonly keptBy: 'temporal' | 'ledger';
  /** The action in the Temporal UI. */
  readonly url?: string;
  /** What the reader should know of the record itself, such as that its parts do not belong together. */
  readonly warnings: readonly string[];
}

/** The facts that are told of an action, whether it waits (then exactly what the person signs) or has ended. */
export type Subject = Pick<Shown, 'agent' | 'tool' | 'actionType' | 'operation' | 'preview'>;

export function subjectOf({ pending, outcome }: ActionView): Subject | undefined {
  if (pending !== undefined) return pending.shown;
  const facts: Facts | undefined = outcome?.facts;
  return facts;
}

/** An ended action as a view. */
export function viewOf(outcome: Outcome): ActionView {
  const { tenant, actionId, proposalDigest, tool, approvals } = outcome;
  return {
    phase: 'ended',
    tenant,
    actionId,
    proposalDigest,
    tool,
    approvals,
    refusedApprovals: [],
    cancelRequested: outcome.status === 'cancelled',
    outcome,
  };
}

/** The story as one JSON document: the view, with what is known beside it. */
export function storyDocument({ view, ...beside }: Story): object {
  return { ...view, ...beside };
}
