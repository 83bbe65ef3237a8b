/** `countersign deployment`: which version of the workers gets new tasks, and moving that on in an upgrade. */
import type { Command } from 'commander';
import { sanitize } from '../../presentation/sanitize.js';
import { variable } from '../../environment.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { usageError } from '../usage-error.js';

const NAME_OPTION = ['--name <deployment>', 'the deployment; default: COUNTERSIGN_DEPLOYMENT'] as const;

export function deployment(program: Command): void {
  const group = program
    .command('deployment')
    .description('versions of the workers: show them, and promote one in an upgrade');
  group
    .command('show')
    .description('list the versions: the current one, and whether older ones are drained')
    .option(...NAME_OPTION)
    .addHelpText('after', examples('countersign deployment show', 'countersign deployment show --name shop --json'))
    .action(
      run(async (context, options: { name?: string }) => {
        const view = await found(context, nameOf(context, options.name));
        const { out } = context;
        out.result(view, () =>
          view.versions
            .map(
              ({ buildId, status }) =>
                `${buildId === view.current ? '●' : ' '} ${sanitize(buildId)}  ${out.paint.dim(status)}`,
            )
            .join('\n'),
        );
      }),
    );
  group
    .command('promote')
    .argument('<buildId>', 'the version: as `countersign worker` says it when it starts')
    .description('have new tasks go to the workers of this version; what waits for people moves with them')
    .option(...NAME_OPTION)
    .addHelpText('after', examples('countersign deployment promote countersign-3f2a91bc'))
    .action(
      run(async (context, buildId: string, options: { name?: string }) => {
        const name = nameOf(context, options.name);
        const { promote } = await import('../../client/deployment.js');
        await promote(await context.temporal(), name, buildId);
        const view = await found(context, name);
        context.out.result(view, () => `${sanitize(name)} is at ${sanitize(view.current ?? 'no version')} now`);
      }),
    );
}

async function found(context: Context, name: string) {
  const { describeDeployment } = await import('../../client/deployment.js');
  const view = await describeDeployment(await context.temporal(), name);
  if (view !== undefined) return view;
  const { CountersignError } = await import('../../action/errors.js');
  throw new CountersignError('NOT_FOUND', `The server knows no deployment ${name}.`, {
    field: '--name',
    expected: 'the name that the workers have: COUNTERSIGN_DEPLOYMENT, or `deployment.name` of their config',
    fix: 'Start a worker of it: the server learns of a deployment when a worker polls.',
  });
}

function nameOf(context: Context, given: string | undefined): string {
  const name = given ?? variable('COUNTERSIGN_DEPLOYMENT', context.env);
  if (name !== undefined) return name;
  throw usageError('Nothing says which deployment is meant.', {
    field: '--name',
    expected: 'the name of a deployment',
    fix: 'Add --name, or set COUNTERSIGN_DEPLOYMENT.',
  });
}
