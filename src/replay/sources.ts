/** Where histories come from: files, or a Temporal server. They are named first, and each is read when its turn comes. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { causes, grpcCode } from '../client/connection.js';
import { invalid, MAX_HISTORY_BYTES, parseHistory, recordedHistory, type RecordedHistory } from './history.js';

export interface HistorySource {
  /** A file, or `<workflow id>` of a server. */
  readonly name: string;
  /** @throws CountersignError HISTORY_INVALID, NOT_FOUND; TEMPORAL_UNAVAILABLE */
  read(): Promise<RecordedHistory>;
}

/**
 * The JSON files among these paths, and in the folders among them, however deep.
 *
 * @throws CountersignError NOT_FOUND where a path leads nowhere, or a folder has no such file
 */
export async function historyFiles(paths: readonly string[]): Promise<readonly HistorySource[]> {
  const found = await Promise.all(paths.map(filesOf));
  return [...new Set(found.flat())].map((file) => ({ name: file, read: () => readHistory(file) }));
}

async function filesOf(place: string): Promise<readonly string[]> {
  const kind = await stat(place).catch(() => undefined);
  if (kind === undefined) throw nothingAt(place, 'There is nothing at', 'Name a file or a folder that exists.');
  if (!kind.isDirectory()) return [place];
  const names = await readdir(place, { recursive: true });
  const files = names.filter((name) => name.endsWith('.json')).toSorted();
  if (files.length === 0) throw nothingAt(place, 'There are no .json files in', 'Name a folder of histories.');
  return files.map((name) => path.join(place, name));
}

function nothingAt(place: string, what: string, fix: string): CountersignError {
  return new CountersignError('NOT_FOUND', `${what} ${place}.`, { field: 'paths', expected: 'histories as JSON', fix });
}

async function readHistory(file: string): Promise<RecordedHistory> {
  const { size } = await stat(file);
  if (size > MAX_HISTORY_BYTES) throw invalid(file, `it has ${size} bytes`, 'No history of one workflow is so large.');
  return parseHistory(await readFile(file, 'utf8'), file);
}

/**
 * What a visibility query finds, the newest first; without a query, everything.
 *
 * @param last at most so many
 * @param option what the query was given as, for errors
 * @throws CountersignError USAGE where the server does not take the query; TEMPORAL_UNAVAILABLE
 */
export async function* queriedHistories(
  { workflow }: Client,
  query: string | undefined,
  last = Infinity,
  option = '--query',
): AsyncGenerator<HistorySource, undefined> {
  let listed = 0;
  const list = workflow.list(query === undefined ? {} : { query });
  for await (const { workflowId, runId } of answered(list, query, option)) {
    const handle = workflow.getHandle(workflowId, runId);
    yield { name: workflowId, read: () => fetched(() => handle.fetchHistory(), workflowId) };
    if (++listed >= last) return;
  }
}

async function* answered<T>(
  list: AsyncIterable<T>,
  query: string | undefined,
  option: string,
): AsyncGenerator<T, undefined> {
  try {
    yield* list;
  } catch (error) {
    if (grpcCode(error) !== INVALID_ARGUMENT) throw asCountersignError(error, 'TEMPORAL_UNAVAILABLE');
    const why = causes(error).at(-1)?.message;
    throw new CountersignError('USAGE', `The server does not take the query ${query}: ${why}`, {
      field: option,
      expected: 'a list filter (https://docs.temporal.io/list-filter)',
      fix: "Correct it; values stand in quotes: CountersignStatus = 'pending'.",
    });
  }
}

/** https://grpc.io/docs/guides/status-codes/ */
const INVALID_ARGUMENT = 3;

async function fetched(
  fetch: () => Promise<Parameters<typeof recordedHistory>[0]>,
  workflowId: string,
): Promise<RecordedHistory> {
  try {
    return recordedHistory(await fetch(), workflowId, workflowId);
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    if (!(error instanceof WorkflowNotFoundError)) throw asCountersignError(error, 'TEMPORAL_UNAVAILABLE');
    throw new CountersignError('NOT_FOUND', `The history of ${workflowId} is gone from the server.`, {
      field: workflowId,
      fix: 'Its retention has ended since it was listed: nothing is to be done.',
      cause: error,
    });
  }
}

/** The newest of each workflow type, of those that a query finds. */
export async function* lastHistories(
  client: Client,
  types: readonly string[],
  last: number,
  query: string | undefined,
): AsyncGenerator<HistorySource, undefined> {
  for (const type of types) yield* queriedHistories(client, ofType(type, query), last);
}

/** The workflows of a type among those that a query finds. */
export function ofType(type: string, query: string | undefined): string {
  const only = `WorkflowType = '${type}'`;
  return query === undefined ? only : `${only} AND (${query})`;
}
