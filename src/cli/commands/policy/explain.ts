/** `countersign policy explain`: why an action is decided as it is, and the smallest change that would change it. */
import type { Command } from 'commander';
import type { Facts } from '../../../action/decision.js';
import type { ActionView } from '../../../action/outcome.js';
import type { Proposal } from '../../../action/proposal.js';
import type { Explanation, ExplanationOptions } from '../../../policy/authoring/explain/explain.js';
import type { Policy } from '../../../policy/index.js';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Paint } from '../../output.js';
import { usageError } from '../../usage-error.js';
import { bundleSource, CONFIG_OPTION, type SourceOptions } from './bundle-source.js';

interface ExplainOptions extends SourceOptions {
  readonly policies?: string;
  readonly tenant?: string;
}

/** An action, and what the reader should know of what is known of it. */
interface Subject {
  readonly facts: Facts;
  readonly notes: readonly string[];
  /** Of a recorded action: then its limits are decided on with the recorded figures. */
  readonly proposal?: Proposal | undefined;
}

export function explainPolicy(policy: Command): void {
  policy
    .command('explain')
    .argument('<proposal>', 'a file, or the id of a recorded action')
    .description('tell why an action is decided as it is, and the smallest change that would change it')
    .option('--policies <folder>', "the policy folder; default: the config's, else ./policies")
    .option(...CONFIG_OPTION)
    .option('--tenant <tenant>', 'whose action, where an id is given')
    .addHelpText(
      'after',
      examples('countersign policy explain proposal.json', 'countersign policy explain refund-1001 --json') +
        '\n\nA file has what a test in tests/*.yaml gives, or `facts` as an outcome records them. An id is looked up as by `countersign show`.',
    )
    .action(run(explainAction));
}

async function explainAction(context: Context, named: string, options: ExplainOptions): Promise<void> {
  const [{ folder }, { compilePolicy, loadBundle }, { explain }] = await Promise.all([
    bundleSource(context, options.policies, options),
    import('../../../policy/index.js'),
    import('../../../policy/authoring/explain/explain.js'),
  ]);
  const policy = compilePolicy(await loadBundle(folder));
  const { existsSync } = await import('node:fs');
  const subject = existsSync(named)
    ? await fromFile(policy, named)
    : await fromRecord(context, policy, named, options.tenant);
  const { facts, notes, proposal } = subject;
  const limited = proposal === undefined ? undefined : await onRecordedFigures(policy, facts, proposal);
  const explanation = explain(policy, limited?.facts ?? facts, limited?.options);
  const { out } = context;
  const all = [...notes, ...(limited?.notes ?? [])];
  out.result({ folder, policyDigest: policy.digest, facts, notes: all, ...explanation }, () =>
    explanationText(explanation, all, out.paint),
  );
}

interface Limited {
  readonly facts: Facts;
  readonly options?: ExplanationOptions;
  readonly notes: readonly string[];
}

/** How limits decide on what they read then; without a judge, and with a note, where the record does not have all that they read. */
async function onRecordedFigures(policy: Policy, facts: Facts, { input, traceId }: Proposal): Promise<Limited> {
  const [{ lackingFigures, limitJudgeOf }, { authorityOf, overlaid }] = await Promise.all([
    import('../../../policy/authoring/explain/judge.js'),
    import('../../../policy/backtest/redecide.js'),
  ]);
  const whole = { ...facts, input: overlaid(input, facts.input ?? {}) };
  const action = { traceId, authority: authorityOf({ facts }), figures: facts.limits ?? [] };
  const lacks = lackingFigures(policy, action, whole).map(({ limit }) => limit);
  if (lacks.length === 0) return { facts: whole, options: { judge: limitJudgeOf(policy, action) }, notes: [] };
  return {
    facts,
    notes: [`Limits were not decided on: the record has no figures of ${[...new Set(lacks)].join(', ')}.`],
  };
}

