/** `countersign dev`: everything that is needed, on this machine, in one process. */
import path from 'node:path';
import type { Command } from 'commander';
import type { DevServers } from '../../dev/index.js';
import type { CountersignConfig } from '../../config/config.js';
import { variable, type TemporalSettings } from '../../environment.js';
import { examples, run } from '../command.js';
import { LOCAL_FOLDER, type Context } from '../context.js';
import { wholeNumber } from '../whole-number.js';
import type { Paint } from '../output.js';
import { shellQuoted } from '../shell-quote.js';

interface DevOptions {
  readonly config?: string;
  readonly data: string;
  readonly temporalPort?: number;
  readonly uiPort?: number;
  readonly postgresPort?: number;
  readonly gatewayPort?: number;
}

/** Those that clients and the Temporal CLI look at when nothing is said. One that is taken gives way to a free one. */
const USUAL_PORTS = { temporal: 7233, temporalUi: 8233, postgres: 54_320 } as const;

/** For tools' configs: never the ledger's own database. */
const TOOLS_DATABASE = 'app';

export function dev(program: Command): void {
  const port = (name: string): ((text: string) => number) => wholeNumber(name, 1, 65_535);
  program
    .command('dev')
    .description('start Temporal with its UI, Postgres, a worker and a gateway on this machine, until Ctrl-C')
    .option(
      '--config <file>',
      'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs, else the starter policies and no tools',
    )
    .option('--data <folder>', 'the folder that keeps keys and data between runs', LOCAL_FOLDER)
    .option('--temporal-port <n>', 'default: 7233, or a free port', port('--temporal-port'))
    .option('--ui-port <n>', 'default: 8233, or a free port', port('--ui-port'))
    .option('--postgres-port <n>', 'default: 54320, or a free port', port('--postgres-port'))
    .option('--gateway-port <n>', 'default: 8787, or a free port', port('--gateway-port'))
    .addHelpText(
      'after',
      examples('countersign dev', 'countersign dev --config shop.config.mjs --data /tmp/shop') +
        '\n\nThe config can use COUNTERSIGN_DEV_DATABASE_URL: a database of its own on the embedded Postgres.\n' +
        'TEMPORAL_ADDRESS and DATABASE_URL, when set, name servers to use instead of the embedded ones.',
    )
    .action(run(runDev));
}

async function runDev(context: Context, options: DevOptions): Promise<void> {
  const { out, env } = context;
  const data = path.resolve(options.data);
  const [{ startDevServers, onShutdown }, { startLogging }, { awaitStop }] = await Promise.all([
    import('../../dev/index.js'),
    import('../logging.js'),
    import('../await-stop.js'),
  ]);
  const { stopped } = awaitStop();
  const logger = await startLogging(env, 'warn');
  const servers = await startDevServers({
    dataDir: data,
    ports: await portsOf(options),
    log: (message) => out.note(message),
    env,
  });
  context.defer(() => servers.stop());
  const { createAppDatabase, prepareLedger, writeEnvironment } = await import('../dev-setup.js');
  const migrated = await prepareLedger(servers.postgres.url);
  const toolsUrl = await createAppDatabase(servers.postgres, TOOLS_DATABASE);
  // Before the config is imported: it reads its tools' credentials from here.
  env['COUNTERSIGN_DEV_DATABASE_URL'] = toolsUrl;

  const { loadKeyring } = await import('../../trust/index.js');
  let madeKeys = false;
  const keysFile = path.join(data, 'keys.json');
  const keyring = await loadKeyring({ env, devPath: keysFile, onCreated: () => (madeKeys = true) });
  const { devGateway } = await import('../dev-gateway.js');
  const { config, devPeople } = await devGateway(await configOf(options.config, env), {
    port: options.gatewayPort,
    temporalUiUrl: servers.temporal.uiUrl,
  });
  const { startObserving } = await import('../telemetry.js');
  await startObserving({ service: 'dev', config, env, logger });
  const { startWorker } = await import('../../worker/worker.js');
  const { digestOf } = await import('../../worker/policy-source.js');
  const { editedFolder } = await import('../../config/config.js');
  const { startGateway } = await import('../../gateway/server/server.js');
  const { faultsFromEnv } = await import('../../worker/faults.js');
  const shared = {
    config,
    temporal: temporalOf(context, servers),
    ledgerUrl: servers.postgres.url,
    keyring,
    logger,
  };
  const worker = await startWorker({ ...shared, faults: faultsFromEnv(env), production: false });
  onShutdown('the worker', () => worker.stop());
  const gateway = await startGateway({ ...shared, env, ...(devPeople === undefined ? {} : { devPeople }) });
  onShutdown('the gateway', () => gateway.stop());

  const exports = {
    ...exportsOf(context, servers, toolsUrl, keysFile),
    ...payloadKeysOf(context, config),
    COUNTERSIGN_GATEWAY_URL: gateway.url,
  };
  const envFile = await writeEnvironment(path.join(data, 'env'), exports);
  const { temporal } = servers;
  const tools = config.tools.map(({ name, kind, environment }) => ({ name, kind, environment }));
  const policy = digestOf(worker.policy) ?? null;
  out.result(
    {
      ui: temporal.uiUrl ?? null,
      gateway: gateway.url,
      temporal: { address: temporal.address, namespace: temporal.namespace },
      tools,
      policy,
      migrated,
      envFile,
      env: exports,
    },
    () =>
      welcome(out.paint, {
        servers,
        gateway: gateway.url,
        config,
        policies: editedFolder(config) ?? 'the ledger: countersign policy status',
        exports,
        envFile,
        keysFile,
        madeKeys,
      }),
  );
  await Promise.all([worker.done, stopped]);
}

