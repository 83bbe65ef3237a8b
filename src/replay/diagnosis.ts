/** Why a history does not replay: where today's code leaves what was recorded, and the likely cause. */
import {
  commandOf,
  isActivity,
  isSame,
  recordedCommands,
  type WorkflowCommand,
  type Issued,
  type Recorded,
} from './commands.js';
import type { HistoryEvent, RecordedHistory } from './history.js';

/** What each likely cause comes to, in words. */
export const CAUSES = {
  activity_renamed: 'with nothing but the name changed, the history replays further: the activity was renamed',
  activity_added: 'the history does not have it: the activity was added',
  activity_removed: 'the activity was removed, or is not reached any more',
  activities_reordered: 'with these two exchanged, the history replays further: they changed places',
  activity_runs_elsewhere: 'a local activity became a regular one, or a regular one a local one',
  timer_added: 'a timer was added',
  timer_removed: 'a timer was removed, or is not reached any more',
  child_workflow_changed: 'a child workflow was added, removed or renamed',
  patch_removed: 'patched() is not called any more',
  workflow_type_removed: 'another version of Countersign recorded the history',
  ends_elsewhere: 'the workflow ends earlier or later than it did',
  workflow_throws: 'the workflow throws where it did not',
  other: 'what the workflow asks for has changed',
} as const;

export type ReplayCause = keyof typeof CAUSES;

export interface Divergence {
  readonly cause: ReplayCause;
  readonly what: string;
  /** The event at which the code leaves the history. */
  readonly event?: { readonly id: number; readonly type: string };
  /** The step that the event belongs to: propose, enforce, … */
  readonly step?: string;
}

/** What came of replaying a history that does not replay. */
export interface Failed {
  /** What today's code asked for until it failed. */
  readonly issued: readonly Issued[];
  /** What the SDK says. */
  readonly detail: string;
}

/** Replays a changed history; undefined where it replays. */
export type Retry = (changed: HistoryChange) => Promise<Failed | undefined>;

/** A history that is the recorded one but for this. */
export type HistoryChange =
  | { readonly kind: 'renamed'; readonly event: number; readonly name: string }
  | { readonly kind: 'exchanged'; readonly events: readonly [number, number] };

