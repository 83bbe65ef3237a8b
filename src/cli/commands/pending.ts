/** `countersign pending`: what waits for people, what it needs, and how long it will wait. */
import type { Command } from 'commander';
import type { Requirement } from '../../action/decision.js';
import { progress } from '../../action/quorum.js';
import type { ActionView } from '../../action/outcome.js';
import type { ListedAction } from '../../action-records/list.js';
import { anyOf } from '../asked-page.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { formatDuration } from '../../action/duration.js';
import { sanitize } from '../../presentation/sanitize.js';
import type { Paint } from '../output.js';
import { waitedSeconds } from '../timeline.js';

type Waiting = ListedAction & Partial<Pick<ActionView, 'pending' | 'approvals'>> & { readonly problem?: string };

/** Views asked for at once. */
const AT_ONCE = 8;

export function pending(program: Command): void {
  program
    .command('pending')
    .description(
      'list what waits for people: actions to decide, unknown outcomes, undoings that failed; and what each needs',
    )
    .option('--tenant <tenant>', "only those of this tenant; default: the credential's, else all")
    .addHelpText('after', examples('countersign pending', 'countersign pending --json | jq -r ".actions[].actionId"'))
    .action(
      run(async (context, options: { tenant?: string }) => {
        const { out } = context;
        const tenant = await context.tenant(options.tenant);
        const actions = await waiting(context, tenant);
        const stuck = await stuckIn(context, tenant);
        out.result({ actions, ...stuck }, () => {
          const lines = [
            ...actions.map((action) => tell(action, out.paint)),
            ...stuck.unknown.map((one) => tellStuck(one, 'unknown', out.paint)),
            ...stuck.compensations.map((one) => tellStuck(one, 'compensation', out.paint)),
          ];
          return lines.length === 0 ? out.paint.dim('nothing waits for people') : lines.join('\n');
        });
      }),
    );
}

async function waiting(context: Context, tenant: string | undefined): Promise<Waiting[]> {
  const [{ listActions, listQuery }, { findAction }, { actionSources }] = await Promise.all([
    import('../../action-records/list.js'),
    import('../../action-records/find.js'),
    import('../action-sources.js'),
  ]);
  const countersign = await context.countersign();
  const sources = await actionSources(context, countersign);
  const query = listQuery({ status: 'pending', ...(tenant === undefined ? {} : { tenant }) });
  const listed = await listActions(countersign.temporal, query, 1000, context.temporalSettings.address);
  const found: Waiting[] = [];
  for (let i = 0; i < listed.length; i += AT_ONCE) {
    const views = listed.slice(i, i + AT_ONCE).map(async (action): Promise<Waiting | undefined> => {
      try {
        const { view } = await findAction(sources, action);
        // The index lags: it may have been decided since.
        return view?.pending === undefined
          ? undefined
          : { ...action, pending: view.pending, approvals: view.approvals };
      } catch (error) {
        return { ...action, problem: error instanceof Error ? error.message : String(error) };
      }
    });
    found.push(...(await Promise.all(views)).filter((action) => action !== undefined));
  }
  return found;
}

/** What no approval helps with: a person has to find out or to decide. */
interface Stuck {
  readonly tenant: string;
  readonly actionId: string;
  readonly reason: string;
  readonly fix: string;
}

/** More of them are a matter for `countersign list`. */
const MOST_STUCK = 100;

async function stuckIn(
  context: Context,
  tenant: string | undefined,
): Promise<{ unknown: readonly Stuck[]; compensations: readonly Stuck[] }> {
  const { listActions, listQuery, stuckCompensations } = await import('../../action-records/list.js');
  const { todoOf } = await import('./saga.js');
  const countersign = await context.countersign();
  const { address } = context.temporalSettings;
  const whose = tenant === undefined ? {} : { tenant };
  const unknown: Stuck[] = [];
  const listed = await listActions(
    countersign.temporal,
    listQuery({ status: 'unknown', ...whose }),
    MOST_STUCK,
    address,
  );
  for (const { tenant: of, actionId } of listed) {
    // The index keeps what the workflow ended as; a person may have resolved it since.
    const outcome = await context.answered(countersign, () => countersign.outcome(actionId, { tenant: of }));
    if (outcome.status !== 'unknown') continue;
    unknown.push({ tenant: of, actionId, reason: outcome.reason, fix: todoOf('unknown', actionId, of) });
  }
  const compensations: Stuck[] = [];
  for (const name of await stuckCompensations(countersign.temporal, tenant, MOST_STUCK, address)) {
    const view = await context.answered(countersign, () => countersign.compensation(name.actionId, name.tenant));
    if (view.status !== 'needs_person') continue;
    compensations.push({ ...name, reason: view.reason, fix: todoOf('compensation', name.actionId, name.tenant) });
  }
  return { unknown, compensations };
}

function tellStuck({ tenant, actionId, reason, fix }: Stuck, kind: 'unknown' | 'compensation', paint: Paint): string {
  const what = kind === 'unknown' ? 'unknown whether it happened' : 'could not be undone';
  return [
    `${paint.bold(sanitize(`${tenant}/${actionId}`))}  ${paint.red(what)}`,
    `  ${sanitize(reason)}`,
    `  ${sanitize(fix)}`,
    '',
  ].join('\n');
}

function tell({ tenant, actionId, pending: waits, approvals = [], problem }: Waiting, paint: Paint): string {
  const title = paint.bold(sanitize(`${tenant}/${actionId}`));
  if (waits === undefined) return `${title}\n  ${paint.red(sanitize(problem ?? ''))}\n`;
  const { shown, expiresAt } = waits;
  const left = Date.parse(expiresAt) - Date.now();
  const waited = waitedSeconds(waits);
  const needs = progress(shown.requirements, approvals, waited).missing.map(
    ({ roles, have, need, policy, passkey, overRateLimit }) =>
      `  needs ${need - have} more of ${anyOf(roles)}${passkey === true ? ', with a passkey' : ''} ${paint.dim(`(${sanitize(policy)}; ${have} of ${need} said yes${overRateLimit === true ? ', one over the approval rate limit' : ''})`)}`,
  );
  const others =
    waits.escalated === undefined ? [] : [`  ${paint.yellow(`escalated: now also ${anyOf(waits.escalated)}`)}`];
  const next = nextEscalation(shown.requirements, waited);
  return [
    `${title}  ${paint.yellow(left > 0 ? `${formatDuration(left)} left` : 'over')}`,
    `  ${sanitize(shown.preview.summary)} on ${sanitize(shown.tool.name)} (${sanitize(shown.tool.environment)}), proposed by ${sanitize(shown.agent.id)}`,
    ...shown.requirements.map(({ reason }) => `  ${sanitize(reason)}`),
    ...needs,
    ...others,
    ...(next === undefined ? [] : [paint.dim(`  ${next}`)]),
    '',
  ].join('\n');
}

function nextEscalation(requirements: readonly Requirement[], waited: number): string | undefined {
  const [next] = requirements
    .flatMap(({ escalations = [] }) => escalations)
    .filter(({ afterSeconds }) => afterSeconds > waited)
    .sort((a, b) => a.afterSeconds - b.afterSeconds);
  return next && `in ${formatDuration((next.afterSeconds - waited) * 1000)} also ${anyOf(next.roles)}`;
}
