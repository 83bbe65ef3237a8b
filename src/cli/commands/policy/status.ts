/** `countersign policy status`: the bundles and their states, and which worker runs what. */
import type { Command } from 'commander';
import type { Digest } from '../../../action/json.js';
import type { PolicyChange, PolicyState, PolicyWorker, StatedPolicy } from '../../../action/policy-rollout.js';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Paint } from '../../output.js';

interface StatusOptions {
  readonly all?: boolean;
}

export function policyStatus(group: Command): void {
  group
    .command('status')
    .description('show the active policy, the drafts and the one in shadow, and which worker runs which')
    .option('--all', 'include retired policies')
    .addHelpText('after', examples('countersign policy status', 'countersign policy status --all --json'))
    .action(run(status));
}

interface Status {
  readonly policies: readonly (StatedPolicy & { readonly change?: PolicyChange })[];
  readonly workers: readonly PolicyWorker[];
}

async function status(context: Context, { all = false }: StatusOptions): Promise<void> {
  const { rollout } = await context.ledger();
  const [states, changes, workers] = await Promise.all([
    rollout.states(),
    rollout.history({ limit: 1000 }),
    rollout.workers(),
  ]);
  const bySeq = new Map(changes.map((change) => [change.seq, change]));
  const policies = states
    .filter(({ state }) => all || state !== 'retired')
    .map((policy) => {
      const change = bySeq.get(policy.since);
      return change === undefined ? policy : { ...policy, change };
    });
  const { out } = context;
  out.result({ policies, workers }, () => statusText({ policies, workers }, out.paint));
}

function statusText({ policies, workers }: Status, paint: Paint): string {
  const active = policies.find(({ state }) => state === 'active');
  const lines = [
    ...(active === undefined
      ? [paint.yellow('no policy is active: workers that take it from here deny everything')]
      : []),
    ...policies.map(({ digest, state, change }) => {
      const who = change === undefined ? '' : `  by ${sanitize(change.by)} at ${change.at}: ${sanitize(change.reason)}`;
      return `  ${mark(state, paint)}  ${digest}${who}`;
    }),
    '',
    workers.length === 0 ? 'no worker has said what it runs' : 'workers:',
    ...workers.map((worker) => `  ${workerText(worker, active?.digest, paint)}`),
  ];
  return lines.join('\n');
}

function mark(state: PolicyState, paint: Paint): string {
  const text = state.padEnd('retired'.length);
  switch (state) {
    case 'active':
      return paint.green(text);
    case 'shadow':
      return paint.cyan(text);
    case 'draft':
      return text;
    case 'retired':
      return paint.dim(text);
  }
}

function workerText(worker: PolicyWorker, expected: Digest | undefined, paint: Paint): string {
  const { worker: name, taskQueue, source, active, shadow, problem, seenAt, silent } = worker;
  const runs = active === undefined ? 'no policy' : active;
  const agrees = source === 'folder' ? `${runs} from its folder` : active === expected ? runs : paint.yellow(runs);
  return [
    `${sanitize(name)} on ${sanitize(taskQueue)}: ${agrees}`,
    ...(shadow === undefined ? [] : [`shadow ${shadow}`]),
    ...(silent ? [paint.yellow(`silent since ${seenAt}`)] : []),
    ...(problem === undefined ? [] : [paint.red(sanitize(problem))]),
  ].join('; ');
}
