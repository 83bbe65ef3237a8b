/** Results as JUnit XML, which CI systems show: the form that surefire writes. */

export interface JunitCase {
  readonly classname: string;
  readonly name: string;
  readonly file?: string;
  readonly line?: number;
  readonly seconds?: number;
  readonly failure?: JunitProblem;
  /** Where the case itself could not be run. */
  readonly error?: JunitProblem;
  /** Why it was not run. */
  readonly skipped?: string;
}

interface JunitProblem {
  readonly message: string;
  readonly type: string;
  readonly text: string;
}

interface JunitSuite {
  readonly name: string;
  readonly cases: readonly JunitCase[];
}

export function junitDocument(name: string, suites: readonly JunitSuite[]): string {
  const all = suites.flatMap(({ cases }) => cases);
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="${escaped(name)}" ${countsOf(all)}>
${suites.map(suiteText).join('')}</testsuites>
`;
}

function suiteText({ name, cases }: JunitSuite): string {
  return `  <testsuite name="${escaped(name)}" ${countsOf(cases)}>\n${cases.map(caseText).join('')}  </testsuite>\n`;
}

/** What there is none of is not said, but for failures. */
function countsOf(cases: readonly JunitCase[]): string {
  const counted = (kind: 'failure' | 'error' | 'skipped'): number =>
    cases.filter((one) => one[kind] !== undefined).length;
  const [errors, skipped] = [counted('error'), counted('skipped')];
  return [
    `tests="${cases.length}" failures="${counted('failure')}"`,
    ...(errors === 0 ? [] : [`errors="${errors}"`]),
    ...(skipped === 0 ? [] : [`skipped="${skipped}"`]),
  ].join(' ');
}

function caseText({ classname, name, file, line, seconds, failure, error, skipped }: JunitCase): string {
  const place = `${file === undefined ? '' : ` file="${escaped(file)}"`}${line === undefined ? '' : ` line="${line}"`}`;
  const time = seconds === undefined ? '' : ` time="${seconds.toFixed(3)}"`;
  const open = `    <testcase classname="${escaped(classname)}" name="${escaped(name)}"${place}${time}`;
  const inside = [
    ...(failure === undefined ? [] : [problemText('failure', failure)]),
    ...(error === undefined ? [] : [problemText('error', error)]),
    ...(skipped === undefined ? [] : [`      <skipped message="${escaped(skipped)}"/>\n`]),
  ];
  return inside.length === 0 ? `${open}/>\n` : `${open}>\n${inside.join('')}    </testcase>\n`;
}

function problemText(element: 'failure' | 'error', { message, type, text }: JunitProblem): string {
  return `      <${element} message="${escaped(message)}" type="${escaped(type)}">${escaped(text)}</${element}>\n`;
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
