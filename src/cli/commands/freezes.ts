/** `countersign freeze` and `freezes`: the switch that stops actions, whatever was decided. It needs the ledger alone. */
import type { Command } from 'commander';
import type { FreezeScope } from '../../action/freeze.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { operatorName } from '../operator-name.js';
import { freezeText } from '../freeze-text.js';
import { usageError } from '../usage-error.js';

interface FreezeOptions {
  readonly all?: boolean;
  readonly agent?: string;
  readonly tool?: string;
  readonly target?: string;
  readonly tenant?: string;
  readonly reason: string;
  readonly by?: string;
}

const BY = 'your name for the record; default: your login name';

export function freezes(program: Command): void {
  program
    .command('freeze')
    .description('stop matching actions now, including those already authorized; needs the ledger')
    .option('--all', 'every action')
    .option('--agent <id>', 'the actions of this agent')
    .option('--tool <tool>', 'the actions on this tool')
    .option('--target <target>', 'the actions that write this table, endpoint or object')
    .option('--tenant <tenant>', 'only of this tenant; default: of all tenants')
    .requiredOption('--reason <text>', 'why; shown to agents')
    .option('--by <name>', BY)
    .addHelpText(
      'after',
      examples(
        'countersign freeze --all --reason "incident 42"',
        'countersign freeze --agent billing-bot --tenant acme --reason "runs wild"',
      ),
    )
    .action(run(freeze));
  program
    .command('freezes')
    .description('list the active freezes')
    .option('--lifted', 'include freezes that were lifted')
    .addHelpText('after', examples('countersign freezes'))
    .action(
      run(async (context, options: { lifted?: boolean }) => {
        const found = await (await context.ledger()).controls.freezes({ activeOnly: options.lifted !== true });
        const { out } = context;
        out.result({ freezes: found }, () =>
          found.length === 0
            ? out.paint.dim('there are no active freezes')
            : found.map((one) => freezeText(one, out.paint)).join('\n'),
        );
      }),
    );
}

async function freeze(context: Context, options: FreezeOptions): Promise<void> {
  const scope = scopeOf(options);
  const { checkTenant } = await import('../action-name.js');
  const tenant = options.tenant === undefined ? '*' : checkTenant(options.tenant);
  const ledger = await context.ledger();
  const made = await ledger.controls.freeze({
    tenant,
    scope,
    reason: options.reason,
    by: await operatorName(options.by),
  });
  const { out } = context;
  out.result(
    made,
    () =>
      `${out.paint.yellow('frozen')}\n${freezeText(made, out.paint)}\n\nLift it:  countersign unfreeze ${made.id} --reason "…" --as <approver's credential>`,
  );
}

function scopeOf({ all, agent, tool, target }: FreezeOptions): FreezeScope {
  const scopes: FreezeScope[] = [
    ...(all === true ? [{ kind: 'all' } as const] : []),
    ...(agent === undefined ? [] : [{ kind: 'agent', value: agent } as const]),
    ...(tool === undefined ? [] : [{ kind: 'tool', value: tool } as const]),
    ...(target === undefined ? [] : [{ kind: 'target', value: target } as const]),
  ];
  const [scope] = scopes;
  if (scope !== undefined && scopes.length === 1) return scope;
  throw usageError(scope === undefined ? 'The freeze has no scope.' : 'The freeze has more than one scope.', {
    field: 'scope',
    expected: 'one of --all, --agent ID, --tool TOOL, --target TARGET',
    fix: scope === undefined ? 'Use --all to stop everything.' : 'Run the command once for each scope.',
  });
}
