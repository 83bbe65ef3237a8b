/**
 * How many recorded histories are replayed in a second, and how much memory that takes at most: with 1,000 histories and with 10,000, each in
 * a process of its own. Memory must not grow with their number.
 *
 * The histories are the recorded ones of test/histories, again and again under other ids: read from memory, parsed and checked each time.
 * Not measured: reading files, a server that they are fetched from.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { say } from './stage.js';
import { round } from './statistics.js';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const COUNTS = [1_000, 10_000] as const;

/** What the larger run may take of memory against the smaller one. */
const BOUND = 1.25;

interface Measured {
  readonly histories: number;
  readonly events: number;
  readonly problems: number;
  readonly seconds: number;
  readonly peakMB: number;
}

export async function replay(args: readonly string[]): Promise<void> {
  const measured: Measured[] = [];
  for (const count of COUNTS) {
    say(`replaying ${count} histories`);
    measured.push(await inProcess(count));
  }
  const [small, large] = measured as [Measured, Measured];
  const rate = ({ histories, seconds }: Measured): number => round(histories / seconds, 1);
  const result = {
    histories: large.histories,
    events: large.events,
    problems: small.problems + large.problems,
    perSecond: rate(large),
    perSecondOf1000: rate(small),
    peakMBAt1000: round(small.peakMB, 0),
    peakMBAt10000: round(large.peakMB, 0),
    memoryRatio: round(large.peakMB / small.peakMB),
    memoryRatioBound: BOUND,
  };
  if (!args.includes('--json')) {
    say(
      `${result.perSecond} histories/s; ${result.peakMBAt1000} MB at 1,000 histories, ${result.peakMBAt10000} MB at 10,000`,
    );
  }
  console.log(JSON.stringify(result));
  if (result.problems > 0 || result.memoryRatio > BOUND) process.exitCode = 1;
}

async function inProcess(count: number): Promise<Measured> {
  const histories = path.join(HERE, '../test/histories');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', path.join(HERE, 'replay-process.ts'), histories, String(count)],
    { maxBuffer: 16 * 1024 * 1024 },
  );
  return JSON.parse(stdout) as Measured;
}
