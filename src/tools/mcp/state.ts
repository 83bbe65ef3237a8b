/** The state that a tool can change, by its probes, and whether it shows what it must. */
import type { Json, JsonObject } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import type { Preview } from '../../action/decision.js';
import type { Execution } from '../tool.js';
import { scopeOf, type McpInput } from './input.js';
import type { DeclaredTool } from './declared-tool.js';
import { readFrom } from './declared-read.js';
import type { Upstream } from './upstream.js';

/** @throws CountersignError TOOL_UNAVAILABLE (retryable), TOOL_FAILED, TOOL_CHANGED, TOO_MANY_ROWS */
export async function stateOf(
  upstream: Upstream,
  { probes }: DeclaredTool,
  input: McpInput,
  execution: Execution | undefined,
  signal: AbortSignal,
): Promise<State> {
  const scope = scopeOf(input, execution === undefined ? {} : { result: execution.result });
  const read = probes.map(async (probe) => [probe.name, await readFrom(upstream, probe, scope, signal)] as const);
  return Object.fromEntries(await Promise.all(read));
}

/** An effect on something that is not there does not do what the agent was asked to do. */
export function refusalOf({ probes, name }: DeclaredTool, state: State): Pick<Preview, 'refusal'> {
  const missing = probes.find((probe) => probe.mustFind && isNothing(state[probe.name] ?? null));
  if (missing === undefined) return {};
  return {
    refusal: {
      code: 'NOTHING_MATCHED',
      message: `There is no ${missing.name} for ${name} to change; nothing was done.`,
      field: 'input',
      expected: `something that the probe ${missing.name} finds`,
      fix: 'Look at what is there, and correct the input.',
    },
  };
}

export function isNothing(found: Json): boolean {
  return found === null || (Array.isArray(found) && found.length === 0);
}

/** As the preview shows it. */
export function sampleOf(state: State): readonly JsonObject[] {
  return Object.entries(state).map(([name, value]) => ({ [name]: value }));
}
