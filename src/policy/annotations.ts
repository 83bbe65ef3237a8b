/**
 * The annotations that Countersign interprets. An annotation in Cedar holds one text, so these have a small grammar:
 *
 *     @id("protected-tables")                       a-z, 0-9 and -, at most 64; unique in the bundle
 *     @reason("{rows} rows in {environment}")       placeholders: see reason.ts
 *     @approval("dba|lead, quorum=2, ttl=4h")       on a forbid: who can lift it, and how: see approval.ts
 *     @constraint("maxRows=1000, dryRun=true, x")   on a permit: obligations; on a forbid: labels. A bare name means true
 */
import { parseApprovals, type ApprovalTerms } from './approval.js';
import { GrammarError } from './grammar.js';
import { checkReason } from './reason.js';

const KNOWN = new Set(['id', 'reason', 'approval', 'constraint']);
const ID = /^[a-z0-9-]{1,64}$/;
const CONSTRAINT_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,62}$/;
const CONSTRAINT_TEXT = /^[A-Za-z0-9_.*|:/-]{1,256}$/;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?$/;

/** A constraint or label as an annotation names it. */
export interface NamedValue {
  readonly name: string;
  /** True for a bare name; a number or true or false where the text is one; else the text. */
  readonly value: string | number | boolean;
}

export interface RuleAnnotations {
  readonly id: string;
  readonly reason?: string;
  /** What people must do to lift the forbid: at least one requirement, and all of them must be met. */
  readonly approvals?: readonly ApprovalTerms[];
  readonly constraints: readonly NamedValue[];
}

export interface AnnotationProblem {
  readonly message: string;
  readonly fix: string;
}

/** Reads the annotations of one policy, and adds what is wrong with them to `problems`. An annotation without a text has the value null. */
export function readAnnotations(
  effect: 'permit' | 'forbid',
  annotations: Readonly<Record<string, string | null>>,
  problems: AnnotationProblem[],
): RuleAnnotations {
  for (const name of Object.keys(annotations)) {
    if (KNOWN.has(name)) continue;
    problems.push({
      message: `unknown annotation @${name}`,
      fix: `Use one of @${[...KNOWN].join(', @')}; write anything else as a comment.`,
    });
  }
  const id = annotations['id'];
  if (id === undefined || id === null || !ID.test(id)) {
    problems.push({
      message: id === undefined ? 'the policy has no @id' : `@id(${JSON.stringify(id)}) is not a usable id`,
      fix: 'Give the policy an @id("…") of a-z, 0-9 and -, at most 64 characters.',
    });
  }
  const { approval: approvals } = part('approval', annotations, problems, (text) => {
    if (effect === 'permit') throw new GrammarError('a permit cannot ask for approval', 'Put @approval on a forbid.');
    if (annotations['reason'] === undefined) {
      throw new GrammarError('people would be asked without a @reason', 'Add @reason("why people are asked").');
    }
    return parseApprovals(text);
  });
  return {
    id: id ?? '',
    ...part('reason', annotations, problems, checkReason),
    ...(approvals === undefined ? {} : { approvals }),
    constraints: part('constraint', annotations, problems, parseConstraints).constraint ?? [],
  };
}

function part<Name extends string, Value>(
  name: Name,
  annotations: Readonly<Record<string, string | null>>,
  problems: AnnotationProblem[],
  parse: (text: string) => Value,
): { readonly [key in Name]?: Value } {
  const text = annotations[name];
  if (text === undefined) return {};
  try {
    if (text === null || text.trim() === '') throw new GrammarError('it is empty', `Give it a text: @${name}("…").`);
    return { [name]: parse(text) } as { readonly [key in Name]: Value };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const fix = error instanceof GrammarError ? error.fix : `Correct the text of @${name}.`;
    problems.push({ message: `@${name}(${JSON.stringify(text)}): ${error.message}`, fix });
    return {};
  }
}

const CONSTRAINT_FIX =
  'Write @constraint("name"), or @constraint("name=value, other=value") with numbers, true, false or plain words.';

function parseConstraints(text: string): readonly NamedValue[] {
  const found = new Map<string, NamedValue>();
  for (const item of text.split(',').map((item) => item.trim())) {
    const equals = item.indexOf('=');
    const name = (equals < 0 ? item : item.slice(0, equals)).trim();
    if (!CONSTRAINT_NAME.test(name))
      throw new GrammarError(`${JSON.stringify(item)} has no usable name`, CONSTRAINT_FIX);
    if (found.has(name)) throw new GrammarError(`${name} comes twice`, CONSTRAINT_FIX);
    found.set(name, { name, value: equals < 0 ? true : parseValue(item.slice(equals + 1).trim()) });
  }
  return [...found.values()];
}

function parseValue(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  if (NUMBER.test(text)) {
    const number = Number(text);
    if (Math.abs(number) > Number.MAX_SAFE_INTEGER) throw new GrammarError(`${text} is too large`, CONSTRAINT_FIX);
    return number;
  }
  if (!CONSTRAINT_TEXT.test(text))
    throw new GrammarError(`${JSON.stringify(text)} is not a usable value`, CONSTRAINT_FIX);
  return text;
}
