/** The MCP server of one request: the tools that its agent may name, and what becomes of calls of them. */
import { createRequire } from 'node:module';
import {
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type CallToolResult,
  type ServerContext,
  type Tool as McpTool,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { withoutUndefined, type JsonObject } from '../../action/json.js';
import { statusOf } from '../middleware/problem.js';
import { asCountersignError, ERROR_CODES } from '../../action/errors.js';
import { errorAnswer } from './answers.js';
import { AWAIT_ACTION, awaitAction, call, DRY_RUN, tryCall, type Caller } from './call.js';
import { mcpToolOf, offeredTo, type Offered } from './offered.js';
import { serveResourcesAndPrompts } from './resources-and-prompts.js';
import { callAsTask, hasTasks, serveTasks, TASKS } from './tasks.js';

const { version } = createRequire(import.meta.url)('countersign/package.json') as { version: string };

const RESERVED: ReadonlySet<string> = new Set([AWAIT_ACTION, DRY_RUN]);
const PAGE = 100;

const INSTRUCTIONS = `Each call of a tool is proposed as an action. Policy decides it, people may have to approve it, and what it did is verified in the real system.
A denied call says why and what would be accepted; the same call again is of no use. A call that waits for people says so: do not repeat it, but call ${AWAIT_ACTION} with its actionId.
To hear beforehand what would come of a call, call ${DRY_RUN}: nothing is done then.`;

const AWAIT_TOOL: McpTool = {
  name: AWAIT_ACTION,
  description:
    'Waits for an action that was not done yet, such as one that people have to approve, and tells what came of it.',
  inputSchema: {
    type: 'object',
    properties: { actionId: { type: 'string', description: 'The id that the call returned.' } },
    required: ['actionId'],
    additionalProperties: false,
  },
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
};

const DRY_RUN_TOOL: McpTool = {
  name: DRY_RUN,
  description:
    'Tells what would come of a call of another tool: whether policy allows it, who would have to approve it, and what it would change. Nothing is done.',
  inputSchema: {
    type: 'object',
    properties: {
      tool: { type: 'string', description: 'The name of the tool, as it is listed here.' },
      arguments: { type: 'object', description: 'What it would be called with.' },
    },
    required: ['tool'],
    additionalProperties: false,
  },
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
};
const dryRunArguments = z.strictObject({
  tool: z.string().min(1).max(128),
  arguments: z.record(z.string(), z.unknown()).optional(),
});
const awaitArguments = z.strictObject({ actionId: z.string().min(1).max(128) });

/** @param options `isModern`: 2026-07-28, where clients can listen for changes of the list, and have calls that take long as tasks */
export function mcpServer(caller: Caller, { isModern }: { readonly isModern: boolean }): Server {
  const common = { resources: {}, prompts: {} };
  const capabilities = isModern
    ? { ...common, tools: { listChanged: true }, extensions: { [TASKS]: {} } }
    : { ...common, tools: {} };
  const server = new Server({ name: 'countersign', version }, { capabilities, instructions: INSTRUCTIONS });
  if (isModern) serveTasks(server, caller);
  server.setRequestHandler('tools/list', async ({ params }) => {
    const all = [AWAIT_TOOL, DRY_RUN_TOOL, ...(await offered(caller)).map(mcpToolOf)];
    const from = startOf(params?.cursor);
    const next = from + PAGE;
    return { tools: all.slice(from, next), ...(next < all.length ? { nextCursor: String(next) } : {}) };
  });
  server.setRequestHandler('tools/call', async ({ params }, ctx) => {
    const { name, arguments: args = {} } = params;
    return await told(caller, () => answered(caller, name, args as JsonObject, ctx));
  });
  serveResourcesAndPrompts(
    server,
    () => offered(caller),
    (each, args, ctx) => told(caller, () => call(caller, each, args, ctx)),
  );
  return server;
}

/** Tells an error to the model, which can act on it. */
async function told(caller: Caller, body: () => Promise<CallToolResult>): Promise<CallToolResult> {
  try {
    return await body();
  } catch (thrown) {
    if (thrown instanceof ProtocolError) throw thrown;
    return failed(caller, thrown);
  }
}

async function answered(caller: Caller, name: string, args: JsonObject, ctx: ServerContext): Promise<CallToolResult> {
  if (name === AWAIT_ACTION) {
    const parsed = awaitArguments.safeParse(args);
    if (parsed.success) return await awaitAction(caller, parsed.data.actionId, ctx);
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, `${AWAIT_ACTION} takes an actionId, and nothing else.`);
  }
  if (name === DRY_RUN) {
    const parsed = dryRunArguments.safeParse(args);
    if (!parsed.success)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `${DRY_RUN} takes a tool and its arguments.`);
    const { tool, arguments: given = {} } = parsed.data;
    return await tryCall(caller, await offeredAs(caller, tool), given as JsonObject, ctx);
  }
  const tool = await offeredAs(caller, name);
  return hasTasks(ctx) ? await callAsTask(caller, tool, args, ctx) : await call(caller, tool, args, ctx);
}

/** @throws ProtocolError */
async function offeredAs(caller: Caller, name: string): Promise<Offered> {
  const found = (await offered(caller)).find((one) => one.name === name);
  if (found !== undefined) return found;
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'There is no such tool, or not for you.');
}

/** A call that did not become an action, or that could not be followed. Of the system's own faults only the code is told. */
function failed({ deps }: Caller, thrown: unknown): CallToolResult {
  const error = asCountersignError(thrown);
  if (statusOf(error.code) < 500) return errorAnswer(error.toJSON());
  deps.logger.error({ err: thrown }, 'a tool call failed');
  const { code, retryAfterMs } = error;
  return errorAnswer(withoutUndefined({ code, message: ERROR_CODES[code], retryAfterMs }));
}

async function offered({ deps, agent }: Caller): Promise<readonly Offered[]> {
  return offeredTo(agent, await deps.ledger.catalogue.tools(deps.taskQueue), RESERVED);
}

/** @throws ProtocolError */
function startOf(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (/^[1-9]\d{0,6}$/.test(cursor)) return Number(cursor);
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'The cursor is not one that this server gave.');
}