async function fromFile(policy: Policy, file: string): Promise<Subject> {
  const [{ readFile }, { readYaml }, { readGiven }, { givenFacts }] = await Promise.all([
    import('node:fs/promises'),
    import('../../../action/parse.js'),
    import('../../../policy/authoring/testing/table.js'),
    import('../../../policy/authoring/testing/run.js'),
  ]);
  const document = readYaml(await readFile(file, 'utf8'), file) as
    { readonly facts?: Facts; readonly outcome?: { readonly facts?: Facts } } | undefined;
  const recorded = document?.facts ?? document?.outcome?.facts;
  if (recorded !== undefined) return { facts: recorded, notes: [] };
  const given = readGiven(document);
  const facts = givenFacts(given);
  const input = policy.declaredInput(facts.actionType, given.input ?? {});
  return { facts: input === undefined ? facts : { ...facts, input }, notes: [] };
}

async function fromRecord(context: Context, policy: Policy, name: string, tenant?: string): Promise<Subject> {
  const action = await context.anyAction(name, tenant);
  const [{ readAction }, { actionSources }] = await Promise.all([
    import('../../../action-records/read.js'),
    import('../../action-sources.js'),
  ]);
  const { view, proposal } = await readAction(await actionSources(context), action);
  const recorded = view.outcome?.decision?.policyDigest ?? view.pending?.decision.policyDigest;
  const notes =
    recorded === undefined || recorded === policy.digest ? [] : [`It was decided under another policy, ${recorded}.`];
  const facts = view.outcome?.facts;
  if (facts !== undefined) return { facts, notes, proposal };
  const waiting = waitingFacts(view, policy);
  if (waiting !== undefined) {
    return {
      facts: waiting,
      notes: [...notes, 'It still waits: figures of limits are not known, and the time is now.'],
    };
  }
  throw usageError(`No facts are recorded of ${action.tenant}/${action.actionId}: it was not decided by policy.`, {
    field: 'proposal',
    expected: 'an action that policy decided, or a file',
  });
}

function waitingFacts({ pending, tenant }: ActionView, policy: Policy): Facts | undefined {
  if (pending === undefined) return undefined;
  const { agent, tool, actionType, operation, preview, editedBy, proposal } = pending.shown;
  const input = policy.declaredInput(actionType, proposal.input);
  return {
    agent: { ...agent, tenant, scopes: ['*'] },
    tool,
    actionType,
    operation,
    preview,
    ...(editedBy === undefined ? {} : { editedBy }),
    ...(proposal.from === undefined ? {} : { from: proposal.from }),
    ...(input === undefined ? {} : { input }),
    now: new Date().toISOString(),
  };
}

function explanationText(explanation: Explanation, notes: readonly string[], paint: Paint): string {
  const { decision, effect, reason, rules, elsewhere, limits, changes } = explanation;
  const { constraints, requirements } = decision;
  const colour = effect === 'allow' ? paint.green : effect === 'deny' ? paint.red : paint.yellow;
  const mark = { yes: '●', no: '○', error: '!' } as const;
  return [
    ...notes.map((note) => paint.dim(sanitize(note))),
    `${colour(effect)}  ${sanitize(reason)}`,
    '',
    ...rules.map(
      ({ id, at, kind, matches, determined, error }) =>
        `${mark[matches]} ${kind.padEnd(11)} ${determined ? paint.bold(sanitize(id)) : sanitize(id)}  ${paint.dim(at)}${determined ? '  determined it' : ''}${error === undefined ? '' : `  ${sanitize(error)}`}`,
    ),
    paint.dim(`${elsewhere} rules are for other actions`),
    ...constraints.map(({ name, value, policy }) => `constraint ${sanitize(`${name}=${value} by ${policy}`)}`),
    ...requirements.map(
      ({ roles, quorum, policy }) => `needs ${quorum} of ${sanitize(roles.join(' or '))} for ${sanitize(policy)}`,
    ),
    ...limits.map(({ text, fits }) => `limit ${sanitize(text)}${fits ? '' : paint.red('  does not fit')}`),
    '',
    changes.length === 0 ? 'No change that was tried would change it.' : 'It would be:',
    ...changes.map(
      (one) => `  ${one.effect.padEnd(16)} if ${one.changes.map(({ text }) => sanitize(text)).join(', and ')}`,
    ),
  ].join('\n');
}
