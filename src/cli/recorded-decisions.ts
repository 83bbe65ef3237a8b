/** Where commands get recorded decisions from: a file, the ledger, or histories in Temporal. */
import { readFile } from 'node:fs/promises';
import { CountersignError } from '../action/errors.js';
import type { DecisionRecord } from '../action/decision-record.js';
import type { ReadRecording, RecordedPolicy, Recording } from '../decisions/file.js';
import type { HistoryRecording } from '../decisions/from-histories.js';
import { parseDuration } from '../action/duration.js';
import type { Context } from './context.js';
import { Progress } from './progress.js';
import { usageError } from './usage-error.js';

export interface DecisionOptions {
  readonly since?: string;
  readonly until?: string;
  readonly tenant?: string;
  readonly tool?: string;
  readonly agent?: string;
}

export const KEYS_OPTION = [
  '--keys <file>',
  'take a file only where a person signed it whom these public keys attest (`countersign keys public`)',
] as const;

export interface RecordedOptions extends DecisionOptions {
  readonly from?: string;
  readonly keys?: string;
  readonly workflowQuery?: string;
}

/** What is decided again, and what could not even be read. */
export type DecisionsRead = Recording & Partial<Pick<HistoryRecording, 'unread'>>;

/**
 * The decisions of a file, of the histories that a query finds, or of the ledger where neither is named, that fit the options.
 *
 * @param known a policy that need not be looked for in the ledger
 * @throws CountersignError NOT_FOUND when there are none
 */
export async function recordedDecisions(
  context: Context,
  { from, keys, workflowQuery, ...options }: RecordedOptions,
  known?: RecordedPolicy,
): Promise<DecisionsRead> {
  if (keys !== undefined && from === undefined) {
    throw usageError('Only a file is verified with the keys of a file.', { field: '--keys', expected: '--from FILE' });
  }
  const recording: DecisionsRead =
    from !== undefined
      ? await fromFile(context, from, keys, options)
      : workflowQuery !== undefined
        ? await fromHistories(context, workflowQuery, options, known)
        : await fromLedger(context, options);
  if (recording.records.length + (recording.unread?.length ?? 0) > 0) return recording;
  throw new CountersignError('NOT_FOUND', 'There are no decisions to decide again.', {
    field: from !== undefined ? '--from' : workflowQuery === undefined ? 'COUNTERSIGN_LEDGER_URL' : '--workflow-query',
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

async function fromFile(
  context: Context,
  path: string,
  keys: string | undefined,
  options: DecisionOptions,
): Promise<Recording> {
  const { readRecording } = await import('../decisions/file.js');
  const read = readRecording(await bytesOf(path), path);
  if (keys !== undefined) await assertSigned(context, path, read, keys);
  else if (read.signed !== undefined)
    context.out.note(`who signed ${path} was not verified: name public keys with --keys`);
  return { records: read.records.filter(meantBy(options, options.tenant)), policies: read.policies };
}

/** @throws CountersignError FINDING_INVALID */
async function assertSigned(
  context: Context,
  path: string,
  { digest, records, signed }: ReadRecording,
  keys: string,
): Promise<void> {
  if (signed === undefined) {
    throw new CountersignError('FINDING_INVALID', `Nobody signed ${path}.`, {
      field: path,
      expected: 'a file that `countersign record --decisions` wrote for somebody with a credential',
      fix: 'Export the decisions again with --as, or leave --keys out where the file is trusted as it is.',
    });
  }
  const { readKeyFile, verifyFinding } = await import('../trust/index.js');
  const keyring = await readKeyFile(keys, { production: false });
  const finding = { kind: 'export', digest, decisions: records.length } as const;
  const { by, tenant, at } = await verifyFinding(keyring, signed, finding);
  context.out.note(`${path} was signed by ${by} of ${tenant} at ${at}`);
}

/** Policies that the ledger keeps are taken from it where it can be reached; the histories themselves need no ledger. */
async function fromHistories(
  context: Context,
  query: string,
  options: DecisionOptions,
  known: RecordedPolicy | undefined,
): Promise<HistoryRecording> {
  const [{ decisionsInHistories }, { ofType, queriedHistories }, { decoderOf }] = await Promise.all([
    import('../decisions/from-histories.js'),
    import('../replay/sources.js'),
    import('../client/payloads.js'),
  ]);
  const [keyring, temporal] = [await context.keyring(), await context.temporal()];
  const content = context.hasLedger() ? (await context.ledger()).content : undefined;
  const progress = new Progress(context.terminal, 'histories');
  try {
    const read = await decisionsInHistories(
      queriedHistories(temporal, ofType('trustedAction', query), Infinity, '--workflow-query'),
      {
        decode: decoderOf(temporal),
        keyring,
        filesOf: async (digest) => (digest === known?.digest ? known.files : content?.getPolicy(digest)),
        told: () => progress.advance(),
      },
    );
    const tenant = await context.tenant(options.tenant);
    return {
      ...read,
      records: read.records.filter(meantBy(options, tenant)),
      unread: read.unread.filter(({ name }) => tenant === undefined || name.startsWith(`${tenant}/`)),
    };
  } finally {
    progress.end();
  }
}

function meantBy(options: DecisionOptions, tenant: string | undefined): (record: DecisionRecord) => boolean {
  const { tool, agent } = options;
  const { since, until } = periodOf(options);
  return (record) => {
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
