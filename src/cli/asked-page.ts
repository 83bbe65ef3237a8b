/** The first half of an action's timeline: who asked for what, what it would touch, and what policy said. */
import type { Decision, Preview, Requirement } from '../action/decision.js';
import type { Expect, Proposal } from '../action/proposal.js';
import { inert, inertLines } from '../telling/inert.js';
import { compact, listed, table, type Page } from './layout.js';
import { formatDuration } from '../action/duration.js';
import { subjectOf, type Story, type Subject } from '../telling/story.js';

export function tellAsked(page: Page, story: Story): void {
  const { view } = story;
  const subject = subjectOf(view);
  // What waits for a person is told from what the person signs, never from another copy of it.
  const proposal = view.pending?.shown.proposal ?? story.proposal;
  tellProposed(page, story, subject, proposal);
  if (subject !== undefined) tellPreview(page, subject);
  const decision = view.pending?.decision ?? view.outcome?.decision;
  if (decision === undefined) return;
  // The decision is made anew when people have signed: what they sign are its requirements, told below.
  tellDecision(page, decision, view.pending === undefined ? '' : 'as of now; not part of what is signed');
}

function tellProposed(page: Page, story: Story, subject: Subject | undefined, proposal: Proposal | undefined): void {
  const { paint, full } = page.pen;
  const { view } = story;
  page.entry('Proposed', story.proposedAt === undefined ? '' : paint.dim(inert(story.proposedAt)));
  if (subject === undefined) {
    page.fact('tool', inert(view.tool));
  } else {
    const { agent, tool } = subject;
    const owner = agent.owner === undefined ? '' : `, owner ${inert(agent.owner)}`;
    page.fact('agent', `${paint.bold(inert(agent.id))} (roles: ${listed(agent.roles)}${owner})`);
    page.fact('tool', `${paint.bold(inert(tool.name))}, ${inert(tool.kind)} in ${environment(page, tool.environment)}`);
    page.fact('operation', `${inert(subject.operation)} (${inert(subject.actionType)})`);
  }
  page.fact('digest', paint.dim(inert(view.proposalDigest)));
  if (proposal === undefined) {
    page.fact('input', paint.dim('no longer kept; the digest above is of the whole proposal'));
    return;
  }
  tellInput(page, proposal);
  tellExpectations(page, proposal);
  if (proposal.revises !== undefined) page.fact('revises', inert(proposal.revises));
  if (proposal.traceId !== undefined) page.fact('trace', inert(proposal.traceId));
  const claims = Object.entries(proposal.claims ?? {});
  if (claims.length > 0) {
    page.fact('claims', ...claims.map(([name, value]) => claim(page, name, value, subject)));
  }
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
      ...(name === undefined ? [] : [`${inert(name)}:`]),
      ...inertLines(cel, { max: Infinity }),
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
    const label = paint.dim(`${inert(name, { max: 60 })}:`);
    if (typeof value !== 'string' || !value.includes('\n'))
      return [`${label} ${compact(value, full ? Infinity : 600)}`];
    const limits = full ? { max: Infinity, maxLines: Infinity } : {};
    return [label, ...inertLines(value, limits).map((line) => `${paint.dim('│')} ${line}`)];
  });
  page.fact('input', ...(lines.length === 0 ? [paint.dim('empty')] : lines));
}

/** A claim is the agent's belief. The one about the environment can be compared with the truth. */
function claim(page: Page, name: string, value: string, subject: Subject | undefined): string {
  const { paint } = page.pen;
  const said = `${inert(name)} = ${inert(value)}`;
  if (name !== 'environment' || subject === undefined) return `${said}  ${paint.dim('(claimed, not checked)')}`;
  const { environment } = subject.tool;
  if (value.toLowerCase() === environment.toLowerCase()) return `${said}  ${paint.green('✓ so it is')}`;
  return `${said}  ${paint.red(`✗ in truth it is ${inert(environment)}`)}`;
}

function environment(page: Page, name: string): string {
  return page.pen.paint.bold(page.pen.paint.yellow(inert(name)));
}

function tellPreview(page: Page, { preview }: Subject): void {
  const { paint, full } = page.pen;
  page.entry('Previewed', inert(preview.summary));
  page.fact(
    'touches',
    `${preview.rows} ${preview.rows === 1 ? 'row' : 'rows'}; writes ${listed(preview.targets, 'nothing')}; reads ${listed(preview.reads, 'nothing')}`,
  );
  if (preview.schemaChange) page.fact('schema', paint.red('changes the schema'));
  for (const warning of preview.warnings ?? [])
    page.fact('warning', paint.yellow(inert(warning, full ? { max: Infinity } : {})));
  tellSample(page, preview);
}

function tellSample(page: Page, { sample, rows }: Preview): void {
  if (sample.length === 0) return;
  const more = rows > sample.length ? [page.pen.paint.dim(`… ${rows - sample.length} more`)] : [];
  page.fact('sample', ...table(sample, page.pen), ...more);
}

function tellDecision(page: Page, decision: Decision, aside: string): void {
  const { paint } = page.pen;
  const effect = {
    allow: paint.green('allow'),
    deny: paint.red('deny'),
    require_approval: paint.yellow('needs approval'),
  }[decision.effect];
  page.entry('Decided', aside === '' ? effect : `${effect}  ${paint.dim(aside)}`);
  page.fact('reason', inert(decision.reason));
  page.fact('policies', `${listed(decision.policies)}  ${paint.dim(inert(decision.policyDigest))}`);
  for (const { policy, reason } of decision.violations)
    page.fact('against', `${inert(reason)} ${paint.dim(`(${inert(policy)})`)}`);
  for (const { name, value, policy } of decision.constraints) {
    page.fact('constraint', `${inert(name)} = ${compact(value)} ${paint.dim(`(${inert(policy)})`)}`);
  }
  for (const error of decision.errors) page.fact('error', paint.red(inert(error)));
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
  return `${who}: ${inert(reason)} (${inert(policy)})`;
}

/** `dba or lead` */
export function anyOf(roles: readonly string[]): string {
  return roles.map((role) => inert(role)).join(' or ');
}
