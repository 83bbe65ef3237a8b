/** Runs recorded histories through today's workflow code: several at once, and never more of them in memory than that. */
import { Worker, type ReplayWorkerOptions } from '@temporalio/worker';
import { asCountersignError, type CountersignError } from '../action/errors.js';
import { changedHistory } from './changed-history.js';
import { diagnose, type ReplayCause, type Divergence, type Failed, type Retry } from './diagnosis.js';
import { invalid, type RecordedHistory } from './history.js';
import { PayloadEncryption } from '../privacy/data-converter.js';
import type { HistorySource } from './sources.js';
import { tracedWorker, type Trace } from './traced-worker.js';

export interface Replayed {
  /** The file, or the workflow id on the server. */
  readonly source: string;
  readonly workflowId?: string;
  readonly workflowType?: string;
  readonly events?: number;
  /** Absent where the history replays. */
  readonly problem?: ReplayProblem;
}

export interface ReplayProblem {
  /** `NONDETERMINISTIC`; `HISTORY_INVALID` or `NOT_FOUND` where there was nothing to replay. */
  readonly code: CountersignError['code'];
  readonly message: string;
  readonly fix: string;
  readonly cause?: ReplayCause;
  readonly event?: Divergence['event'];
  readonly step?: string;
}

export interface ReplayOptions {
  /** The path of the workflow code, as `workflowBundlePath` gives it. */
  readonly bundle: string;
  /** Decrypts what is encrypted in them. Default: nothing is. */
  readonly encryption?: PayloadEncryption;
  /** How many histories are replayed at once, each on a thread of its own. */
  readonly concurrency: number;
  /** Called with each result, in the order in which they come. */
  readonly told: (result: Replayed) => void;
}

