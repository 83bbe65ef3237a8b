/** `countersign edit`: a person changes what an agent proposed, instead of asking for the change in words. */
import type { Command } from 'commander';
import { sanitize } from '../../presentation/sanitize.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { AS_OPTION } from '../send-signed-command.js';
import { inputOf, type InputOptions } from '../tool-input.js';
import { whatWaits } from './decide.js';

interface EditOptions extends InputOptions {
  /** False: the agent's expectation is taken back. */
  readonly expect?: string | false;
  readonly reason?: string;
  readonly as?: string;
}

export function editAction(program: Command): void {
  program
    .command('edit')
    .argument('<actionId>', 'the action that waits')
    .description("end the action, and begin it changed on the agent's behalf; policy decides on the changed one anew")
    .option('--input <json>', "the tool's whole input as it should be, as JSON; - reads it from stdin")
    .option('--input-file <file>', 'the same from a file')
    .option('--expect <cel>', "what must be true afterwards; default: the agent's own expectation")
    .option('--no-expect', "take the agent's expectation back")
    .option('--reason <text>', 'why; kept with the decision and shown to the agent')
    .option('--as <credential>', AS_OPTION)
    .addHelpText(
      'after',
      examples(
        `countersign edit refund-1001 --input '{"op":"refund","order":7,"amount":10}' --reason "only the shipping"`,
        "countersign show refund-1001 --json | jq '.pending.shown.proposal.input | .amount = 10' | countersign edit refund-1001 --input -",
      ),
    )
    .action(run(edit));
}

async function edit(context: Context, name: string, options: EditOptions): Promise<void> {
  const { out } = context;
  const { expect, reason } = options;
  const input = await inputOf(options, context.terminal);
  const { credential, countersign, action, pending, secondsLeft } = await whatWaits(context, name, options.as);
  const [{ signApproval, signedEdit }, { editedProposal }, { parseProposal }] = await Promise.all([
    import('../../trust/index.js'),
    import('../../action/edit.js'),
    import('../../action/proposal.js'),
  ]);
  const { proposal } = pending.shown;
  const given = expect === undefined ? {} : { expect: expect === false ? null : expect };
  const edited = parseProposal(editedProposal(proposal, { input, ...given }));
  const token = await signApproval(credential, {
    ...action,
    shownDigest: pending.shownDigest,
    verdict: 'request_changes',
    reason,
    edit: signedEdit(proposal, edited),
    ttlSeconds: secondsLeft(),
  });
  const reply = await context.answered(countersign, () =>
    countersign.decide(action.actionId, token, action.tenant, edited),
  );
  out.result({ ...action, ...reply }, () => {
    const changed = out.paint.yellow('↻ changed');
    return `${changed} by ${sanitize(reply.recorded.approver)}; the action ends, and ${edited.actionId} is begun instead.  See: countersign show ${action.tenant}/${edited.actionId}`;
  });
}
