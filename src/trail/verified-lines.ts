/** The lines of a trail, as long as nothing is wrong with them: for whoever signs or hands on what is in them. */
import { CountersignError } from '../action/errors.js';
import type { TrailLine } from './format.js';
import type { TrailKeys } from './keys.js';
import type { TrailProblem } from './problems.js';
import { TrailVerification } from './verify-lines.js';

/** What a line has wrong may be known with a later one only: nothing counts before the end. @throws CountersignError TRAIL_BROKEN */
export async function* verifiedLines(lines: AsyncIterable<TrailLine>, keys: TrailKeys): AsyncGenerator<TrailLine> {
  const verification = new TrailVerification(keys);
  for await (const line of lines) {
    await verification.take(JSON.stringify(line));
    if (verification.problem !== undefined) throw broken(verification.problem);
    yield line;
  }
  const [problem] = verification.finish(undefined).problems;
  if (problem !== undefined) throw broken(problem);
}

function broken({ problem }: TrailProblem): CountersignError {
  return new CountersignError('TRAIL_BROKEN', `The trail does not verify: ${problem}`, {
    field: 'trail',
    expected: 'entries that follow one another, as they were signed',
    fix: 'Nothing was written. Locate it: countersign trail verify --tenant … ; then compare with a backup.',
  });
}
