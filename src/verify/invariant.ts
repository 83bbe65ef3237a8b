/** Invariants: the operator's conditions on a tool's system, which every action must keep. They are checked on each captured post-state. */
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import type { Json } from '../action/json.js';
import type { Check } from '../action/outcome.js';
import { CHECK_NAME_PATTERN } from '../action/proposal.js';
import type { State } from '../action/snapshot.js';
import { CelProblem, compileCel, position } from '../cel/compile.js';
import type { CelHelper, Program, Terms } from '../cel/program.js';
import type { ExpectationRunner } from './evaluator.js';
import { MAX_EXPECTATION_LENGTH } from './expectation.js';
import { DATA_HELPERS } from './helpers.js';
import { referencedTables } from './referenced-tables.js';

/** An invariant as an operator writes it. */
export interface InvariantOptions {
  /** Part of the check's name: `invariant.<name>`. */
  readonly name: string;
  /**
   * A CEL expression over `state`, the captured rows or objects: `rows(state.products).all(p, p.stock >= 0)`. It is checked for those
   * actions whose captured state has every table that it names.
   */
  readonly cel: string;
  /** The text that people read when the invariant is broken. */
  readonly reason: string;
}

/** An invariant that compiled. */
export interface Invariant extends InvariantOptions {
  readonly uses: readonly 'state'[];
  readonly program: Program;
  /** The tables that it needs. It applies only when all of them were captured. */
  readonly tables: readonly string[];
}

/** The most invariants of one tool. */
const MAX_INVARIANTS = 50;

const TERMS: Terms<'state'> = {
  roots: ['state'],
  bare: [],
  yields: 'boolean',
  loops: 2,
  helpers: new Map<string, CelHelper<'state'>>(DATA_HELPERS),
  example: 'rows(state.products).all(p, p.stock >= 0)',
};

const optionsSchema = z
  .array(
    z.strictObject({
      name: z.string().regex(CHECK_NAME_PATTERN),
      cel: z.string(),
      reason: z.string().min(1).max(300),
    }),
  )
  .max(MAX_INVARIANTS);

/**
 * Compiles the invariants of each tool.
 *
 * @param tools the names of all configured tools
 * @throws CountersignError CONFIG_INVALID with the field: `invariants.shop-db.0.cel`
 */
export function compileInvariants(
  config: Readonly<Record<string, readonly InvariantOptions[]>>,
  tools: readonly string[],
): ReadonlyMap<string, readonly Invariant[]> {
  return new Map(
    Object.entries(config).map(([tool, list]) => {
      if (!tools.includes(tool)) {
        throw invalid(`invariants.${tool}`, `There is no tool named ${tool}.`, {
          expected: `one of: ${tools.join(', ') || '(no tool is configured)'}`,
          fix: 'Correct the name.',
        });
      }
      return [tool, compileList(tool, list)];
    }),
  );
}

function compileList(tool: string, list: readonly InvariantOptions[]): readonly Invariant[] {
  const parsed = optionsSchema.safeParse(list);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = ['invariants', tool, ...(issue?.path ?? [])].map(String).join('.');
    throw invalid(field, `${field}: ${issue?.message ?? 'is not a list of invariants'}.`, {
      expected: `at most ${MAX_INVARIANTS} of {name, cel, reason}`,
      fix: `Correct ${field}.`,
    });
  }
  const names = new Set<string>();
  return parsed.data.map((options, at) => {
    const field = `invariants.${tool}.${at}`;
    if (names.has(options.name)) {
      throw invalid(`${field}.name`, `There are two invariants named ${options.name}.`, {
        expected: 'a name that no other invariant of the tool has',
        fix: 'Rename one of the two.',
      });
    }
    names.add(options.name);
    return compileOne(options, `${field}.cel`);
  });
}

