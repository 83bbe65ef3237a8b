/** A Temporal development server with its UI, or the server that TEMPORAL_ADDRESS names. */
import { mkdir, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CountersignError } from '../action/errors.js';
import { openConnection } from '../client/connection.js';
import { temporalSettings, type TemporalSecurity } from '../environment.js';
import { startProcess, type ServerProcess } from './child.js';
import { stillServedBy } from './data-folder.js';
import { freePort, isFree, LOOPBACK, portInUse } from './free-port.js';
import { ensureSearchAttributes, SEARCH_ATTRIBUTES } from '../client/search-attributes.js';
import { findTemporal } from './temporal-binary.js';

/** How long a start may take, milliseconds. It takes half a second; a busy machine is in it. */
const START_MS = 60_000;
/** A free port may be taken before the server binds it. */
const PORT_ATTEMPTS = 5;

export interface TemporalOptions {
  /** Keeps workflows in this folder between runs. Default: in memory. */
  readonly dataDir?: string;
  /** The server's gRPC port. Default: any free port. */
  readonly port?: number;
  /** The UI's port. Default: any free port. */
  readonly uiPort?: number;
  /** Leaves the UI out. Default false. */
  readonly headless?: boolean;
  /** Default: TEMPORAL_NAMESPACE, else `default`. Created when it is not there. */
  readonly namespace?: string;
  /** Where TEMPORAL_ADDRESS and the like are looked up. Default `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** What is happening, for people: slow steps report their progress. */
  readonly log?: (message: string) => void;
  /** Every line that the server writes (warnings and errors). */
  readonly output?: (line: string) => void;
}

export interface TemporalServer {
  /** `host:port` of its gRPC service. */
  readonly address: string;
  /** Absent when headless, or when the server is somebody else's. */
  readonly uiUrl?: string;
  readonly namespace: string;
  /** Whether the server is somebody else's (TEMPORAL_ADDRESS): then `stop` and `kill` leave it alone. */
  readonly external: boolean;
  /** The server's own process, when it is ours. */
  readonly pid: number | undefined;
  /** Resolves when our server's process has ended, with why, in words; never for an external one. */
  readonly ended: Promise<string>;
  /** Returns when it answers for its namespace. @throws CountersignError TEMPORAL_UNAVAILABLE */
  check(): Promise<void>;
  /** Ends the server. Safe to call twice. */
  stop(): Promise<void>;
  /** Ends the server as a power cut would. */
  kill(): Promise<void>;
}

/**
 * Starts a Temporal server, or checks the one that TEMPORAL_ADDRESS names, and returns once its namespace is usable and knows
 * the search attributes.
 *
 * @throws CountersignError TEMPORAL_UNAVAILABLE when no server can be had or it does not answer; CONFIG_INVALID when a port or the
 *   data folder is in use
 */
export async function startTemporal(options: TemporalOptions = {}): Promise<TemporalServer> {
  const env = options.env ?? process.env;
  const namespace = options.namespace ?? (env['TEMPORAL_NAMESPACE'] || 'default');
  const address = env['TEMPORAL_ADDRESS'];
  if (address !== undefined && address !== '') return await useExternal(address, namespace, temporalSettings(env));

  const binary = await findTemporal({ env, log: options.log ?? (() => {}) });
  await checkPorts(options);
  const database = options.dataDir === undefined ? undefined : await openFolder(options.dataDir);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const uiPort = options.headless === true ? undefined : (options.uiPort ?? (await freePort()));
    const address = `${LOOPBACK}:${port}`;
    const server = startProcess({
      command: binary.path,
      args: serverArguments(port, uiPort, namespace, database?.file),
      env: serverEnvironment(env),
      // Its good order is a three-second drain that saves nothing: SQLite keeps what was committed, memory is gone anyway.
      signal: 'SIGKILL',
      graceMs: 5_000,
      ...(options.output === undefined ? {} : { onLine: options.output }),
    });
    try {
      if (database !== undefined && server.pid !== undefined) await writeFile(database.pidFile, `${server.pid}\n`);
      await untilUsable(server, address, namespace);
    } catch (error) {
      const taken = server.hasEnded() ? takenPort(server.output()) : undefined;
      await server.kill();
      if (taken === undefined || attempt >= PORT_ATTEMPTS) throw error;
      if (taken === options.port) throw portInUse('temporal', taken);
      if (taken === options.uiPort) throw portInUse('temporalUi', taken);
      continue;
    }
    return {
      address,
      ...(uiPort === undefined ? {} : { uiUrl: `http://${LOOPBACK}:${uiPort}` }),
      namespace,
      external: false,
      pid: server.pid,
      ended: server.ended,
      check: () => check(address, namespace),
      async stop() {
        await server.stop();
        if (database !== undefined) await rm(database.pidFile, { force: true });
      },
      kill: () => server.kill(),
    };
  }
}

