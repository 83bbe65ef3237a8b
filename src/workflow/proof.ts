/** The interface between the workflows of one's own and the activity that proves who proposes. Types only: workflow code loads no value from here. */
import type { Digest } from '../action/json.js';
import type { Proposal } from '../action/proposal.js';

/** A proposal whose `actionId` may follow from the tool call that it is. */
export type UnnamedProposal = Omit<Proposal, 'actionId'> & { readonly actionId?: string };

export interface ProofRequest {
  /** The name under which the worker's plugin holds the agent's credential. */
  readonly agent: string;
  readonly proposal: UnnamedProposal;
  /** The id of a tool call. The action's id is derived from it, from the workflow's id and from what would be done. */
  readonly toolCallId?: string;
}

/** The agent's signature, and what was signed beyond what was given. */
export interface Proof {
  readonly tenant: string;
  /** The agent's id. Absent in histories from before it was told. */
  readonly proposer?: string;
  readonly actionId: string;
  readonly traceId: string;
  readonly digest: Digest;
  readonly signature: string;
}

export interface ProofActivities {
  /** Signs a proposal with an agent's key. Signs nothing else. */
  readonly countersignProof: (request: ProofRequest) => Promise<Proof>;
}
