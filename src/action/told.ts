/** What a model is told of an action, in words: what came of it, what it can do about it, and what not to try. */
import type { DryRun } from './dry-run.js';
import type { ErrorView } from './errors.js';
import type { Outcome, OutcomeStatus } from './outcome.js';

const MEANING: Readonly<Record<Exclude<OutcomeStatus, 'success'>, string>> = {
  denied: 'Denied. Nothing was done. The same call again is denied again, unless what is said below changes.',
  expired: 'Nobody decided in time, so nothing was done. It can be proposed again.',
  cancelled: 'Cancelled. Nothing was done.',
  failed: 'Failed. Nothing was done.',
  mismatch:
    'It was done, but the system is not in the state that was promised. Look at it before you go on; do not repeat the call.',
  unknown:
    'It is not known whether it was done. Do not repeat the call: look at the system, or wait until a person has found out.',
};

export function toldOfOutcome({ status, reason, error, actionId, revisedBy }: Outcome): string {
  if (status === 'success') return `Done and verified. ${reason}`;
  const lines = [
    MEANING[status],
    `Reason: ${reason}`,
    ...advice(error),
    ...(revisedBy === undefined ? [] : [`A person changed it: the action ${revisedBy} is done in its place.`]),
    `Action: ${actionId}`,
  ];
  return lines.join('\n');
}

/** Of an error before there was an action. */
export function toldOfError(error: ErrorView): string {
  return [error.message, ...advice(error)].join('\n');
}

const WOULD: Readonly<Record<DryRun['effect'], string>> = {
  allow: 'It would be done at once.',
  deny: 'It would be denied.',
  require_approval: 'It would wait until people approve it.',
};

export function toldOfDryRun({ effect, reason, preview, missing = [], waits, error }: DryRun): string {
  const covered = effect === 'require_approval' && missing.length === 0;
  const lines = [
    covered ? 'It would be done at once: people have approved it in advance.' : WOULD[effect],
    `Reason: ${reason}`,
    ...advice(error),
    ...(preview === undefined ? [] : [`What it would do: ${preview.summary}`]),
    ...missing.map(({ roles, have, need }) => `Approvals needed: ${need - have} of ${roles.join(' or ')}`),
    ...(waits === undefined ? [] : [`It would wait for room first: ${waits.reason}`]),
  ];
  return lines.join('\n');
}

/** What can be done about it, a line each. */
function advice(error: ErrorView | undefined): string[] {
  if (error === undefined) return [];
  const { code, field, expected, fix, retryAfterMs } = error;
  return [
    `Code: ${code}`,
    ...(field === undefined ? [] : [`Where: ${field}`]),
    ...(expected === undefined ? [] : [`What would be accepted: ${expected}`]),
    ...(fix === undefined ? [] : [`What to do: ${fix}`]),
    ...(retryAfterMs === undefined ? [] : [`Not before: ${Math.ceil(retryAfterMs / 1000)} seconds from now`]),
  ];
}
