/** An anchor that commits checkpoints into a Git repository, and pushes them where it is told to. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { checkedName } from '../../notify/options.js';
import { anchorFailed, anchorText, type Anchor } from './anchor.js';
import { appendLine } from './lines.js';

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
  // A commit runs no program, whatever the folder or a user's settings say: hooks, monitors and signing are off.
  const off = ['core.hooksPath=/dev/null', 'core.fsmonitor=false', 'commit.gpgSign=false'];
  const git = async (signal: AbortSignal, ...args: string[]): Promise<string> => {
    const safe = ['-C', repository, ...off.flatMap((setting) => ['-c', setting])];
    const env = { ...process.env, GIT_TERMINAL_PROMPT: '0' };
    const { stdout } = await run('git', [...safe, ...args], { signal, timeout: COMMAND_MS, env }).catch(
      (failed: FailedCommand) => {
        // What failed has the command with it.
        throw new Error(whyFailed(failed));
      },
    );
    return stdout.trim();
  };
  let before: Promise<unknown> = Promise.resolve();
  const put: Anchor['put'] = async (checkpoint, signal) => {
    const { tenant, size } = checkpoint;
    const file = `${tenant === '*' ? '_all' : tenant}.jsonl`;
    try {
      await appendLine(path.join(repository, file), anchorText(checkpoint));
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

interface FailedCommand {
  readonly code?: number | string | null;
  readonly killed?: boolean;
  readonly stderr?: string;
}

/** Never the command itself: the remote may be a URL with a password. */
function whyFailed({ code, killed, stderr = '' }: FailedCommand): string {
  const told = stderr.trim().replaceAll(/(:\/\/)[^\s/@]*@/g, '$1');
  if (told !== '') return told;
  return killed === true ? `git did not end within ${COMMAND_MS / 1000} s` : `git failed (${code ?? 'it was ended'})`;
}