function serverArguments(
  port: number,
  uiPort: number | undefined,
  namespace: string,
  file: string | undefined,
): string[] {
  return [
    'server',
    'start-dev',
    `--ip=${LOOPBACK}`,
    `--port=${port}`,
    '--log-level=warn',
    uiPort === undefined ? '--headless' : `--ui-port=${uiPort}`,
    ...(namespace === 'default' ? [] : [`--namespace=${namespace}`]),
    ...(file === undefined ? [] : [`--db-filename=${file}`]),
    // One history shard, limited to 20 polls a second, quantises every step to 50 ms.
    '--dynamic-config-value=history.transferProcessorMaxPollRPS=2000',
    '--dynamic-config-value=history.timerProcessorMaxPollRPS=2000',
    // It would ask Temporal's makers for a newer version.
    '--dynamic-config-value=frontend.enableServerVersionCheck=false',
    ...Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => `--search-attribute=${name}=${type}`),
  ];
}

function serverEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  // The CLI would take TEMPORAL_… as flags.
  const others = Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_'));
  // A third less CPU for the same work: 29 to 20 ms per bare workflow on two cores.
  return { GOGC: '400', ...Object.fromEntries(others) };
}

async function checkPorts(options: TemporalOptions): Promise<void> {
  // Asked first, because a server that already answers there would be taken for ours.
  if (options.port !== undefined && !(await isFree(options.port))) throw portInUse('temporal', options.port);
  if (options.uiPort !== undefined && !(await isFree(options.uiPort))) throw portInUse('temporalUi', options.uiPort);
}

function takenPort(output: string): number | undefined {
  const match = /:(\d+): bind: address already in use/.exec(output);
  return match === null ? undefined : Number(match[1]);
}

async function openFolder(dataDir: string): Promise<{ file: string; pidFile: string }> {
  try {
    await mkdir(dataDir, { recursive: true });
    // The real path, because the pid check compares it with a command line.
    const folder = await realpath(dataDir);
    const file = join(folder, 'temporal.db');
    const pidFile = join(folder, 'temporal.pid');
    const pid = await stillServedBy(pidFile, file);
    if (pid !== undefined) throw new Error(`process ${pid} serves it`);
    return { file, pidFile };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CountersignError('CONFIG_INVALID', `The Temporal data folder ${dataDir} cannot be used: ${why}.`, {
      field: 'dataDir',
      expected: 'a folder of its own, that no running Temporal server serves',
      fix: 'Stop the other run, or choose another folder.',
      cause: error,
    });
  }
}

async function untilUsable(server: ServerProcess, address: string, namespace: string): Promise<void> {
  const deadline = Date.now() + START_MS;
  const lost = async (): Promise<never> => {
    throw new Error(await server.ended);
  };
  for (;;) {
    try {
      await Promise.race([reach(address, namespace), lost()]);
      return;
    } catch (error) {
      if (error instanceof CountersignError && error.code === 'CONFIG_INVALID') throw error;
      if (!server.hasEnded() && Date.now() < deadline) {
        await delay(25);
        continue;
      }
      const output = server.output().trim() || 'it wrote nothing';
      throw new CountersignError('TEMPORAL_UNAVAILABLE', `The Temporal server did not start: ${output}`, {
        fix: 'Correct what its output above names, or set TEMPORAL_ADDRESS to a server of yours.',
        cause: error,
      });
    }
  }
}

/** Connects, finds the namespace and the search attributes. */
async function reach(address: string, namespace: string, security?: TemporalSecurity): Promise<void> {
  const { connection, close } = await openConnection(address, 2_000, security);
  try {
    await connection.workflowService.describeNamespace({ namespace });
    await ensureSearchAttributes(connection, namespace);
  } finally {
    await close();
  }
}

async function check(address: string, namespace: string, field?: string, security?: TemporalSecurity): Promise<void> {
  try {
    await reach(address, namespace, security);
  } catch (error) {
    if (error instanceof CountersignError) throw error;
    throw new CountersignError(
      'TEMPORAL_UNAVAILABLE',
      field === undefined
        ? `Temporal at ${address} does not answer for namespace ${namespace}.`
        : `${field} is set in the environment, and no Temporal at ${address} answers for namespace ${namespace}.`,
      {
        ...(field === undefined ? {} : { field }),
        expected: 'host:port of a running Temporal server that has the namespace',
        fix: `${field === undefined ? '' : `Unset ${field} to start an embedded server (an env file of an earlier run may have set it). Or `}start that server, or: temporal operator namespace create --address ${address} --namespace ${namespace}`,
        retryable: true,
        cause: error,
      },
    );
  }
}

async function useExternal(address: string, namespace: string, security: TemporalSecurity): Promise<TemporalServer> {
  await check(address, namespace, 'TEMPORAL_ADDRESS', security);
  return {
    address,
    namespace,
    external: true,
    pid: undefined,
    ended: new Promise(() => {}),
    check: () => check(address, namespace, 'TEMPORAL_ADDRESS', security),
    stop: async () => {},
    kill: async () => {},
  };
}