/** @throws CountersignError where the histories themselves cannot be listed or fetched any more */
export async function replayHistories(
  sources: AsyncIterable<HistorySource> | Iterable<HistorySource>,
  { bundle, encryption = new PayloadEncryption(undefined), concurrency, told }: ReplayOptions,
): Promise<void> {
  const queue = queueOf(sources);
  const tried = new Map<string, ReplayCause>();
  const ended = await withRuntime(bundle, () =>
    Promise.allSettled(Array.from({ length: concurrency }, () => lane(queue, { bundle, encryption, told, tried }))),
  );
  await queue.close();
  const failed = ended.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

interface Queue {
  next(): Promise<HistorySource | undefined>;
  close(): Promise<void>;
}

/** Several lanes take from it: who asks while another waits, gets the one after. */
async function* drawn(sources: AsyncIterable<HistorySource> | Iterable<HistorySource>): AsyncGenerator<HistorySource> {
  yield* sources;
}

function queueOf(sources: AsyncIterable<HistorySource> | Iterable<HistorySource>): Queue {
  const generator = drawn(sources);
  return {
    next: async () => {
      const { done, value } = await generator.next();
      return done === true ? undefined : value;
    },
    close: async () => {
      await generator.return(undefined);
    },
  };
}

/**
 * The SDK puts its runtime away with the last worker that there is, also while another one is being made. So there is one more, which
 * replays nothing, as long as the work takes.
 */
async function withRuntime<T>(bundle: string, work: () => Promise<T>): Promise<T> {
  let [made, release] = [(): void => {}, (): void => {}];
  const ready = new Promise<void>((resolve) => (made = resolve));
  const over = new Promise<void>((resolve) => (release = resolve));
  const nothing: AsyncIterable<never> = {
    [Symbol.asyncIterator]: () => ({
      next: async () => {
        made();
        await over;
        return { done: true, value: undefined };
      },
    }),
  };
  const idle = Worker.runReplayHistories({ workflowBundle: { codePath: bundle } }, nothing).next();
  await Promise.race([ready, idle]);
  try {
    return await work();
  } finally {
    release();
    await idle;
  }
}

interface Lane extends Required<Omit<ReplayOptions, 'concurrency'>> {
  readonly tried: Map<string, ReplayCause>;
}

/** A replaying worker keeps something of each history for as long as it lives: after so many there is another one. */
const HISTORIES_PER_WORKER = 500;

function replayOptions(codePath: string, { codec }: PayloadEncryption): ReplayWorkerOptions {
  return { workflowBundle: { codePath }, dataConverter: { payloadCodecs: [codec] } };
}

/** One history after another on one replaying worker; another worker where one breaks on what it was given. */
async function lane(queue: Queue, { bundle, encryption, told, tried }: Lane): Promise<void> {
  const trace: Trace = { issued: [] };
  let current: { source: HistorySource; recorded: RecordedHistory } | undefined;
  let exhausted = false;
  async function* feed(): AsyncGenerator<{ workflowId: string; history: RecordedHistory['history'] }> {
    for (let fed = 0; fed < HISTORIES_PER_WORKER; fed++) {
      const source = await queue.next();
      if (source === undefined) {
        exhausted = true;
        return;
      }
      try {
        current = { source, recorded: await source.read() };
      } catch (error) {
        told(unread(source, error));
        continue;
      }
      const { workflowId, history } = current.recorded;
      yield { workflowId, history };
    }
  }
  const Replaying: typeof Worker = tracedWorker(trace);
  // Off, a worker of the SDK runs workflow code on threads; replaying ones are on for debuggers by default.
  const options = { ...replayOptions(bundle, encryption), debugMode: false, workflowThreadPoolSize: 1 };
  const retry = retryOf(replayOptions(bundle, encryption));
  while (!exhausted) {
    try {
      for await (const { error } of Replaying.runReplayHistories(options, feed())) {
        if (current === undefined) continue;
        const { source, recorded } = current;
        current = undefined;
        const failed = error === undefined ? undefined : { detail: error.message, issued: trace.issued };
        told(await resultOf(source, recorded, failed, { retry: (change) => retry(recorded, change), tried }));
      }
    } catch (error) {
      if (current === undefined) throw error;
      const { source, recorded } = current;
      current = undefined;
      told({ ...aboutOf(source, recorded), problem: problemOf(unreplayable(source.name, error)) });
    }
  }
}

function aboutOf({ name }: HistorySource, { workflowId, workflowType, events }: RecordedHistory): Replayed {
  return { source: name, workflowId, workflowType, events: events.length };
}

async function resultOf(
  source: HistorySource,
  recorded: RecordedHistory,
  failed: Failed | undefined,
  { retry, tried }: { readonly retry: Retry; readonly tried: Map<string, ReplayCause> },
): Promise<Replayed> {
  const about = aboutOf(source, recorded);
  if (failed === undefined) return about;
  if (!recorded.ours) return { ...about, problem: problemOf(foreign(source.name, recorded.workflowType)) };
  const { cause, what, ...place } = await diagnose(recorded, failed, retry, tried);
  return {
    ...about,
    problem: { code: 'NONDETERMINISTIC', message: what, fix: FIXES[cause] ?? PATCH, cause, ...place },
  };
}

/** Replays one history by itself, changed. */
function retryOf(
  options: ReplayWorkerOptions,
): (recorded: RecordedHistory, ...change: Parameters<Retry>) => ReturnType<Retry> {
  return async ({ workflowId, history }, change) => {
    const trace: Trace = { issued: [] };
    try {
      await tracedWorker(trace).runReplayHistory(options, changedHistory(history, change), workflowId);
      return undefined;
    } catch (error) {
      return { detail: asCountersignError(error).message, issued: trace.issued };
    }
  };
}

const PATCH =
  'Keep the old way for what began before: take the new one only where patched() says so, and record a history of each.';

const FIXES: Readonly<Partial<Record<ReplayCause, string>>> = {
  patch_removed: 'Keep the call, as deprecatePatch(), for as long as there are histories that have the patch.',
  workflow_type_removed: 'Keep the workflow type for as long as workflows of it are open.',
  workflow_throws:
    'Look at where it throws: a step may have got the result of another one. Where the steps changed, keep the old way behind patched().',
};

/** A source that could not be read is a result; a server that is away ends the run. */
function unread({ name }: HistorySource, thrown: unknown): Replayed {
  const error = asCountersignError(thrown);
  if (error.code !== 'HISTORY_INVALID' && error.code !== 'NOT_FOUND') throw thrown;
  return { source: name, problem: problemOf(error) };
}

function problemOf({ code, message, fix }: CountersignError): ReplayProblem {
  return { code, message, fix: fix ?? 'Record it again.' };
}

function foreign(name: string, workflowType: string): CountersignError {
  return invalid(
    name,
    `no worker of Countersign recorded it, and its workflow type is ${workflowType}`,
    'Leave it out, or narrow the query.',
  );
}

function unreplayable(name: string, thrown: unknown): CountersignError {
  return invalid(name, asCountersignError(thrown).message, 'Record it again: an event is damaged.');
}
