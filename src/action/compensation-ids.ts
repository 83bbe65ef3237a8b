/** Ids of the actions that undo others, and of the workflows that see to it. */
import { derivedActionId } from './derived-id.js';

/** No agent may propose an action whose id begins so. */
export const COMPENSATION_PREFIX = 'undo:';

/** `undo:<attempt>:<the cause's id>`, or with a hash of the id in its place. */
export function compensationActionId(cause: string, attempt: number): string {
  return derivedActionId(`${COMPENSATION_PREFIX}${attempt}`, cause);
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
