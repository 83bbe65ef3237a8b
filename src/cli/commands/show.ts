/** `countersign show`: the timeline of one action. */
import type { Command } from 'commander';
import { examples, run } from '../command.js';
import { recordDocument } from '../../action-records/action-record.js';
import { timeline } from '../timeline.js';

export function show(program: Command): void {
  program
    .command('show')
    .argument('<actionId>', 'the action, or <tenant>/<actionId>')
    .description(
      'tell what became of an action: who asked, what policy and people said, what changed, what was verified',
    )
    .option('--tenant <tenant>', "whose action; default: the credential's tenant, or the only one that has it")
    .option('--full', 'leave nothing out, however long')
    .addHelpText(
      'after',
      examples('countersign show refund-1001', 'countersign show acme/refund-1001 --json | jq .outcome.checks') +
        '\n\nAn action that Temporal no longer keeps is told from the ledger, when COUNTERSIGN_LEDGER_URL is set.',
    )
    .action(
      run(async (context, actionId: string, options: { tenant?: string; full?: boolean }) => {
        const name = await context.anyAction(actionId, options.tenant);
        const [{ readAction }, { actionSources }] = await Promise.all([
          import('../../action-records/read.js'),
          import('../action-sources.js'),
        ]);
        const record = await readAction(await actionSources(context), name);
        const { out } = context;
        out.result(recordDocument(record), () =>
          timeline(record, { paint: out.paint, width: out.width, full: options.full ?? false }),
        );
      }),
    );
}
