/** The slots of windows in time, as the ledger's functions `slot_of` and `slot_begins` have them. Times are microseconds since 1970. */
import { LRUCache } from 'lru-cache';

const HOUR = 3_600_000_000;
const DAY = 24 * HOUR;
/** No zone has changed its offset within one. */
const QUARTER = HOUR / 4;

/** The slot of an instant. `width` 0: one slot for good. An empty zone is UTC. */
export function slotOf(at: number, width: number, zone: string): number {
  if (width === 0) return 0;
  return Math.trunc((zone === '' ? at : at + offsetAt(at, zone)) / width);
}

/** When a slot begins. Where the clock on the wall shows that time twice, it is the first time. */
export function slotBegins(slot: number, width: number, zone: string): number {
  const wall = slot * width;
  if (zone === '') return wall;
  const [before, after] = [offsetAt(wall - DAY, zone), offsetAt(wall + DAY, zone)];
  const possible = [wall - before, wall - after].filter((at) => at + offsetAt(at, zone) === wall);
  // A time that the clock on the wall skips is one by the clock from before.
  return possible.length === 0 ? wall - before : Math.min(...possible);
}

/** Making a format takes longest by far, and asking it takes long. */
const formats = new LRUCache<string, Intl.DateTimeFormat>({ max: 100 });
const offsets = new LRUCache<string, number>({ max: 10_000 });

function offsetAt(at: number, zone: string): number {
  const quarter = Math.floor(at / QUARTER);
  const key = `${quarter} ${zone}`;
  let offset = offsets.get(key);
  if (offset === undefined) offsets.set(key, (offset = computed(quarter * QUARTER, zone)));
  return offset;
}

function computed(at: number, zone: string): number {
  let format = formats.get(zone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, format);
  }
  const parts = Object.fromEntries(format.formatToParts(at / 1000).map(({ type, value }) => [type, Number(value)]));
  const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second) * 1000 - at;
}

/** Microseconds since 1970 of a time such as `2025-01-01T12:00:00.123456Z`. */
export function microsecondsOf(time: string): number {
  const [, beyond = ''] = /\.\d{3}(\d{1,3})\d*Z$/.exec(time) ?? [];
  return Date.parse(time) * 1000 + Number(beyond.padEnd(3, '0'));
}
