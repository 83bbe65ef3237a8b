/** `countersign propose`: an agent's proposal from the command line. */
import { Option, type Command } from 'commander';
import type { DryRun } from '../../action/dry-run.js';
import { CountersignError } from '../../action/errors.js';
import type { ActionView, Outcome } from '../../action/outcome.js';
import type { PendingAction, ProposalInput } from '../../client/countersign.js';
import { collect, examples, run } from '../command.js';
import type { Context } from '../context.js';
import { durationOption } from '../duration-options.js';
import { exitCodeHelp, exitOfStatus, type Exit } from '../exit-codes.js';
import { sanitize } from '../../presentation/sanitize.js';
import type { Output } from '../output.js';
import { emptyView, endedView, type ActionRecord } from '../../action-records/action-record.js';
import { inputOf, type InputOptions } from '../tool-input.js';
import { timeline } from '../timeline.js';
import type { Terminal } from '../terminal.js';
import { usageError } from '../usage-error.js';

interface ProposeOptions extends InputOptions {
  readonly tool: string;
  readonly expect?: string;
  readonly within?: string;
  readonly reasoning?: string;
  readonly actionId?: string;
  readonly traceId?: string;
  readonly claim?: readonly string[];
  readonly from?: readonly string[];
  readonly wait?: true | string;
  readonly timeout: string;
  readonly dryRun?: boolean;
  readonly as?: string;
}

export function propose(program: Command): void {
  program
    .command('propose')
    .description('propose an action as an agent, and wait for its outcome or for the need of an approval')
    .requiredOption('--tool <tool>', 'the tool to act with')
    .option('--input <json>', "the tool's input as JSON; - reads it from stdin")
    .option('--input-file <file>', 'the same from a file')
    .option('--expect <cel>', 'what must be true afterwards: a CEL expression over pre, post, delta and result')
    .option('--within <time>', 'how long the expectation may take to become true')
    .option('--reasoning <text>', 'why; shown to approvers as your own words')
    .option('--action-id <id>', 'your idempotency key: the same proposal under it is done once. Default: a new one')
    .option('--trace-id <id>', 'groups the actions of one task')
    .option(
      '--claim <name=value>',
      'what you believe about the target, such as environment=test; repeat for more',
      collect,
      [],
    )
    .option(
      '--from <trust:source>',
      'what led to it, such as untrusted:email-4711 or trusted:prompt; repeat for more',
      collect,
    )
    .option('--wait [time]', 'also wait for approvals, until the outcome')
    .option('--timeout <time>', 'how long to wait for the first answer', '60s')
    .addOption(
      new Option('--dry-run', 'say what would become of it, and do nothing: no effect, no approval request').conflicts(
        'wait',
      ),
    )
    .option('--as <credential>', 'the credential or its file; default: COUNTERSIGN_AGENT')
    .addHelpText(
      'after',
      examples(
        `countersign propose --tool shop-db --input '{"op":"select","table":"orders","where":{"id":7}}'`,
        `countersign propose --tool shop-db --input-file change.json --action-id refund-1001 \\
      --expect 'post.orders["7"].status == "refunded"' --reasoning "Customer asked" --wait 1h`,
        `countersign propose --tool shop-db --input-file change.json --dry-run`,
        `jq -n '{op:"delete",table:"sessions"}' | countersign propose --tool shop-db --input - --json`,
      ) + `\n${exitCodeHelp()}`,
    )
    .action(run(proposeAction));
}

