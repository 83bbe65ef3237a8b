/** `countersign agent`: credentials for agents, from the issuer, and from one agent to another. */
import type { Command } from 'commander';
import { spendingCaps } from '../spending-caps.js';
import { collect, examples, run } from '../command.js';
import type { Context } from '../context.js';
import { handOverCredential, withOptionNames, ttlOf, type IssueOptions } from '../issue-credential.js';
import { wholeNumber } from '../whole-number.js';

interface AgentCreateOptions extends IssueOptions {
  readonly scope: readonly string[];
  readonly owner?: string;
}

interface DelegateOptions {
  readonly id: string;
  readonly role?: readonly string[];
  readonly scope: readonly string[];
  readonly maxActions?: number;
  readonly maxAmount?: readonly string[];
  readonly expires?: string;
  readonly as?: string;
  readonly out?: string;
}

const SCOPE = 'what it may use: tool or tool:operation; * matches any characters; repeat for more';
const OUT = 'write it to a new file that only you can read';

export function createAgent(program: Command): void {
  const agent = program.command('agent').description('credentials of agents');
  agent
    .command('create')
    .description('issue a credential to an agent; needs the private issuer key')
    .requiredOption('--id <id>', 'the id of the agent')
    .requiredOption('--tenant <tenant>', 'the tenant of the agent')
    .option('--role <role>', 'a role that policies know; repeat for more', collect)
    .requiredOption('--scope <scope>', SCOPE, collect)
    .option('--owner <person>', 'who is responsible for it, and may neither approve nor resolve its actions')
    .option('--ttl <time>', 'how long it is valid', '90d')
    .option('--out <file>', OUT)
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
        await handOverCredential(context, options, await withOptionNames(() => issueAgent(keyring, wanted)));
      }),
    );
  agent
    .command('delegate')
    .description(
      "delegate a part of an agent's authority to another agent; needs the credential of the delegating agent",
    )
    .requiredOption('--id <name>', 'the name of the delegate; it acts as <delegator>/<name>')
    .option('--role <role>', "one of the delegator's roles; repeat for more", collect)
    .requiredOption('--scope <scope>', SCOPE, collect)
    .option(
      '--max-actions <number>',
      'the number of actions it may take in total',
      wholeNumber('--max-actions', 1, 1_000_000_000),
    )
    .option('--max-amount <unit=amount>', 'what it may spend in total; repeat for other units', collect)
    .option('--expires <time>', 'how long it is valid (1h), or until when; default: 1h, or as long as the delegator')
    .option('--as <credential>', "the delegator's credential or its file; default: COUNTERSIGN_AGENT")
    .option('--out <file>', OUT)
    .addHelpText(
      'after',
      examples(
        'countersign agent delegate --as bot.csk --id mailer --scope "crm:get_*" --expires 15m --out mailer.csk',
        'countersign agent delegate --id refunds --role billing_agent --scope payments:refund --max-actions 10 --max-amount EUR=50 --out refunds.csk',
      ),
    )
    .action(run(delegateAgent));
}

async function delegateAgent(context: Context, options: DelegateOptions): Promise<void> {
  const { id, role: roles = [], scope: scopes, expires } = options;
  const caps = spendingCaps(options);
  const { endOption } = await import('../duration-options.js');
  const ttlSeconds = expires === undefined ? undefined : Math.floor(endOption(expires, '--expires') / 1000);
  const { credential } = await context.agent(options.as);
  const { delegate } = await import('../../trust/index.js');
  const wanted = { id, roles, scopes, ...(Object.keys(caps).length === 0 ? {} : { caps }), ttlSeconds };
  await handOverCredential(context, options, await withOptionNames(() => delegate(credential, wanted)));
}
