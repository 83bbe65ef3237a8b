/** Collects the problems of a bundle, so that its author sees all of them at once. */
import { CountersignError } from '../action/errors.js';
import { locationText, type SourceLocation } from './cedar.js';

export interface BundleProblem {
  /** A file's name, or a place in it. */
  readonly at: string | SourceLocation;
  readonly message: string;
  readonly expected?: string;
  readonly fix: string;
}

const SHOWN = 5;

/** One error for all problems: `roles.cedar:3:1: …; production.cedar:9:2: …`. Its field, expectation and fix are those of the first. */
export function policyInvalid(
  problems: readonly [BundleProblem, ...BundleProblem[]],
  cause?: unknown,
): CountersignError {
  const at = (problem: BundleProblem) => (typeof problem.at === 'string' ? problem.at : locationText(problem.at));
  const [first] = problems;
  const error = invalid(problems, first, at, cause);
  problemsOfError.set(error, problems);
  return error;
}

const problemsOfError = new WeakMap<CountersignError, readonly BundleProblem[]>();

/** All problems of a bundle that was refused, of which the error's message shows the first few. Empty for another error. */
export function problemsOf(error: CountersignError): readonly BundleProblem[] {
  return problemsOfError.get(error) ?? [];
}

function invalid(
  problems: readonly BundleProblem[],
  first: BundleProblem,
  at: (problem: BundleProblem) => string,
  cause: unknown,
): CountersignError {
  const texts = problems.slice(0, SHOWN).map((problem) => `${at(problem)}: ${problem.message}`);
  const more = problems.length > SHOWN ? `; and ${problems.length - SHOWN} more` : '';
  return new CountersignError('POLICY_INVALID', texts.join('; ') + more, {
    field: at(first),
    fix: first.fix,
    ...(first.expected === undefined ? {} : { expected: first.expected }),
    ...(cause === undefined ? {} : { cause }),
  });
}
