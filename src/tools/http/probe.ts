/** Reads the state that an operation can change, by the operation's probes. */
import type { Json } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import type { Execution } from '../tool.js';
import { one } from '../../http/body.js';
import { fill } from './fill.js';
import { scopeOf, type HttpInput } from './input.js';
import type { CompiledProbe, Operation } from './operation.js';
import { readPages, type Truncated } from './pages.js';
import { without } from './pointer.js';
import { contextOf, type Service } from './service.js';
import { expand, type TemplateScope } from './template.js';

export interface Probed {
  /** The state by the names of the probes, and what of it was cut. Null means that the service has no such object. */
  readonly state: State;
  /** The strong entity tag of the operation's own URL, if it has one. */
  readonly etag: string | undefined;
}

/** The name in the state under which it is said that a probe's list is not all of it. */
export function truncationOf(probe: string): string {
  return `${probe}_truncated`;
}

/** Runs the probes. @throws CountersignError TOOL_UNAVAILABLE (retryable), TOOL_FAILED */
export async function probe(
  service: Service,
  operation: Operation,
  input: HttpInput,
  execution: Execution | undefined,
  signal: AbortSignal,
): Promise<Probed> {
  const scope = scopeOf(input, execution === undefined ? {} : { result: execution.result });
  const read = await Promise.all(
    operation.probes.map(async (one) => [one.name, await readProbe(service, one, scope, signal)] as const),
  );
  const own = read.find(([name]) => name === operation.ownProbe?.name)?.[1];
  const state = read.flatMap(([name, { value, truncated }]): [string, Json][] => [
    [name, value],
    ...(truncated === undefined ? [] : [[truncationOf(name), truncated] satisfies [string, Json]]),
  ]);
  return { state: Object.fromEntries(state), etag: own?.etag };
}

interface ProbeReading {
  readonly value: Json;
  readonly truncated?: Truncated | undefined;
  readonly etag: string | undefined;
}

async function readProbe(
  service: Service,
  probe: CompiledProbe,
  scope: TemplateScope,
  signal: AbortSignal,
): Promise<ProbeReading> {
  const url = expand(probe.url, service.client.base, scope);
  const body = probe.body === undefined ? undefined : fill(probe.body, scope);
  // A reference leads nowhere: what it would lead to is not there yet.
  if (url === undefined || (probe.body !== undefined && body === undefined)) return { value: null, etag: undefined };
  const context = contextOf(service, body === undefined ? 'GET' : 'POST', probe.url);
  const {
    value: whole,
    first,
    truncated,
  } = await readPages(service, { url, body, errors: probe.errors }, probe, context, signal);
  const value = probe.without.reduce<Json>((state, path) => without(state, path), whole ?? null);
  const tag = one(first.headers['etag']);
  return { value, truncated, etag: tag !== undefined && /^"[\x21\x23-\x7e]*"$/.test(tag) ? tag : undefined };
}
