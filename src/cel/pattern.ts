/** Patterns of `matches`. The engine (RE2) is linear in the text; this bounds its other factor, and finds a bad pattern before the effect. */
import { cel } from './library.js';

const { isCelError, run } = cel;

/** Characters, and counted repetitions in all. */
export const MAX_PATTERN = 200;
export const MAX_REPEATS = 1000;

/** What is wrong with a pattern; undefined when it can be used. */
export function patternProblem(pattern: string): string | undefined {
  const repeats = [...pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].reduce(
    (sum, [, least, most]) => sum + Math.max(Number(least), Number(most ?? 0)),
    0,
  );
  if (pattern.length > MAX_PATTERN || repeats > MAX_REPEATS) return 'it is too costly';
  const result = run('"".matches(pattern)', { pattern });
  return isCelError(result) ? result.message.slice(0, 200) : undefined;
}
