/** Watches every step from outside: a span, its figures and a log line. What the step does and hands on is not touched, and no fault here reaches it. */
import type { Attributes, Span } from '@opentelemetry/api';
import type { Info } from '@temporalio/activity';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { Logger } from 'pino';
import { ATTRIBUTE } from '../telemetry/attributes.js';
import { stepIds, type StepIds } from '../telemetry/log-lines.js';
import type { Meter } from '../telemetry/meter.js';
import { contextInHeaders } from '../telemetry/temporal-headers.js';
import { errorType, inSpan, markFailed } from '../telemetry/tracing.js';
import { factsOf, type StepFacts } from './step-facts.js';

/** What a tool is called that this worker does not have: an agent may name any. */
const OTHER_TOOL = 'other';

export interface Watching {
  /** The tools that this worker has, by name. */
  readonly tools: ReadonlyMap<string, { readonly kind: string; readonly environment: string }>;
  readonly meter: Meter;
  readonly logger: Logger;
}

/** For the worker's `interceptors.activity`. */
export function stepTelemetry(watching: Watching): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      execute(input, next) {
        const step = stepOf(info, toolIn(input.args), watching);
        return inSpan(step.span, { parent: contextInHeaders(input.headers), attributes: step.attributes }, (span) =>
          watched(step, span, watching, () => next(input)),
        );
      },
    },
  });
}

interface WatchedStep {
  readonly name: string;
  readonly tool: string;
  readonly span: string;
  /** For log lines. */
  readonly ids: StepIds;
  readonly attributes: Attributes;
}

async function watched(
  step: WatchedStep,
  span: Span,
  { meter, logger }: Watching,
  body: () => Promise<unknown>,
): Promise<unknown> {
  const { name, tool } = step;
  const start = performance.now();
  const took = (): number => performance.now() - start;
  let result: unknown;
  try {
    result = await body();
  } catch (thrown) {
    const code = errorType(thrown);
    meter.record('countersign.step.duration.seconds', { step: name, tool, result: 'error' }, took() / 1000);
    meter.count('countersign.step.errors', { step: name, code });
    logger.warn({ ...step.ids, tool, code, ms: Math.round(took()) }, 'step failed');
    throw thrown;
  }
  try {
    const facts = factsOf(name, result);
    tell(span, facts);
    measure(meter, step, facts, took());
    const { result: kind, code, decision, ended } = facts;
    const line = { ...step.ids, tool, ms: Math.round(took()) };
    logger.debug({ ...line, result: kind, code, effect: decision?.effect }, 'step done');
    if (ended !== undefined) logger.info({ ...line, status: ended.status, code: ended.code }, 'action ended');
  } catch (thrown) {
    // The step is done, whatever cannot be told of it.
    logger.error({ ...step.ids, err: thrown }, 'a step could not be watched');
  }
  return result;
}

function tell(span: Span, { result, code, failed = false, agent, decision, ended, person }: StepFacts): void {
  span.setAttribute(ATTRIBUTE.result, result);
  if (code !== undefined) span.setAttribute(ATTRIBUTE.code, code);
  if (failed) markFailed(span, code ?? result);
  if (agent !== undefined) span.setAttribute(ATTRIBUTE.agent, agent);
  if (decision !== undefined) {
    span.setAttribute(ATTRIBUTE.effect, decision.effect);
    span.setAttribute(ATTRIBUTE.rules, [...decision.rules]);
  }
  if (ended !== undefined) span.setAttribute(ATTRIBUTE.status, ended.status);
  if (person !== undefined) span.setAttribute(ATTRIBUTE.verdict, person.verdict);
}

function measure(meter: Meter, { name, tool }: WatchedStep, facts: StepFacts, ms: number): void {
  const { result, code, decision, ended, person } = facts;
  meter.record('countersign.step.duration.seconds', { step: name, tool, result }, ms / 1000);
  if (code !== undefined) meter.count('countersign.step.errors', { step: name, code });
  if (decision !== undefined) {
    const { effect, rules } = decision;
    meter.count('countersign.decisions', { effect, tool, code: decision.code ?? 'none' });
    for (const rule of rules) meter.count('countersign.rule.decisions', { rule, effect });
  }
  if (ended !== undefined) {
    const { status, steps } = ended;
    meter.count('countersign.actions', { status, tool, code: ended.code ?? 'none' });
    const before = Object.values(steps).reduce((sum, each) => sum + each, 0);
    meter.record('countersign.action.duration.seconds', { status, tool }, (before + ms) / 1000);
  }
  if (person !== undefined) {
    const { verdict, waitedSeconds } = person;
    meter.count('countersign.person.decisions', { verdict });
    if (waitedSeconds !== undefined) meter.record('countersign.approval.wait.seconds', { verdict }, waitedSeconds);
  }
}

function stepOf(info: Info, named: string | undefined, { tools }: Watching): WatchedStep {
  const ids = stepIds(info);
  const { step: name, tenant, actionId, attempt } = ids;
  const tool = named === undefined ? undefined : tools.get(named);
  const known = tool === undefined ? OTHER_TOOL : (named as string);
  const { workflowId = '', runId = '' } = info.workflowExecution ?? {};
  const attributes: Attributes = {
    [ATTRIBUTE.step]: name,
    [ATTRIBUTE.attempt]: attempt,
    ...(tenant === undefined ? {} : { [ATTRIBUTE.tenant]: tenant }),
    ...(actionId === undefined ? {} : { [ATTRIBUTE.actionId]: actionId }),
    ...(tool === undefined ? {} : { [ATTRIBUTE.tool]: known, [ATTRIBUTE.environment]: tool.environment }),
    [ATTRIBUTE.workflowId]: workflowId,
    [ATTRIBUTE.runId]: runId,
  };
  if (name !== 'execute') return { name, tool: known, span: name, ids, attributes };
  attributes[ATTRIBUTE.operationName] = 'execute_tool';
  attributes[ATTRIBUTE.toolCallId] = actionId ?? '';
  attributes[ATTRIBUTE.toolType] = tool?.kind === 'postgres' ? 'datastore' : 'extension';
  return { name, tool: known, span: `execute_tool ${known}`, ids, attributes };
}

/** The name of the tool in what a step takes: the proposal itself, a request around it, or an input with that request. */
function toolIn([first]: readonly unknown[]): string | undefined {
  type Taken = { tool?: unknown; proposal?: Taken; request?: Taken } | undefined;
  const taken = first as Taken;
  const proposal = taken?.request?.proposal ?? taken?.proposal ?? taken;
  return typeof proposal?.tool === 'string' ? proposal.tool : undefined;
}
