/** The first half of an action's timeline: who asked for what, what it would touch, and what policy said. */
import type { Decision, Preview, Requirement } from '../action/decision.js';
import { MAX_SOURCE, type Expect, type Proposal, type Source } from '../action/proposal.js';
import type { Rehearsal } from '../action/rehearsal.js';
import { rowInOrder } from '../presentation/column-order.js';
import { textWarnings } from '../presentation/text-warnings.js';
import { sanitize, sanitizeLines } from '../presentation/sanitize.js';
import { compact, listed, table, type Page } from './layout.js';
import { formatDuration } from '../action/duration.js';
import { subjectOf, type ActionRecord, type Subject } from '../action-records/action-record.js';

export function tellAsked(page: Page, record: ActionRecord): void {
  const { view } = record;
  const subject = subjectOf(view);
  // What waits for a person is told from what the person signs, never from another copy of it.
  const proposal = view.pending?.shown.proposal ?? record.proposal;
  tellProposed(page, record, subject, proposal);
  if (subject !== undefined) tellPreview(page, subject);
  for (const warning of view.pending === undefined ? [] : textWarnings(view.pending.shown, { quote: true }))
    page.fact('look twice', page.pen.paint.yellow(warning));
  const decision = view.pending?.decision ?? view.outcome?.decision;
  if (decision === undefined) return;
  // The decision is made anew when people have signed: what they sign are its requirements, told below.
  tellDecision(page, decision, view.pending === undefined ? '' : 'as of now; not part of what is signed');
}

function tellProposed(
  page: Page,
  record: ActionRecord,
  subject: Subject | undefined,
  proposal: Proposal | undefined,
): void {
  const { paint, full } = page.pen;
  const { view } = record;
  page.entry('Proposed', record.proposedAt === undefined ? '' : paint.dim(sanitize(record.proposedAt)));
  if (subject === undefined) {
    page.fact('tool', sanitize(view.tool));
  } else {
    const { agent, tool } = subject;
    const owner = agent.owner === undefined ? '' : `, owner ${sanitize(agent.owner)}`;
    page.fact('agent', `${paint.bold(sanitize(agent.id))} (roles: ${listed(agent.roles)}${owner})`);
    page.fact(
      'tool',
      `${paint.bold(sanitize(tool.name))}, ${sanitize(tool.kind)} in ${environment(page, tool.environment)}`,
    );
    page.fact('operation', `${sanitize(subject.operation)} (${sanitize(subject.actionType)})`);
  }
  page.fact('digest', paint.dim(sanitize(view.proposalDigest)));
  if (proposal === undefined) {
    page.fact('input', paint.dim('no longer kept; the digest above is of the whole proposal'));
    return;
  }
  tellInput(page, proposal);
  tellExpectations(page, proposal);
  if (proposal.revises !== undefined) page.fact('revises', sanitize(proposal.revises));
  if (proposal.traceId !== undefined) page.fact('trace', sanitize(proposal.traceId));
  const claims = Object.entries(proposal.claims ?? {});
  if (claims.length > 0) {
    page.fact('claims', ...claims.map(([name, value]) => claim(page, name, value, subject)));
  }
  if (proposal.from !== undefined) page.fact('comes from', ...proposal.from.map((source) => sourceLine(page, source)));
  if (proposal.reasoning !== undefined) {
    page.quote('reasoning', "the agent's own words, checked by nobody:", proposal.reasoning);
  }
  if (!full && (proposal.reasoning?.length ?? 0) > 4000) page.fact('', paint.dim('all of it: --json'));
}

/** What the action is to be judged by. */
function tellExpectations(page: Page, { expect, expectedOutcome }: Proposal): void {
  if (expect !== undefined) {
    const each = typeof expect === 'string' ? [{ cel: expect }] : Array.isArray(expect) ? expect : [expect];
    const lines = (each as readonly (Expect & { readonly name?: string })[]).flatMap(({ name, cel, withinMs }) => [
      ...(name === undefined ? [] : [`${sanitize(name)}:`]),
      ...sanitizeLines(cel, { max: Infinity }),
      ...(withinMs === undefined ? [] : [`within ${withinMs} ms`]),
    ]);
    page.fact('expect', ...lines);
  }
  if (expectedOutcome !== undefined) {
    page.quote('expected outcome', "the agent's own words:", expectedOutcome);
  }
}

/** One line for each member of the input; texts of several lines as such. */
function tellInput(page: Page, { input }: Proposal): void {
  const { paint, full } = page.pen;
  const lines = Object.entries(input).flatMap(([name, value]) => {
    const label = paint.dim(`${sanitize(name, { max: 60 })}:`);
    if (typeof value !== 'string' || !value.includes('\n'))
      return [`${label} ${compact(value, full ? Infinity : 600)}`];
    const limits = full ? { max: Infinity, maxLines: Infinity } : {};
    return [label, ...sanitizeLines(value, limits).map((line) => `${paint.dim('│')} ${line}`)];
  });
  page.fact('input', ...(lines.length === 0 ? [paint.dim('empty')] : lines));
}

