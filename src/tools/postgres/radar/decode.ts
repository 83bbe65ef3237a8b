/** Reads what the output plugin pgoutput says (https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html). Pure. */
import type { ObservedWrite } from '../../../radar/source.js';
import { addChange, addWriter, type ChangeTally, type WriterTally } from '../../../radar/tally.js';
import { saidIn, type DefinitionMessage, type TruncateMessage } from './messages.js';

/** Messages of one transaction that say the same, as the query put them together. Bytes are in hexadecimal digits. */
export interface Decoded {
  readonly xid: string;
  /** The letter of the message: B begin, C commit, R relation, I insert, U update, D delete, T truncate, M message. */
  readonly kind: string;
  /** The oid of the table of an I, U or D. */
  readonly relation: string | null;
  /**
   * The beginning of the message, of those that are read themselves: of an I or D only where it is of the table of effects. Its letter alone
   * where there are too many to be read.
   */
  readonly detail: string | null;
  readonly count: number;
  /** Of messages that are in no transaction: that of the last one. An LSN. */
  readonly place: string | null;
}

/** What a transaction did to definitions, whether or not they are of what is watched. */
export interface DecodedDefinitions {
  readonly position: string;
  readonly at: Date;
  readonly transaction: string;
  readonly messages: readonly DefinitionMessage[];
}

export interface DecodedBatch {
  readonly writes: readonly ObservedWrite[];
  readonly definitions: readonly DecodedDefinitions[];
  /** Behind the last transaction, or at the last message that is in none; undefined where there is neither. */
  readonly end: bigint | undefined;
  /** How many messages there were. */
  readonly messages: number;
}

const OPERATIONS: Readonly<Record<string, string>> = { I: 'insert', U: 'update', D: 'delete' };

/** Microseconds from 1970 to 2000, where Postgres begins to count. */
const POSTGRES_EPOCH_US = 946_684_800_000_000n;

interface Transaction {
  readonly lsn: bigint;
  readonly at: Date;
  readonly changes: ChangeTally;
  readonly keys: string[];
  readonly writers: WriterTally;
  readonly definitions: DefinitionMessage[];
  /** The numbers of tables that the publication says were truncated. */
  readonly published: Set<string>;
  readonly truncated: TruncateMessage[];
}

/** What was read of the log before. */
interface Judged {
  /** Up to where. */
  readonly lsn: bigint;
  /** When it was read, by the database's clock. */
  readonly at: Date;
}

/**
 * Puts transactions together. An insert into the table of effects is the key of an effect, and a delete there is what retention does. What is
 * `judged` is left out, where another reader did not come to confirm it. What was committed since is not judged, though its place may be: a
 * server that went back to an earlier state writes the same places anew.
 */
export function transactionsOf(rows: readonly Decoded[], judged?: Judged): DecodedBatch {
  const relations = new Map<string, string>();
  const open = new Map<string, Transaction>();
  const writes: ObservedWrite[] = [];
  const definitions: DecodedDefinitions[] = [];
  let end: bigint | undefined;
  let messages = 0;
  for (const { xid, kind, relation, detail, count, place } of rows) {
    messages += count;
    if (place !== null) end = later(end, lsnOf(place));
    const bytes = Buffer.from(detail ?? '', 'hex');
    if (kind === 'B') open.set(xid, beginOf(bytes));
    if (kind === 'R') relations.set(bytes.subarray(1, 5).toString('hex'), relationName(bytes));
    const transaction = open.get(xid);
    if (transaction === undefined) continue;
    switch (kind) {
      case 'I':
      case 'U':
      case 'D': {
        const table = relations.get(relation ?? '') ?? `the table ${Number.parseInt(relation ?? '0', 16)}`;
        const operation = OPERATIONS[kind] as string;
        if (detail === null) addChange(transaction.changes, { table, operation, rows: count });
        else if (kind === 'I') addKey(transaction, bytes);
        break;
      }
      case 'T':
        for (let at = 6; at + 4 <= bytes.length; at += 4) {
          const oid = bytes.subarray(at, at + 4);
          const table = relations.get(oid.toString('hex')) ?? `the table ${oid.readUInt32BE()}`;
          addChange(transaction.changes, { table, operation: 'truncate' });
          transaction.published.add(String(oid.readUInt32BE()));
        }
        break;
      case 'M':
        note(transaction, bytes);
        break;
      case 'C': {
        open.delete(xid);
        end = later(end, bytes.readBigUInt64BE(10));
        if (judged !== undefined && transaction.lsn < judged.lsn && transaction.at <= judged.at) break;
        addTruncated(transaction);
        if (transaction.changes.size + transaction.keys.length > 0) writes.push(writeOf(xid, transaction));
        if (transaction.definitions.length > 0) definitions.push(definitionsOf(xid, transaction));
        break;
      }
      default:
    }
  }
  return { writes, definitions, end, messages };
}

