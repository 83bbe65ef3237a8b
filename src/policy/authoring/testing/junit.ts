/** The results of a run as JUnit XML: one suite for each file. */
import { junitDocument, type JunitCase } from '../../../presentation/junit.js';
import { locationText } from '../../cedar.js';
import type { DecisionDifference, TestResult } from './run.js';

export function junitXml(results: readonly TestResult[]): string {
  const files = [...new Set(results.map(({ place }) => place.file))];
  const suites = files.map((file) => ({
    name: file,
    cases: results.filter(({ place }) => place.file === file).map(caseOf),
  }));
  return junitDocument('countersign policy test', suites);
}

function caseOf({ name, place, differences }: TestResult): JunitCase {
  const about = { classname: place.file, name, file: place.file, line: place.line };
  if (differences.length === 0) return about;
  const message = differences.map(({ member }) => member).join(', ');
  const text = `${locationText(place)}\n${differences.map(differenceText).join('\n')}`;
  return { ...about, failure: { message, type: 'decision', text } };
}

/** `decision: expected allow, got deny`. */
export function differenceText({ member, expected, actual }: DecisionDifference): string {
  const said = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  return member === 'reason'
    ? `reason: expected to contain ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`
    : `${member}: expected ${said(expected)}, got ${said(actual)}`;
}
