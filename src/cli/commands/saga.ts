/** `countersign saga`: how a saga stands, and what a person says of an undoing that failed. */
import type { Command } from 'commander';
import { CountersignError } from '../../action/errors.js';
import type { CompensationView, SagaView } from '../../action/saga.js';
import type { Countersign } from '../../client/countersign.js';
import { examples, run } from '../command.js';
import type { ActionName, Context } from '../context.js';
import { sanitize } from '../../presentation/sanitize.js';
import type { Paint } from '../output.js';
import { AS_OPTION, sendSignedCommand } from '../send-signed-command.js';
import { usageError } from '../usage-error.js';

const NAME = 'the saga (its traceId), or the action whose compensation failed; or <tenant>/<either>';

export function saga(program: Command): void {
  const group = program
    .command('saga')
    .description('show sagas and compensations, and decide on a compensation that failed');
  group
    .command('show')
    .argument('<name>', NAME)
    .description('show the state of its steps, what was compensated, and what it waits for')
    .option('--tenant <tenant>', "whose; default: the credential's tenant")
    .addHelpText('after', examples('countersign saga show order-1001', 'countersign saga show order-1001 --json'))
    .action(
      run(async (context, name: string, { tenant }: { tenant?: string }) => {
        const found = await find(context, await sagaOrAction(context, name, tenant));
        const { out } = context;
        out.result(found, () => ('steps' in found ? tellSaga(found, out.paint) : tellUndoing(found, out.paint)));
      }),
    );
  for (const [verdict, description] of [
    ['retry', 'retry a compensation that failed, as a new action under policy'],
    ['accept', 'give up a compensation that failed: the effect stays, and the record says so'],
  ] as const) {
    group
      .command(verdict)
      .argument('<name>', NAME)
      .description(`${description}. Needs a role (operator, unless the config says otherwise)`)
      .requiredOption('--reason <text>', 'why; kept with the receipt')
      .option('--as <credential>', AS_OPTION)
      .addHelpText('after', examples(`countersign saga ${verdict} order-1001 --reason "asked finance" --as ann.csk`))
      .action(
        run((context, name: string, options: { reason: string; as?: string }) =>
          decide(context, name, verdict, options),
        ),
      );
  }
}

/** The ledger knows actions; a saga has an id of its own kind, which only a tenant finds. */
async function sagaOrAction(context: Context, name: string, tenant: string | undefined): Promise<ActionName> {
  if (tenant !== undefined || (await context.tenant(undefined)) !== undefined) return context.action(name, tenant);
  return context.anyAction(name, tenant).catch((error: unknown) => {
    if (error instanceof CountersignError && error.code === 'NOT_FOUND') return context.action(name, tenant);
    throw error;
  });
}

async function decide(
  context: Context,
  name: string,
  verdict: 'retry' | 'accept',
  { reason, as }: { reason: string; as?: string },
): Promise<void> {
  const { credential, holder } = await context.approver(as);
  const named = await context.action(name, holder.tenant);
  const { tenant } = holder;
  if (named.tenant !== tenant) {
    throw usageError(
      `Your credential is for tenant ${tenant}, but ${named.actionId} belongs to tenant ${named.tenant}.`,
      {
        field: 'name',
        expected: `one of ${tenant}`,
      },
    );
  }
  const found = await find(context, named);
  const subject = 'steps' in found ? waitingIn(found) : found.cause;
  const done = await sendSignedCommand(context, credential, { kind: 'recover', tenant, subject, verdict, reason });
  if (done.kind !== 'recover') return;
  const { out } = context;
  out.result({ cause: subject, ...done }, () => {
    const what = verdict === 'retry' ? 'is compensated again' : 'keeps its effect';
    return `${out.paint.green(`✓ ${sanitize(subject)} ${what}`)}: ${sanitize(done.reason)}\nreceipt #${done.receipt.seq} of ${sanitize(tenant)}`;
  });
}

function waitingIn({ waitsFor, traceId }: SagaView): string {
  if (waitsFor?.kind === 'compensation') return waitsFor.actionId;
  throw new CountersignError('NOT_PENDING', `Saga ${traceId} does not wait for a decision on a compensation.`, {
    field: 'name',
    expected: 'a saga with a compensation that failed',
    fix: `Look at it: countersign saga show ${traceId}`,
  });
}

/** A saga of that name, else the undoing of an action of that name. @throws CountersignError NOT_FOUND */
async function find(context: Context, { tenant, actionId: name }: ActionName): Promise<SagaView | CompensationView> {
  const countersign: Countersign = await context.countersign();
  try {
    return await context.answered(countersign, () => countersign.sagaView(name, tenant));
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'NOT_FOUND') throw error;
  }
  try {
    return await context.answered(countersign, () => countersign.compensation(name, tenant));
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'NOT_FOUND') throw error;
    throw new CountersignError(
      'NOT_FOUND',
      `There is no saga ${name} of tenant ${tenant}, and no compensation of an action with that id.`,
      {
        field: 'name',
        expected: 'the traceId of a saga, or the id of an action that was to be compensated',
        fix: 'See what waits: countersign pending',
      },
    );
  }
}

function colour(status: string, paint: Paint): string {
  if (status === 'success' || status === 'nothing') return paint.green(status);
  if (status === 'needs_person' || status === 'running' || status === 'waiting' || status === 'skipped')
    return paint.yellow(status);
  return paint.red(status);
}

function tellSaga(view: SagaView, paint: Paint): string {
  const { tenant, traceId, status, reason, steps, compensations, waitsFor } = view;
  return [
    `${paint.bold(sanitize(`${tenant}/${traceId}`))}  ${colour(status, paint)}`,
    `  ${sanitize(reason)}`,
    ...steps.map(
      (step, index) =>
        `  ${index + 1}. ${sanitize(step.actionId)} on ${sanitize(step.tool)}: ${colour(step.status, paint)}`,
    ),
    ...compensations.map((one) => `  ↩ ${sanitize(one.cause)}: ${colour(one.status, paint)}  ${sanitize(one.reason)}`),
    ...(waitsFor === undefined ? [] : [`  waits: ${sanitize(todoOf(waitsFor.kind, waitsFor.actionId, tenant))}`]),
  ].join('\n');
}

function tellUndoing({ tenant, cause, status, actionId, reason }: CompensationView, paint: Paint): string {
  return [
    `${paint.bold(sanitize(`undo ${tenant}/${cause}`))}  ${colour(status, paint)}`,
    `  ${sanitize(reason)}`,
    ...(actionId === undefined ? [] : [`  by ${sanitize(actionId)}`]),
    ...(status === 'needs_person' ? [`  waits: ${sanitize(todoOf('compensation', cause, tenant))}`] : []),
  ].join('\n');
}

/** What a person can do about it. */
export function todoOf(kind: 'approval' | 'unknown' | 'compensation', actionId: string, tenant: string): string {
  const name = `${tenant}/${actionId}`;
  switch (kind) {
    case 'approval':
      return `countersign approve ${name} | deny ${name}`;
    case 'unknown':
      return `countersign resolve ${name} --happened | --did-not-happen --evidence "…"`;
    case 'compensation':
      return `countersign saga retry ${name} | accept ${name} --reason "…"`;
  }
}
