/** An MCP client that has the tasks extension: the extension's own, which the SDK's client leaves to send its requests by itself. */
import type { Client } from '@modelcontextprotocol/client';
import {
  createTaskSessionFromClient,
  type RawClientDispatch,
  type TaskEnabledSession,
} from '@modelcontextprotocol/ext-tasks/client';

const PROTOCOL = '2026-07-28';
const FRAMING = { protocolVersion: PROTOCOL, clientInfo: { name: 'tasks', version: '1' }, clientCapabilities: {} };

/** @param headers with the agent's credential */
export function tasksOf(client: Client, url: string, headers: Readonly<Record<string, string>>): TaskEnabledSession {
  const rawDispatch: RawClientDispatch = async (request, { signal, context } = {}) => {
    const answer = await sendAsIs(url, { ...headers, ...context?.headers }, request as unknown as McpRequest, signal);
    return 'error' in answer ? { kind: 'error', error: answer.error } : { kind: 'result', result: answer.result };
  };
  return createTaskSessionFromClient(client, { endpointId: 'gateway', rawDispatch, v2RequestFraming: FRAMING });
}

export interface McpRequest {
  readonly method: string;
  readonly params: { readonly name?: string; readonly taskId?: string; readonly _meta?: object };
}

type McpAnswer = { readonly result: never } | { readonly error: { readonly code: number; readonly message: string } };

/** One request of 2026-07-28, as it is on the wire. */
export async function sendAsIs(
  url: string,
  headers: Readonly<Record<string, string>>,
  { method, params }: McpRequest,
  signal?: AbortSignal,
): Promise<McpAnswer> {
  const all = new Headers(headers);
  all.set('content-type', 'application/json');
  all.set('accept', 'application/json, text/event-stream');
  all.set('mcp-protocol-version', PROTOCOL);
  all.set('mcp-method', method);
  all.set('mcp-name', params.name ?? params.taskId ?? '');
  const response = await fetch(`${url}/mcp`, {
    method: 'POST',
    headers: all,
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    ...(signal === undefined ? {} : { signal }),
  });
  return (await response.json()) as McpAnswer;
}
