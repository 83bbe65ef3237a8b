/** `countersign setup`: prepares the ledger and Temporal. */
import type { Connection } from '@temporalio/client';
import type { Command } from 'commander';
import { examples, run } from '../command.js';
import { sanitize } from '../../presentation/sanitize.js';

export function setup(program: Command): void {
  program
    .command('setup')
    .description("bring the ledger's tables up to date and register the search attributes; safe to repeat")
    .addHelpText('after', examples('COUNTERSIGN_LEDGER_URL=postgres://… TEMPORAL_ADDRESS=… countersign setup'))
    .action(
      run(async (context) => {
        const { out } = context;
        const { Ledger } = await import('../../ledger/index.js');
        const { setUpTables } = await import('../../gateway/store/set-up.js');
        const database = await context.database();
        const migrated = await setUpTables(database);
        const { version, schema } = await new Ledger(database).health();

        const { missingAttributes } = await import('../temporal-checks.js');
        const { ensureSearchAttributes, SEARCH_ATTRIBUTES } = await import('../../client/search-attributes.js');
        const client = await context.temporal();
        const { address, namespace } = context.temporalSettings;
        const registered = await missingAttributes(client, namespace, Object.keys(SEARCH_ATTRIBUTES));
        await ensureSearchAttributes(client.connection as Connection, namespace);

        const done = (made: readonly string[]): string =>
          made.length === 0 ? out.paint.dim('up to date') : made.map((name) => sanitize(name)).join(', ');
        out.result(
          { ledger: { schema, postgres: version, migrated }, temporal: { address, namespace, registered } },
          () =>
            [
              `${out.paint.green('✓')} ledger: Postgres ${sanitize(version)}, schema ${sanitize(schema)}; ${migrated.length === 0 ? '' : 'ran '}${done(migrated)}`,
              `${out.paint.green('✓')} Temporal: ${sanitize(address)}, namespace ${sanitize(namespace)}; ${registered.length === 0 ? '' : 'registered '}${done(registered)}`,
            ].join('\n'),
        );
      }),
    );
}
