/** A declared read of a server: a read-only tool or a resource, and the part of its answer that counts. */
import { configInvalid } from '../../action/errors-config.js';
import { CountersignError } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import { parseJson } from '../../action/parse.js';
import { fill } from '../http/fill.js';
import { at, isPointer, tokensOf, without } from '../http/pointer.js';
import { referenceOf, scalarAt, type TemplateScope } from '../http/template.js';
import type { McpLookUp } from './options.js';
import { callFailed, textOf } from './result.js';
import type { Upstream } from './upstream.js';

export interface DeclaredRead {
  readonly source: { readonly tool: string; readonly arguments: JsonObject } | { readonly resource: string };
  readonly json: boolean;
  readonly at: readonly string[];
  readonly without: readonly (readonly string[])[];
  readonly absent: readonly string[];
}

const REFERENCE = /\{([A-Za-z_][\w-]*(?:\.[\w-]+)*)\}/g;

/** Undefined where it names neither a tool nor a resource. @throws CountersignError CONFIG_INVALID */
export function compileRead(declared: Omit<McpLookUp, 'happened'>, field: string): DeclaredRead | undefined {
  const { tool, resource, json = false, absent = [] } = declared;
  const pointers = [declared.at ?? '', ...(declared.without ?? [])];
  if (!pointers.every(isPointer)) throw configInvalid(field, 'a reading with JSON pointers such as /content');
  if (tool !== undefined && resource !== undefined) throw configInvalid(field, 'a tool or a resource, not both');
  if (tool === undefined && resource === undefined) return undefined;
  if (resource !== undefined && declared.arguments !== undefined) {
    throw configInvalid(`${field}.arguments`, 'left out: a resource has none');
  }
  return {
    source: tool === undefined ? { resource: resource ?? '' } : { tool, arguments: declared.arguments ?? {} },
    json,
    at: tokensOf(declared.at ?? ''),
    without: (declared.without ?? []).map(tokensOf),
    absent,
  };
}

/** Null where there is no such thing, or a reference leads to what is not there yet. @throws CountersignError TOOL_UNAVAILABLE, TOOL_FAILED, TOO_MANY_ROWS */
export async function readFrom(
  upstream: Upstream,
  reading: DeclaredRead,
  scope: TemplateScope,
  signal: AbortSignal,
): Promise<Json> {
  const answer = await answerOf(upstream, reading, scope, signal);
  if (answer === undefined) return null;
  const found = at(answer, reading.at) ?? null;
  const value = reading.without.reduce<Json>((state, path) => without(state, path), found);
  const { stateBytes } = upstream.limits;
  if (Buffer.byteLength(JSON.stringify(value)) <= stateBytes) return upstream.secrets.strikeJson(value);
  throw new CountersignError('TOO_MANY_ROWS', `What ${nameOf(reading)} of ${upstream.tool} found is too large.`, {
    expected: `at most ${stateBytes} bytes`,
    fix: 'Point to less with `at` and `without` of the probe, or raise limits.stateBytes.',
  });
}

async function answerOf(
  upstream: Upstream,
  reading: DeclaredRead,
  scope: TemplateScope,
  signal: AbortSignal,
): Promise<Json | undefined> {
  const { source, absent } = reading;
  if ('resource' in source) {
    const uri = uriOf(source.resource, scope);
    const text = uri === undefined ? undefined : await upstream.readResource(uri, absent, signal);
    return text === undefined ? undefined : asValue(text, reading, upstream.tool);
  }
  const args = fill(source.arguments, scope) as JsonObject | undefined;
  if (args === undefined) return undefined;
  const result = await upstream.callToRead(source.tool, args, signal);
  if (result.isError === true) {
    if (absent.some((text) => textOf(result).includes(text))) return undefined;
    throw callFailed(upstream, source.tool, textOf(result));
  }
  return result.structuredContent ?? asValue(textOf(result), reading, upstream.tool);
}

function asValue(text: string, reading: DeclaredRead, tool: string): Json {
  return reading.json ? parseJson(text, `${nameOf(reading)} of ${tool}`) : text;
}

function nameOf({ source }: DeclaredRead): string {
  return 'tool' in source ? source.tool : source.resource;
}

/** Undefined where a reference leads nowhere. */
function uriOf(template: string, scope: TemplateScope): string | undefined {
  let complete = true;
  const uri = template.replaceAll(REFERENCE, (_all, name: string) => {
    const value = scalarAt(scope, referenceOf(name));
    complete &&= value !== undefined;
    return encodeURIComponent(value ?? '');
  });
  return complete ? uri : undefined;
}
