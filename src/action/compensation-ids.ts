/** Ids of the actions that undo others, and of the workflows that see to it. */
import { createHash } from 'node:crypto';
import { MAX_ACTION_ID } from './proposal.js';

/** No agent may propose an action whose id begins so. */
export const COMPENSATION_PREFIX = 'undo:';

/**
 * `undo:<attempt>:<the cause's id>`; of a cause whose id leaves no room, `undo:<attempt>.<SHA-256 of the id, in hex>`. Two causes never
 * share one: the character after the number tells the forms apart.
 */
export function compensationActionId(cause: string, attempt: number): string {
  const id = `${COMPENSATION_PREFIX}${attempt}:${cause}`;
  if (id.length <= MAX_ACTION_ID) return id;
  return `${COMPENSATION_PREFIX}${attempt}.${createHash('sha256').update(cause).digest('hex')}`;
}

/** The workflow that undoes an action, whoever asked for it: there is one for each action. */
export function compensationWorkflowId(tenant: string, actionId: string): string {
  return `undo/${tenant}/${actionId}`;
}

/**
 * Whether this is the name under which what an agent did is undone. An agent that is stopped shall do no more; to undo what it did is
 * not its doing. Whoever means that too names `<agent>/undo`, the tool, the target, the tenant or all.
 */
export function isUndoAgent(agent: string): boolean {
  return agent.endsWith('/undo');
}
