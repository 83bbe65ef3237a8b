/** Reads the state that an operation can change, by the operation's probes. */
import type { Json } from '../../action/json.js';
import type { State } from '../../action/snapshot.js';
import type { Execution } from '../tool.js';
import { one } from '../../http/body.js';
import { scopeOf, type HttpInput } from './input.js';
import type { CompiledProbe, Operation } from './operation.js';
import { at, without } from './pointer.js';
import { readTemplate, type Service } from './service.js';
import type { TemplateScope } from './template.js';

export interface Probed {
  /** The state by the names of the probes. Null means that the service has no such object. */
  readonly state: State;
  /** The strong entity tag of the operation's own URL, if it has one. */
  readonly etag: string | undefined;
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
  return { state: Object.fromEntries(read.map(([name, { value }]) => [name, value])), etag: own?.etag };
}

async function readProbe(
  service: Service,
  { url, at: tokens, without: left }: CompiledProbe,
  scope: TemplateScope,
  signal: AbortSignal,
): Promise<{ readonly value: Json; readonly etag: string | undefined }> {
  const found = await readTemplate(service, url, scope, signal);
  const whole = at(found?.result?.body, tokens) ?? null;
  const value = left.reduce<Json>((state, path) => without(state, path), whole);
  const tag = one(found?.response.headers['etag']);
  return { value, etag: tag !== undefined && /^"[\x21\x23-\x7e]*"$/.test(tag) ? tag : undefined };
}