async function portsOf({
  temporalPort,
  uiPort,
  postgresPort,
}: DevOptions): Promise<{ temporal?: number; temporalUi?: number; postgres?: number }> {
  const { isFree } = await import('../../dev/free-port.js');
  const wanted = { temporal: temporalPort, temporalUi: uiPort, postgres: postgresPort };
  const chosen: { temporal?: number; temporalUi?: number; postgres?: number } = {};
  for (const name of ['temporal', 'temporalUi', 'postgres'] as const) {
    const port = wanted[name] ?? ((await isFree(USUAL_PORTS[name])) ? USUAL_PORTS[name] : undefined);
    if (port !== undefined) chosen[name] = port;
  }
  return chosen;
}

/** Without a config there is still a worker, so that proposals are answered: no tool is known, and the answer says so. */
async function configOf(file: string | undefined, env: NodeJS.ProcessEnv): Promise<CountersignConfig> {
  const [{ configFile, editedFolder, loadConfig }, { starterFolder }] = await Promise.all([
    import('../../config/config.js'),
    import('../../policy/starter.js'),
  ]);
  const named = configFile(file, env);
  if (named === undefined) return { policies: starterFolder(), tools: [] };
  // There is one worker, and nobody who would promote the next version of it.
  const { deployment: _deployment, ...config } = await loadConfig(named, env);
  // The folder is edited in place here, whatever workers in production take.
  return { ...config, policies: editedFolder(config) ?? config.policies };
}

/** A server of our own speaks no TLS and asks for no key, whatever the environment has for others. */
function temporalOf(
  { temporalSettings: settings }: Context,
  { temporal: { address, namespace, external } }: DevServers,
): TemporalSettings {
  return { ...(external ? settings : { taskQueue: settings.taskQueue }), address, namespace };
}

/** What other shells need to find all this. */
function exportsOf(
  { temporalSettings }: Context,
  { temporal, postgres }: DevServers,
  toolsUrl: string,
  keysFile: string,
): Record<string, string> {
  return {
    TEMPORAL_ADDRESS: temporal.address,
    ...(temporal.namespace === 'default' ? {} : { TEMPORAL_NAMESPACE: temporal.namespace }),
    ...(temporalSettings.taskQueue === 'countersign' ? {} : { COUNTERSIGN_TASK_QUEUE: temporalSettings.taskQueue }),
    ...(temporal.uiUrl === undefined ? {} : { TEMPORAL_UI_URL: temporal.uiUrl }),
    COUNTERSIGN_LEDGER_URL: postgres.url,
    COUNTERSIGN_DEV_DATABASE_URL: toolsUrl,
    COUNTERSIGN_KEYS_FILE: keysFile,
  };
}

/** Who speaks to this Temporal without the keys that its worker has is not understood. */
function payloadKeysOf({ env }: Context, { privacy }: CountersignConfig): Record<string, string> {
  const file = variable('COUNTERSIGN_PAYLOAD_KEYS_FILE', env) ?? privacy?.payloads?.keysFile;
  return file === undefined ? {} : { COUNTERSIGN_PAYLOAD_KEYS_FILE: path.resolve(file) };
}

interface Welcome {
  readonly servers: DevServers;
  readonly gateway: string;
  readonly config: CountersignConfig;
  /** Where they come from. */
  readonly policies: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly envFile: string;
  readonly keysFile: string;
  readonly madeKeys: boolean;
}

function welcome(
  paint: Paint,
  { servers, gateway, config, policies, exports, envFile, keysFile, madeKeys }: Welcome,
): string {
  const { temporal, postgres } = servers;
  const fact = (label: string, text: string): string => `  ${paint.dim(label.padEnd(12))} ${text}`;
  const tools = config.tools.map(({ name, kind, environment }) => `${name} (${kind}, ${environment})`).join(', ');
  const { host, pathname } = new URL(postgres.url);
  return [
    '',
    paint.bold('Countersign is ready.'),
    '',
    fact('Temporal UI', paint.cyan(temporal.uiUrl ?? 'the UI of the server in TEMPORAL_ADDRESS')),
    fact('Inbox, API', paint.cyan(gateway)),
    fact('Temporal', `${temporal.address}, namespace ${temporal.namespace}`),
    fact('Ledger', `${host}${pathname}`),
    fact('Keys', `${keysFile}${madeKeys ? ' (created now)' : ''}`),
    fact('Policies', policies),
    fact('Tools', tools === '' ? paint.yellow('none: `countersign init` writes a config for your database') : tools),
    '',
    `In other shells:  ${paint.bold(`source ${shellQuoted(envFile)}`)}  which does`,
    ...Object.entries(exports).map(([name, value]) => `  export ${name}=${shellQuoted(value)}`),
    '',
    'An agent needs only TEMPORAL_ADDRESS and its credential:',
    '  countersign agent create --id bot --tenant acme --role admin_user --scope "*" --out bot.csk',
    '  export COUNTERSIGN_AGENT=bot.csk',
    "  countersign propose --tool … --input '{…}'",
    '',
    paint.dim('Ctrl-C stops everything. The data are kept for the next run.'),
  ].join('\n');
}
