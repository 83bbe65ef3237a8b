/** Formats Cedar files: each policy by Cedar's own formatter; the comments between policies stay where they are. */
import { CountersignError } from '../../action/errors.js';
import { newCedar, type Cedar } from '../cedar.js';
import { splitFile } from '../policy-source.js';
import { policyInvalid, type BundleProblem } from '../problems.js';

const LINE_WIDTH = 120;
const INDENT_WIDTH = 2;
/** Comments within a policy can move when they are formatted; after so many times they must stay. */
const MOST_PASSES = 4;

/** Formats the text of a file. Idempotent. @throws CountersignError POLICY_INVALID with the place when Cedar cannot read it */
export function formatCedar(file: string, text: string): string {
  const cedar = newCedar();
  const source = text.replaceAll('\r\n', '\n');
  const problems: BundleProblem[] = [];
  const policies = splitFile(cedar, file, source, problems);
  const [first, ...others] = problems;
  if (first !== undefined) throw policyInvalid([first, ...others]);
  const parts: string[] = [];
  let at = 0;
  for (const { text: policy, place } of policies) {
    const start = source.indexOf(policy, at);
    parts.push(between(source.slice(at, start), at === 0), formatPolicy(cedar, policy, `${file}:${place.line}`));
    at = start + policy.length;
  }
  parts.push(between(source.slice(at), at === 0).trimEnd());
  const formatted = parts.join('').trim();
  return formatted === '' ? '' : `${formatted}\n`;
}

function formatPolicy(cedar: Cedar, policy: string, place: string): string {
  let text = policy;
  for (let pass = 0; pass < MOST_PASSES; pass++) {
    const answer = cedar.formatPolicies({ policyText: text, lineWidth: LINE_WIDTH, indentWidth: INDENT_WIDTH });
    if (answer.type === 'failure') throw unformatted(place, answer.errors.map(({ message }) => message).join('; '));
    const formatted = answer.formatted_policy.trim();
    if (formatted === text) return formatted;
    text = formatted;
  }
  throw unformatted(place, 'its comments move whenever it is formatted');
}

/** What stands between two policies: the end of a line, comments and blank lines. At most one blank line in a row, and one before a policy. */
function between(text: string, isFirst: boolean): string {
  const lines = text.split('\n').map((line) => line.trim());
  const tail = isFirst ? '' : (lines.shift() ?? '');
  const kept = lines.filter((line, index) => line !== '' || lines[index - 1] !== '');
  while (kept[0] === '') kept.shift();
  const endsBlank = kept.at(-1) === '' && kept.length > 1 && lines.at(-2) === '';
  while (kept.at(-1) === '') kept.pop();
  const comments = kept.length === 0 ? '' : `${kept.join('\n')}\n${endsBlank ? '\n' : ''}`;
  const before = isFirst ? '' : `${tail === '' ? '' : ` ${tail}`}\n\n`;
  return before + comments;
}

function unformatted(field: string, why: string): CountersignError {
  return new CountersignError('POLICY_INVALID', `${field} cannot be formatted: ${why}.`, {
    field,
    expected: 'comments on lines of their own',
    fix: 'Move the comments within the policy above it.',
  });
}
