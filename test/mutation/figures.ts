/** Adds up what became of the mutants. */
import type { Mutant, Report } from './stryker.js';

export interface Figures {
  readonly killed: number;
  /** Those that ran on and on, which is noticed too. */
  readonly timeout: number;
  readonly survived: number;
  /** Those that no test executes. */
  readonly noCoverage: number;
  /** Texts for people. */
  readonly texts: number;
  /** Left out because they are in what a module does when it is loaded. */
  readonly statics: number;
  /** Percent of those that were tried or not covered which were killed or timed out. */
  readonly score: number;
}

export function figuresOf(report: Report): Figures {
  const mutants = Object.values(report).flatMap(({ mutants }) => mutants);
  const count = (is: (mutant: Mutant) => boolean): number => mutants.filter(is).length;
  const killed = count(({ status }) => status === 'Killed');
  const timeout = count(({ status }) => status === 'Timeout');
  const survived = count(({ status }) => status === 'Survived');
  const noCoverage = count(({ status }) => status === 'NoCoverage');
  const statics = count((mutant) => mutant.status === 'Ignored' && mutant.static === true);
  const texts = count((mutant) => mutant.status === 'Ignored' && mutant.static !== true);
  const detected = killed + timeout;
  const valid = detected + survived + noCoverage;
  const score = valid === 0 ? 100 : Math.floor((detected / valid) * 10_000) / 100;
  return { killed, timeout, survived, noCoverage, texts, statics, score };
}

/** A line for each mutant that no test noticed. */
export function survivorsOf(report: Report): readonly string[] {
  return Object.entries(report).flatMap(([file, { mutants }]) =>
    mutants
      .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
      .map(({ status, mutatorName, replacement = '', location: { start } }) => {
        const how = status === 'NoCoverage' ? ', which no test executes' : '';
        return `${file}:${start.line} ${mutatorName} -> ${replacement.replaceAll(/\s+/g, ' ').slice(0, 100)}${how}`;
      }),
  );
}
