/** The text of policies: a file split into them, each with its place, and how deeply their conditions nest. */
import { locationAt, type Cedar, type SourceLocation } from './cedar.js';
import { locate, pushAll } from './located-problems.js';
import type { BundleProblem } from './problems.js';

/** One policy as it is written. */
export interface PolicySource {
  readonly place: SourceLocation;
  /** UTF-8 bytes before it in its file. */
  readonly offset: number;
  /** Cedar's text of this policy alone. */
  readonly text: string;
}

/** The policies of one file in order, each with its place. Between two policies there can only be space and comments. */
export function splitFile(
  cedar: Cedar,
  file: string,
  text: string,
  problems: BundleProblem[],
): readonly PolicySource[] {
  if (bracketDepth(text) > MAX_BRACKETS) {
    problems.push({
      at: { file, line: 1, column: 1 },
      message: `a policy in it nests deeper than ${MAX_BRACKETS} brackets`,
      fix: 'Leave out the brackets that change nothing, or split the policy into several.',
    });
    return [];
  }
  const answer = cedar.policySetTextToParts(text);
  if (answer.type === 'failure') {
    pushAll(problems, answer.errors, (error) => locate(error, file, text));
    return [];
  }
  const [template] = answer.policy_templates;
  if (template !== undefined) {
    problems.push({
      at: locationAt(file, text, Buffer.byteLength(text.slice(0, text.indexOf(template)))),
      message: 'templates (?principal, ?resource) are not supported: nothing would link them',
      fix: 'Write the policy with a role or an entity in place of the slot.',
    });
    return [];
  }
  const sources: PolicySource[] = [];
  let [at, offset, line, lineStart] = [0, 0, 1, 0];
  const advance = (length: number): void => {
    const passed = text.slice(at, at + length);
    offset += Buffer.byteLength(passed);
    line += passed.split('\n').length - 1;
    if (passed.includes('\n')) lineStart = at + passed.lastIndexOf('\n') + 1;
    at += length;
  };
  for (const part of inFileOrder(answer.policies)) {
    BETWEEN.lastIndex = at;
    advance(BETWEEN.exec(text)?.[0].length ?? 0);
    const column = Array.from(text.slice(lineStart, at)).length + 1;
    sources.push({ text: part, offset, place: { file, line, column } });
    advance(part.length);
  }
  return sources;
}

/**
 * How deeply brackets may nest. Cedar's parser calls itself for each, and how many it bears depends on the stack that is left: 125 with the default
 * of Node, and 77 once V8 has optimized the parser, whose frames are larger then. So a process that has run for long would refuse what a new one takes.
 */
const MAX_BRACKETS = 50;

const BRACKETS_AND_TEXTS = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|[()[\]{}]/gs;

function bracketDepth(text: string): number {
  let [depth, deepest] = [0, 0];
  for (const [found] of text.matchAll(BRACKETS_AND_TEXTS)) {
    if ('([{'.includes(found)) deepest = Math.max(deepest, ++depth);
    else if (')]}'.includes(found)) depth--;
  }
  return deepest;
}

const BETWEEN = /(?:\s+|\/\/[^\n]*)*/y;

/** Cedar numbers policies policy0, policy1 … in file order, and returns them sorted by that name as text. */
function inFileOrder(parts: readonly string[]): readonly string[] {
  const numbers = parts.map((_, number) => number).sort((a, b) => (String(a) < String(b) ? -1 : 1));
  const ordered: string[] = [];
  for (const [position, number] of numbers.entries()) ordered[number] = parts[position] ?? '';
  return ordered;
}

/** Whether operators nest deeper than `limit`. Walks with its own stack: the depth is the policy's to choose. */
export function deeperThan(conditions: unknown, limit: number): boolean {
  const waiting: { readonly value: unknown; readonly depth: number }[] = [{ value: conditions, depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { value, depth } = next;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > limit) return true;
    for (const [name, item] of Object.entries(value)) {
      // One operator is an object in an object (`{"&&": {left, right}}`): its operands are one level deeper, not two.
      const deeper = OPERANDS.has(name) || Array.isArray(value) ? 1 : 0;
      waiting.push({ value: item, depth: depth + deeper });
    }
  }
  return false;
}

const OPERANDS = new Set(['left', 'right', 'arg', 'if', 'then', 'else', 'Record', 'Set']);
