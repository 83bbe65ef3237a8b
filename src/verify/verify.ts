/** Runs the checks that decide between success and mismatch: of the tool, the constraints, the operator and the agent. */
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
  /** Absent when a look-up found the effect and its result is not known. */
  readonly execution?: Execution | undefined;
  /** The expectations of the proposal. */
  readonly expect?: Proposal['expect'];
  /** The constraints of the decision. */
  readonly constraints?: readonly Constraint[];
  /** The operator's invariants for this tool. */
  readonly invariants?: readonly Invariant[] | undefined;
  /** Present when the tool took a sample before the effect. */
  readonly sample?: { readonly before: State; readonly after: Sample } | undefined;
  readonly runner: ExpectationRunner;
}

/** How many undone parts a check names; it only counts the others. */
const SHOWN = 5;

/**
 * Checks an effect against what was expected. Never rejects: an error is a failed check. It returns at least one check; a tool that derives
 * none yields a failed check too, because success must mean verified.
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
    ...(await checkInvariants(invariants, { pre, post }, runner)),
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
  // A tool may be written without types, and one that returns a promise has not verified anything yet.
  if (!Array.isArray(checks) || checks.length === 0) return [failed('derived', 'The tool derived no check.')];
  return checks.map((check: Partial<Check> | null) => {
    const name = typeof check?.name === 'string' ? check.name : 'derived';
    const detail = typeof check?.detail === 'string' ? check.detail : undefined;
    if (check?.ok === true) return { name, ok: true, ...(detail === undefined ? {} : { detail }) };
    return failed(name, detail ?? 'The check does not hold.');
  });
}

/** Fails when the tool reports that it did not do a part. Whether it really did the others is for the other checks. */
function partsCheck(execution: Execution | undefined): readonly Check[] {
  if (execution?.parts === undefined) return [];
  const { parts } = execution;
  const undone = parts.filter(({ done }) => !done);
  if (undone.length === 0) return [{ name: 'parts', ok: true }];
  const described = undone
    .slice(0, SHOWN)
    .map(({ name, detail }) => (detail === undefined ? name : `${name} (${detail})`));
  const more = undone.length > SHOWN ? `; and ${undone.length - SHOWN} more` : '';
  const count = `${parts.length - undone.length} of ${parts.length} parts were done`;
  return [failed('parts', `${count}; not done: ${described.join('; ')}${more}`.slice(0, 2000))];
}

/** Checks the ceiling on rows, by the system's own count. It is the only constraint that can be checked from outside the tool. */
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
