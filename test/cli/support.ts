/** Runs the command line, here or as a child process, in an environment that holds nothing but what the test gives. */
import { spawn, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { inject, onTestFinished } from 'vitest';
import { argumentsFor } from '../../scripts/program.js';
import type { ErrorView } from '../../src/action/errors.js';
import { runCommand } from '../../src/cli/program.js';
import type { Terminal } from '../../src/cli/terminal.js';
import { ROOT } from '../support/root.js';

const SOURCE = path.join(ROOT, 'src/cli/main.ts');

/** The command line, as it was compiled for this run. */
export const MAIN = path.join(inject('compiledSources'), 'src/cli/main.js');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Reads the one JSON document on stdout. */
  readonly json: () => unknown;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
}

/** As a process of its own, which also runs until it is stopped. */
export function start(args: readonly string[], options: CliOptions = {}) {
  const { cwd = os.tmpdir() } = options;
  return spawn(process.execPath, [...argumentsFor(SOURCE), ...args], {
    cwd,
    env: environment(options),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs a command to its end as a process of its own. */
export async function spawned(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  const child = start(args, options);
  child.stdin.end(options.stdin ?? '');
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr, json: () => JSON.parse(stdout) as unknown };
}

/** They set up their process, or load a config that reads the environment of its process. */
const OF_A_PROCESS: ReadonlySet<string | undefined> = new Set(['dev', 'worker', 'gateway', 'mcp', 'replay']);

/** Runs a command to its end on a terminal of its own. Most run in this process: starting one takes longer than they do. */
export async function cli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  return OF_A_PROCESS.has(args[0]) ? spawned(args, options) : inThisProcess(args, options);
}

/** Also one of the others, for whoever has given this process the environment that the config reads. */
export async function inThisProcess(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  const { cwd = os.tmpdir(), stdin = '' } = options;
  const terminal = terminalFor(environment(options), stdin);
  const said = Promise.all([text(terminal.stdout), text(terminal.stderr)]);
  await inFolder(cwd, () => runCommand(args, terminal));
  terminal.stdout.end();
  terminal.stderr.end();
  const [stdout, stderr] = await said;
  return { code: Number(terminal.exitCode ?? 0), stdout, stderr, json: () => JSON.parse(stdout) as unknown };
}

type Pipe = PassThrough & Terminal['stdout'];

/** Nobody sits at it. */
export function terminalFor(env: NodeJS.ProcessEnv, stdin = ''): Terminal & Record<'stdout' | 'stderr', Pipe> {
  const pipe = (): Pipe => Object.assign(new PassThrough(), { isTTY: false, columns: 0 });
  return { env, stdin: Readable.from([stdin]), stdout: pipe(), stderr: pipe() };
}

function environment({ env = {} }: CliOptions): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env };
}

/** The folder that commands are in, and how many of them. */
const inside = { cwd: '', commands: 0 };
const leaving = new EventEmitter();

/** A process has one working directory: who needs another one waits until it is left. */
async function inFolder(cwd: string, body: () => Promise<void>): Promise<void> {
  while (inside.commands > 0 && inside.cwd !== cwd) await once(leaving, 'left');
  if (inside.commands === 0) process.chdir(cwd);
  Object.assign(inside, { cwd, commands: inside.commands + 1 });
  try {
    await body();
  } finally {
    inside.commands--;
    if (inside.commands === 0) process.chdir(ROOT);
    leaving.emit('left');
  }
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** Starts a command and returns when what it wrote matches. It is killed if the test leaves it. */
export async function running(
  args: readonly string[],
  options: { env: Record<string, string>; cwd: string },
  ready: RegExp,
): Promise<Running> {
  const child = start(args, options);
  const said = { stdout: '', stderr: '' };
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, ...said }));
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const announced = new Promise<'ready'>((resolve) => {
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].on('data', (chunk: Buffer) => {
        said[name] += chunk.toString();
        if (ready.test(said[name])) resolve('ready');
      });
    }
  });
  if ((await Promise.race([announced, ended])) !== 'ready')
    throw new Error(`it ended:\n${said.stdout}\n${said.stderr}`);
  return { child, ended };
}

/** An empty folder, removed when the test is over. */
export async function folder(): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), 'countersign-cli-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** The error that stdout carries. */
export function errorOf({ json }: Ended): ErrorView {
  return (json() as { error: ErrorView }).error;
}