/** @param tried what was found of other histories: the same change of code breaks many of them in the same way */
export async function diagnose(
  recorded: RecordedHistory,
  failed: Failed,
  retry: Retry,
  tried: Map<string, ReplayCause>,
): Promise<Divergence> {
  const { detail, issued } = failed;
  if (detail.includes('no such function is exported by the workflow bundle')) return typeRemoved(recorded);
  const commands = recordedCommands(recorded.events);
  const at = firstDifference(commands, issued);
  const there = commands[at.recorded];
  const here = at.issued === undefined ? undefined : issued[at.issued];
  const guess: Guess = { commands, at: at.recorded, there, here };
  const cause =
    here === undefined ? stopped(failed, there) : await confirmed(different(guess, here), guess, retry, tried);
  // Where a command is missing, the SDK names its event; where another one takes its place, it names the types alone.
  const named = /HistoryEvent\(id: (\d+)/.exec(detail)?.[1];
  const id = there?.event ?? (named === undefined ? undefined : Number(named));
  return { cause, what: told(cause, there, here, detail), ...placeOf(recorded.events, id) };
}

interface Guess {
  readonly commands: readonly Recorded[];
  /** Where they differ. */
  readonly at: number;
  readonly there: Recorded | undefined;
  readonly here: Issued | undefined;
}

function typeRemoved({ workflowType, events }: RecordedHistory): Divergence {
  const cause = 'workflow_type_removed';
  const what = `Today's code has no workflow type ${workflowType}: ${CAUSES[cause]}.`;
  return { cause, what, ...placeOf(events, 1) };
}

/** The first place at which the two differ; `issued` is undefined where the code asked for nothing any more. */
function firstDifference(
  recorded: readonly Recorded[],
  issued: readonly Issued[],
): { readonly recorded: number; readonly issued: number | undefined } {
  let at = 0;
  for (const [index, command] of issued.entries()) {
    const there = recorded[at];
    if (there !== undefined && isSame(there, command)) at++;
    // A timer that is cancelled in its own task leaves no event.
    else if (command.cancelled !== true) return { recorded: at, issued: index };
  }
  return { recorded: at, issued: undefined };
}

/** The code asks for something else, or for more. */
function different({ commands, at, there }: Guess, here: Issued): ReplayCause {
  if (there?.kind === 'patch') return 'patch_removed';
  if (here.kind === 'timer') return 'timer_added';
  if (there?.kind === 'timer') return 'timer_removed';
  if (here.kind === 'child workflow' || there?.kind === 'child workflow') return 'child_workflow_changed';
  if (isActivity(here)) {
    if (there?.name === here.name) return 'activity_runs_elsewhere';
    return latest(commands, at, here) === undefined ? 'activity_added' : 'activities_reordered';
  }
  if (here.kind === 'end' || there?.kind === 'end') return 'ends_elsewhere';
  return there !== undefined && isActivity(there) ? 'activity_removed' : 'other';
}

/** Where the history has later what the code asks for now. */
function latest(commands: readonly Recorded[], at: number, here: Issued): Recorded | undefined {
  return commands.slice(at + 1).find((command) => isSame(command, here));
}

/** Two guesses can be tried: the history is changed as the code would have been, and must then replay further. */
async function confirmed(
  cause: ReplayCause,
  guess: Guess,
  retry: Retry,
  tried: Map<string, ReplayCause>,
): Promise<ReplayCause> {
  const { there, here } = guess;
  const attempt = there === undefined || here === undefined ? undefined : attemptOf(cause, guess, there, here);
  if (attempt === undefined) return cause;
  const key = [cause, there?.kind, there?.name, here?.name].join(' ');
  const known = tried.get(key);
  if (known !== undefined) return known;
  const failed = await retry(attempt.change);
  const further = failed === undefined || firstDifference(attempt.commands, failed.issued).recorded > attempt.than;
  const found = further ? attempt.further : attempt.otherwise;
  tried.set(key, found);
  return found;
}

interface Attempt {
  readonly change: HistoryChange;
  /** Of the changed history. */
  readonly commands: readonly Recorded[];
  /** It must replay past this one. */
  readonly than: number;
  readonly further: ReplayCause;
  readonly otherwise: ReplayCause;
}

function attemptOf(cause: ReplayCause, { commands, at }: Guess, there: Recorded, here: Issued): Attempt | undefined {
  if (there.kind !== here.kind) return undefined;
  const changed = { commands: exchanged(commands, there, here), further: cause, otherwise: cause };
  if (cause === 'activity_added') {
    const change = { kind: 'renamed', event: there.event, name: here.name } as const;
    return { ...changed, change, than: at + 1, further: 'activity_renamed' };
  }
  const later = cause === 'activities_reordered' ? latest(commands, at, here) : undefined;
  if (later === undefined || here.kind !== 'local activity') return undefined;
  const change = { kind: 'exchanged', events: [there.event, later.event] } as const;
  return { ...changed, change, than: commands.indexOf(later), otherwise: 'activity_removed' };
}

/** The commands of a history in which one has the other's place, or its name. */
function exchanged(commands: readonly Recorded[], there: Recorded, here: Issued): readonly Recorded[] {
  const later = latest(commands, commands.indexOf(there), here);
  return commands.map((command) => {
    if (command === later) return { ...command, name: there.name };
    const moved = command === there || (later === undefined && isSame(command, there));
    return moved ? { ...command, name: here.name } : command;
  });
}

/** The code asks for nothing any more: it threw, or waits for something that never came. */
function stopped({ detail }: Failed, there: Recorded | undefined): ReplayCause {
  if (!isNondeterminism(detail)) return 'workflow_throws';
  switch (there?.kind) {
    case 'activity':
    case 'local activity':
      return 'activity_removed';
    case 'timer':
      return 'timer_removed';
    case 'child workflow':
      return 'child_workflow_changed';
    case 'patch':
      return 'patch_removed';
    default:
      return 'other';
  }
}

function isNondeterminism(detail: string): boolean {
  return detail.includes('[TMPRL1100]');
}

function told(cause: ReplayCause, there: Recorded | undefined, here: Issued | undefined, detail: string): string {
  const what = `The history has ${nameOf(there)} here, and today's code asks for ${nameOf(here)}: ${CAUSES[cause]}`;
  return cause === 'workflow_throws' || cause === 'other' ? `${what} (${messageOf(detail)}).` : `${what}.`;
}

/** What failed, out of the SDK's dump of it. */
function messageOf(detail: string): string {
  const message = /message: "((?:[^"\\]|\\.)*)"/.exec(detail)?.[1] ?? detail;
  return message.replace('[TMPRL1100] Nondeterminism error: ', '');
}

function nameOf(command: WorkflowCommand | undefined): string {
  if (command === undefined) return 'nothing more';
  const { kind, name } = command;
  switch (kind) {
    case 'timer':
      return 'a timer';
    case 'search attributes':
      return 'a change of search attributes';
    case 'end':
      return 'the end';
    default:
      return `the ${kind} ${name}`;
  }
}

/** What the event is called, and the step that was the last to begin at it. */
function placeOf(events: readonly HistoryEvent[], id: number | undefined): Pick<Divergence, 'event' | 'step'> {
  const event = id === undefined ? undefined : events[id - 1];
  if (id === undefined || event === undefined) return {};
  const step = events
    .slice(0, id)
    .map(commandOf)
    .findLast((command) => command !== undefined && isActivity(command))?.name;
  return { event: { id, type: typeOf(event) }, ...(step === undefined ? {} : { step }) };
}

/** `ActivityTaskScheduled`, as Temporal's pages call it. */
function typeOf(event: HistoryEvent): string {
  const attributes = Object.keys(event).find((key) => key.endsWith(ATTRIBUTES)) ?? '';
  const name = attributes.slice(0, -ATTRIBUTES.length);
  return `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

const ATTRIBUTES = 'EventAttributes';
