/** Adds up what was changed, by table and operation, and by whom. */
import type { RadarChange, RadarWriter } from '../action/radar.js';

export type ChangeTally = Map<string, RadarChange>;
export type WriterTally = Map<string, RadarWriter>;

export function addChange(changes: ChangeTally, { table, operation, rows }: RadarChange): void {
  const key = JSON.stringify([table, operation]);
  const before = changes.get(key)?.rows ?? 0;
  changes.set(key, { table, operation, ...(rows === undefined ? {} : { rows: before + rows }) });
}

export function addWriter(writers: WriterTally, { user, application }: RadarWriter): void {
  writers.set(JSON.stringify([user, application]), { user, application });
}
