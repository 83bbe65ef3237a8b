/**
 * Files of decision records: JSON Lines in which each line is bound to those before it, so that one changed byte is found.
 *
 * A line is `{"chain":"sha256:…","entry":…}` with the entry as canonical JSON (RFC 8785). `chain` is the digest of the chain of the line before
 * (nothing before the first) followed by the entry's text. The first entry says what the file is, the next are the policies that the decisions
 * were made under, then come the decisions, and the entry `end` counts them: a file that was cut has none. The chain tells that a file is as it
 * was written, not who wrote it. That a signature over the chain up to the end tells, which may follow as a last line of its own.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { CountersignError } from '../action/errors.js';
import { parseDecisionRecord, type DecisionRecord } from '../action/decision-record.js';
import { canonical, digest, digestText, type Digest } from '../action/json.js';

const FORMAT = 'countersign.decisions';

export interface RecordedPolicy {
  readonly digest: Digest;
  readonly files: Readonly<Record<string, string>>;
}

/** Decisions with the policies they were made under. */
export interface Recording {
  readonly records: readonly DecisionRecord[];
  readonly policies: readonly RecordedPolicy[];
}

type Entry =
  | {
      readonly kind: 'header';
      readonly v: 1;
      readonly format: typeof FORMAT;
      readonly about?: Readonly<Record<string, string>>;
    }
  | ({ readonly kind: 'policy' } & RecordedPolicy)
  | { readonly kind: 'decision'; readonly record: DecisionRecord }
  | { readonly kind: 'end'; readonly decisions: number }
  | { readonly kind: 'signature'; readonly signed: string };

/** The text of a file, and the digest that it has up to its end. */
export interface WrittenRecording {
  readonly text: string;
  readonly digest: Digest;
}

/** A recording as it was read: with the digest that it has up to its end, and what was signed over that, unverified. */
export interface ReadRecording extends Recording {
  readonly digest: Digest;
  readonly signed?: string;
}

/** The same recording gives the same text. */
export function writeRecording(
  { records, policies }: Recording,
  about: Readonly<Record<string, string>> = {},
): WrittenRecording {
  const entries: readonly Entry[] = [
    { kind: 'header', v: 1, format: FORMAT, ...(Object.keys(about).length === 0 ? {} : { about }) },
    ...policies.map((policy): Entry => ({ kind: 'policy', ...policy })),
    ...records.map((record): Entry => ({ kind: 'decision', record })),
    { kind: 'end', decisions: records.length },
  ];
  let chain: Digest | '' = '';
  const lines: string[] = [];
  for (const entry of entries) {
    const text = canonical(entry);
    chain = digestText(chain + text);
    lines.push(lineOf(chain, text));
  }
  return { text: `${lines.join('\n')}\n`, digest: chain as Digest };
}

/** The text of the file with a signature over its digest (`signFinding`). */
export function withSignature({ text, digest: end }: WrittenRecording, signed: string): string {
  const entry = canonical({ kind: 'signature', signed } satisfies Entry);
  return `${text}${lineOf(digestText(end + entry), entry)}\n`;
}

/** The bytes of a file of this name: compressed where it ends in `.gz`. The same text gives the same bytes. */
export function packRecording(text: string, name: string): Uint8Array {
  return name.endsWith('.gz') ? gzipSync(text, { level: 9 }) : Buffer.from(text, 'utf8');
}

/** Reads a file and checks all of it. @throws CountersignError INVALID_INPUT with the first line that is not as it was written */
export function readRecording(bytes: Uint8Array, name: string): ReadRecording {
  const lines = textOf(bytes, name).split('\n');
  if (lines.pop() !== '') throw broken(name, lines.length + 1, 'it is cut: its last line does not end');
  const records: DecisionRecord[] = [];
  const policies: RecordedPolicy[] = [];
  let chain: Digest | '' = '';
  let end: Digest | undefined;
  let signed: string | undefined;
  for (const [index, line] of lines.entries()) {
    const at = index + 1;
    const entry = entryOf(line, name, at);
    const text = canonical(entry);
    chain = digestText(chain + text);
    if (line !== lineOf(chain, text)) throw broken(name, at, 'it is not as it was written: the digest differs');
    if (signed !== undefined || (end !== undefined && entry.kind !== 'signature')) {
      throw broken(name, at, 'something follows the end');
    }
    if ((entry.kind === 'header') !== (index === 0)) throw broken(name, at, `it is no file of ${FORMAT}`);
    switch (entry.kind) {
      case 'header':
        if (entry.format !== FORMAT || (entry.v as number) !== 1) throw otherVersion(name);
        break;
      case 'policy':
        if (digest(entry.files) !== entry.digest) throw broken(name, at, 'the policy is not the one of its digest');
        policies.push({ digest: entry.digest, files: entry.files });
        break;
      case 'decision':
        records.push(parseDecisionRecord(entry.record, `line ${at}`));
        break;
      case 'end':
        end = chain;
        if (entry.decisions !== records.length) throw broken(name, at, 'it counts other decisions than there are');
        break;
      case 'signature':
        if (end === undefined) throw broken(name, at, 'a signature stands before the end');
        if (typeof (entry as { signed?: unknown }).signed !== 'string') throw broken(name, at, 'it holds no signature');
        signed = entry.signed;
        break;
      default:
        throw broken(name, at, 'it holds an entry of no known kind');
    }
  }
  if (end === undefined) throw broken(name, lines.length + 1, 'it is cut: the end is missing');
  return { records, policies, digest: end, ...(signed === undefined ? {} : { signed }) };
}

function lineOf(chain: string, text: string): string {
  return `{"chain":"${chain}","entry":${text}}`;
}

function textOf(bytes: Uint8Array, name: string): string {
  try {
    const plain = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plain);
  } catch (cause) {
    throw new CountersignError('INVALID_INPUT', `${name} cannot be read: ${(cause as Error).message}`, {
      field: name,
      expected: 'a file of decisions, as `countersign record --decisions` writes it',
      fix: 'Export the decisions again.',
      cause,
    });
  }
}

function entryOf(line: string, name: string, at: number): Entry {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (cause) {
    throw broken(name, at, 'it is not JSON', cause);
  }
  const entry = (parsed as { entry?: unknown } | null)?.entry;
  if (typeof entry === 'object' && entry !== null && 'kind' in entry) return entry as Entry;
  throw broken(name, at, 'it holds no entry');
}

function broken(name: string, line: number, problem: string, cause?: unknown): CountersignError {
  return new CountersignError('INVALID_INPUT', `${name}, line ${line}: ${problem}.`, {
    field: `${name}:${line}`,
    expected: 'the file as `countersign record --decisions` wrote it',
    fix: 'Export the decisions again, and do not edit the file.',
    ...(cause === undefined ? {} : { cause }),
  });
}

function otherVersion(name: string): CountersignError {
  return new CountersignError('INVALID_INPUT', `${name} is of another version or of another kind.`, {
    field: `${name}:1`,
    expected: `${FORMAT}, version 1`,
    fix: 'Export the decisions again with this version of Countersign.',
  });
}
