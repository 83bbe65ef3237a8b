/** A tool call as an action: proposed in the agent's name, waited for, and cancelled with the call. */
import { randomUUID } from 'node:crypto';
import { SpanKind, trace } from '@opentelemetry/api';
import type { CallToolResult, ServerContext } from '@modelcontextprotocol/server';
import { inputOf } from '../../action/catalogue.js';
import { CountersignError } from '../../action/errors.js';
import type { JsonObject } from '../../action/json.js';
import { ACTION_ID_PATTERN } from '../../action/proposal.js';
import { findFor, type OwnAction } from '../api/found.js';
import { dryRun } from '../api/dry-runs.js';
import { propose } from '../api/propose.js';
import { ATTRIBUTE } from '../../telemetry/attributes.js';
import { contextIn, inSpan } from '../../telemetry/tracing.js';
import { outcomeOf } from '../api/views.js';
import { settled } from '../api/waiting.js';
import type { AgentPrincipal } from '../auth/principal.js';
import type { GatewayDependencies } from '../deps.js';
import { answerOf, dryRunAnswer } from './answers.js';
import type { Offered } from './offered.js';

/** The tool that waits for an action that takes longer than a call. */
export const AWAIT_ACTION = 'await_action';

/** What clients may say in `_meta`, beside the arguments. */
const KEY = 'countersign/idempotencyKey';
const REASONING = 'countersign/reasoning';
const EXPECT = 'countersign/expect';
const FROM = 'countersign/from';

/** How long a call waits for people that hears of progress. Milliseconds. */
const WAIT_WITH_PROGRESS_MS = 50_000;
const PROGRESS_MS = 5_000;

/** The tool that tells what would come of a call. */
export const DRY_RUN = 'dry_run';

/** Who calls, and how. */
export interface Caller {
  readonly deps: GatewayDependencies;
  readonly agent: AgentPrincipal;
  /** Whether the end of a request means that it is cancelled. Before 2026-07-28 it means that a connection was lost, and nothing else. */
  readonly cancels: boolean;
}

export async function call(
  caller: Caller,
  offered: Offered,
  args: JsonObject,
  ctx: ServerContext,
): Promise<CallToolResult> {
  const since = performance.now();
  return await traced(offered, ctx, async () =>
    awaited(caller, await proposed(caller, offered, args, ctx), ctx, since),
  );
}

/** Proposes, and waits as long as calls do. */
export async function proposed(
  { deps, agent }: Caller,
  offered: Offered,
  args: JsonObject,
  ctx: ServerContext,
): Promise<OwnAction> {
  return await propose(deps, agent, proposalOf(offered, args, ctx), deps.settings.limits.callWaitMs);
}

/**
 * The call as a span: below the caller's, where its `_meta` says which (MCP's own place for it, whatever carries the message), else below
 * the request's (https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/).
 */
export function traced<T>({ name, tool }: Offered, ctx: ServerContext, body: () => Promise<T>): Promise<T> {
  const request = trace.getActiveSpan()?.spanContext();
  const attributes = { 'mcp.method.name': 'tools/call', [ATTRIBUTE.tool]: tool.name };
  const parent = contextIn(ctx.mcpReq._meta ?? {});
  const links = request === undefined ? [] : [{ context: request }];
  return inSpan(`tools/call ${name}`, { kind: SpanKind.SERVER, attributes, parent, links }, body);
}

/** What would come of a call with these arguments. */
export async function tryCall(
  { deps, agent }: Caller,
  offered: Offered,
  args: JsonObject,
  ctx: ServerContext,
): Promise<CallToolResult> {
  return dryRunAnswer(await dryRun(deps, agent, proposalOf(offered, args, ctx)), offered.name);
}

function proposalOf({ tool, operation }: Offered, args: JsonObject, ctx: ServerContext) {
  const meta = (ctx.mcpReq._meta ?? {}) as Readonly<Record<string, unknown>>;
  return {
    actionId: keyIn(meta) ?? `mcp-${randomUUID()}`,
    tool: tool.name,
    input: inputOf(operation, args),
    ...(typeof meta[REASONING] === 'string' ? { reasoning: meta[REASONING] } : {}),
    ...(meta[EXPECT] === undefined ? {} : { expect: meta[EXPECT] }),
    ...(meta[FROM] === undefined ? {} : { from: meta[FROM] }),
    ...traceIn(meta),
  };
}

/** Waits for an action of the agent's. @throws CountersignError NOT_FOUND */
export async function awaitAction(caller: Caller, actionId: string, ctx: ServerContext): Promise<CallToolResult> {
  // Whoever stops waiting does not stop the action.
  return await awaited({ ...caller, cancels: false }, await findFor(caller.deps, caller.agent, actionId), ctx);
}

/** The answer once it has ended, or as it stands when the wait is over. Cancels it with the call. */
export async function awaited(
  caller: Caller,
  found: OwnAction,
  ctx: ServerContext,
  since = performance.now(),
): Promise<CallToolResult> {
  if (outcomeOf(found) !== undefined) return answerOf(found, AWAIT_ACTION);
  const { deps, agent, cancels } = caller;
  const { signal } = ctx.mcpReq;
  const told = reportProgress(found, ctx, deps.settings.limits.callWaitMs);
  try {
    await settled(deps, found, Math.max(0, Math.floor(told.waitMs - (performance.now() - since))), signal);
  } finally {
    told.stop();
  }
  if (signal.aborted && cancels) await deps.countersign.cancel(found.actionId, agent.tenant).catch(() => undefined);
  return answerOf(await findFor(deps, agent, found.actionId), AWAIT_ACTION);
}

/** Tells a client that asked for it that the call goes on. */
function reportProgress(
  { actionId, view }: OwnAction,
  ctx: ServerContext,
  waitMs: number,
): { waitMs: number; stop: () => void } {
  const progressToken = ctx.mcpReq._meta?.progressToken;
  if (progressToken === undefined) return { waitMs, stop: () => {} };
  let progress = 0;
  const message =
    view?.pending === undefined ? `${actionId} is under way` : `${actionId} waits for people to approve it`;
  const tell = (): void => {
    const params = { progressToken, progress: ++progress, message };
    // Whoever does not hear it any more is not waited for either.
    void ctx.mcpReq.notify({ method: 'notifications/progress', params }).catch(() => undefined);
  };
  tell();
  const timer = setInterval(tell, PROGRESS_MS);
  return { waitMs: WAIT_WITH_PROGRESS_MS, stop: () => clearInterval(timer) };
}

/** The client's idempotency key, if it gives one. @throws CountersignError INVALID_PROPOSAL */
function keyIn(meta: Readonly<Record<string, unknown>>): string | undefined {
  const key = meta[KEY];
  if (key === undefined) return undefined;
  // Another Countersign in front of this one names its tenant too.
  const text = typeof key === 'string' ? key.replaceAll('/', ':') : '';
  if (ACTION_ID_PATTERN.test(text)) return text;
  throw new CountersignError('INVALID_PROPOSAL', 'The idempotency key in _meta cannot be an action id.', {
    field: `_meta.${KEY}`,
    expected: '1 to 128 of A-Z a-z 0-9 . _ : -',
  });
}

/** The trace of W3C Trace Context, which groups the actions of one task. */
function traceIn(meta: Readonly<Record<string, unknown>>): { traceId?: string } {
  const { traceparent } = meta;
  const [, trace] = typeof traceparent === 'string' ? (/^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(traceparent) ?? []) : [];
  return trace === undefined ? {} : { traceId: trace };
}
