/**
 * Gives every property the same cases in each run, so that a change that is sound is never refused by chance. `FAST_CHECK_SEED=random` looks for new
 * counterexamples, and a number repeats the run that found one; what is found is kept as an example beside its property.
 */
import fc from 'fast-check';

const seed = process.env['FAST_CHECK_SEED'] ?? '20261129';
if (seed !== 'random') fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) });

/** How many cases of a costly property are tried: as many as said, times `FAST_CHECK_RUNS`. Default 1. */
export function runs(count: number): number {
  return Math.ceil(count * Number(process.env['FAST_CHECK_RUNS'] ?? 1));
}
