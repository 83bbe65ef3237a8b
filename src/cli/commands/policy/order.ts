/** What `policy promote`, `rollback`, `shadow` and `retire` share: a person signs the change, a worker carries it out, and the workers say so. */
import type { CommandResult } from '../../../../activities/contract.js';
import type { Digest } from '../../../action/json.js';
import type { PolicyWorker } from '../../../action/policy-rollout.js';
import { ledgerWorkers, runsPolicy, workersAgreed } from '../../../ledger/rollout/agreement.js';
import type { Ledger } from '../../../ledger/index.js';
import { sanitize } from '../../../presentation/sanitize.js';
import type { Command, Credential, CredentialView } from '../../../trust/index.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import { sendSignedCommand } from '../../send-signed-command.js';

export interface OrderOptions {
  readonly reason: string;
  readonly as?: string;
}

export type PolicyCommand = Extract<
  Command,
  { kind: 'promote_policy' | 'roll_back_policy' | 'shadow_policy' | 'retire_policy' }
>;
export type PolicyResult = Extract<CommandResult, { kind: PolicyCommand['kind'] }>;

export interface Ordering {
  readonly ledger: Ledger;
  readonly credential: Credential;
  readonly holder: CredentialView;
  /** The policy that is active now: the command is signed for a change of that one. */
  readonly active: Digest | undefined;
}

export async function ordering(context: Context, as: string | undefined): Promise<Ordering> {
  const { credential, holder } = await context.approver(as);
  const ledger = await context.ledger();
  const active = await ledger.rollout.active();
  return { ledger, credential, holder, active };
}

/** Signs the change, has it carried out, and waits until the workers say that they run it. */
export async function order(
  context: Context,
  { ledger, credential, holder, active }: Ordering,
  command: Omit<PolicyCommand, 'tenant' | 'replaces'>,
): Promise<Exit | void> {
  const { tenant } = holder;
  const replaces = active === undefined ? {} : { replaces: active };
  const done = await sendSignedCommand(context, credential, { ...command, tenant, ...replaces });
  if (!('signed' in done)) return;
  const { change } = done;
  const workers = change === undefined ? [] : await workersAfter(ledger, command.kind, change.digest);
  const { out } = context;
  out.result({ ...done, workers }, () => resultText(done, tenant, workers, command, context));
  return change === undefined ? 'pending' : undefined;
}

function resultText(
  { change, signed, needed, receipt }: PolicyResult,
  tenant: string,
  workers: readonly PolicyWorker[],
  { kind, subject }: Pick<PolicyCommand, 'kind' | 'subject'>,
  { out: { paint } }: Context,
): string {
  const receiptText = `receipt #${receipt.seq} of ${sanitize(tenant)}`;
  if (change === undefined) {
    const more = needed - signed;
    return `${paint.yellow('signed')}: ${signed} of ${needed} people; ${more} more must run\n  countersign policy promote ${subject} --reason "…"\n${receiptText}`;
  }
  const { seq, digest, replaced } = change;
  return [
    `${paint.green(`✓ ${DONE[kind]}`)} ${digest}${replaced === undefined ? '' : `, in place of ${replaced}`} (change ${seq})`,
    ...(kind === 'retire_policy' ? [] : [agreementText(kind, digest, workers, paint.yellow)]),
    receiptText,
  ].join('\n');
}

const DONE: Readonly<Record<PolicyCommand['kind'], string>> = {
  promote_policy: 'promoted',
  roll_back_policy: 'rolled back to',
  shadow_policy: 'in shadow:',
  retire_policy: 'retired',
};

function agreementText(
  kind: PolicyCommand['kind'],
  digest: Digest,
  workers: readonly PolicyWorker[],
  warn: (text: string) => string,
): string {
  const running = workers.filter((worker) => runsPolicy(worker, { state: STATE[kind], digest }));
  const others = workers.filter((worker) => !running.includes(worker));
  const problems = others.flatMap(({ worker, problem = 'it has not said so yet' }) => [
    warn(`  ${sanitize(worker)}: ${sanitize(problem)}`),
  ]);
  return [`${running.length} of ${workers.length} workers run it`, ...problems].join('\n');
}

/** Where a change puts a policy. What is retired is nowhere: nothing is waited for. */
const STATE = {
  promote_policy: 'active',
  roll_back_policy: 'active',
  shadow_policy: 'shadow',
  retire_policy: 'active',
} as const satisfies Readonly<Record<PolicyCommand['kind'], 'active' | 'shadow'>>;

function workersAfter(
  { rollout }: Ledger,
  kind: PolicyCommand['kind'],
  digest: Digest,
): Promise<readonly PolicyWorker[]> {
  return kind === 'retire_policy' ? ledgerWorkers(rollout) : workersAgreed(rollout, { state: STATE[kind], digest });
}
