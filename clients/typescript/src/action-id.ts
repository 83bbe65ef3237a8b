/** The id of an action that a model's tool call stands for: the same after a restart, and for the same call sent twice. */
import type { Json, ProposalInput } from './types.js';

interface ToolCall {
  /** The framework's id of the call. */
  readonly id: string;
  /** The conversation: ids of calls are unique within it, as a rule. */
  readonly thread?: string | undefined;
}

/**
 * SHA-256 over thread, call and what would be done. The last is part of it because some models number their calls anew: another call under
 * an id that was used is another action.
 */
export async function actionIdOf({ id, thread }: ToolCall, proposal: ProposalInput): Promise<string> {
  const { tool, input, expect, expectedOutcome, onMismatch } = proposal;
  const named = { id, thread, tool, input, expect, expectedOutcome, onMismatch } as unknown as Json;
  return `call-${(await sha256(canonical(named))).slice(0, 40)}`;
}

const TRACE_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** A thread as a `traceId`, which groups the actions of one conversation. */
export async function traceIdOf(thread: string): Promise<string> {
  return TRACE_ID.test(thread) ? thread : `thread-${(await sha256(thread)).slice(0, 40)}`;
}

async function sha256(text: string): Promise<string> {
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** JSON with the names of objects in order: models and stores of messages do not keep one. */
function canonical(value: Json | undefined): string {
  if (Array.isArray(value)) return `[${value.map((each: Json) => canonical(each)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).filter(([, each]) => each !== undefined);
  const sorted = members.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, each]) => `${JSON.stringify(name)}:${canonical(each)}`).join(',')}}`;
}
