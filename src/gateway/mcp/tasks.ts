/**
 * The tasks extension of 2026-07-28 (SEP-2663): a call whose action takes longer, as one that people have to approve, answers a client that has the extension with a
 * task. The task is the action, under its id: it is there before the client hears of it, and outlives this gateway. What a client sends to a task decides nothing.
 */
import {
  CLIENT_CAPABILITIES_META_KEY,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type CallToolResult,
  type ClientCapabilities,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import type { JsonObject } from '../../action/json.js';
import { findFor, type OwnAction } from '../api/found.js';
import { outcomeOf } from '../api/views.js';
import { answerOf, openText } from './answers.js';
import { AWAIT_ACTION, awaited, proposed, traced, type Caller } from './call.js';
import type { Offered } from './offered.js';

/** Its name among capabilities. */
export const TASKS = 'io.modelcontextprotocol/tasks';

/** How often a client is to ask. Milliseconds. */
const POLL_MS = 2_000;

const taskParams = z.object({ taskId: z.string().min(1).max(128) });

/** Whether the client says with this request that it has the extension: what it said with another does not count. */
export function hasTasks({ mcpReq }: ServerContext): boolean {
  // The SDK has held it against its schema, and types none of its members.
  const envelope = mcpReq.envelope as Readonly<Record<string, unknown>> | undefined;
  const capabilities = envelope?.[CLIENT_CAPABILITIES_META_KEY] as ClientCapabilities | undefined;
  return capabilities?.extensions?.[TASKS] !== undefined;
}

/** As `call`, but what has not ended by then is a task. */
export async function callAsTask(
  caller: Caller,
  offered: Offered,
  args: JsonObject,
  ctx: ServerContext,
): Promise<CallToolResult> {
  const found = await traced(offered, ctx, () => proposed(caller, offered, args, ctx));
  if (outcomeOf(found) !== undefined || ctx.mcpReq.signal.aborted) return await awaited(caller, found, ctx);
  // The SDK types the results of the core protocol only, and passes this one through.
  return { ...openTask(found), resultType: 'task' } as unknown as CallToolResult;
}

export function serveTasks(server: Server, caller: Caller): void {
  server.setRequestHandler('tasks/get', { params: taskParams }, async ({ taskId }, ctx) =>
    taskOf(await ownTask(caller, taskId, ctx)),
  );
  server.setRequestHandler('tasks/cancel', { params: taskParams }, async ({ taskId }, ctx) => {
    const { tenant, actionId } = await ownTask(caller, taskId, ctx);
    await caller.deps.countersign.cancel(actionId, tenant);
    return {};
  });
  // No task asks its client for anything: people decide, and not here. Answers to what was never asked are ignored.
  server.setRequestHandler('tasks/update', { params: taskParams }, async ({ taskId }, ctx) => {
    await ownTask(caller, taskId, ctx);
    return {};
  });
}

/** @throws ProtocolError when the client does not have the extension, or there is no such action of the agent's */
async function ownTask({ deps, agent }: Caller, taskId: string, ctx: ServerContext): Promise<OwnAction> {
  if (!hasTasks(ctx)) {
    throw new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [TASKS]: {} } } });
  }
  return await findFor(deps, agent, taskId).catch((error: unknown) => {
    if (!(error instanceof CountersignError) || error.code !== 'NOT_FOUND') throw error;
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'There is no such task, or not for you.');
  });
}

function taskOf(found: OwnAction): JsonObject {
  const outcome = outcomeOf(found);
  if (outcome === undefined) return openTask(found);
  const { actionId } = found;
  if (outcome.status === 'cancelled') {
    return { ...timesOf(found), taskId: actionId, status: 'cancelled', statusMessage: outcome.reason };
  }
  // A refusal is a result too: `failed` is for calls that were none.
  const result = { resultType: 'complete', ...answerOf(found, AWAIT_ACTION) } as unknown as JsonObject;
  return { ...timesOf(found), taskId: actionId, status: 'completed', result };
}

function openTask(found: OwnAction): JsonObject {
  return { ...timesOf(found), taskId: found.actionId, status: 'working', statusMessage: openText(found) };
}

function timesOf({ archived, started }: OwnAction): JsonObject {
  const createdAt = archived?.proposedAt ?? started?.proposedAt ?? new Date().toISOString();
  // What became of an action is kept for good.
  return { createdAt, lastUpdatedAt: archived?.endedAt ?? createdAt, ttlMs: null, pollIntervalMs: POLL_MS };
}
