/** A recorded history: read from JSON, and checked before it is replayed. */
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { asCountersignError, CountersignError } from '../action/errors.js';

export type History = ReturnType<typeof historyFromJSON>;
export type HistoryEvent = NonNullable<History['events']>[number];

export interface RecordedHistory {
  readonly workflowId: string;
  readonly workflowType: string;
  readonly history: History;
  readonly events: readonly HistoryEvent[];
  /** Whether a worker of Countersign recorded it, of any version. */
  readonly ours: boolean;
}

/** Temporal ends a workflow whose history is larger than 50 MB; as JSON it takes a few times as much. Bytes. */
export const MAX_HISTORY_BYTES = 256 * 1024 * 1024;

/**
 * Reads a history in the form in which Temporal's own tools print it: `temporal workflow show --output json`, or a download of its UI.
 *
 * @param name the file, for errors
 * @throws CountersignError HISTORY_INVALID
 */
export function parseHistory(text: string, name: string): RecordedHistory {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw invalid(
      name,
      `it is not JSON: ${asCountersignError(error).message}`,
      'Record it again: the file is cut or damaged.',
    );
  }
  const { events } = (json ?? {}) as { events?: unknown };
  if (!Array.isArray(events) || events.length === 0) {
    throw invalid(name, 'it has no events', 'Record it with `temporal workflow show --output json`.');
  }
  assertUnbroken(events as readonly (JsonEvent | null)[], name);
  let history: History;
  try {
    history = historyFromJSON(json);
  } catch (error) {
    throw invalid(name, asCountersignError(error).message, 'Record it again: an event is damaged.');
  }
  const nameless = history.events?.find(({ eventType }) => !eventType);
  if (nameless !== undefined) {
    throw invalid(
      name,
      `event ${String(nameless.eventId)} is of no known type`,
      'Record it again: an event is damaged.',
    );
  }
  return recordedHistory(history, name);
}

/** @param workflowId where it is known already @throws CountersignError HISTORY_INVALID */
export function recordedHistory(history: History, name: string, workflowId?: string): RecordedHistory {
  const events = history.events ?? [];
  const started = events[0]?.workflowExecutionStartedEventAttributes;
  const workflowType = started?.workflowType?.name;
  if (started == null || workflowType == null || workflowType === '') {
    throw invalid(
      name,
      'it does not begin with the start of a workflow',
      'Record the whole history, from its first event.',
    );
  }
  return {
    workflowId: workflowId ?? (started.workflowId || name),
    workflowType,
    history,
    events,
    ours: events.some(isOurs),
  };
}

interface JsonEvent {
  readonly eventId?: unknown;
}

/** Events are numbered from 1 without a gap: where a number is missing, something was cut out. */
function assertUnbroken(events: readonly (JsonEvent | null)[], name: string): void {
  for (const [index, event] of events.entries()) {
    const id = event?.eventId;
    if (id === String(index + 1) || id === index + 1) continue;
    const found = typeof id === 'string' ? `the event ${id.slice(0, 20)}` : 'an entry that is no event';
    throw invalid(
      name,
      `where event ${index + 1} should be there is ${found}`,
      'Record it again: events are missing or out of order.',
    );
  }
}

/** Workers name their workflow code in each task that they complete, and actions have search attributes of Countersign. */
function isOurs(event: HistoryEvent): boolean {
  const completed = event.workflowTaskCompletedEventAttributes;
  if (completed?.workerVersion?.buildId?.startsWith(BUILD_ID) === true) return true;
  if (completed?.deploymentVersion?.buildId?.startsWith(BUILD_ID) === true) return true;
  const { indexedFields } = event.workflowExecutionStartedEventAttributes?.searchAttributes ?? {};
  return Object.keys(indexedFields ?? {}).some((key) => key.startsWith('Countersign'));
}

const BUILD_ID = 'countersign-';

export function invalid(name: string, what: string, fix: string): CountersignError {
  return new CountersignError('HISTORY_INVALID', `${name} is not a history that can be replayed: ${what}.`, {
    field: name,
    expected: 'the history of one workflow as JSON, as Temporal’s tools print it',
    fix,
  });
}
