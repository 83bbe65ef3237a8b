/** `countersign approver create`: a credential for a person who decides. */
import type { Command } from 'commander';
import { collect, examples, run } from '../command.js';
import { handOverCredential, withOptionNames, ttlOf, type IssueOptions } from '../issue-credential.js';

export function createApprover(program: Command): void {
  program
    .command('approver')
    .description('credentials of approvers')
    .command('create')
    .description('issue a credential to an approver; needs the private issuer key')
    .requiredOption('--id <id>', 'the person')
    .requiredOption('--tenant <tenant>', 'the tenant whose actions they decide on')
    .requiredOption('--role <role>', 'a role that policies ask for; repeat for more', collect)
    .option('--ttl <time>', 'how long it is valid', '90d')
    .option('--out <file>', 'write it to a new file that only you can read')
    .addHelpText(
      'after',
      examples('countersign approver create --id ann@example.com --tenant acme --role dba --out ann.csk'),
    )
    .action(
      run(async (context, options: IssueOptions) => {
        const { issueApprover } = await import('../../trust/index.js');
        const { id, tenant, role: roles = [] } = options;
        const keyring = await context.keyring();
        const wanted = { id, tenant, roles, ttlSeconds: ttlOf(options) };
        await handOverCredential(context, options, await withOptionNames(() => issueApprover(keyring, wanted)));
      }),
    );
}
