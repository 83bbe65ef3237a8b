/** Where commands get recorded decisions from: a file, or the ledger. */
import { readFile } from 'node:fs/promises';
import { CountersignError } from '../action/errors.js';
import type { DecisionRecord } from '../action/decision-record.js';
import type { Recording } from '../decisions/file.js';
import { parseDuration } from '../action/duration.js';
import type { Context } from './context.js';
import { usageError } from './usage-error.js';

export interface DecisionOptions {
  readonly since?: string;
  readonly until?: string;
  readonly tenant?: string;
  readonly tool?: string;
  readonly agent?: string;
}

export interface RecordedOptions extends DecisionOptions {
  readonly from?: string;
}

/** The decisions of a file, or of the ledger where none is named, that fit the options. @throws CountersignError NOT_FOUND when there are none */
export async function recordedDecisions(context: Context, { from, ...options }: RecordedOptions): Promise<Recording> {
  const recording = from === undefined ? await fromLedger(context, options) : await fromFile(from, options);
  if (recording.records.length > 0) return recording;
  throw new CountersignError('NOT_FOUND', 'There are no decisions to decide again.', {
    field: from === undefined ? 'COUNTERSIGN_LEDGER_URL' : '--from',
    expected: 'actions that have ended, in the period and of the tenant, tool and agent that were named',
    fix: 'Name another period, or leave filters out.',
  });
}

export async function fromLedger(context: Context, options: DecisionOptions): Promise<Recording> {
  const { decisionsOf } = await import('../decisions/from-ledger.js');
  const [keyring, ledger] = await Promise.all([context.keyring(), context.ledger()]);
  const { tool, agent, ...rest } = options;
  const { since, until } = periodOf(rest);
  return decisionsOf(ledger, keyring, { tenant: await context.tenant(options.tenant), since, until, tool, agent });
}

async function fromFile(path: string, options: DecisionOptions): Promise<Recording> {
  const { readRecording } = await import('../decisions/file.js');
  const { tenant, tool, agent } = options;
  const { since, until } = periodOf(options);
  const { records, policies } = readRecording(await bytesOf(path), path);
  const meant = (record: DecisionRecord): boolean => {
    const at = Date.parse(record.decidedAt);
    const { facts } = record;
    return (
      (since === undefined || at >= since.getTime()) &&
      (until === undefined || at < until.getTime()) &&
      (tenant === undefined || record.tenant === tenant) &&
      (tool === undefined || facts?.tool.name === tool) &&
      (agent === undefined || facts?.agent.id === agent || facts?.agent.via?.includes(agent) === true)
    );
  };
  return { records: records.filter(meant), policies };
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new CountersignError('NOT_FOUND', `${path} cannot be read: ${(cause as Error).message}`, {
      field: '--from',
      expected: 'a file that `countersign record --decisions` wrote',
      fix: 'Name the file.',
      cause,
    });
  }
}

/** Times are instants or days; before now where they are durations. @throws CountersignError USAGE */
function periodOf({ since, until }: Pick<DecisionOptions, 'since' | 'until'>): { since?: Date; until?: Date } {
  return {
    ...(since === undefined ? {} : { since: timeOption(since, '--since') }),
    ...(until === undefined ? {} : { until: timeOption(until, '--until') }),
  };
}

function timeOption(text: string, field: string): Date {
  const ago = parseDuration(text.trim());
  if (ago !== undefined) return new Date(Date.now() - ago);
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
    ? new Date(text)
    : undefined;
  if (time !== undefined && !Number.isNaN(time.getTime())) return time;
  throw usageError(`${JSON.stringify(text.slice(0, 40))} is not a time.`, {
    field,
    expected:
      'an instant such as 2030-01-31T12:00:00Z, a day such as 2030-01-31 (from 0:00 UTC), or how long ago, such as 30d',
  });
}
