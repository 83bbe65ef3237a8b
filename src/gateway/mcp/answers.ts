/** What came of an action, as the result of a tool call: for a model that has to decide what to do next. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import type { ErrorView } from '../../action/errors.js';
import type { DryRun } from '../../action/dry-run.js';
import { withoutUndefined, type Json } from '../../action/json.js';
import type { Outcome } from '../../action/outcome.js';
import { toldOfDryRun, toldOfError, toldOfOutcome } from '../../action/told.js';
import type { OwnAction } from '../api/found.js';
import { actionFor, outcomeFor, outcomeOf } from '../api/views.js';

const AGENT = { kind: 'agent' } as const;
const ACTION = 'countersign/action';

/** How the action of a tool call ended; `pending` when it has not. */
export function statusIn({ _meta }: CallToolResult): string | undefined {
  return (_meta?.[ACTION] as { readonly status?: string } | undefined)?.status;
}

/** @param awaiting the name of the tool that waits for an action */
export function answerOf(found: OwnAction, awaiting: string): CallToolResult {
  const outcome = outcomeOf(found);
  return outcome === undefined ? pendingAnswer(found, awaiting) : outcomeAnswer(outcome);
}

function outcomeAnswer(outcome: Outcome): CallToolResult {
  const { status, actionId, receipt } = outcome;
  const _meta = { [ACTION]: withoutUndefined({ actionId, status, receipt }) };
  if (status !== 'success') return { ...failureOf(outcome), _meta };
  const own = ownResult(outcome);
  if (own !== undefined) return { ...own, _meta };
  const { content, structuredContent } = data(toldOfOutcome(outcome), outcomeFor(AGENT, outcome));
  // Clients show a model the texts, and often nothing else.
  const result = outcome.result === undefined ? [] : [{ type: 'text' as const, text: JSON.stringify(outcome.result) }];
  return { content: [...content, ...result], structuredContent, _meta };
}

/** The result of an MCP server's tool, as the server gave it. */
function ownResult({ facts, result }: Outcome): Pick<CallToolResult, 'content' | 'structuredContent'> | undefined {
  if (facts?.tool.kind !== 'mcp' || typeof result !== 'object' || result === null || Array.isArray(result)) return;
  const { content, structuredContent, truncated, more } = result as Readonly<Record<string, Json>>;
  if (!Array.isArray(content)) return undefined;
  const blocks = content as CallToolResult['content'];
  const rest = typeof more === 'string' ? more : '';
  const cut = truncated === true ? [{ type: 'text' as const, text: `[This result was cut. ${rest}]` }] : [];
  return {
    content: [...blocks, ...cut],
    ...(structuredContent === undefined ? {} : { structuredContent: structuredContent as Record<string, unknown> }),
  };
}

function failureOf(outcome: Outcome): CallToolResult {
  return { ...data(toldOfOutcome(outcome), outcomeFor(AGENT, outcome)), isError: true };
}

/** Why an action has not ended, in words for a model. */
export function openText({ view }: OwnAction): string {
  if (view?.pending === undefined) return 'It has not ended yet.';
  const { decision, expiresAt } = view.pending;
  return `It is not done yet: people have to approve it: ${decision.reason}. They have until ${expiresAt}.`;
}

function pendingAnswer(found: OwnAction, awaiting: string): CallToolResult {
  const { actionId } = found;
  const text = `${openText(found)}\nDo not call the tool again. To hear what came of it, call ${awaiting} with {"actionId":"${actionId}"}.`;
  const _meta = { [ACTION]: { actionId, status: 'pending' } };
  return { ...data(text, actionFor(AGENT, found)), _meta };
}

/** What would come of a call. A denial is what was asked for, so it is no error here. */
export function dryRunAnswer(answer: DryRun, name: string): CallToolResult {
  const text = `${toldOfDryRun(answer)}\nNothing was done. To have it done, call ${name} with the same arguments.`;
  return data(text, answer);
}

/** An error before there was an action. @param error what of it may be told outside */
export function errorAnswer(error: ErrorView): CallToolResult {
  return { content: [{ type: 'text', text: toldOfError(error) }], isError: true };
}

function data(text: string, document: object) {
  return { content: [{ type: 'text' as const, text }], structuredContent: document as Record<string, unknown> };
}
