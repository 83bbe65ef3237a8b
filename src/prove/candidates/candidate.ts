/** Something that an agent could propose to a tool of the operator. */
import type { ActionType } from '../../action/decision.js';
import type { JsonObject } from '../../action/json.js';
import type { Source } from '../../action/proposal.js';

export interface Candidate {
  readonly tool: string;
  /** For people: `update of customers`. */
  readonly what: string;
  /** As the tool describes it. What it really is, the tool says of an input. */
  readonly actionType: ActionType;
  readonly from?: readonly Source[];
  /** The nth input, from 0: each does something to another row or object, or something else to the same. */
  readonly input: (n: number) => JsonObject;
}

const SOMEBODY: readonly Source[] = [{ source: 'email:countersign-prove', trust: 'untrusted' }];

/** The same, led to by something that somebody else may have written. */
export function fromUntrusted(candidate: Candidate): Candidate {
  return { ...candidate, what: `${candidate.what} that an untrusted source led to`, from: SOMEBODY };
}
