/** `countersign policy promote`: a policy becomes the active one, on the evidence of a backtest, by the word of people. */
import type { Command } from 'commander';
import { CountersignError } from '../../../action/errors.js';
import type { PolicyEvidence } from '../../../action/policy-rollout.js';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import type { Paint } from '../../output.js';
import { confirmSigning } from '../../confirm-signing.js';
import { AS_OPTION } from '../../send-signed-command.js';
import { findPolicy } from './find-policy.js';
import { order, ordering, type OrderOptions } from './order.js';

interface PromoteOptions extends OrderOptions {
  readonly withoutEvidence?: boolean;
  readonly yes?: boolean;
}

export function promotePolicy(group: Command): void {
  group
    .command('promote')
    .argument('<digest>', 'the policy; the first letters of its digest suffice')
    .description('make a policy the active one: shows what its backtest found, and signs that')
    .requiredOption('--reason <text>', 'why; kept with the change')
    .option('--without-evidence', "although no backtest was made; only where the workers' config allows it")
    .option('--yes', 'sign without asking; required where there is no terminal')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples('countersign policy promote sha256:3f2a91 --reason "refunds need two people" --as ann.csk'),
    )
    .action(run(promote));
}

async function promote(context: Context, name: string, options: PromoteOptions): Promise<Exit | void> {
  const now = await ordering(context, options.as);
  const { rollout } = now.ledger;
  const { digest } = await findPolicy(rollout, name);
  const { active } = now;
  const compared = active !== undefined && active !== digest;
  const [evidence] = compared ? await rollout.evidence(digest, active) : [];
  if (compared && evidence === undefined && options.withoutEvidence !== true) {
    throw new CountersignError('EVIDENCE_REQUIRED', `No backtest of ${digest} against ${active} is recorded.`, {
      field: 'digest',
      expected: 'a backtest of this policy against the active one',
      fix: 'Run countersign policy backtest, then promote again.',
    });
  }
  const signer = evidence && (await signerOf(context, evidence));
  const { out } = context;
  out.present((paint) =>
    [
      `${paint.bold('promote')}  ${digest}`,
      `${paint.bold('replaces')} ${active ?? 'nothing: no policy is active'}`,
      ...(compared ? [evidenceText(evidence, signer, paint)] : []),
    ].join('\n'),
  );
  await confirmSigning(context.terminal, {
    yes: options.yes ?? false,
    question: 'Sign for exactly this?',
    active: 'Promote',
    otherwise: 'The policy that was active stays.',
  });
  return order(context, now, {
    kind: 'promote_policy',
    subject: digest,
    reason: options.reason,
    ...(evidence === undefined ? {} : { evidence: evidence.report }),
  });
}

/**
 * Verified before a person signs what is shown; the workers verify it again. Without keys, only they do.
 *
 * @throws CountersignError FINDING_INVALID
 */
async function signerOf(context: Context, evidence: PolicyEvidence): Promise<string> {
  const { verifyEvidence } = await import('../../../trust/index.js');
  let keyring: Awaited<ReturnType<Context['keyring']>>;
  try {
    keyring = await context.keyring();
  } catch (error) {
    if (!(error instanceof CountersignError) || error.code !== 'KEYS_MISSING') throw error;
    return `${evidence.by} (not verified: no keys are at hand)`;
  }
  return (await verifyEvidence(keyring, evidence)).by;
}

function evidenceText(evidence: PolicyEvidence | undefined, signer: string | undefined, paint: Paint): string {
  if (evidence === undefined) return paint.yellow('evidence none: nobody knows what it would have decided');
  const { report, decisions, summary, at } = evidence;
  const lines = JSON.stringify(summary, null, 2).split('\n');
  return [
    `${paint.bold('evidence')} ${report}: ${decisions} decisions, signed by ${sanitize(signer ?? '')} at ${at}`,
    ...lines.map((line) => `         ${sanitize(line)}`),
  ].join('\n');
}
