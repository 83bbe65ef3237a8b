/** The results of a run as JUnit XML, which CI systems show: the form that surefire writes. */
import { locationText } from '../../cedar.js';
import type { DecisionDifference, TestResult } from './run.js';

export function junitXml(results: readonly TestResult[]): string {
  const files = [...new Set(results.map(({ place }) => place.file))];
  const failures = results.filter(({ differences }) => differences.length > 0).length;
  const suites = files.map((file) =>
    suite(
      file,
      results.filter(({ place }) => place.file === file),
    ),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="countersign policy test" tests="${results.length}" failures="${failures}">
${suites.join('')}</testsuites>
`;
}

function suite(file: string, results: readonly TestResult[]): string {
  const failures = results.filter(({ differences }) => differences.length > 0).length;
  const cases = results.map(({ name, place, differences }) => {
    const open = `    <testcase classname="${escaped(file)}" name="${escaped(name)}" file="${escaped(file)}" line="${place.line}"`;
    if (differences.length === 0) return `${open}/>\n`;
    const text = differences.map(differenceText).join('\n');
    const message = escaped(differences.map(({ member }) => member).join(', '));
    return `${open}>\n      <failure message="${message}" type="decision">${escaped(`${locationText(place)}\n${text}`)}</failure>\n    </testcase>\n`;
  });
  return `  <testsuite name="${escaped(file)}" tests="${results.length}" failures="${failures}">\n${cases.join('')}  </testsuite>\n`;
}

/** `decision: expected allow, got deny`. */
export function differenceText({ member, expected, actual }: DecisionDifference): string {
  const said = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  return member === 'reason'
    ? `reason: expected to contain ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`
    : `${member}: expected ${said(expected)}, got ${said(actual)}`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
  '\n': '&#10;',
  '\r': '&#13;',
  '\t': '&#9;',
};

/** For attributes and text alike. What XML 1.0 cannot hold, even escaped, becomes U+FFFD. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/gu, '\u{FFFD}')
    .replaceAll(/[&<>"'\n\r\t]/g, (character) => ENTITIES[character] ?? character);
}
