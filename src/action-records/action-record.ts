/** The record of one action, as the command line and the pages show it to people. */
import type { Facts } from '../action/decision.js';
import type { ActionView, Outcome, Shown } from '../action/outcome.js';
import type { Proposal } from '../action/proposal.js';
import type { ArchivedRecord } from '../ledger/index.js';

export interface ActionRecord {
  readonly view: ActionView;
  /** Absent of an action that is open where only the ledger knows it: until the end it keeps the proposal's digest only. */
  readonly proposal?: Proposal;
  /** RFC 3339 UTC. */
  readonly proposedAt?: string;
  readonly endedAt?: string;
  readonly keptBy: 'temporal' | 'ledger';
  /** The action in the Temporal UI. */
  readonly url?: string;
  /** What the reader should know of the record itself, such as that its parts do not belong together. */
  readonly warnings: readonly string[];
  /** What the ledger records, where it does. */
  readonly archived?: ArchivedRecord;
}

/** The facts shown of an action, whether it waits (then exactly what the person signs) or has ended. */
export type Subject = Pick<Shown, 'agent' | 'tool' | 'actionType' | 'operation' | 'preview'>;

export function subjectOf({ pending, outcome }: ActionView): Subject | undefined {
  if (pending !== undefined) return pending.shown;
  const facts: Facts | undefined = outcome?.facts;
  return facts;
}

/** An ended action as a view. */
export function endedView(outcome: Outcome): ActionView {
  const { tenant, actionId, proposalDigest, tool, approvals } = outcome;
  return {
    ...emptyView({ tenant, actionId, proposalDigest, tool }, 'ended'),
    approvals,
    cancelRequested: outcome.status === 'cancelled',
    outcome,
  };
}

/** A view of an action of which nothing is known but its names and its phase. */
export function emptyView(
  { tenant, actionId, proposalDigest, tool }: Pick<ActionView, 'tenant' | 'actionId' | 'proposalDigest' | 'tool'>,
  phase: ActionView['phase'],
): ActionView {
  return {
    phase,
    tenant,
    actionId,
    proposalDigest,
    tool,
    approvals: [],
    refusedApprovals: [],
    cancelRequested: false,
  };
}

/** The record as one JSON document: the view, with what is known beside it. */
export function recordDocument({ view, archived: _archived, ...beside }: ActionRecord): object {
  return { ...view, ...beside };
}
