/** `countersign pending`: what waits for people, what it needs, and how long it will wait. */
import type { Command } from 'commander';
import { progress } from '../../action/quorum.js';
import type { ActionView } from '../../action/outcome.js';
import type { ListedAction } from '../actions-list.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { duration } from '../durations.js';
import { inert } from '../inert.js';
import type { Paint } from '../output.js';

type Waiting = ListedAction & Partial<Pick<ActionView, 'pending' | 'approvals'>> & { readonly problem?: string };

/** Views asked for at once. */
const AT_ONCE = 8;

export function pending(program: Command): void {
  program
    .command('pending')
    .description('list the actions that wait for people, and what each needs')
    .option('--tenant <tenant>', "only those of this tenant; default: the credential's, else all")
    .addHelpText('after', examples('countersign pending', 'countersign pending --json | jq -r ".actions[].actionId"'))
    .action(
      run(async (context, options: { tenant?: string }) => {
        const { out } = context;
        const actions = await waiting(context, await context.tenant(options.tenant));
        out.result({ actions }, () =>
          actions.length === 0
            ? out.paint.dim('nothing waits for people')
            : actions.map((action) => tell(action, out.paint)).join('\n'),
        );
      }),
    );
}

async function waiting(context: Context, tenant: string | undefined): Promise<Waiting[]> {
  const { listActions, listQuery } = await import('../actions-list.js');
  const countersign = await context.countersign();
  const query = listQuery({ status: 'pending', ...(tenant === undefined ? {} : { tenant }) });
  const listed = await listActions(countersign.temporal, query, 1000, context.temporalSettings.address);
  const found: Waiting[] = [];
  for (let i = 0; i < listed.length; i += AT_ONCE) {
    const views = listed.slice(i, i + AT_ONCE).map(async (action): Promise<Waiting | undefined> => {
      try {
        const view = await context.answered(countersign, () => countersign.view(action.actionId, action.tenant));
        // The index lags: it may have been decided since.
        return view.pending === undefined ? undefined : { ...action, pending: view.pending, approvals: view.approvals };
      } catch (error) {
        return { ...action, problem: error instanceof Error ? error.message : String(error) };
      }
    });
    found.push(...(await Promise.all(views)).filter((action) => action !== undefined));
  }
  return found;
}

function tell({ tenant, actionId, pending: waits, approvals = [], problem }: Waiting, paint: Paint): string {
  const title = paint.bold(inert(`${tenant}/${actionId}`));
  if (waits === undefined) return `${title}\n  ${paint.red(inert(problem ?? ''))}\n`;
  const { shown, expiresAt } = waits;
  const left = Date.parse(expiresAt) - Date.now();
  const needs = progress(shown.requirements, approvals).missing.map(
    ({ roles, have, need, policy }) =>
      `  needs ${need - have} more of ${roles.map((role) => inert(role)).join(' or ')} ${paint.dim(`(${inert(policy)}; ${have} of ${need} said yes)`)}`,
  );
  return [
    `${title}  ${paint.yellow(left > 0 ? `${duration(left)} left` : 'over')}`,
    `  ${inert(shown.preview.summary)} on ${inert(shown.tool.name)} (${inert(shown.tool.environment)}), proposed by ${inert(shown.agent.id)}`,
    ...shown.requirements.map(({ reason }) => `  ${inert(reason)}`),
    ...needs,
    '',
  ].join('\n');
}