function later(one: bigint | undefined, other: bigint): bigint {
  return one === undefined || one < other ? other : one;
}

function beginOf(bytes: Buffer): Transaction {
  const at = new Date(Number((bytes.readBigInt64BE(9) + POSTGRES_EPOCH_US) / 1000n));
  return {
    lsn: bytes.readBigUInt64BE(1),
    at,
    changes: new Map(),
    keys: [],
    writers: new Map(),
    definitions: [],
    published: new Set(),
    truncated: [],
  };
}

/** A database that was restored to an earlier state may come to the same LSN again, and not with the same number at the same time. */
function positionOf(xid: string, { lsn, at }: Transaction): string {
  return `${lsnText(lsn)}/${xid}/${at.getTime()}`;
}

/** Whoever truncates a partition by itself is told of by the trigger alone. */
function addTruncated({ changes, published, truncated }: Transaction): void {
  for (const { table, oids } of truncated)
    if (!oids.some((oid) => published.has(oid))) addChange(changes, { table, operation: 'truncate' });
}

function definitionsOf(xid: string, transaction: Transaction): DecodedDefinitions {
  const { at, definitions } = transaction;
  return { position: positionOf(xid, transaction), at, transaction: xid, messages: definitions };
}

function writeOf(xid: string, transaction: Transaction): ObservedWrite {
  const { at, changes, keys, writers } = transaction;
  return {
    position: positionOf(xid, transaction),
    at,
    transaction: xid,
    changes: [...changes.values()],
    keys,
    writers: [...writers.values()],
  };
}

/** The key of an insert into the table of effects, of which only key and status are published. A key that is void claims nothing. */
function addKey({ keys }: Transaction, bytes: Buffer): void {
  // I, oid, N, number of columns; then of each column its kind (t for a text), length and value.
  const [key, status] = textsIn(bytes, 8);
  if (status !== 'void') keys.push(key ?? '');
}

function textsIn(bytes: Buffer, from: number): readonly string[] {
  const texts: string[] = [];
  for (let at = from; at + 5 <= bytes.length && bytes[at] === 0x74;) {
    const length = bytes.readUInt32BE(at + 1);
    texts.push(bytes.subarray(at + 5, at + 5 + length).toString('utf8'));
    at += 5 + length;
  }
  return texts;
}

/** M, flags, LSN, prefix, length, content. */
function note({ writers, definitions, truncated }: Transaction, bytes: Buffer): void {
  // More than are read: among them may be who writes.
  if (bytes.length === 1) addWriter(writers, { user: '', application: '' });
  const [, prefix, content] = cut(bytes, 10);
  const said = saidIn(prefix, content.subarray(4).toString('utf8'));
  if (said?.kind === 'definition') definitions.push(said.definition);
  if (said?.kind !== 'writer') return;
  addWriter(writers, said.writer);
  if (said.truncated !== undefined) truncated.push(said.truncated);
}

/** R, oid, schema, name, and what the columns are. Tables of pg_catalog have an empty schema. */
function relationName(bytes: Buffer): string {
  const [, schema, rest] = cut(bytes, 5);
  const [, name] = cut(rest, 0);
  return `${schema}.${name}`;
}

/** What lies before, a text that ends with a zero byte, and what comes after it. */
function cut(bytes: Buffer, from: number): readonly [before: Buffer, text: string, after: Buffer] {
  const zero = bytes.indexOf(0, from);
  const end = zero === -1 ? bytes.length : zero;
  return [bytes.subarray(0, from), bytes.subarray(from, end).toString('utf8'), bytes.subarray(end + 1)];
}

/** As Postgres writes it: `16/B374D848`. */
export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xff_ff_ff_ffn).toString(16).toUpperCase()}`;
}

/** 0 for what is no LSN. */
export function lsnOf(text: string): bigint {
  const [, high, low] = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text) ?? [];
  return high === undefined || low === undefined ? 0n : (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}
