/** A recorded history with one thing changed: a guess at what was changed in the code is tried on it. */
import { commandOf } from './commands.js';
import type { HistoryChange } from './diagnosis.js';
import type { History, HistoryEvent } from './history.js';

export function changedHistory(history: History, change: HistoryChange): History {
  const events = [...(history.events ?? [])];
  if (change.kind === 'renamed') {
    // Wherever it comes again, too: in a loop, or for each of several people.
    const { kind, name } = commandOf(at(events, change.event)) ?? {};
    for (const [index, event] of events.entries()) {
      const command = index + 1 < change.event ? undefined : commandOf(event);
      if (command?.kind === kind && command?.name === name) events[index] = renamed(event, change.name);
    }
  } else {
    const [first, second] = change.events;
    const [one, other] = [at(events, first), at(events, second)];
    events[first - 1] = withResultOf(one, other);
    events[second - 1] = withResultOf(other, one);
  }
  return { ...history, events };
}

function at(events: readonly HistoryEvent[], id: number): HistoryEvent {
  const event = events[id - 1];
  if (event === undefined) throw new RangeError(`the history has no event ${id}`);
  return event;
}

function renamed(event: HistoryEvent, name: string): HistoryEvent {
  const scheduled = event.activityTaskScheduledEventAttributes;
  if (scheduled != null) {
    return { ...event, activityTaskScheduledEventAttributes: { ...scheduled, activityType: { name } } };
  }
  return withData(event, (data) => ({ ...data, activity_type: name }));
}

/** The marker of a local activity, in its own place of the order, with the name and the result of another one. */
function withResultOf(event: HistoryEvent, other: HistoryEvent): HistoryEvent {
  const { seq, activity_id } = dataOf(event);
  const moved = { ...event, markerRecordedEventAttributes: other.markerRecordedEventAttributes ?? null };
  return withData(moved, (data) => ({ ...data, seq, activity_id }));
}

type Data = Readonly<Record<string, unknown>>;

function dataOf({ markerRecordedEventAttributes: marker }: HistoryEvent): Data {
  const data = marker?.details?.['data']?.payloads?.[0]?.data ?? [];
  return JSON.parse(Buffer.from(data).toString()) as Data;
}

function withData(event: HistoryEvent, change: (data: Data) => Data): HistoryEvent {
  const marker = event.markerRecordedEventAttributes;
  const payload = marker?.details?.['data']?.payloads?.[0];
  if (marker == null || payload === undefined) return event;
  const data = Buffer.from(JSON.stringify(change(dataOf(event))));
  const details = { ...marker.details, data: { payloads: [{ ...payload, data }] } };
  return { ...event, markerRecordedEventAttributes: { ...marker, details } };
}
