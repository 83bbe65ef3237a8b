/** `countersign cancel`: asks an action to stop. */
import type { Command } from 'commander';
import { examples, run } from '../command.js';

export function cancelAction(program: Command): void {
  program
    .command('cancel')
    .argument('<actionId>', 'the action, or <tenant>/<actionId>')
    .description(
      'cancel an action: before its effect, nothing is done; during it, the real outcome is established first',
    )
    .option(
      '--tenant <tenant>',
      "whose action; default: the credential's tenant; without one, the only one that has it",
    )
    .addHelpText('after', examples('countersign cancel refund-1001'))
    .action(
      run(async (context, name: string, options: { tenant?: string }) => {
        // Only what nothing else names: an action of another tenant is not stopped for a slip of the keyboard.
        const known = options.tenant ?? (await context.tenant(undefined));
        const { tenant, actionId } = await (known === undefined
          ? context.anyAction(name, known)
          : context.action(name, known));
        const countersign = await context.countersign();
        await countersign.cancel(actionId, tenant);
        context.out.result(
          { tenant, actionId, cancelRequested: true },
          () => `cancellation requested.  See: countersign show ${tenant}/${actionId}`,
        );
      }),
    );
}
