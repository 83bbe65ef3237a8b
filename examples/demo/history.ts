/** What Temporal's history holds of an action: written before the effect, and not editable by an agent. */
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Proposal } from '../../src/index.js';

export interface ActionHistory {
  /** As the agent sent it. */
  readonly proposal: Proposal;
  /** How often the effect was begun. 0: never. */
  readonly attempts: number;
}

export async function readHistory(temporal: Client, workflowId: string): Promise<ActionHistory> {
  const { events } = await temporal.workflow.getHandle(workflowId).fetchHistory();
  const [request] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  if (request === undefined) throw new Error(`${workflowId} has no history`);
  const { proposal } = defaultPayloadConverter.fromPayload<{ proposal: Proposal }>(request);
  const effects = new Set(
    events?.filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'execute').map(idOf),
  );
  const attempts = (events ?? [])
    .map((event) => event.activityTaskStartedEventAttributes)
    .filter((begun) => effects.has(String(begun?.scheduledEventId)))
    .map((begun) => begun?.attempt ?? 0);
  return { proposal, attempts: Math.max(0, ...attempts) };
}

function idOf({ eventId }: { eventId?: unknown }): string {
  return String(eventId);
}
