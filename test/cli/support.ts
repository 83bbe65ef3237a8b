/** Runs the real command line as a child process, in an environment that holds nothing but what the test gives. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { inject, onTestFinished } from 'vitest';
import type { ErrorView } from '../../src/action/errors.js';

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

export function start(args: readonly string[], { env = {}, cwd = os.tmpdir() }: CliOptions = {}) {
  return spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

export async function cli(args: readonly string[], options: CliOptions = {}): Promise<Ended> {
  const child = start(args, options);
  child.stdin.end(options.stdin ?? '');
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr, json: () => JSON.parse(stdout) as unknown };
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
