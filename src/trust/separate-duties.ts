/** Separation of duties: nobody decides on what their own agent does. */
import { CountersignError } from '../action/errors.js';
import { isAgentItself, isOwnerOf } from '../action/own-agents.js';
import type { Agent } from '../action/principal.js';

export interface Duties {
  /** The person's id. */
  readonly person: string;
  /** Whose action it is. */
  readonly agent: Pick<Agent, 'id' | 'owner'>;
  /** Whether the agent's owner may decide. The agent itself never may. */
  readonly selfApproval: boolean;
}

/** Passes unless this person is the agent, or answers for it. @throws CountersignError APPROVAL_FORBIDDEN */
export function assertSeparateDuties({ person, agent, selfApproval }: Duties, field: string): void {
  if (isAgentItself(person, agent)) throw forbidden('The approver is the agent itself.', field);
  if (!selfApproval && isOwnerOf(person, agent)) {
    throw forbidden('The approver is the owner of the agent.', field);
  }
}

function forbidden(message: string, field: string): CountersignError {
  return new CountersignError('APPROVAL_FORBIDDEN', message, {
    field,
    expected: 'another person',
    fix: 'Somebody else must decide.',
  });
}
