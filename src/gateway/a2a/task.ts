/** An action as a task of A2A: its state, in words for a model, and its outcome as an artifact. */
import { Role, TaskState, type Message, type Part, type Task } from '@a2a-js/sdk';
import type { Outcome, OutcomeStatus } from '../../action/outcome.js';
import { toldOfOutcome } from '../../action/told.js';
import type { OwnAction } from '../api/found.js';
import { outcomeFor, outcomeOf } from '../api/views.js';

/**
 * `unknown` is no end: a person has to find out whether it was done. `expired` is a refusal as well: nobody approved it in time.
 */
const STATES: Readonly<Record<OutcomeStatus, TaskState>> = {
  success: TaskState.TASK_STATE_COMPLETED,
  mismatch: TaskState.TASK_STATE_FAILED,
  failed: TaskState.TASK_STATE_FAILED,
  denied: TaskState.TASK_STATE_REJECTED,
  expired: TaskState.TASK_STATE_REJECTED,
  cancelled: TaskState.TASK_STATE_CANCELED,
  unknown: TaskState.TASK_STATE_INPUT_REQUIRED,
};

/** @param contextId groups tasks: as the message said, else the action's own id */
export function taskOf(found: OwnAction, contextId = found.actionId): Task {
  const { actionId, archived } = found;
  const outcome = outcomeOf(found);
  return {
    id: actionId,
    contextId,
    status: {
      state: outcome === undefined ? openState(found) : STATES[outcome.status],
      message: messageOf(found, contextId, outcome),
      timestamp: archived?.endedAt ?? new Date().toISOString(),
    },
    artifacts: outcome === undefined ? [] : [artifactOf(outcome)],
    history: [],
    metadata: undefined,
  };
}

function openState({ view }: OwnAction): TaskState {
  return view?.pending === undefined ? TaskState.TASK_STATE_WORKING : TaskState.TASK_STATE_INPUT_REQUIRED;
}

function messageOf(found: OwnAction, contextId: string, outcome: Outcome | undefined): Message {
  const { actionId } = found;
  return {
    messageId: `${actionId}/${outcome?.status ?? (found.view?.pending === undefined ? 'working' : 'pending')}`,
    contextId,
    taskId: actionId,
    role: Role.ROLE_AGENT,
    parts: [textPart(outcome === undefined ? toldOfOpen(found) : toldOfOutcome(outcome))],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  };
}

function toldOfOpen({ actionId, view }: OwnAction): string {
  const pending = view?.pending;
  if (pending === undefined) return `It has not ended yet. Get the task ${actionId} to hear what came of it.`;
  return `It is not done yet: people have to approve it: ${pending.decision.reason}. They have until ${pending.expiresAt}.\nNo message decides it. Get the task ${actionId} to hear what came of it.`;
}

function artifactOf(outcome: Outcome): Task['artifacts'][number] {
  return {
    artifactId: 'outcome',
    name: 'outcome',
    description: 'How the action ended, as agents see it',
    parts: [dataPart(outcomeFor({ kind: 'agent' }, outcome))],
    metadata: undefined,
    extensions: [],
  };
}

function textPart(value: string): Part {
  return { content: { $case: 'text', value }, metadata: undefined, filename: '', mediaType: 'text/plain' };
}

function dataPart(value: object): Part {
  return { content: { $case: 'data', value }, metadata: undefined, filename: '', mediaType: 'application/json' };
}
