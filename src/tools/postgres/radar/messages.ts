/** Reads what the radar's own functions say in the log: who runs a statement, what was truncated, and who changes a definition. */
import type { RadarWriter } from '../../../action/radar.js';

/** The radar's own name as a client. */
export const RADAR_APPLICATION = 'countersign radar';

/** The prefix of the triggers' messages. */
export const MESSAGE_PREFIX = 'countersign.radar';
const DEFINITION_PREFIX = `${MESSAGE_PREFIX}.ddl`;

/** One command on one object, as an event trigger says it. */
export interface DefinitionMessage {
  readonly writer: RadarWriter;
  /** `ALTER TABLE`. */
  readonly tag: string;
  /** `table`, `trigger`, `publication relation`. */
  readonly type: string;
  /** `public.orders`, `guard on public.orders`. */
  readonly identity: string;
  /** The number of the table that it concerns, and that of the table at the top of its partitions. Undefined where there is none. */
  readonly relation: string | undefined;
  readonly root: string | undefined;
}

/** A table that a statement truncates. Of a partition the publication says nothing. */
export interface TruncateMessage {
  readonly table: string;
  /** Its number, and that of the table at the top of its partitions. */
  readonly oids: readonly string[];
}

interface WriterMessage {
  readonly writer: RadarWriter;
  readonly truncated: TruncateMessage | undefined;
}

type Said =
  | ({ readonly kind: 'writer' } & WriterMessage)
  | { readonly kind: 'definition'; readonly definition: DefinitionMessage };

/** What is none of the triggers' says nothing that could be believed, and still stands beside what they say. Undefined for others' messages. */
export function saidIn(prefix: string, content: string): Said | undefined {
  if (prefix !== MESSAGE_PREFIX && prefix !== DEFINITION_PREFIX) return undefined;
  const said = objectIn(content);
  const text = (name: string): string => (typeof said[name] === 'string' ? said[name] : '');
  const number = (name: string): string | undefined => (/^[1-9]\d*$/.test(text(name)) ? text(name) : undefined);
  const writer = { user: text('user'), application: text('application') };
  if (prefix === DEFINITION_PREFIX) {
    const what = { tag: text('tag'), type: text('type'), identity: text('identity') };
    return { kind: 'definition', definition: { writer, ...what, relation: number('relation'), root: number('root') } };
  }
  const oids = [number('oid'), number('root')].filter((oid) => oid !== undefined);
  const table = text('truncated');
  return { kind: 'writer', writer, truncated: table === '' ? undefined : { table, oids } };
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const said: unknown = JSON.parse(text);
    return typeof said === 'object' && said !== null ? (said as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
