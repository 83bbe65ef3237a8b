/** What came of a run: for scripts as it is, and for CI as JUnit XML. */
import type { ErrorView } from '../action/errors.js';
import { junitDocument, type JunitCase } from '../presentation/junit.js';
import { FAMILIES, type Guarantee } from './guarantee.js';
import type { GuaranteeVerdict } from './verdict.js';

export interface Result extends Pick<Guarantee, 'id' | 'family' | 'promise'> {
  /** `not_tried`: something failed on the way, and nothing is known. */
  readonly status: GuaranteeVerdict['status'] | 'not_tried';
  /** What was tried, and what came of it; or why it does not apply. Sentences. */
  readonly detail: string;
  /** What to do, where it is broken or was not tried. */
  readonly fix?: string;
  readonly error?: ErrorView;
  readonly milliseconds: number;
}

export interface ProvenReport {
  /** Whether every guarantee that applies holds. */
  readonly ok: boolean;
  readonly holds: number;
  readonly broken: number;
  readonly notApplicable: number;
  readonly notTried: number;
  /** Tools that were tried, on what, with what could not be made anew of them. */
  readonly tools: readonly {
    readonly name: string;
    readonly kind: string;
    readonly environment: string;
    readonly leftOut: readonly string[];
  }[];
  /** Tools that were not tried, and why. */
  readonly untried: Readonly<Record<string, string>>;
  readonly policyDigest: string;
  readonly milliseconds: number;
  readonly guarantees: readonly Result[];
}

export function countOf(results: readonly Result[], status: Result['status']): number {
  return results.filter((one) => one.status === status).length;
}

/** One suite for each family, one case for each guarantee. What does not apply is skipped. */
export function junitOf({ guarantees }: ProvenReport): string {
  const suites = FAMILIES.map((family) => ({
    name: `countersign prove: ${family}`,
    cases: guarantees.filter((one) => one.family === family).map(caseOf),
  })).filter(({ cases }) => cases.length > 0);
  return junitDocument('countersign prove', suites);
}

function caseOf({ id, family, promise, status, detail, fix = '', milliseconds }: Result): JunitCase {
  const about = { classname: `countersign.prove.${family}`, name: `${id}: ${promise}`, seconds: milliseconds / 1000 };
  switch (status) {
    case 'holds':
      return about;
    case 'not_applicable':
      return { ...about, skipped: detail };
    case 'broken':
      return { ...about, failure: { message: detail, type: 'broken', text: `${promise}\n${detail}\n${fix}` } };
    case 'not_tried':
      return { ...about, error: { message: detail, type: 'not_tried', text: `${detail}\n${fix}` } };
  }
}
