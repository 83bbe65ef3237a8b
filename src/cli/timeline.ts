/** An action's timeline for people. Everything that agents, tools or systems wrote is sanitized on the way. */
import type { ActionView, ApprovalRecord, Outcome, OutcomeStatus, PendingView } from '../action/outcome.js';
import { progress } from '../action/quorum.js';
import type { PatchOperation, Snapshot } from '../action/snapshot.js';
import { withoutSecretColumns } from '../presentation/secret-columns.js';
import { anyOf, requirementText, tellAsked } from './asked-page.js';
import { formatDuration, formatLatency } from '../action/duration.js';
import { sanitize } from '../presentation/sanitize.js';
import { compact, Page, type Pen } from './layout.js';
import type { Paint } from './output.js';
import type { ActionRecord } from '../action-records/action-record.js';

/** Changes shown where not everything is. */
const MAX_CHANGES = 20;

export function timeline(whole: ActionRecord, pen: Pen, now = new Date()): string {
  const record = withoutSecretColumns(whole);
  const page = new Page(pen);
  const { view } = record;
  page.line(
    `${pen.paint.bold(sanitize(view.actionId))}  ${state(view, pen.paint)}  ${pen.paint.dim(`tenant ${sanitize(view.tenant)}`)}`,
  );
  const reason = view.outcome?.reason ?? view.pending?.decision.reason;
  if (reason !== undefined) page.line(sanitize(reason));
  for (const warning of record.warnings) page.line(pen.paint.red(`! ${sanitize(warning)}`));
  tellAsked(page, record);
  tellPeople(page, view, now);
  tellEdit(page, view);
  if (view.outcome !== undefined) {
    tellOutcome(page, view.outcome);
    tellUndoing(page, view.outcome);
  }
  if (view.cancelRequested && view.phase !== 'ended')
    page.entry('Cancelled', 'asked to stop; what was begun is brought to its end');
  tellRecord(page, record);
  return page.toString();
}

export type ShownStatus = OutcomeStatus | 'pending' | 'running';

const MARKS: Readonly<Record<ShownStatus, readonly [mark: string, colour: 'green' | 'red' | 'yellow' | 'cyan']>> = {
  success: ['✓', 'green'],
  mismatch: ['✗', 'red'],
  failed: ['✗', 'red'],
  denied: ['✗', 'red'],
  unknown: ['?', 'red'],
  expired: ['-', 'yellow'],
  cancelled: ['-', 'yellow'],
  pending: ['…', 'yellow'],
  running: ['…', 'cyan'],
};

export function statusMark(status: ShownStatus, paint: Paint): string {
  const [mark, colour] = MARKS[status];
  return paint[colour](`${mark} ${status}`);
}

/** A status in its colour; anything else as it is. */
export function statusColour(text: string, paint: Paint): string {
  return Object.hasOwn(MARKS, text) ? paint[MARKS[text as ShownStatus][1]](text) : text;
}

function state(view: ActionView, paint: Paint): string {
  if (view.outcome !== undefined) return statusMark(view.outcome.status, paint);
  return view.phase === 'pending' ? statusMark('pending', paint) : paint.cyan(`… ${sanitize(view.phase)}`);
}

