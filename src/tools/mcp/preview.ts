/** Previews a call, for policies and people: what it would touch, from the current state of the server. */
import type { Preview } from '../../action/decision.js';
import { sanitize } from '../../presentation/sanitize.js';
import { at } from '../http/pointer.js';
import type { McpInput } from './input.js';
import { annotationsOf, toolsOf, type DeclaredTool } from './declared-tool.js';
import { refusalOf, sampleOf, stateOf } from './state.js';
import type { Upstream } from './upstream.js';

const MAX_SUMMARY = 300;

/** @throws CountersignError TOOL_CHANGED, TOOL_UNAVAILABLE (retryable), TOOL_FAILED */
export async function previewOf(
  upstream: Upstream,
  operation: DeclaredTool,
  input: McpInput,
  signal: AbortSignal,
): Promise<Preview> {
  await upstream.assertUnchanged(toolsOf(operation), signal);
  const isRead = operation.actionType === 'READ';
  const state = isRead ? {} : await stateOf(upstream, operation, input, undefined, signal);
  const warnings = isRead ? [] : warningsOf(upstream, operation);
  return {
    rows: rowsOf(operation, input),
    targets: isRead ? [] : [operation.target],
    reads: isRead ? [operation.target] : [],
    schemaChange: false,
    sample: sampleOf(state),
    summary: summaryOf(upstream, operation, input),
    ...(warnings.length === 0 ? {} : { warnings }),
    ...refusalOf(operation, state),
  };
}

function warningsOf({ pinned }: Upstream, { name, idempotency, actionType }: DeclaredTool): readonly string[] {
  const { destructiveHint } = annotationsOf(pinned, name);
  return [
    ...(idempotency === 'none' ? ['It cannot be repeated safely: a lost answer leaves it unknown.'] : []),
    ...(destructiveHint === true && actionType !== 'DELETE'
      ? ['The server says that it may destroy what is there.']
      : []),
  ];
}

/** The number of items in the list in the arguments that the config names, or 1. */
function rowsOf({ rows }: DeclaredTool, { arguments: args }: McpInput): number {
  const items = rows === undefined ? undefined : at(args, rows);
  return Array.isArray(items) ? items.length : 1;
}

/** Describes the call: `write_file on files: {"path":"/notes/a.txt","content":"…"}`. */
function summaryOf({ secrets, tool }: Upstream, { name }: DeclaredTool, { arguments: args = {} }: McpInput): string {
  return sanitize(secrets.strike(`${name} on ${tool}: ${JSON.stringify(args)}`), { max: MAX_SUMMARY });
}
