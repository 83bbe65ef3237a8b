/** `countersign unfreeze`, `resolve` and `revoke`: what a person says, signed, and a worker carries out. */
import type { Command } from 'commander';
import type { Credential, CredentialView } from '../../trust/index.js';
import { examples, run } from '../command.js';
import { given, variable } from '../../environment.js';
import type { Context } from '../context.js';
import { freezeText } from '../freeze-text.js';
import { sanitize } from '../../presentation/sanitize.js';
import { wholeNumber } from '../whole-number.js';
import { AS_OPTION, sendSignedCommand } from '../send-signed-command.js';
import { statusMark } from '../timeline.js';
import { usageError } from '../usage-error.js';

interface Holder {
  readonly credential: Credential;
  readonly holder: CredentialView;
}

export function signedCommands(program: Command): void {
  program
    .command('unfreeze')
    .argument('<id>', 'the number of the freeze', wholeNumber('id', 1, 2_147_483_647))
    .description(
      'lift a freeze and keep its record; needs a role (operator, unless the config names others) and a running worker',
    )
    .requiredOption('--reason <text>', 'why; kept with the freeze')
    .option('--as <credential>', AS_OPTION)
    .addHelpText('after', examples('countersign unfreeze 3 --as ann.csk --reason "incident closed"'))
    .action(run(unfreeze));
  program
    .command('resolve')
    .argument('<actionId>', 'the action whose outcome is unknown, or <tenant>/<actionId>')
    .description(
      'settle an unknown outcome of an agent that is not your own: state whether the effect happened; its holds on limits are spent or released',
    )
    .option('--happened', 'the effect was made')
    .option('--did-not-happen', 'the effect was not made')
    .requiredOption('--evidence <text>', 'how you know; kept with the outcome')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples(
        'countersign resolve refund-1001 --happened --evidence "payment 77 is in the bank\'s ledger" --as ann.csk',
      ),
    )
    .action(run(resolve));
  program
    .command('revoke')
    .argument('<credential>', "the credential's id, or the credential itself or its file")
    .description('revoke a credential or a delegation, and everything that was delegated from it')
    .requiredOption('--reason <text>', 'why; shown to whoever uses it')
    .option('--as <credential>', `${AS_OPTION}. An agent may revoke what it delegated, with its own`)
    .addHelpText(
      'after',
      examples(
        'countersign revoke bot.csk --as ann.csk --reason "the laptop was lost"',
        'countersign revoke mailer.csk --as bot.csk --reason "the task is done"',
      ),
    )
    .action(run(revoke));
}

async function unfreeze(context: Context, id: number, { reason, as }: { reason: string; as?: string }): Promise<void> {
  const { credential, holder } = await context.approver(as);
  const { tenant } = holder;
  const done = await sendSignedCommand(context, credential, { kind: 'unfreeze', tenant, subject: String(id), reason });
  if (done.kind !== 'unfreeze') return;
  const { out } = context;
  const { freeze, receipt } = done;
  out.result(
    { ...freeze, receipt },
    () =>
      `${out.paint.green('✓ lifted')}\n${freezeText(freeze, out.paint)}\n  receipt #${receipt.seq} of ${sanitize(tenant)}`,
  );
}

interface ResolveOptions {
  readonly happened?: boolean;
  readonly didNotHappen?: boolean;
  readonly evidence: string;
  readonly as?: string;
}

async function resolve(context: Context, name: string, options: ResolveOptions): Promise<void> {
  const { happened = false, didNotHappen = false, evidence, as } = options;
  if (happened === didNotHappen) {
    throw usageError('State whether the effect happened.', {
      field: 'verdict',
      expected: '--happened or --did-not-happen',
    });
  }
  const { credential, holder } = await context.approver(as);
  const { tenant, actionId } = await context.action(name, holder.tenant);
  if (tenant !== holder.tenant) {
    throw usageError(`Your credential is for tenant ${holder.tenant}, but the action belongs to tenant ${tenant}.`, {
      field: 'actionId',
      expected: `an action of ${holder.tenant}`,
    });
  }
  const verdict = happened ? 'happened' : 'did_not_happen';
  const done = await sendSignedCommand(context, credential, {
    kind: 'resolve',
    tenant,
    subject: actionId,
    verdict,
    reason: evidence,
  });
  if (done.kind !== 'resolve') return;
  const { out } = context;
  const { outcome } = done;
  out.result(
    outcome,
    () =>
      `${statusMark(outcome.status, out.paint)}  ${sanitize(outcome.reason)}\nreceipt #${outcome.receipt?.seq ?? 0} of ${sanitize(tenant)}`,
  );
}

async function revoke(context: Context, what: string, { reason, as }: { reason: string; as?: string }): Promise<void> {
  const { credential, holder } = await signerOf(context, as);
  const { tenant } = holder;
  const { subject, delegations } = await revoked(what);
  const done = await sendSignedCommand(context, credential, {
    kind: 'revoke',
    tenant,
    subject,
    reason,
    ...(delegations === undefined ? {} : { delegations }),
  });
  if (done.kind !== 'revoke') return;
  const { out } = context;
  const { revocation, receipt } = done;
  out.result(
    { ...revocation, receipt },
    () =>
      `${out.paint.green('✓ revoked')} ${sanitize(revocation.jti)} by ${sanitize(revocation.by)}: ${sanitize(revocation.reason)}\nreceipt #${receipt.seq} of ${sanitize(tenant)}`,
  );
}

/** People, and agents for what they delegated. */
async function signerOf(context: Context, as: string | undefined): Promise<Holder> {
  const person = given(as) ?? variable('COUNTERSIGN_APPROVER', context.env);
  if (person === undefined) return context.agent(undefined);
  const { peekCredential, readCredential } = await import('../../trust/index.js');
  const credential = await readCredential(person);
  return { credential, holder: peekCredential(credential) };
}

async function revoked(what: string): Promise<{ subject: string; delegations?: readonly string[] | undefined }> {
  const { existsSync } = await import('node:fs');
  if (!what.startsWith('csk_') && !existsSync(what)) return { subject: what };
  const { peekCredential, readCredential } = await import('../../trust/index.js');
  const credential = await readCredential(what);
  return { subject: peekCredential(credential).jti, delegations: credential.delegations };
}
