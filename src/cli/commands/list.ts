/** `countersign list`: actions by status, tool, agent. */
import { Option, type Command } from 'commander';
import { OUTCOME_STATUSES } from '../../action/outcome.js';
import { examples, run } from '../command.js';
import { table } from '../layout.js';
import { wholeNumber } from '../whole-number.js';
import { statusColour, type ShownStatus } from '../timeline.js';

interface ListOptions {
  readonly status?: ShownStatus;
  readonly tool?: string;
  readonly agent?: string;
  readonly tenant?: string;
  readonly limit: number;
}

const STATUSES = ['pending', 'running', ...OUTCOME_STATUSES] as const;

export function list(program: Command): void {
  program
    .command('list')
    .description('list actions, the newest first')
    .addOption(new Option('--status <status>', 'only actions in this state').choices(STATUSES))
    .option('--tool <tool>', 'only actions on this tool')
    .option('--agent <id>', 'only actions of this agent')
    .option('--tenant <tenant>', "only those of this tenant; default: the credential's, else all")
    .option('--limit <n>', 'the maximum number', wholeNumber('--limit', 1, 10_000), 50)
    .addHelpText('after', examples('countersign list', 'countersign list --status mismatch --tool shop-db --limit 10'))
    .action(
      run(async (context, { limit, tenant, ...filter }: ListOptions) => {
        const { listActions, listQuery } = await import('../../action-records/list.js');
        const whose = await context.tenant(tenant);
        const query = listQuery({ ...filter, ...(whose === undefined ? {} : { tenant: whose }) });
        const client = await context.temporal();
        const actions = await listActions(client, query, limit, context.temporalSettings.address);
        const { out } = context;
        out.result({ actions }, () => {
          if (actions.length === 0) return out.paint.dim('there are no matching actions');
          const rows = actions.map(({ receipt: _receipt, endedAt: _endedAt, tenant: of, ...action }) => ({
            ...(whose === undefined ? { tenant: of } : {}),
            ...action,
          }));
          const pen = { paint: out.paint, width: Infinity, full: true };
          return table(rows, pen, (column, text) => (column === 'status' ? statusColour(text, out.paint) : text)).join(
            '\n',
          );
        });
      }),
    );
}
