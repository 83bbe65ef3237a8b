/** `countersign receipts unrecorded`: effects that were made and that the ledger does not know. */
import type { Command } from 'commander';
import { ledgerBroken } from '../../action/errors-ledger.js';
import type { UnrecordedEffect } from '../../receipts/unrecorded.js';
import { sanitize } from '../../presentation/sanitize.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import { durationOption } from '../duration-options.js';
import type { Exit } from '../exit-codes.js';

interface UnrecordedOptions {
  readonly since: string;
  readonly config?: string;
}

/** More are counted, and not listed. */
const MOST = 1_000;

export function unrecorded(receipts: Command): void {
  receipts
    .command('unrecorded')
    .description("list effects that the tools' systems recorded and the ledger does not know as made")
    .option('--since <duration>', 'how far back', '30d')
    .option('--config <file>', 'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs')
    .addHelpText(
      'after',
      examples('countersign receipts unrecorded', 'countersign receipts unrecorded --since 90d --json') +
        '\n\nAsks tools that keep a record of their effects (postgres). After a restore of the ledger, this is what it has lost.\n' +
        'Exits with 1 and LEDGER_BROKEN when there are any.',
    )
    .action(run(list));
}

async function list(context: Context, options: UnrecordedOptions): Promise<Exit | void> {
  const since = new Date(Date.now() - durationOption(options.since, '--since'));
  const [{ loadConfig }, { unrecordedEffects }] = await Promise.all([
    import('../../config/config.js'),
    import('../../receipts/unrecorded.js'),
  ]);
  const { tools } = await loadConfig(options.config, context.env);
  for (const tool of tools) context.defer(() => tool.close());
  const ledger = await context.ledger();
  const effects: UnrecordedEffect[] = [];
  let count = 0;
  for await (const effect of unrecordedEffects({ ledger, tools, since, signal: new AbortController().signal })) {
    count++;
    if (effects.length < MOST) effects.push(effect);
  }
  const asked = tools.filter((tool) => tool.effects !== undefined).map(({ name }) => name);
  const error =
    count === 0 ? undefined : ledgerBroken(`The ledger does not know ${count} effects that were made.`, { fix: FIX });
  const { out } = context;
  out.result({ asked, count, effects, ...(error === undefined ? {} : { error: error.toJSON() }) }, () =>
    [
      out.paint.dim(`asked: ${asked.join(', ') || 'no tool keeps a record of its effects'}`),
      ...effects.map(
        ({ tool, tenant, actionId, at, ledger }) =>
          `${out.paint.red('✗')} ${sanitize(`${tenant}/${actionId}`)}  ${sanitize(tool)}  ${at}  ${out.paint.dim(`ledger: ${ledger}`)}`,
      ),
    ].join('\n'),
  );
  if (error === undefined) return;
  out.complain(error);
  return 'fault';
}

const FIX =
  'Restore a later backup of the ledger; or compare each with its system, and keep this list as the record of what was done.';
