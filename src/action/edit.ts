/** Edits: what a person makes of an agent's proposal instead of sending it back. The edited proposal is an action of its own. */
import { randomBytes } from 'node:crypto';
import { derivedActionId } from './derived-id.js';
import { CountersignError } from './errors.js';
import { canonical, type JsonObject } from './json.js';
import type { Proposal } from './proposal.js';

/** No agent may propose an action whose id begins so. */
export const EDIT_PREFIX = 'edit:';

/** What a person may change: what is done, and what must be true afterwards. The tool and the agent's words stay as they are. */
export interface Edit {
  readonly input: JsonObject;
  /** Absent: what the agent promised must still hold. Null: it must not, and nothing takes its place. */
  readonly expect?: Proposal['expect'] | null;
}

const NEW_ID = /^edit:[0-9a-f]{8}[:.]/;

/** A new `edit:<8 random hex digits>:<the id>`, so that nobody can take it first; or with a hash of the id in its place. */
export function newEditId(actionId: string): string {
  return derivedActionId(`${EDIT_PREFIX}${randomBytes(4).toString('hex')}`, actionId);
}

/**
 * The proposal that a person makes of an agent's. The outcome that the agent described in words was that of the other input.
 *
 * @param actionId default a new one
 */
export function editedProposal(
  original: Proposal,
  { input, expect }: Edit,
  actionId = newEditId(original.actionId),
): Proposal {
  const { expect: promised, expectedOutcome: _described, ...rest } = original;
  const kept = expect === undefined ? promised : (expect ?? undefined);
  return {
    ...rest,
    actionId,
    revises: original.actionId,
    input,
    ...(kept === undefined ? {} : { expect: kept }),
  };
}

/**
 * Passes when a proposal is an edit of the original, and changes what is done or promised.
 *
 * @throws CountersignError EDIT_INVALID
 */
export function assertEdited(original: Proposal, edited: Proposal): void {
  const { actionId, input, expect = null } = edited;
  const whole = editedProposal(original, { input, expect }, actionId);
  if (!NEW_ID.test(actionId) || canonical(edited) !== canonical(whole)) {
    throw new CountersignError('EDIT_INVALID', 'The edited proposal changes more than the input and the expectation.', {
      field: 'edited',
      expected: 'the proposal as it is shown, with another `input` or `expect`',
      fix: 'Make it with editedProposal(), or ask the agent for changes in words.',
    });
  }
  if (canonical([input, expect]) !== canonical([original.input, original.expect ?? null])) return;
  throw new CountersignError('EDIT_INVALID', 'The edited proposal is what the agent proposed.', {
    field: 'edited.input',
    expected: 'another input or expectation than the one that is shown',
    fix: 'Change something, or approve the action as it is.',
  });
}