async function proposeAction(context: Context, options: ProposeOptions): Promise<Exit> {
  const { out } = context;
  const proposal = await proposalOf(options, context.terminal);
  const timeoutMs = durationOption(options.timeout, '--timeout');
  if (typeof options.wait === 'string') durationOption(options.wait, '--wait');
  const { credential } = await context.agent(options.as);
  const countersign = await context.countersign(credential);
  if (options.dryRun === true) return tellDryRun(out, await countersign.dryRun(proposal, { timeoutMs }));
  if (options.actionId === undefined) out.note(`action ${proposal.actionId}`);

  const answer = await countersign.perform(proposal, { timeoutMs });
  const { workflowUrl } = await import('../../presentation/workflow-url.js');
  const record = { keptBy: 'temporal', url: workflowUrl(context.temporalUi, answer), warnings: [] } as const;
  const outcome = answer.status === 'pending' ? await afterPeople(context, answer, options.wait) : answer;
  if (outcome === undefined) {
    tellPending(out, answer as PendingAction, record);
    return 'pending';
  }
  out.result(outcome, () =>
    timeline({ ...record, view: endedView(outcome), proposal }, { paint: out.paint, width: out.width, full: false }),
  );
  return exitOfStatus(outcome.status);
}

async function tellDryRun(out: Output, answer: DryRun): Promise<Exit> {
  const { toldOfDryRun } = await import('../../action/told.js');
  out.result(answer, () =>
    toldOfDryRun(answer)
      .split('\n')
      .map((line) => sanitize(line))
      .join('\n'),
  );
  const covered = answer.missing?.length === 0;
  const exits = { allow: 'success', deny: 'denied', require_approval: covered ? 'success' : 'pending' } as const;
  return exits[answer.effect];
}

/** Undefined when it still waits for people by the time that nobody waits for them any more. */
async function afterPeople(
  { out }: Context,
  action: PendingAction,
  wait: ProposeOptions['wait'],
): Promise<Outcome | undefined> {
  if (wait === undefined) return undefined;
  out.note(`waits for approval: ${sanitize(action.reason)}`);
  try {
    return await action.outcome(wait === true ? {} : { timeoutMs: durationOption(wait, '--wait') });
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'TIMED_OUT') return undefined;
    throw error;
  }
}

function tellPending(out: Output, action: PendingAction, told: Omit<ActionRecord, 'view'>): void {
  const { tenant, actionId, reason, status, pending } = action;
  const { proposalDigest, tool } = pending.shown;
  const view: ActionView = {
    ...emptyView({ tenant, actionId, proposalDigest, tool: tool.name }, 'pending'),
    pending,
  };
  out.result({ status, tenant, actionId, reason, pending }, () =>
    [
      timeline({ ...told, view }, { paint: out.paint, width: out.width, full: false }),
      `To approve it:  countersign approve ${tenant}/${actionId}`,
      `To follow it:  countersign show ${tenant}/${actionId}`,
    ].join('\n'),
  );
}

async function proposalOf(options: ProposeOptions, terminal: Terminal): Promise<ProposalInput & { actionId: string }> {
  const [{ parseProposal }, { randomUUID }] = await Promise.all([
    import('../../action/proposal.js'),
    import('node:crypto'),
  ]);
  const { tool, expect, within, reasoning, traceId, actionId = randomUUID() } = options;
  if (within !== undefined && expect === undefined) {
    throw usageError('--within was given without an expectation.', {
      field: '--within',
      expected: '--expect beside it',
    });
  }
  const claims = Object.fromEntries((options.claim ?? []).map(claimOf));
  const proposal = {
    actionId,
    tool,
    input: await inputOf(options, terminal),
    ...(expect === undefined
      ? {}
      : { expect: within === undefined ? expect : { cel: expect, withinMs: durationOption(within, '--within') } }),
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(traceId === undefined ? {} : { traceId }),
    ...(options.claim === undefined ? {} : { claims }),
    ...(options.from === undefined ? {} : { from: options.from.map(sourceOf) }),
  };
  return parseProposal(proposal);
}

/** Whether the trust is one that is known, the proposal's schema checks. */
function sourceOf(text: string): { trust: string; source: string } {
  const colon = text.indexOf(':');
  if (colon > 0) return { trust: text.slice(0, colon), source: text.slice(colon + 1) };
  throw usageError(`${JSON.stringify(text.slice(0, 80))} is not a source.`, {
    field: '--from',
    expected: 'trusted:<source> or untrusted:<source>',
  });
}

function claimOf(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw usageError(`${JSON.stringify(text.slice(0, 80))} is not a claim.`, {
    field: '--claim',
    expected: 'name=value',
  });
}
