/** Reads limits.yaml: its shape, its grammars and its CEL. All problems are reported together. */
import { z } from 'zod';
import type { CelLimits } from '../../cel/budget.js';
import { CelProblem, compileCel, position } from '../../cel/compile.js';
import { CelEvaluator } from '../../cel/evaluator.js';
import type { Terms } from '../../cel/program.js';
import type { SourceLocation } from '../cedar.js';
import type { LimitWindow } from '../../action/limits.js';
import type { BundleProblem } from '../problems.js';
import { LIMITS_FILE, NO_LIMITS, type LimitExpression, type Limit, type LimitSet } from './limit.js';
import { expectedOf, FIELDS, LIMIT_ID, limitSchema, MAX_LIMITS, type LimitShape } from './schema.js';
import { readYaml, type YamlFile } from './yaml.js';

/** The largest file, in characters. Finding duplicate keys takes time quadratic in their number. */
const MAX_CHARS = 64 * 1024;
const MAX_EXPRESSION = 2048;

/**
 * What evaluating the CEL of all limits may cost for one action. Inputs come from agents, so everything that grows with them is bounded:
 * patterns are matched in linear time against short texts, and comprehensions do not nest.
 */
const COST: CelLimits = { steps: 100_000, text: 256 * 1024, items: 10_000, matched: 16 * 1024, milliseconds: 250 };

const ROOTS = ['agent', 'tool', 'actionType', 'operation', 'input', 'preview', 'trace'] as const;
const WITH_RESULT = [...ROOTS, 'result'] as const;

const TERMS = {
  when: { roots: ROOTS, bare: [], yields: 'boolean', loops: 1, example: 'tool.name == "payments"' },
  amount: { roots: ROOTS, bare: [], yields: 'number', loops: 1, example: 'input.amount' },
  settled: { roots: WITH_RESULT, bare: ['result'], yields: 'number', loops: 1, example: 'result.amount' },
} as const satisfies Record<string, Terms>;

type Expressions = { readonly [field in keyof typeof TERMS]?: LimitExpression };

const fileSchema = z.strictObject({ limits: z.record(z.string(), z.unknown()) });

/** Parses the file. Invalid limits are left out, and their problems added to `problems`. */
export function parseLimits(text: string, problems: BundleProblem[]): LimitSet {
  if (text.length > MAX_CHARS) {
    problems.push({
      at: LIMITS_FILE,
      message: `it is over ${MAX_CHARS} characters`,
      fix: 'Join limits that say the same.',
    });
    return NO_LIMITS;
  }
  const file = readYaml(text, problems);
  if (file === undefined) return NO_LIMITS;
  const read = fileSchema.safeParse(file.value);
  if (!read.success) {
    problems.push(...read.error.issues.flatMap((issue) => fileProblems(file, issue)));
    return NO_LIMITS;
  }
  const entries = Object.entries(read.data.limits);
  if (entries.length > MAX_LIMITS) {
    problems.push({
      at: file.atKey(['limits']),
      message: `it has ${entries.length} limits`,
      expected: `at most ${MAX_LIMITS}`,
      fix: 'Join limits that say the same.',
    });
    return NO_LIMITS;
  }
  const reading = new Reading(file);
  const limits = entries.flatMap(([id, value]) => reading.limit(id, value));
  problems.push(...reading.problems.sort(inFileOrder));
  return reading.evaluator === undefined ? { limits } : { limits, evaluator: reading.evaluator };
}

function fileProblems(file: YamlFile, issue: z.core.$ZodIssue): readonly BundleProblem[] {
  const fix = 'Write the limits as a map, each under its id: limits: {refunds-per-day: {kind: budget, …}}';
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      at: file.atKey([key]),
      message: `${JSON.stringify(key.slice(0, 64))} is unknown`,
      expected: 'limits, and nothing beside it',
      fix: `Put the limit under limits, or take it out.`,
    }));
  }
  return [
    {
      at: file.at(issue.path),
      message: 'it has no map of limits',
      expected: 'limits: and, under it, limits by id',
      fix,
    },
  ];
}

class Reading {
  evaluator: CelEvaluator | undefined;
  readonly problems: (BundleProblem & { readonly at: SourceLocation })[] = [];
  readonly #file: YamlFile;

  constructor(file: YamlFile) {
    this.#file = file;
  }

