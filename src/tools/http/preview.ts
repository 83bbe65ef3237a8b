/** Previews an operation, for policies and people: what it would touch, from the current state of the service. */
import type { Preview } from '../../action/decision.js';
import type { Json, JsonObject } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import type { HttpInput } from './input.js';
import type { Operation } from './operation.js';
import { at } from './pointer.js';
import { probe, truncationOf } from './probe.js';
import { shownBody } from './request-body.js';
import type { Service } from './service.js';
import { referenceOf, valueAt } from './template.js';

const MAX_SUMMARY = 300;

/** Makes the preview. @throws CountersignError TOOL_UNAVAILABLE (retryable), TOOL_FAILED */
export async function previewOf(
  service: Service,
  operation: Operation,
  input: HttpInput,
  signal: AbortSignal,
): Promise<Preview> {
  const isRead = operation.actionType === 'READ';
  const { state } = await probe(service, operation, input, undefined, signal);
  const warnings = [
    ...(isRead || operation.idempotency !== 'none'
      ? []
      : ['It cannot be repeated safely: a lost answer leaves it unknown.']),
    ...operation.probes
      .filter(({ name }) => Object.hasOwn(state, truncationOf(name)))
      .map(({ name }) => `The list ${name} goes on after what was read of it, and what is there is not seen.`),
  ];
  return {
    rows: rowsOf(operation, input),
    targets: isRead ? [] : [operation.target],
    reads: isRead ? [operation.target] : [],
    schemaChange: false,
    sample: Object.entries(state).map(([name, value]): JsonObject => ({ [name]: value })),
    summary: service.secrets.strike(summary(service.tool, operation, input)),
    ...(warnings.length === 0 ? {} : { warnings }),
    ...refusalOf(operation, state),
  };
}

/** The state that a preview has read. */
export function stateIn({ sample }: Preview): State {
  return Object.assign({}, ...sample) as State;
}

/** An operation on something that is not there does not do what the agent was asked to do. */
function refusalOf({ probes, name }: Operation, state: State): Pick<Preview, 'refusal'> {
  const missing = probes.find((probe) => probe.mustFind && isNothing(state[probe.name] ?? null));
  if (missing === undefined) return {};
  const refusal = {
    code: 'NOTHING_MATCHED',
    message: `There is no ${missing.name} for ${name} to change; nothing was done.`,
    field: 'input',
    expected: `something that the probe ${missing.name} finds`,
    fix: 'Look at what is there, and correct the input.',
  } as const;
  return { refusal };
}

function isNothing(found: Json): boolean {
  return found === null || (Array.isArray(found) && found.length === 0);
}

/** The number of items in the list in the body that the config names, or 1. */
function rowsOf({ rows }: Operation, { body }: HttpInput): number {
  if (rows === undefined) return 1;
  const items = at(body, rows);
  return Array.isArray(items) ? items.length : 1;
}

/** Describes the request: `POST /orders/41/refunds on payments: {"amount":12}`. */
function summary(tool: string, { method, url, bodyFormat }: Operation, { path, query, body }: HttpInput): string {
  const place = url.path.replaceAll(/\{[.;]?([^{}*]+)\*?\}/g, (_all, name: string) =>
    shown(valueAt({ path: path ?? {} }, referenceOf(name))),
  );
  const search = query === undefined || Object.keys(query).length === 0 ? '' : ` ?${JSON.stringify(query)}`;
  const text = `${method} ${place}${search} on ${tool}${body === undefined ? '' : `: ${JSON.stringify(shownBody(body, bodyFormat))}`}`;
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\ufffd');
  return line.length > MAX_SUMMARY ? `${line.slice(0, MAX_SUMMARY).toWellFormed()}…` : line;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return value.map(shown).join(',');
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '…';
}
