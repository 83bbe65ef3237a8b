/** `countersign init`: a config for one's own database, a policy, a first agent, and what to paste where agents are. */
import path from 'node:path';
import type { Command } from 'commander';
import { CountersignError } from '../../action/errors.js';
import { DEFAULT_PORT } from '../../config/gateway.js';
import { variable } from '../../environment.js';
import type { LeftOut } from '../../init/config-text.js';
import type { Wanted } from '../../init/initialize.js';
import type { OfferedTable } from '../../tools/postgres/offered-tables.js';
import { collect, examples, run } from '../command.js';
import { LOCAL_FOLDER, type Context } from '../context.js';
import { checkInitOptions, databaseAddress, INIT_DEFAULTS, type InitOptions } from '../init-options.js';
import type { Dialogue } from '../init-questions.js';
import { ttlOf } from '../issue-credential.js';
import type { Terminal } from '../terminal.js';
import { usageError } from '../usage-error.js';
import { wholeNumber } from '../whole-number.js';

/** How long the database may take to say what tables it has. Milliseconds. */
const LOOK_MS = 20_000;
/** What the tool's address is called in the environment of `countersign dev`. */
const DEV_DATABASE = { tool: 'app-db', variable: 'COUNTERSIGN_DEV_DATABASE_URL' } as const;

export function init(program: Command): void {
  program
    .command('init')
    .description(
      'write a config for your own Postgres, a starter policy and a first agent, and say what to do with them',
    )
    .option('--yes', 'ask nothing: what no flag says takes its default')
    .option('--dir <folder>', 'where; files that are there are never replaced', '.')
    .option(
      '--database-url <url>',
      'the Postgres that agents act on, or env:NAME; default: the database of countersign dev',
    )
    .option('--schema <name>', 'the schema of its tables', INIT_DEFAULTS.schema)
    .option('--table <name>', 'a table that agents may name; repeat for more; default: all that have a key', collect)
    .option('--tool <name>', "what proposals call the database; default: from the database's name")
    .option('--environment <name>', `what policies know it as; default: ${INIT_DEFAULTS.environment}`)
    .option('--agent <id>', `the id of the first agent; default: ${INIT_DEFAULTS.agent}`)
    .option('--tenant <tenant>', 'its tenant', INIT_DEFAULTS.tenant)
    .option('--role <role>', `its role; repeat for more; default: ${INIT_DEFAULTS.role}`, collect)
    .option('--ttl <time>', 'how long its credential and key are valid', '90d')
    .option('--gateway-port <n>', `default: ${DEFAULT_PORT}, or a free port`, wholeNumber('--gateway-port', 1, 65_535))
    .addHelpText(
      'after',
      examples(
        'countersign init',
        'countersign init --yes --database-url env:SHOP_DATABASE_URL --table customers --table orders',
        'countersign init --yes --json --dir trial',
      ) +
        '\n\nThe ledger is that of countersign dev in the same folder, or the one that COUNTERSIGN_LEDGER_URL or DATABASE_URL names.',
    )
    .action(run(runInit));
}

/** Exported for tests, which give it an environment and an output of theirs. */
export async function runInit(context: Context, options: InitOptions): Promise<void> {
  checkInitOptions(options);
  const dialogue = options.yes === true ? undefined : dialogueOn(context.terminal);
  const folder = path.resolve(options.dir);
  const { checkFolder, initialize } = await import('../../init/initialize.js');
  await checkFolder(folder, options.agent ?? INIT_DEFAULTS.agent, LOCAL_FOLDER);
  const { requireDevPackages } = await import('../../dev/index.js');
  if (variable('COUNTERSIGN_LEDGER_URL', context.env) === undefined) await requireDevPackages(context.env);
  const wanted = await wantedFrom(context, options, folder, dialogue);
  const made = await initialize(wanted);
  const { tellInitialized } = await import('../init-text.js');
  tellInitialized(context, wanted, made);
}

/** @throws CountersignError USAGE where there is none */
function dialogueOn({ stdin, stderr }: Terminal): Dialogue {
  if (stdin.isTTY && stderr.isTTY) return { input: stdin, output: stderr };
  throw usageError('There is no terminal to ask on.', {
    field: '--yes',
    expected: 'a terminal, or --yes',
    fix: 'Give --yes, and flags for what should differ from the defaults.',
  });
}

