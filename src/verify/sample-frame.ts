/** The differential frame: a sample of what an action should not change, taken before and after it, must be equal. */
import { asCountersignError, CountersignError } from '../action/errors.js';
import { assertJson, canonical, canonicalBytes } from '../action/json.js';
import type { Check } from '../action/outcome.js';
import type { State } from '../action/snapshot.js';
import type { Execution, SampleOptions, Tool } from '../tools/tool.js';

/** The largest sample, because history carries it twice. Bytes of canonical JSON. */
export const MAX_SAMPLE_BYTES = 16 * 1024;

/** How many targets a check names. */
const SHOWN = 5;

/** A sample, or the reason why there is none after the effect. */
export type Sample = { readonly state: State } | { readonly problem: string };

/**
 * Takes a tool's sample; it is empty for a tool without one. Before the effect every failure is thrown, because nothing has been done and
 * the operator requires the sample. After the effect only retryable errors are thrown; any other makes the check fail.
 *
 * @throws CountersignError as the tool does; TOOL_FAILED when the sample is over 16 KiB
 */
export async function takeSample<I>(
  tool: Pick<Tool<I>, 'sample'>,
  input: I,
  options: SampleOptions & { readonly after: boolean },
  signal: AbortSignal,
): Promise<Sample> {
  const { after, ...rest } = options;
  try {
    const state = (await tool.sample?.(input, rest, { signal })) ?? {};
    assertJson(state, 'sample');
    const bytes = canonicalBytes(state);
    if (bytes <= MAX_SAMPLE_BYTES) return { state };
    throw new CountersignError(
      'TOOL_FAILED',
      `The sample is ${bytes} bytes; at most ${MAX_SAMPLE_BYTES} are carried.`,
      {
        field: 'tool.sample',
        expected: `at most ${MAX_SAMPLE_BYTES} bytes`,
        fix: 'Have the operator sample fewer tables or objects.',
      },
    );
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (!after || error.retryable) throw error;
    return { problem: error.message };
  }
}

export interface Sampled {
  readonly before: State;
  readonly after: Sample;
  /** The action's own rows or objects, captured before it. */
  readonly pre: State;
  readonly execution: Execution | undefined;
}

/**
 * Makes the check `frame.sample`. Others may write at the same time, so a difference fails the check only when the action may have caused
 * it: when the system's own count of the rows that the action wrote (`affectedRows`) does not exclude that. Otherwise the check holds, and
 * its detail says what changed.
 */
export function sampleCheck({ before, after, pre, execution }: Sampled): Check {
  const name = 'frame.sample';
  if ('problem' in after) return { name, ok: false, detail: `The sample could not be taken again: ${after.problem}` };
  const differing = [...new Set([...Object.keys(before), ...Object.keys(after.state)])]
    .filter((target) => textOf(before, target) !== textOf(after.state, target))
    .sort();
  if (differing.length === 0) return { name, ok: true };
  const suspect = differing.filter((target) => !isExcluded(target, pre, execution));
  if (suspect.length === 0) {
    return {
      name,
      ok: true,
      detail: `Other rows changed in ${listed(differing)}: another's doing, because the system's own count of what this action wrote excludes it.`,
    };
  }
  return {
    name,
    ok: false,
    detail: `What the action should leave alone changed in ${listed(suspect)}. It may be another's doing, but nothing excludes that it is this action's.`,
  };
}

/** Whether the action wrote no more rows of the target, by the count of the system, than it captured or created there. */
function isExcluded(target: string, pre: State, execution: Execution | undefined): boolean {
  if (execution?.affectedRows === undefined) return false;
  if (!Object.hasOwn(execution.affectedRows, target)) return true;
  const own = new Set([...keysIn(pre, target), ...keysIn(execution.created ?? {}, target, true)]);
  return (execution.affectedRows[target] ?? 0) <= own.size;
}

function keysIn(holder: object, target: string, listed = false): readonly string[] {
  const rows: unknown = Object.hasOwn(holder, target) ? (holder as Record<string, unknown>)[target] : undefined;
  if (typeof rows !== 'object' || rows === null) return [];
  return listed ? (rows as readonly string[]) : Object.keys(rows);
}

function textOf(state: State, target: string): string {
  const value = Object.hasOwn(state, target) ? state[target] : undefined;
  return value === undefined ? '' : canonical(value);
}

function listed(targets: readonly string[]): string {
  const more = targets.length > SHOWN ? ` and ${targets.length - SHOWN} more` : '';
  return targets.slice(0, SHOWN).join(', ') + more;
}
