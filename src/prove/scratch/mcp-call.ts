/** A tool call over `/mcp`, as an MCP client sends it, of what a case proposes. */
import type { CatalogueTool, OperationDescription } from '../../action/catalogue.js';
import { digest, type JsonObject } from '../../action/json.js';
import { AWAIT_ACTION, DRY_RUN } from '../../gateway/mcp/call.js';
import { offeredTo } from '../../gateway/mcp/offered.js';
import type { GatewayAnswer, ScratchGateway } from './gateway.js';

/** What is called, and with what. */
export interface McpCall {
  readonly name: string;
  readonly arguments: JsonObject;
  readonly _meta?: JsonObject;
}

/** The call that proposes this input; undefined where the tool offers none to MCP clients. */
export function callOf(catalogue: readonly CatalogueTool[], tool: string, input: JsonObject): McpCall | undefined {
  const reserved = new Set([AWAIT_ACTION, DRY_RUN]);
  for (const { name, tool: of, operation } of offeredTo({ scopes: ['*'] }, catalogue, reserved)) {
    const args = of.name === tool ? argumentsOf(operation, input) : undefined;
    if (args !== undefined) return { name, arguments: args };
  }
  return undefined;
}

/** The arguments of an operation, from the input of its tool; undefined where that is of another operation. */
function argumentsOf({ fixed, argumentsIn }: OperationDescription, input: JsonObject): JsonObject | undefined {
  if (Object.entries(fixed).some(([name, value]) => digest(input[name] ?? null) !== digest(value))) return undefined;
  const rest = Object.fromEntries(Object.entries(input).filter(([name]) => !Object.hasOwn(fixed, name)));
  if (argumentsIn === undefined) return rest;
  const { [argumentsIn]: args, ...others } = rest;
  const isObject = typeof args === 'object' && args !== null && !Array.isArray(args);
  return isObject && Object.keys(others).length === 0 ? (args as JsonObject) : undefined;
}

/** The call that waits for an action of somebody. */
export function awaiting(actionId: string): McpCall {
  return { name: AWAIT_ACTION, arguments: { actionId } };
}

/** The call that asks what would come of another. */
export function trying({ name, arguments: args }: McpCall): McpCall {
  return { name: DRY_RUN, arguments: { tool: name, arguments: args } };
}

/** What came of a call: `success` or another status of its action, or the code with which it was refused. */
export async function called(
  gateway: ScratchGateway,
  call: McpCall,
  headers: Readonly<Record<string, string>>,
): Promise<GatewayAnswer> {
  const json = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: call };
  const accept = 'application/json, text/event-stream';
  const answer = await gateway.send('/mcp', { headers: { accept, ...headers }, json });
  return { ...answer, body: toldIn(answer) };
}

/** Names of the tools that somebody is offered. */
export async function offeredTools(
  gateway: ScratchGateway,
  headers: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const json = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} };
  const answer = await gateway.send('/mcp', {
    headers: { accept: 'application/json, text/event-stream', ...headers },
    json,
  });
  const { tools = [] } = (messageIn(answer)['result'] ?? {}) as {
    readonly tools?: readonly { readonly name: string }[];
  };
  return tools.map(({ name }) => name);
}

/** The message of JSON-RPC, as JSON or as the last event of a stream; else the problem that the gateway answered with. */
function messageIn({ body, text }: GatewayAnswer): Readonly<Record<string, unknown>> {
  if (Object.keys(body).length > 0) return body;
  const data = text.split('\n').filter((line) => line.startsWith('data:'));
  const last = data.at(-1)?.slice('data:'.length).trim() ?? '';
  return last === '' ? {} : (JSON.parse(last) as Readonly<Record<string, unknown>>);
}

interface Result {
  readonly isError?: boolean;
  readonly content?: readonly { readonly text?: string }[];
  readonly structuredContent?: { readonly error?: { readonly code?: string } };
  readonly _meta?: Readonly<Record<string, { readonly status?: string; readonly actionId?: string }>>;
}

/** How a call was answered, in one word or sentence. */
export function saidOf({ body, status }: GatewayAnswer): string {
  const { code, status: ended } = body as { code?: unknown; status?: unknown };
  return typeof code === 'string' ? code : typeof ended === 'string' ? ended : String(status);
}

function toldIn(answer: GatewayAnswer): GatewayAnswer['body'] {
  const message = messageIn(answer);
  const { result, error } = message as { result?: Result; error?: { code?: unknown } };
  if (typeof error?.code === 'number') return { code: `JSON-RPC ${error.code}` };
  if (result === undefined) return message;
  const action = result._meta?.['countersign/action'];
  const text = (result.content ?? []).map((one) => one.text ?? '').join('\n');
  const code = result.structuredContent?.error?.code ?? (result.isError === true ? `refused: ${text}` : undefined);
  return {
    ...(code === undefined ? {} : { code }),
    ...(action?.status === undefined ? {} : { status: action.status }),
    ...(action?.actionId === undefined ? {} : { actionId: action.actionId }),
  };
}