function tellPeople(page: Page, view: ActionView, now: Date): void {
  const { paint } = page.pen;
  const { pending, approvals } = view;
  const requirements = pending?.shown.requirements ?? view.outcome?.decision?.requirements ?? [];
  if (requirements.length === 0 && approvals.length === 0 && view.refusedApprovals.length === 0) return;
  page.entry('People');
  for (const requirement of requirements) page.fact('needs', requirementText(requirement));
  for (const approval of approvals) page.fact(VERDICT_WORDS[approval.verdict], approvalText(approval, paint));
  for (const { code, message } of view.refusedApprovals)
    page.fact('refused', paint.yellow(`${sanitize(code)}: ${sanitize(message)}`));
  if (pending === undefined) return;
  if (pending.escalated !== undefined) page.fact('escalated', paint.yellow(`now also ${anyOf(pending.escalated)}`));
  for (const { roles, have, need, overRateLimit } of progress(requirements, approvals, waitedSeconds(pending, now))
    .missing) {
    const why = overRateLimit === true ? ', one of them because a yes came among many others' : '';
    page.fact('missing', paint.yellow(`${need - have} more of ${anyOf(roles)}${why}`));
  }
  const left = Date.parse(pending.expiresAt) - now.getTime();
  page.fact('until', `${sanitize(pending.expiresAt)} (${left > 0 ? `${formatDuration(left)} left` : 'over'})`);
  page.fact(
    'shown',
    paint.dim(`${sanitize(pending.shownDigest)}, over pre-state ${sanitize(pending.shown.preDigest)}`),
  );
}

const VERDICT_WORDS = { approve: 'approved', deny: 'denied', request_changes: 'changes' } as const;

function approvalText(approval: ApprovalRecord, paint: Paint): string {
  const { approver, roles, verdict, reason, at, edited } = approval;
  const mark = { approve: paint.green('✓'), deny: paint.red('✗'), request_changes: paint.yellow('↻') }[verdict];
  const how = [...howGiven(approval), ...(edited === undefined ? [] : ['who changed it'])].map((note) => `, ${note}`);
  const why = reason === undefined ? '' : `: "${sanitize(reason)}"`;
  return `${mark} ${paint.bold(sanitize(approver))} (${roles.map((role) => sanitize(role)).join(', ')})${how.join('')} at ${sanitize(at)}${why}`;
}

/** What sets an approval apart from a decision by the person alone, about this action alone. */
function howGiven({ delegatedRoles = [], passkey, standingApproval, overRateLimit }: ApprovalRecord): string[] {
  return [
    ...delegatedRoles.map(({ role, from }) => `${sanitize(role)} delegated by ${sanitize(from)}`),
    ...(passkey === undefined ? [] : ['with a passkey']),
    ...(standingApproval === undefined ? [] : [`given before, standing approval ${sanitize(standingApproval)}`]),
    ...(overRateLimit === true ? ['over the approval rate limit'] : []),
  ];
}

/** Since people were first shown it. */
export function waitedSeconds({ since }: PendingView, now = new Date()): number {
  return since === undefined ? 0 : Math.max(0, (now.getTime() - Date.parse(since)) / 1000);
}

/** Who changed it, and what is done instead of it. */
function tellEdit(page: Page, { pending, outcome }: ActionView): void {
  const editedBy = pending?.shown.editedBy ?? outcome?.facts?.editedBy;
  const revises = pending?.shown.proposal.revises;
  if (editedBy !== undefined) {
    page.entry(
      'Changed',
      `by ${sanitize(editedBy)}${revises === undefined ? '' : `, instead of ${sanitize(revises)}`}`,
    );
  }
  if (outcome?.revisedBy !== undefined) page.entry('Instead', sanitize(outcome.revisedBy));
}

/** What it undoes, and what undoes it. */
function tellUndoing(page: Page, { facts, compensation }: Outcome): void {
  const cause = facts?.compensates;
  if (cause !== undefined) page.entry('Undoes', `${sanitize(cause.actionId)}, done by ${sanitize(cause.agent)}`);
  if (compensation === undefined) return;
  const by = compensation.actionId === undefined ? '' : `, by ${sanitize(compensation.actionId)}`;
  page.entry('Undoing', `${sanitize(compensation.status)}${by}`);
}

