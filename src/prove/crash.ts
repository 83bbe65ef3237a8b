/** Kills a worker, a real process, right after the effect and before it could tell of it; another goes on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Countersign } from '../client/countersign.js';
import { oneEffect, said } from './attempts.js';
import type { Case, ToolCases } from './cases.js';
import { broken, holds, type GuaranteeVerdict } from './verdict.js';
import type { WorkerProcessOptions } from './worker-process.js';
import type { World } from './world.js';

const POINT = 'execute.after-effect';

/** How long a worker's process may take to start, and an action that it leaves behind to end. Milliseconds. */
const START_MS = 60_000;
const END_MS = 90_000;

export async function afterCrash(world: World, one: Case, cases: ToolCases): Promise<GuaranteeVerdict> {
  const { temporal, encryption } = world.parts;
  const settings = { ...temporal, taskQueue: `${temporal.taskQueue}-crash-${randomUUID().slice(0, 8)}` };
  const doomed = await startDoomed(world, settings.taskQueue);
  const client = await Countersign.connect({ ...settings, credential: null, encryption });
  try {
    // A service that knows keys may be sent the same again: that is still one effect.
    const counted = isNative(one, cases) ? cases.proven.distinctEffects : cases.proven.effects;
    const before = await counted();
    const credential = await world.agentCredential({ roles: [...one.roles] });
    const answer = client.as(credential).perform(world.proposalOf(one), { timeoutMs: END_MS });
    answer.catch(() => {});
    const died = await Promise.race([doomed.died, answer.then(() => undefined)]);
    if (died !== 'SIGKILL') throw new Error('The worker that was to be killed was not.');
    await world.startWorker({ temporal: settings });
    const outcome = await answer;
    const effects = (await counted()) - before;
    const what = 'A change during which the worker was killed';
    if (outcome.status === 'success') return oneEffect(effects, what, cases);
    if (outcome.status === 'unknown' && effects <= 1) {
      return holds(`${what} is told as unknown: ${cases.proven.tool.name} cannot look it up, so a person decides.`);
    }
    return broken(
      `${what} is told as ${outcome.status === 'pending' ? 'waiting for people' : said(outcome)}, with ${effects} effects.`,
      `See the lookUp and the idempotency of ${cases.proven.tool.name}: they must tell what became of a key.`,
    );
  } finally {
    doomed.kill();
    await client.close();
  }
}

function isNative(one: Case, { proven: { tool } }: ToolCases): boolean {
  const idempotency = tool.idempotencyOf?.(tool.input.parse(one.input(0))) ?? tool.idempotency;
  return idempotency === 'native';
}

interface Doomed {
  /** Settles with the signal that ended it. */
  readonly died: Promise<NodeJS.Signals | null>;
  kill(): void;
}

/** The tool's addresses and the keys go through its standard input: nobody else can read them there. */
async function startDoomed({ parts }: World, taskQueue: string): Promise<Doomed> {
  const { operator, temporal, ledgerUrl, keys, folder, policies, cases, secret } = parts;
  const options: WorkerProcessOptions = {
    configFile: operator.configFile,
    places: Object.fromEntries(cases.map(({ proven }) => [proven.tool.name, proven.place])),
    policies,
    keyFiles: { payloads: path.join(folder, 'payload-keys.json'), redaction: path.join(folder, 'redaction-keys.json') },
    temporal: { ...temporal, taskQueue },
    ledgerUrl,
    keys,
    secret,
    fault: `${POINT}:kill:${path.join(folder, `fault-${taskQueue}`)}`,
  };
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(moduleOf())], {
    stdio: ['pipe', 'ignore', 'ignore', 'ipc'],
    env: operator.env,
  });
  const died = once(child, 'exit').then(([, signal]) => signal as NodeJS.Signals | null);
  child.stdin?.on('error', () => {});
  child.stdin?.end(JSON.stringify(options));
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(kill, START_MS);
  const ready = once(child, 'message').then(() => 'ready');
  const state = await Promise.race([ready, died]);
  clearTimeout(timer);
  if (state !== 'ready')
    throw new Error('The process of a second worker did not start: the config must be loadable once more.');
  return { died, kill };
}

/** Beside this module, and of its kind. */
function moduleOf(): URL {
  const ending = path.extname(fileURLToPath(import.meta.url));
  return new URL(`worker-process${ending}`, import.meta.url);
}
