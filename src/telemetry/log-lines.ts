/** What every log line carries beside its own words, and what none does: ids of trace, action, step and request go in, secrets stay out. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { trace } from '@opentelemetry/api';
import { asyncLocalStorage as steps, type Info } from '@temporalio/activity';
import { stdSerializers } from 'pino';
import { STEPS } from '../action/outcome.js';
import { ATTRIBUTE } from './attributes.js';
import { traceIds } from './tracing.js';

/** Of a request: its id, and the action that it is about once that is known. */
interface RequestFields {
  readonly requestId: string;
  tenant?: string;
  actionId?: string;
}

const requests = new AsyncLocalStorage<RequestFields>();

/** Lines that are written while the body runs carry the request's id. */
export function loggedWith<T>(requestId: string, body: () => T): T {
  return requests.run({ requestId }, body);
}

/** From now on, the lines of this request and its span name the action too. */
export function nameAction(tenant: string, actionId: string): void {
  trace.getActiveSpan()?.setAttribute(ATTRIBUTE.actionId, actionId);
  const fields = requests.getStore();
  if (fields !== undefined) Object.assign(fields, { tenant, actionId });
}

/** For pino's `mixin`. What a line says itself counts before. */
export function lineFields(): object {
  return { ...traceIds(), ...stepFields(), ...requests.getStore() };
}

function stepFields(): object {
  const info = steps.getStore()?.info;
  return info === undefined ? {} : stepIds(info);
}

/** Of a step that runs, by what Temporal says: its name and attempt, and the action where it is a step of one. */
export interface StepIds {
  readonly step: string;
  readonly attempt: number;
  readonly tenant?: string;
  readonly actionId?: string;
}

/** Other activities run in workflows whose ids name no action. */
const OF_ACTIONS: ReadonlySet<string> = new Set([...STEPS, 'checkApproval', 'checkEdit']);

export function stepIds({ activityType: step, attempt, workflowExecution }: Info): StepIds {
  if (workflowExecution === undefined || !OF_ACTIONS.has(step)) return { step, attempt };
  const { workflowId } = workflowExecution;
  const slash = workflowId.indexOf('/');
  return { step, attempt, tenant: workflowId.slice(0, slash), actionId: workflowId.slice(slash + 1) };
}

const SECRET_NAMES = [
  'authorization',
  'cookie',
  'password',
  'passwd',
  'secret',
  'token',
  'credential',
  'apiKey',
  'privateKey',
  'connectionString',
];

/** Members that no line shows, wherever somebody puts them. */
export const HIDDEN = SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** What is kept of an error: Postgres and HTTP clients hang rows, queries and headers on theirs. */
const KEPT = ['type', 'message', 'stack', 'code', 'field', 'expected', 'fix', 'retryable'];

/** For pino's serializer of `err`. */
export function loggedError(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return { type: typeof thrown };
  const told = stdSerializers.err(thrown) as unknown as Readonly<Record<string, unknown>>;
  return Object.fromEntries(KEPT.flatMap((name) => (told[name] === undefined ? [] : [[name, told[name]]])));
}