function compileOne(options: InvariantOptions, field: string): Invariant {
  try {
    const compiled = compileCel(options.cel, MAX_EXPECTATION_LENGTH, TERMS);
    return { ...options, ...compiled, tables: referencedTables(compiled.program, 'state') };
  } catch (error) {
    if (!(error instanceof CelProblem)) throw error;
    const { message, offset, expected, fix } = error;
    const where = offset === undefined ? '' : ` (${position(options.cel, offset)})`;
    throw invalid(field, `The invariant ${options.name} ${message}${where}.`, { expected, fix, cause: error.cause });
  }
}

function invalid(field: string, message: string, hints: { expected: string; fix: string; cause?: unknown }) {
  return new CountersignError('CONFIG_INVALID', message, { field, ...hints });
}

/** The invariants that apply to this state. */
function applicable(invariants: readonly Invariant[], state: State): readonly Invariant[] {
  return invariants.filter(({ tables }) => tables.every((table) => Object.hasOwn(state, table)));
}

/** Checks each invariant that applies to the post-state. Never rejects. It runs one at a time, so that other actions get a turn. */
export async function checkInvariants(
  invariants: readonly Invariant[],
  states: { readonly pre: State; readonly post: State },
  runner: ExpectationRunner,
): Promise<readonly Check[]> {
  const checks: Check[] = [];
  for (const invariant of applicable(invariants, states.post)) {
    checks.push(await checkInvariant(invariant, states, runner));
  }
  return checks;
}

/**
 * Evaluates the applicable invariants on the state before the effect, only to measure their cost.
 *
 * @throws CountersignError CONFIG_INVALID when one exceeds a limit
 */
export async function rehearseInvariants(
  invariants: readonly Invariant[],
  pre: State,
  runner: ExpectationRunner,
): Promise<void> {
  for (const invariant of applicable(invariants, pre)) {
    const { costly, detail } = await runner.judge(invariant, { state: pre });
    if (!costly) continue;
    throw invalid(`invariants.${invariant.name}`, `The invariant ${invariant.name} ${detail ?? 'is too costly'}.`, {
      expected: 'an expression that is cheap on as many rows as one action may touch',
      fix: 'Have the operator simplify it, or touch fewer rows.',
    });
  }
}

async function checkInvariant(
  invariant: Invariant,
  { pre, post }: { readonly pre: State; readonly post: State },
  runner: ExpectationRunner,
): Promise<Check> {
  const name = `invariant.${invariant.name}`;
  const { ok, broken, detail } = await runner.judge(invariant, { state: post });
  if (ok) return { name, ok };
  if (broken === true && (await wasBroken(invariant, { pre, post }, runner))) {
    return { name, ok: true, detail: `It was broken before, and not by this action: ${invariant.reason}` };
  }
  return { name, ok: false, detail: `${invariant.reason} (the invariant ${detail ?? 'does not hold'})` };
}

/**
 * Whether the invariant was broken before the action, and the action broke nothing more. When it was broken before, the rows that the
 * action changed are checked alone as well: if the invariant held for them before and is broken now, the action broke it.
 */
async function wasBroken(
  invariant: Invariant,
  { pre, post }: { readonly pre: State; readonly post: State },
  runner: ExpectationRunner,
): Promise<boolean> {
  const whole = await runner.judge(invariant, { state: pre });
  if (whole.broken !== true) return false;
  const before = await runner.judge(invariant, { state: differing(pre, post) });
  const after = await runner.judge(invariant, { state: differing(post, pre) });
  return !(before.ok && after.broken === true);
}

/** The rows that are absent or different in the other state. */
function differing(state: State, other: State): State {
  return Object.fromEntries(
    Object.entries(state).map(([table, rows]): [string, Json] => {
      const others = Object.hasOwn(other, table) ? other[table] : undefined;
      if (!isTable(rows) || !isTable(others)) return [table, rows];
      const isSame = (key: string, row: Json) =>
        Object.hasOwn(others, key) && JSON.stringify(others[key]) === JSON.stringify(row);
      return [table, Object.fromEntries(Object.entries(rows).filter(([key, row]) => !isSame(key, row)))];
    }),
  );
}

function isTable(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
