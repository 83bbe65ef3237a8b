/** Servers that were named for the scratch world, and are the operator's own after all. */
import { CountersignError } from '../action/errors.js';
import { configInvalid } from '../action/errors-config.js';
import type { CountersignConfig } from '../config/config.js';
import { secretVariable, variable } from '../environment.js';

interface Named {
  readonly config: Pick<CountersignConfig, 'tools'>;
  readonly env: NodeJS.ProcessEnv;
  readonly scratchDatabase?: string | undefined;
  readonly scratchTemporal?: string | undefined;
}

/** @throws CountersignError CONFIG_INVALID */
export function refuseOwnPlaces({ config, env, scratchDatabase, scratchTemporal }: Named): void {
  if (scratchDatabase !== undefined) {
    if (!URL.canParse(scratchDatabase)) {
      throw configInvalid('--scratch-database', 'postgres://user:password@host:port/database', 'the command');
    }
    const owner = config.tools.find(
      ({ elsewhere }) => elsewhere?.needs === 'database' && elsewhere.isOwn(scratchDatabase),
    );
    if (owner !== undefined) throw ownPlace('--scratch-database', `the database of ${owner.name}`);
    const ledgers = [secretVariable('COUNTERSIGN_LEDGER_URL', env), variable('DATABASE_URL', env)];
    if (ledgers.some((ledger) => isSame(scratchDatabase, ledger))) throw ownPlace('--scratch-database', 'your ledger');
  }
  if (scratchTemporal !== undefined && scratchTemporal === variable('TEMPORAL_ADDRESS', env))
    throw ownPlace('--scratch-temporal', 'your Temporal');
}

function isSame(one: string, other: string | undefined): boolean {
  if (other === undefined || !URL.canParse(one) || !URL.canParse(other)) return one === other;
  const place = ({ hostname, port, pathname }: URL): string => `${hostname}:${port || '5432'}${pathname}`;
  return place(new URL(one)) === place(new URL(other));
}

function ownPlace(field: string, whose: string): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${field} names ${whose}.`, {
    field,
    expected: 'a server on which nothing is to lose',
    fix: 'Name another, or none: then an embedded one is started. Nothing was done.',
  });
}