function tellOutcome(page: Page, outcome: Outcome): void {
  const { paint } = page.pen;
  const { pre, post, delta, checks, result, error } = outcome;
  if (pre !== undefined) page.entry('Captured before', snapshotText(pre, paint));
  const { execute: executedMs } = outcome.steps;
  if (executedMs !== undefined) page.entry('Executed', paint.dim(formatLatency(executedMs)));
  if (result !== undefined) page.fact('tool says', compact(result, page.pen.full ? Infinity : 300));
  if (post !== undefined) page.entry('Captured after', snapshotText(post, paint));
  if (delta !== undefined) {
    const shown = page.pen.full ? delta.patch : delta.patch.slice(0, MAX_CHANGES);
    const hidden = delta.operations - shown.length;
    page.fact(
      'changed',
      `${delta.operations} ${delta.operations === 1 ? 'value' : 'values'}, seen ${formatLatency(delta.latencyMs)} after the effect began`,
      ...shown.map((operation) => changeText(operation, pre, paint)),
      ...(hidden > 0 ? [paint.dim(`… ${hidden} more`)] : []),
    );
  }
  if (checks.length > 0) {
    page.entry('Verified');
    for (const { name, ok, detail } of checks) {
      const more = detail === undefined ? '' : `  ${sanitize(detail, { max: 600 })}`;
      page.line(`  ${ok ? paint.green('✓') : paint.red('✗')} ${sanitize(name)}${more}`);
    }
  }
  page.entry('Ended', statusMark(outcome.status, paint));
  if (error !== undefined) {
    page.fact('error', `${paint.red(sanitize(error.code))}: ${sanitize(error.message)}`);
    if (error.field !== undefined) page.fact('field', sanitize(error.field));
    if (error.expected !== undefined) page.fact('expected', sanitize(error.expected));
    if (error.fix !== undefined) page.fact('fix', sanitize(error.fix));
  }
}

function snapshotText({ count, tookMs, digest, state }: Snapshot, paint: Paint): string {
  const where = state === undefined ? ', kept in the ledger' : '';
  return `${count} ${count === 1 ? 'object' : 'objects'} read in ${formatLatency(tookMs)}${where}  ${paint.dim(sanitize(digest))}`;
}

function changeText({ op, path, value, from }: PatchOperation, pre: Snapshot | undefined, paint: Paint): string {
  const where = sanitize(path, { max: 200 });
  switch (op) {
    case 'add':
      return paint.green(`+ ${where}  ${compact(value)}`);
    case 'remove':
      return paint.red(`- ${where}  ${before(pre, path)}`);
    case 'replace':
      return paint.yellow(`~ ${where}  ${before(pre, path)} → ${compact(value)}`);
    case 'move':
    case 'copy':
    case 'test':
      return `${op} ${sanitize(from ?? '')} ${where}`;
  }
}

/** The value at an RFC 6901 pointer before the effect. Not inside lists, where earlier changes may have moved it. */
function before(pre: Snapshot | undefined, pointer: string): string {
  let value: unknown = pre?.state;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return '…';
    value = (value as Record<string, unknown>)[key];
  }
  return value === undefined ? '…' : compact(value);
}

function tellRecord(page: Page, record: ActionRecord): void {
  const { paint } = page.pen;
  const { outcome } = record.view;
  if (outcome === undefined && record.url === undefined) return;
  page.entry('Record', record.keptBy === 'ledger' ? "from the ledger, not from the action's history" : '');
  if (record.endedAt !== undefined) page.fact('ended', sanitize(record.endedAt));
  if (outcome?.receipt !== undefined) {
    const { tenant, seq, hash } = outcome.receipt;
    const chain = tenant === outcome.tenant ? '' : ` in the chain ${sanitize(tenant)}`;
    page.fact('receipt', `${paint.bold(`#${seq}`)}${chain}  ${paint.dim(sanitize(hash))}`);
  } else if (outcome !== undefined) {
    page.fact('receipt', paint.yellow('not written yet'));
  }
  if (outcome !== undefined && Object.keys(outcome.steps).length > 0) page.fact('steps', stepsText(outcome));
  if (record.url !== undefined) page.fact('Temporal', paint.cyan(sanitize(record.url)));
}

function stepsText({ steps }: Outcome): string {
  return Object.entries(steps)
    .map(([step, ms]) => `${sanitize(step)} ${formatLatency(ms)}`)
    .join(' · ');
}