/** What the flags say, what was answered where they say nothing, and else the defaults. Exported for tests of what is asked. */
export async function wantedFrom(
  context: Context,
  options: InitOptions,
  folder: string,
  dialogue: Dialogue | undefined,
): Promise<Wanted> {
  const { env } = context;
  const [{ toolNameOf, variableOf }, questions, { usualOrFreePort }] = await Promise.all([
    import('../../init/names.js'),
    import('../init-questions.js'),
    import('../../dev/free-port.js'),
  ]);
  const ask = async <T>(question: (on: Dialogue) => Promise<T>, otherwise: T): Promise<T> =>
    dialogue === undefined ? otherwise : await question(dialogue);
  const databaseUrl = databaseAddress(options.databaseUrl, env) ?? (await ask(questions.askAddress, undefined));
  const tool =
    options.tool ?? (databaseUrl === undefined ? DEV_DATABASE.tool : toolNameOf(databaseNameIn(databaseUrl)));
  const offered = databaseUrl === undefined ? [] : await tablesIn(databaseUrl, tool, options.schema);
  const tables = options.table ?? (await ask((on) => questions.askTables(on, offered), coverable(offered)));
  checkTables(options.table ?? [], offered, databaseUrl);
  const environment = options.environment ?? (await ask<string>(questions.askEnvironment, INIT_DEFAULTS.environment));
  const id = options.agent ?? (await ask<string>(questions.askAgent, INIT_DEFAULTS.agent));
  const roles = options.role ?? [await ask<string>(questions.askRole, INIT_DEFAULTS.role)];
  const ledgerUrl = context.hasLedger() ? context.ledgerUrl() : undefined;
  return {
    folder,
    dataFolder: LOCAL_FOLDER,
    tool,
    environment,
    schema: options.schema,
    // Of an empty schema agents may name what comes into it: there is nothing to choose from.
    tables: offered.length === 0 && options.table === undefined ? undefined : tables,
    leftOut: offered.filter(({ name }) => !tables.includes(name)).map(leftOut),
    variable: databaseUrl === undefined ? DEV_DATABASE.variable : variableOf(tool),
    databaseUrl,
    agent: { id, tenant: options.tenant, roles, scopes: [tool], ttlSeconds: ttlOf({ ...options, id }) },
    gatewayPort: options.gatewayPort ?? (await usualOrFreePort(DEFAULT_PORT)),
    ledger: { url: ledgerUrl, ...context.ledgerSchema() },
    env,
  };
}

function databaseNameIn(url: string): string {
  const { pathname, username } = new URL(url);
  const name = pathname.slice(1) || username;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** @throws CountersignError TOOL_UNAVAILABLE, TOOL_FAILED, naming the option */
async function tablesIn(url: string, name: string, schema: string): Promise<readonly OfferedTable[]> {
  const { offeredTables } = await import('../../tools/postgres/offered-tables.js');
  try {
    const options = { name, environment: INIT_DEFAULTS.environment, url, schema, maxConnections: 1 };
    return await offeredTables(options, AbortSignal.timeout(LOOK_MS));
  } catch (error) {
    if (!(error instanceof CountersignError)) throw error;
    throw new CountersignError(error.code, error.message, {
      ...error.toJSON(),
      field: '--database-url',
      fix: 'Correct the address, or start the server. Nothing was made.',
      cause: error,
    });
  }
}

function coverable(offered: readonly OfferedTable[]): readonly string[] {
  return offered.filter(({ problem }) => problem === undefined).map(({ name }) => name);
}

function leftOut({ name, problem }: OfferedTable): LeftOut {
  return { name, why: problem ?? 'not chosen' };
}

/** @throws CountersignError USAGE */
function checkTables(named: readonly string[], offered: readonly OfferedTable[], url: string | undefined): void {
  if (url === undefined) return;
  const sayable = offered
    .filter(({ problem }) => problem !== 'a name that proposals cannot say')
    .map(({ name }) => name);
  const wrong = named.find((name) => !sayable.includes(name));
  if (wrong === undefined) return;
  throw usageError(`The schema has no table ${JSON.stringify(wrong.slice(0, 80))} that the address's role may read.`, {
    field: '--table',
    expected: sayable.length === 0 ? 'a schema with tables' : `one of ${sayable.join(', ')}`,
  });
}
