/** `countersign api-key`: keys by which agents reach the gateway. They need the ledger alone. */
import type { Command } from 'commander';
import type { ApiKey, ApiKeys } from '../../gateway/store/api-keys.js';
import { collect, examples, run } from '../command.js';
import type { Context } from '../context.js';
import { sanitize } from '../../presentation/sanitize.js';
import { withOptionNames, ttlOf, writeSecret, type IssueOptions } from '../issue-credential.js';

interface CreateOptions extends IssueOptions {
  readonly scope: readonly string[];
  readonly owner?: string;
}

export function apiKeys(program: Command): void {
  const command = program.command('api-key').description('API keys that agents use at the gateway');
  command
    .command('create')
    .description('create a key; it is shown once, and only its SHA-256 is stored')
    .requiredOption('--id <id>', 'the id of the agent')
    .requiredOption('--tenant <tenant>', 'the tenant of the agent')
    .option('--role <role>', 'a role that policies know; repeat for more', collect)
    .requiredOption(
      '--scope <scope>',
      'what it may use: tool or tool:operation; * matches any characters; repeat for more',
      collect,
    )
    .option('--owner <person>', 'who is responsible for it, and may neither approve nor resolve its actions')
    .option('--ttl <time>', 'how long it is valid', '90d')
    .option('--out <file>', 'write it to a new file that only you can read')
    .addHelpText(
      'after',
      examples(
        'countersign api-key create --id billing-bot --tenant acme --role billing_agent --scope shop-db --out bot.key',
        'countersign api-key create --id ops --tenant acme --role admin_user --scope "*" --owner ann@example.com --ttl 30d',
      ),
    )
    .action(run(create));
  command
    .command('list')
    .description('list keys, including those that have ended; a key itself cannot be shown again')
    .option('--tenant <tenant>', 'only of this tenant')
    .addHelpText('after', examples('countersign api-key list --tenant acme'))
    .action(
      run(async (context, options: { tenant?: string }) => {
        const { checkTenant } = await import('../action-name.js');
        const tenant = options.tenant === undefined ? undefined : checkTenant(options.tenant);
        const keys = await (await storeOf(context)).list(tenant);
        const { out } = context;
        out.result({ keys }, () =>
          keys.length === 0 ? out.paint.dim('there are no API keys') : keys.map((key) => line(key, context)).join('\n'),
        );
      }),
    );
  command
    .command('revoke')
    .argument('<id>', 'its id: the 16 characters after csa_')
    .description('revoke a key, from the next request on')
    .addHelpText('after', examples('countersign api-key revoke 0a1b2c3d4e5f6g7h'))
    .action(
      run(async (context, id: string) => {
        const key = await (await storeOf(context)).revoke(id);
        const { out } = context;
        out.result(key, () => `${out.paint.green('✓ revoked')}\n${line(key, context)}`);
      }),
    );
}

async function create(context: Context, options: CreateOptions): Promise<void> {
  const { id: agent, tenant, role: roles = [], scope: scopes, owner } = options;
  const wanted = { agent, tenant, roles, scopes, owner, ttlSeconds: ttlOf(options) };
  const store = await storeOf(context);
  const { text, ...key } = await withOptionNames(() => store.create(wanted));
  const { out } = context;
  if (options.out === undefined) {
    out.warn(
      'This is a secret and is shown once. Whoever has it can act under this name. Use --out to write it to a file instead.',
    );
    out.result({ ...key, key: text }, () => text);
    return;
  }
  const file = await writeSecret(options.out, `${text}\n`);
  out.result({ ...key, file }, () => `${line(key, context)}\n\n  written to ${sanitize(file)}`);
}

async function storeOf(context: Context): Promise<ApiKeys> {
  const { ApiKeys } = await import('../../gateway/store/api-keys.js');
  return new ApiKeys(await context.database());
}

function line(key: ApiKey, { out: { paint } }: Context): string {
  const { id, agent, tenant, roles, scopes, owner, expiresAt, lastUsedAt, revokedAt } = key;
  const over = Date.parse(expiresAt) <= Date.now();
  const state =
    revokedAt !== undefined
      ? paint.red(`revoked ${revokedAt}`)
      : over
        ? paint.yellow(`expired ${expiresAt}`)
        : `until ${expiresAt}, ${lastUsedAt === undefined ? 'never used' : `last used ${lastUsedAt}`}`;
  return [
    `${paint.bold(id)}  ${sanitize(agent)} of ${sanitize(tenant)}, ${state}`,
    `  roles ${roles.join(', ') || 'none'}; scopes ${scopes.join(', ')}${owner === undefined ? '' : `; owner ${sanitize(owner)}`}`,
  ].join('\n');
}
