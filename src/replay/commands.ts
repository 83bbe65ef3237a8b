/** What a workflow asks of Temporal, in order: as a history recorded it, and as today's code asks for it. */
import type { Workflow } from '@temporalio/worker/lib/workflow/interface.js';
import type { HistoryEvent } from './history.js';

export type WorkflowCommandKind =
  'activity' | 'local activity' | 'timer' | 'child workflow' | 'patch' | 'search attributes' | 'signal' | 'end';

export interface WorkflowCommand {
  readonly kind: WorkflowCommandKind;
  /** Of an activity, child workflow, patch or signal. */
  readonly name: string;
}

/** A command that was carried out, at its event. */
export interface Recorded extends WorkflowCommand {
  readonly event: number;
}

/** A command of today's code. */
export interface Issued extends WorkflowCommand {
  /** Of a timer: a timer that is cancelled in the task that started it leaves no event. */
  readonly timer?: number;
  cancelled?: boolean;
}

export function isSame(one: WorkflowCommand, other: WorkflowCommand): boolean {
  return one.kind === other.kind && one.name === other.name;
}

export function isActivity({ kind }: WorkflowCommand): boolean {
  return kind === 'activity' || kind === 'local activity';
}

/** The events that stand for commands. Others tell what came from outside. */
export function recordedCommands(events: readonly HistoryEvent[]): readonly Recorded[] {
  const recorded: Recorded[] = [];
  for (const event of events) {
    const command = commandOf(event);
    if (command === undefined) continue;
    // With a patch the SDK's core sets a search attribute: nothing that workflow code asks for.
    if (command.kind === 'search attributes' && recorded.at(-1)?.kind === 'patch') continue;
    recorded.push({ ...command, event: Number(event.eventId) });
  }
  return recorded;
}

export function commandOf(event: HistoryEvent): WorkflowCommand | undefined {
  const activity = event.activityTaskScheduledEventAttributes;
  if (activity != null) return { kind: 'activity', name: activity.activityType?.name ?? '' };
  const marker = event.markerRecordedEventAttributes;
  if (marker?.markerName === 'core_local_activity') {
    return { kind: 'local activity', name: detailOf(marker.details, 'data', 'activity_type') };
  }
  if (marker?.markerName === 'core_patch') return { kind: 'patch', name: detailOf(marker.details, 'patch-data', 'id') };
  if (event.timerStartedEventAttributes != null) return { kind: 'timer', name: '' };
  const child = event.startChildWorkflowExecutionInitiatedEventAttributes;
  if (child != null) return { kind: 'child workflow', name: childName(child.workflowType?.name, child.workflowId) };
  if (event.upsertWorkflowSearchAttributesEventAttributes != null) return { kind: 'search attributes', name: '' };
  const signal = event.signalExternalWorkflowExecutionInitiatedEventAttributes;
  if (signal != null) return { kind: 'signal', name: signal.signalName ?? '' };
  return ENDS.some((end) => event[end] != null) ? { kind: 'end', name: '' } : undefined;
}

/** A child under another id is another child. */
function childName(type: string | null | undefined, id: string | null | undefined): string {
  return `${type ?? ''} ${id ?? ''}`;
}

const ENDS = [
  'workflowExecutionCompletedEventAttributes',
  'workflowExecutionFailedEventAttributes',
  'workflowExecutionCanceledEventAttributes',
  'workflowExecutionContinuedAsNewEventAttributes',
] as const;

type Payloads = { readonly payloads?: readonly { readonly data?: Uint8Array | null }[] | null };

/** A field of what the SDK's core wrote into a marker. */
function detailOf(
  details: Readonly<Record<string, Payloads>> | null | undefined,
  entry: string,
  field: string,
): string {
  const data = details?.[entry]?.payloads?.[0]?.data;
  try {
    return String((JSON.parse(Buffer.from(data ?? []).toString()) as Record<string, unknown>)[field]);
  } catch {
    return '';
  }
}

export type Completion = Awaited<ReturnType<Workflow['activate']>>;

/** Adds the commands of one activation to those before it. */
export function addIssued(issued: Issued[], completion: Completion): void {
  for (const command of completion.successful?.commands ?? []) {
    const { cancelTimer } = command;
    if (cancelTimer != null) {
      const started = issued.find(({ timer }) => timer === cancelTimer.seq);
      if (started !== undefined) started.cancelled = true;
    }
    const one = issuedCommand(command);
    if (one !== undefined) issued.push(one);
  }
}

type CoreCommand = NonNullable<NonNullable<Completion['successful']>['commands']>[number];

function issuedCommand(command: CoreCommand): Issued | undefined {
  if (command.scheduleActivity != null) return { kind: 'activity', name: command.scheduleActivity.activityType ?? '' };
  if (command.scheduleLocalActivity != null) {
    return { kind: 'local activity', name: command.scheduleLocalActivity.activityType ?? '' };
  }
  if (command.startTimer != null) return { kind: 'timer', name: '', timer: command.startTimer.seq ?? 0 };
  if (command.startChildWorkflowExecution != null) {
    const { workflowType, workflowId } = command.startChildWorkflowExecution;
    return { kind: 'child workflow', name: childName(workflowType, workflowId) };
  }
  if (command.setPatchMarker != null) return { kind: 'patch', name: command.setPatchMarker.patchId ?? '' };
  if (command.upsertWorkflowSearchAttributes != null) return { kind: 'search attributes', name: '' };
  if (command.signalExternalWorkflowExecution != null) {
    return { kind: 'signal', name: command.signalExternalWorkflowExecution.signalName ?? '' };
  }
  const ended =
    command.completeWorkflowExecution ??
    command.failWorkflowExecution ??
    command.cancelWorkflowExecution ??
    command.continueAsNewWorkflowExecution;
  return ended == null ? undefined : { kind: 'end', name: '' };
}