  limit(id: string, value: unknown): readonly Limit[] {
    const path = ['limits', id];
    const before = this.problems.length;
    if (!LIMIT_ID.test(id)) {
      this.problems.push({
        at: this.#file.atKey(path),
        message: `${JSON.stringify(id.slice(0, 80))} is not a usable id`,
        expected: 'a-z, 0-9 and -, at most 64 characters',
        fix: 'Rename the limit, for instance: refunds-per-day',
      });
    }
    const shape = limitSchema.safeParse(value);
    const kind = textOf(value, 'kind') ?? '';
    for (const issue of shape.error?.issues ?? []) this.#shapeProblem(id, kind, value, issue);
    const found: Record<string, LimitExpression> = {};
    for (const field of Object.keys(TERMS) as (keyof typeof TERMS)[]) {
      const source = textOf(value, field);
      if (source === undefined || FIELDS[kind]?.includes(field) !== true) continue;
      const expression = this.#expression(id, field, source);
      if (expression !== undefined) found[field] = expression;
    }
    if (!shape.success || this.problems.length > before) return [];
    return [toLimit(id, shape.data, found, this.#file)];
  }

  #shapeProblem(id: string, kind: string, value: unknown, issue: z.core.$ZodIssue): void {
    const path = ['limits', id, ...issue.path];
    const of = kind === '' ? 'a limit' : `a ${kind}`;
    const name = `limits.${id.slice(0, 64)}`;
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) {
        this.problems.push({
          at: this.#file.atKey([...path, key]),
          message: `${name}: ${JSON.stringify(key.slice(0, 64))} is unknown`,
          expected: `${of} has ${(FIELDS[kind] ?? []).join(', ')}`,
          fix: 'Correct its name, or take it out.',
        });
      }
      return;
    }
    const [field] = issue.path;
    if (field === undefined) {
      this.problems.push({
        at: this.#file.at(path),
        message: `${name} is no map`,
        expected: `a limit with ${expectedOf(kind, 'kind')} as its kind`,
        fix: 'Write its fields under it, each on a line of its own.',
      });
      return;
    }
    const given = (value as Record<PropertyKey, unknown>)[field];
    const fix = issue.code === 'custom' && typeof issue.params?.['fix'] === 'string' ? issue.params['fix'] : undefined;
    const expected = expectedOf(kind, String(field));
    const wrong =
      issue.code === 'custom' ? issue.message : `${JSON.stringify(given)?.slice(0, 80) ?? 'nothing'} will not do`;
    this.problems.push({
      at: this.#file.at(path),
      message: `${name}: ${given === undefined ? `${of} needs ${String(field)}` : `${String(field)}: ${wrong}`}`,
      expected,
      fix: fix ?? `Give ${String(field)} ${expected}.`,
    });
  }

  #expression(id: string, field: keyof typeof TERMS, source: string): LimitExpression | undefined {
    const path = ['limits', id, field];
    try {
      const { program, uses } = compileCel<string>(source, MAX_EXPRESSION, TERMS[field]);
      this.evaluator ??= new CelEvaluator(COST);
      const evaluate = this.evaluator.plan(program);
      return { evaluate, readsAgent: uses.includes('agent'), place: this.#file.at(path) };
    } catch (error) {
      if (!(error instanceof CelProblem)) throw error;
      const { place, exact } = this.#file.within(path, source, error.offset ?? 0);
      const where = exact || error.offset === undefined ? '' : ` (${position(source, error.offset)} of the expression)`;
      this.problems.push({
        at: place,
        message: `limits.${id.slice(0, 64)}: ${field} ${error.message}${where}`,
        expected: error.expected,
        fix: error.fix,
      });
      return undefined;
    }
  }
}

function inFileOrder({ at: a }: { readonly at: SourceLocation }, { at: b }: { readonly at: SourceLocation }): number {
  return a.line - b.line || a.column - b.column;
}

function textOf(value: unknown, field: string): string | undefined {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, field)) return undefined;
  const text = (value as Record<string, unknown>)[field];
  return typeof text === 'string' ? text : undefined;
}

function toLimit(id: string, shape: LimitShape, { when, amount, settled }: Expressions, file: YamlFile): Limit {
  const declared = { id, place: file.atKey(['limits', id]), ...(when === undefined ? {} : { when }) };
  if (shape.kind === 'depth') return { ...declared, kind: shape.kind, max: shape.max };
  const counted = { ...declared, scope: shape.scope, atLimit: shape.atLimit ?? ({ kind: 'deny' } as const) };
  switch (shape.kind) {
    case 'budget': {
      const { kind, max, unit } = shape;
      if (amount === undefined) throw new TypeError('a budget without an amount passed its schema');
      const optional = { ...(settled === undefined ? {} : { settled }), ...windowOf(shape) };
      return { ...counted, kind, max, unit, amount, ...optional };
    }
    case 'count':
      return {
        ...counted,
        kind: shape.kind,
        max: shape.max,
        ...windowOf(shape),
      };
    case 'rate':
      return { ...counted, kind: shape.kind, capacity: shape.burst ?? shape.max, refillMs: shape.per / shape.max };
    case 'concurrency':
      return { ...counted, kind: shape.kind, max: shape.max };
    case 'breaker': {
      const { kind, window, minimum, ratio, open, probes = 1 } = shape;
      return { ...counted, kind, windowMs: window, minimum, ratio, openMs: open, probes };
    }
  }
}

function windowOf({ window, timezone }: Pick<Extract<LimitShape, { kind: 'count' }>, 'window' | 'timezone'>): {
  readonly window?: LimitWindow;
} {
  if (window === undefined) return {};
  return { window: window.kind === 'fixed' && timezone !== undefined ? { ...window, timezone } : window };
}
