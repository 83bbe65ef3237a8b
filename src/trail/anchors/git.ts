/** An anchor that commits checkpoints into a Git repository, and pushes them where it is told to. */
import { execFile } from 'node:child_process';
import { appendFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { checkedName } from '../../notify/options.js';
import { anchorFailed, anchorText, type Anchor } from './anchor.js';

/** Which repository checkpoints are committed to, and where they are pushed. */
export interface GitAnchorOptions {
  /** The name, unique among the anchors. Default `git`. */
  readonly name?: string;
  /** The folder of a clone that is this anchor's alone. */
  readonly repository: string;
  /** The remote to push to. Default none. */
  readonly remote?: string;
}

const run = promisify(execFile);

/** One command may take this long, milliseconds. */
const COMMAND_MS = 30_000;

/** Each tenant has a file of its own, JSON Lines, and each checkpoint is a commit. @throws CountersignError CONFIG_INVALID */
export function gitAnchor({ name: given = 'git', repository, remote }: GitAnchorOptions): Anchor {
  const name = checkedName(given, 'gitAnchor.name');
  // Nothing in the folder, nor in a user's settings, may run a program: hooks and signing are off.
  const git = async (signal: AbortSignal, ...args: string[]): Promise<string> => {
    const safe = ['-C', repository, '-c', 'core.hooksPath=/dev/null', '-c', 'commit.gpgSign=false'];
    const env = { ...process.env, GIT_TERMINAL_PROMPT: '0' };
    return (await run('git', [...safe, ...args], { signal, timeout: COMMAND_MS, env })).stdout.trim();
  };
  let before: Promise<unknown> = Promise.resolve();
  const put: Anchor['put'] = async (checkpoint, signal) => {
    const { tenant, size } = checkpoint;
    const file = `${tenant === '*' ? '_all' : tenant}.jsonl`;
    try {
      await appendFile(path.join(repository, file), `${anchorText(checkpoint)}\n`);
      await git(signal, 'add', '--', file);
      const who = ['-c', 'user.name=countersign', '-c', 'user.email=countersign@localhost'];
      await git(signal, ...who, 'commit', '--quiet', '-m', `${tenant}: ${size} entries`, '--', file);
      if (remote !== undefined) await git(signal, 'push', '--quiet', '--', remote, 'HEAD');
      return await git(signal, 'rev-parse', 'HEAD');
    } catch (error) {
      throw anchorFailed(name, (error as Error).message, error);
    }
  };
  return {
    name,
    // A repository takes one commit after another.
    put(checkpoint, signal) {
      const turn = before.then(() => put(checkpoint, signal));
      before = turn.catch(() => undefined);
      return turn;
    },
  };
}
