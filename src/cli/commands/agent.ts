/** `countersign agent create`: a credential for an agent. */
import type { Command } from 'commander';
import { collect, examples, run } from '../command.js';
import { handOver, issued, ttlOf, type IssueOptions } from '../issue.js';

interface AgentCreateOptions extends IssueOptions {
  readonly scope: readonly string[];
  readonly owner?: string;
}

export function createAgent(program: Command): void {
  program
    .command('agent')
    .description('credentials of agents')
    .command('create')
    .description('issue a credential to an agent; needs the private issuer key')
    .requiredOption('--id <id>', 'the name it acts under')
    .requiredOption('--tenant <tenant>', 'whose agent it is')
    .option('--role <role>', 'a role that policies know; repeat for more', collect)
    .requiredOption('--scope <tool>', 'a tool it may name, or *; repeat for more', collect)
    .option('--owner <person>', 'who answers for it, and therefore may not approve its actions')
    .option('--ttl <time>', 'how long it is valid', '90d')
    .option('--out <file>', 'write it to a new file that only you can read')
    .addHelpText(
      'after',
      examples(
        'countersign agent create --id billing-bot --tenant acme --role billing_agent --scope shop-db --out bot.csk',
        'countersign agent create --id ops --tenant acme --role admin_user --scope "*" --owner ann@example.com --ttl 30d --out ops.csk',
      ),
    )
    .action(
      run(async (context, options: AgentCreateOptions) => {
        const { issueAgent } = await import('../../trust/index.js');
        const { id, tenant, role: roles = [], scope: scopes, owner } = options;
        const keyring = await context.keyring();
        const wanted = { id, tenant, roles, scopes, owner, ttlSeconds: ttlOf(options) };
        await handOver(context, options, await issued(() => issueAgent(keyring, wanted)));
      }),
    );
}
