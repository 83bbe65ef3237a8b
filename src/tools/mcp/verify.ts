/** Verifies an effect by the probes: what must be true is true, and nothing else in the state changed. Pure. */
import type { Check } from '../../action/outcome.js';
import { check } from '../expected-rows.js';
import { fillPointer } from '../http/fill.js';
import { frame } from '../http/verify.js';
import type { ObservedEffect } from '../tool.js';
import { conditionInput, scopeOf, type McpInput } from './input.js';
import type { DeclaredTool } from './declared-tool.js';

export function verifyCall(operation: DeclaredTool, effect: ObservedEffect<McpInput>): readonly Check[] {
  const { input, pre, post, execution } = effect;
  const checks = [answered(effect)];
  if (operation.actionType === 'READ') return [...checks, frame(effect, [])];
  const values = { input: conditionInput(input), pre, post, result: execution?.result ?? null };
  // A reference that leads nowhere allows nothing.
  const allowed = operation.changes.flatMap((pointer) => fillPointer(pointer, scopeOf(input)) ?? []);
  return [...checks, ...operation.ensures.map((ensure) => ensure(values)), frame(effect, allowed)];
}

/** The server's claim that it is done is required, but never sufficient. */
function answered({ execution }: ObservedEffect<McpInput>): Check {
  const result = execution?.result;
  const ok = typeof result === 'object' && result !== null && !('isError' in result);
  return check('answered', ok ? [] : ['the server has not answered that it is done']);
}
