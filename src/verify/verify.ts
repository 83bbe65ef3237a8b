/** The checks that decide between success and mismatch: the tool's own, the constraints', the operator's and the agent's. */
import type { Constraint, Preview } from '../action/decision.js';
import { asCountersignError } from '../action/errors.js';
import type { Check } from '../action/outcome.js';
import type { Proposal } from '../action/proposal.js';
import type { Delta, State } from '../action/snapshot.js';
import type { ObservedEffect, Execution, Tool } from '../tools/tool.js';
import type { ExpectationRunner } from './evaluator.js';
import { compileExpectations } from './expectation.js';
import { sampleCheck, type Sample } from './sample-frame.js';
import { checkInvariants, type Invariant } from './invariant.js';

export interface Verification<I> {
  readonly tool: Pick<Tool<I>, 'verify'>;
  readonly input: I;
  readonly preview: Preview;
  readonly pre: State;
  readonly post: State;
  readonly delta: Delta;
  /** Absent when the effect was found by look-up and its result is not known. */
  readonly execution?: Execution | undefined;
  /** The proposal's. */
  readonly expect?: Proposal['expect'];
  /** The decision's. */
  readonly constraints?: readonly Constraint[];
  /** The operator's, of this tool. */
  readonly invariants?: readonly Invariant[] | undefined;
  /** Of a tool that sampled before the effect. */
  readonly sample?: { readonly before: State; readonly after: Sample } | undefined;
  readonly runner: ExpectationRunner;
}

/** Parts not done that a check names; the others are counted. */
const SHOWN = 5;

/**
 * Checks an effect against what was expected. Never rejects: what throws is a failed check. At least one check comes back, and
 * a tool that derives none is a failed check too, because success means verified.
 */
export async function verifyEffect<I>(verification: Verification<I>): Promise<readonly Check[]> {
  const derived = toolChecks(verification);
  const honoured = constraintChecks(verification);
  const { sample, pre, post, execution, invariants = [], runner } = verification;
  return [
    ...derived,
    ...partsCheck(execution),
    ...honoured,
    ...(sample === undefined ? [] : [sampleCheck({ ...sample, pre, execution })]),
    ...(invariants.length === 0 ? [] : await checkInvariants(invariants, { pre, post }, runner)),
    ...(await expectationChecks(verification)),
  ];
}

/** Whether there are checks and each of them holds. */
export function allHold(checks: readonly Check[]): boolean {
  return checks.length > 0 && checks.every(({ ok }) => ok);
}

function toolChecks<I>({ tool, input, preview, pre, post, delta, execution }: Verification<I>): readonly Check[] {
  const effect: ObservedEffect<I> = { input, preview, pre, post, delta, execution };
  let checks: unknown;
  try {
    checks = tool.verify(effect);
  } catch (error) {
    return [failed('derived', `The tool's verification failed: ${asCountersignError(error).message}`)];
  }
  // A tool may be written without types; one that answers with a promise has not verified anything yet.
  if (!Array.isArray(checks) || checks.length === 0) return [failed('derived', 'The tool derived no check.')];
  return checks.map((check: Partial<Check> | null) => {
    const name = typeof check?.name === 'string' ? check.name : 'derived';
    const detail = typeof check?.detail === 'string' ? check.detail : undefined;
    if (check?.ok === true) return { name, ok: true, ...(detail === undefined ? {} : { detail }) };
    return failed(name, detail ?? 'The check does not hold.');
  });
}

/** What the tool itself says it did not do. That it did the rest is its word, which the other checks are for. */
function partsCheck(execution: Execution | undefined): readonly Check[] {
  if (execution?.parts === undefined) return [];
  const { parts } = execution;
  const open = parts.filter(({ done }) => !done);
  if (open.length === 0) return [{ name: 'parts', ok: true }];
  const named = open.slice(0, SHOWN).map(({ name, detail }) => (detail === undefined ? name : `${name} (${detail})`));
  const more = open.length > SHOWN ? `; and ${open.length - SHOWN} more` : '';
  const count = `${parts.length - open.length} of ${parts.length} parts were done`;
  return [failed('parts', `${count}; not done: ${named.join('; ')}${more}`.slice(0, 2000))];
}

/** The only constraint that can be checked from outside the tool is the row ceiling, by what the system itself counted. */
function constraintChecks<I>({ constraints = [], execution }: Verification<I>): readonly Check[] {
  if (execution?.affectedRows === undefined) return [];
  const affectedRows = Object.values(execution.affectedRows).reduce((sum, rows) => sum + rows, 0);
  return constraints
    .filter(({ name }) => name === 'maxRows')
    .map(({ name, value }) => {
      const ok = typeof value === 'number' && affectedRows <= value;
      const check = `constraint.${name}`;
      return ok
        ? { name: check, ok }
        : failed(check, `${affectedRows} rows were changed; ${String(value)} were allowed.`);
    });
}

async function expectationChecks<I>(verification: Verification<I>): Promise<readonly Check[]> {
  const { expect, runner, pre, post, delta, execution } = verification;
  if (expect === undefined) return [];
  const values = { pre, post, delta, result: execution?.result ?? null };
  try {
    const checks: Check[] = [];
    for (const expectation of compileExpectations(expect)) checks.push(await runner.evaluate(expectation, values));
    return checks;
  } catch (error) {
    return [failed('expect', asCountersignError(error).message)];
  }
}

function failed(name: string, detail: string): Check {
  return { name, ok: false, detail };
}
