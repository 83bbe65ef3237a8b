/** Reads the decisions that histories in Temporal hold: one an action, of its latest run that has one. */
import { asCountersignError, type ErrorCode } from '../action/errors.js';
import { inOrderOfDecision, type DecisionRecord } from '../action/decision-record.js';
import type { Digest } from '../action/json.js';
import { bundleFromFiles, compilePolicy, type Policy } from '../policy/index.js';
import type { HistorySource } from '../replay/sources.js';
import type { RecordedPolicy, Recording } from './file.js';
import { decisionIn, type HistoryReader } from './from-history.js';
import { strikeRecord } from './strike.js';

/** An action whose decision could not be taken from any of its histories. */
export interface UnreadAction {
  /** `<tenant>/<actionId>` */
  readonly name: string;
  /** Goes on after "it could not be decided again, because". */
  readonly why: string;
}

export interface HistoryRecording extends Recording {
  readonly unread: readonly UnreadAction[];
}

export interface HistoryRecordingOptions extends Pick<HistoryReader, 'decode' | 'keyring'> {
  /** The files of a policy, where they are known. */
  readonly filesOf: (digest: Digest) => Promise<RecordedPolicy['files'] | undefined>;
  /** Told of each action that was read. */
  readonly told?: () => void;
}

/** How many histories are in memory at once. */
const AT_ONCE = 8;

/** What is wrong with one history only; anything else ends the reading. */
const OF_ONE: ReadonlySet<ErrorCode> = new Set(['HISTORY_INVALID', 'NOT_FOUND']);

/**
 * @param sources of each action the newest run first
 * @throws CountersignError TEMPORAL_UNAVAILABLE, LEDGER_UNAVAILABLE
 */
export async function decisionsInHistories(
  sources: AsyncIterable<HistorySource>,
  { decode, keyring, filesOf, told }: HistoryRecordingOptions,
): Promise<HistoryRecording> {
  const runs = new Map<string, HistorySource[]>();
  for await (const source of sources) runs.set(source.name, [...(runs.get(source.name) ?? []), source]);
  const policies = new Policies(filesOf);
  const reader: HistoryReader = { decode, keyring, policyOf: (digest) => policies.compiled(digest) };
  const records: DecisionRecord[] = [];
  const unread: UnreadAction[] = [];
  const waiting = [...runs.entries()].values();
  const work = async (): Promise<void> => {
    for (const [name, histories] of waiting) {
      const found = await decisionOf(histories, reader);
      if (typeof found === 'string') unread.push({ name, why: found });
      else records.push(strikeRecord(found));
      told?.();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  records.sort(inOrderOfDecision);
  unread.sort((one, other) => (one.name < other.name ? -1 : 1));
  const digests = new Set(records.flatMap(({ decision }) => (decision === undefined ? [] : [decision.policyDigest])));
  return { records, policies: await policies.recorded([...digests].sort()), unread };
}

/** The decision of the newest run that has one; else why the newest has none. */
async function decisionOf(
  histories: readonly HistorySource[],
  reader: HistoryReader,
): Promise<DecisionRecord | string> {
  let why: string | undefined;
  for (const source of histories) {
    try {
      return await decisionIn(await source.read(), reader);
    } catch (thrown) {
      const { code, message } = asCountersignError(thrown);
      if (!OF_ONE.has(code)) throw thrown;
      why ??= code === 'NOT_FOUND' ? 'its history is gone from the server' : message;
    }
  }
  return why ?? 'it has no history';
}

/** Policies by digest, each looked for and compiled when it is first asked for. */
class Policies {
  readonly #filesOf: HistoryRecordingOptions['filesOf'];
  readonly #files = new Map<Digest, Promise<RecordedPolicy['files'] | undefined>>();
  readonly #compiled = new Map<Digest, Promise<Policy | undefined>>();

  constructor(filesOf: HistoryRecordingOptions['filesOf']) {
    this.#filesOf = filesOf;
  }

  compiled(digest: Digest): Promise<Policy | undefined> {
    const known = this.#compiled.get(digest) ?? this.#compile(digest);
    this.#compiled.set(digest, known);
    return known;
  }

  async recorded(digests: readonly Digest[]): Promise<readonly RecordedPolicy[]> {
    const found: RecordedPolicy[] = [];
    for (const digest of digests) {
      const files = await this.#of(digest);
      if (files !== undefined) found.push({ digest, files });
    }
    return found;
  }

  #of(digest: Digest): Promise<RecordedPolicy['files'] | undefined> {
    const known = this.#files.get(digest) ?? this.#filesOf(digest);
    this.#files.set(digest, known);
    return known;
  }

  /** Undefined also where it is no policy for this version any more. */
  async #compile(digest: Digest): Promise<Policy | undefined> {
    const files = await this.#of(digest);
    if (files === undefined) return undefined;
    try {
      return compilePolicy(bundleFromFiles(files));
    } catch {
      return undefined;
    }
  }
}