/** What led to it, as the agent says: what is not trusted may hold instructions of somebody else. */
function sourceLine(page: Page, { source, trust }: Source): string {
  const { paint } = page.pen;
  return `${sanitize(source, { max: MAX_SOURCE })}  ${trust === 'untrusted' ? paint.red('✗ not trusted') : paint.dim('(trusted, says the agent)')}`;
}

/** A claim is the agent's belief. The one about the environment can be compared with the truth. */
function claim(page: Page, name: string, value: string, subject: Subject | undefined): string {
  const { paint } = page.pen;
  const said = `${sanitize(name)} = ${sanitize(value)}`;
  if (name !== 'environment' || subject === undefined) return `${said}  ${paint.dim('(claimed, not checked)')}`;
  const { environment } = subject.tool;
  if (value.toLowerCase() === environment.toLowerCase()) return `${said}  ${paint.green('✓ so it is')}`;
  return `${said}  ${paint.red(`✗ in truth it is ${sanitize(environment)}`)}`;
}

function environment(page: Page, name: string): string {
  return page.pen.paint.bold(page.pen.paint.yellow(sanitize(name)));
}

function tellPreview(page: Page, { preview }: Subject): void {
  const { paint, full } = page.pen;
  page.entry('Previewed', sanitize(preview.summary));
  page.fact(
    'touches',
    `${preview.rows} ${preview.rows === 1 ? 'row' : 'rows'}; writes ${listed(preview.targets, 'nothing')}; reads ${listed(preview.reads, 'nothing')}`,
  );
  if (preview.rehearsal !== undefined) page.fact('rehearsed', ...rehearsedLines(preview.rehearsal));
  if (preview.schemaChange) page.fact('schema', paint.red('changes the schema'));
  for (const warning of preview.warnings ?? [])
    page.fact('warning', paint.yellow(sanitize(warning, full ? { max: Infinity } : {})));
  tellSample(page, preview);
}

/** What the change did to each table when it was tried and rolled back. */
function rehearsedLines({ tables }: Rehearsal): readonly string[] {
  return Object.entries(tables).map(
    ([table, { inserted, updated, deleted }]) =>
      `${sanitize(table)}: ${inserted} inserted, ${updated} updated, ${deleted} deleted`,
  );
}

function tellSample(page: Page, { sample, rows, columns = {} }: Preview): void {
  if (sample.length === 0) return;
  const known = Object.values(columns).flat();
  const ordered = sample.map((row) => rowInOrder(row, known));
  const more = rows > sample.length ? [page.pen.paint.dim(`… ${rows - sample.length} more`)] : [];
  page.fact('sample', ...table(ordered, page.pen), ...more);
}

function tellDecision(page: Page, decision: Decision, aside: string): void {
  const { paint } = page.pen;
  const effect = {
    allow: paint.green('allow'),
    deny: paint.red('deny'),
    require_approval: paint.yellow('needs approval'),
  }[decision.effect];
  page.entry('Decided', aside === '' ? effect : `${effect}  ${paint.dim(aside)}`);
  page.fact('reason', sanitize(decision.reason));
  page.fact('policies', `${listed(decision.policies)}  ${paint.dim(sanitize(decision.policyDigest))}`);
  for (const { policy, reason } of decision.violations)
    page.fact('against', `${sanitize(reason)} ${paint.dim(`(${sanitize(policy)})`)}`);
  for (const { name, value, policy } of decision.constraints) {
    page.fact('constraint', `${sanitize(name)} = ${compact(value)} ${paint.dim(`(${sanitize(policy)})`)}`);
  }
  for (const error of decision.errors) page.fact('error', paint.red(sanitize(error)));
}

export function requirementText(requirement: Requirement): string {
  const { roles, quorum, reason, policy, ttlSeconds, denials = 1, passkey, self, remindSeconds } = requirement;
  const { escalations = [] } = requirement;
  const after = (seconds: number): string => formatDuration(seconds * 1000);
  const options = [
    ...(passkey === true ? ['with a passkey'] : []),
    ...(denials > 1 ? [`${denials} noes deny it`] : []),
    ...(self === true ? ["the agent's owner may decide"] : []),
    ...(remindSeconds === undefined ? [] : [`reminded after ${after(remindSeconds)}`]),
    ...escalations.map((escalation) => `after ${after(escalation.afterSeconds)} also ${anyOf(escalation.roles)}`),
  ];
  const who = [`${quorum} × ${anyOf(roles)} within ${after(ttlSeconds)}`, ...options].join('; ');
  return `${who}: ${sanitize(reason)} (${sanitize(policy)})`;
}

/** `dba or lead` */
export function anyOf(roles: readonly string[]): string {
  return roles.map((role) => sanitize(role)).join(' or ');
}
