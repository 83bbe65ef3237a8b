/** Which writes an action of ours explains, by what the ledger knows of the keys that came with them. Pure. */
import type { RadarAlertRequest, RadarChange, RadarWriter, UnexplainedReason } from '../action/radar.js';
import type { EffectClaim, EffectStanding } from '../ledger/index.js';
import type { DeclaredWriters, ObservedDefinition, ObservedWrite } from './source.js';
import { addChange, addWriter, type ChangeTally, type WriterTally } from './tally.js';

/** An effect is committed before its action has ended. The clocks of the two databases may differ by this much. Milliseconds. */
const CLOCKS_MS = 60 * 60_000;

export interface Knowledge {
  /** What the ledger has of the keys that it knows. */
  readonly standings: ReadonlyMap<string, EffectStanding>;
  /** Claims of keys that explained another write before. */
  readonly usedTwice: readonly EffectClaim[];
  /** The tools that write to this kind of system. */
  readonly tools: ReadonlySet<string>;
  readonly writers: DeclaredWriters;
}

/** A write that nothing explains. */
export interface Unexplained {
  readonly reason: UnexplainedReason;
  readonly key?: string;
}

/** Why a write is unexplained; undefined when an action of ours made it, or a writer whom the operator declared. */
export function unexplained(write: ObservedWrite, known: Knowledge): Unexplained | undefined {
  const { keys, writers } = write;
  const problems = keys.map((key) => ({ key, reason: problemOf(key, write, known) }));
  // One good key explains the transaction that it was committed with; a bad one beside it was put there by somebody else.
  const bad = problems.find((one) => one.reason !== undefined);
  if (bad?.reason !== undefined) return { reason: bad.reason, key: bad.key };
  if (keys.length > 0) return undefined;
  return areDeclared(writers, known.writers) ? undefined : { reason: 'no_effect' };
}

function problemOf(
  key: string,
  { at, position }: ObservedWrite,
  { standings, usedTwice, tools }: Knowledge,
): UnexplainedReason | undefined {
  const standing = standings.get(key);
  if (standing === undefined || standing.uses === 0 || standing.reads || !tools.has(standing.tool))
    return 'unknown_effect';
  if (standing.endedAt !== undefined && standing.endedAt.getTime() < at.getTime() - CLOCKS_MS) return 'effect_ended';
  switch (standing.status) {
    case 'denied':
    case 'failed':
    case 'expired':
    case 'cancelled':
      return 'unknown_effect';
    case 'open':
    case 'success':
    case 'mismatch':
    case 'unknown':
      return usedTwice.some((claim) => claim.key === key && claim.position === position)
        ? 'effect_used_twice'
        : undefined;
  }
}

/**
 * Whether every one of them is declared. A transaction can claim more writers than it has, never fewer: the trigger of each statement says who
 * runs it.
 */
function areDeclared(writers: readonly RadarWriter[], { roles = [], applications = [] }: DeclaredWriters): boolean {
  return (
    writers.length > 0 &&
    writers.every(({ user, application }) => roles.includes(user) || applications.includes(application))
  );
}

const BECAUSE: Readonly<Record<UnexplainedReason, string>> = {
  no_effect: 'no action made it',
  unknown_effect: 'it names an action that the ledger has not granted',
  effect_used_twice: 'it names the effect of an action that was made before, in another transaction',
  effect_ended: 'it names an action that had ended long before',
};

/** Of one alert, so that nobody fills the ledger with one transaction. Whom it does not list is counted. */
const MOST_LISTED = 100;

function listed(changes: readonly RadarChange[], writers: readonly RadarWriter[]) {
  const [changed, wrote] = [changes.length - MOST_LISTED, writers.length - MOST_LISTED];
  const more = [...(changed > 0 ? [`${changed} more changes`] : []), ...(wrote > 0 ? [`${wrote} more writers`] : [])];
  return {
    changes: changes.slice(0, MOST_LISTED),
    writers: writers.slice(0, MOST_LISTED),
    unlisted: more.length === 0 ? '' : ` Not listed: ${more.join(', ')}.`,
  };
}

export function alertOf(write: ObservedWrite, { reason, key }: Unexplained): RadarAlertRequest {
  const { position, at, transaction } = write;
  const { changes, writers, unlisted } = listed(write.changes, write.writers);
  return {
    kind: 'write',
    position,
    at: at.toISOString(),
    reason,
    detail: `${changesText(write.changes)}: ${BECAUSE[reason]}.${unlisted}`,
    ...(transaction === undefined ? {} : { transaction }),
    changes,
    writers,
    ...(key === undefined ? {} : { effectKey: key }),
  };
}

/** Undefined where a declared writer did it. What the radar has made is nobody's to change. */
export function definitionAlertOf(
  observed: ObservedDefinition,
  declared: DeclaredWriters,
): RadarAlertRequest | undefined {
  const { kind, position, at, transaction, detail } = observed;
  if (kind === 'definition' && areDeclared(observed.writers, declared)) return undefined;
  const { changes, writers, unlisted } = listed(observed.changes, observed.writers);
  const what = detail ?? changesText(observed.changes);
  const because = writers.length === 0 ? 'nobody says who did it' : 'no declared writer did it';
  return {
    kind: 'definition',
    position,
    at: at.toISOString(),
    reason: kind === 'guard' ? 'guard_changed' : 'definition_changed',
    detail: `${what}: ${kind === 'guard' ? 'the radar sees by it, and puts it right' : because}.${unlisted}`,
    ...(transaction === undefined ? {} : { transaction }),
    changes,
    writers,
  };
}

/** Beyond this, writers and changes of what is put together are not listed. */
const MOST_PUT_TOGETHER = 20;

/**
 * Puts the alerts beyond the first `most` together in one: a busy writer whom nobody declared must not fill the ledger. What they changed is
 * added up by table and operation.
 */
export function putTogether(alerts: readonly RadarAlertRequest[], most: number): readonly RadarAlertRequest[] {
  const [first, ...rest] = alerts.slice(most);
  if (first === undefined || rest.length === 0) return alerts;
  const beyond = [first, ...rest];
  const changes: ChangeTally = new Map();
  const writers: WriterTally = new Map();
  for (const alert of beyond) {
    for (const change of alert.changes) addChange(changes, change);
    for (const writer of alert.writers) addWriter(writers, writer);
  }
  const summed = [...changes.values()].slice(0, MOST_PUT_TOGETHER);
  return [
    ...alerts.slice(0, most),
    {
      kind: first.kind,
      position: `${first.position} and ${rest.length} more`,
      at: first.at,
      reason: first.reason,
      detail: `${beyond.length} transactions, put together because there were too many: ${changesText(summed)}.`,
      changes: summed,
      writers: [...writers.values()].slice(0, MOST_PUT_TOGETHER),
    },
  ];
}

/** More are counted, and not listed. */
const MOST_CHANGES = 5;

/** `update of 3 rows of public.orders, truncate of public.items`. */
function changesText(changes: readonly RadarChange[]): string {
  if (changes.length === 0) return 'record of an effect, and no change beside it';
  const more = changes.length - MOST_CHANGES;
  const listed = changes.slice(0, MOST_CHANGES).map(({ table, operation, rows }) => {
    const of = rows === undefined ? '' : `${rows} ${rows === 1 ? 'row' : 'rows'} of `;
    return `${operation} of ${of}${table}`;
  });
  return `${listed.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
