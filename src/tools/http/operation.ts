/** Compiles the operations that an operator declared: adds what follows from the method, and refuses those that cannot be verified. */
import { configInvalid } from '../../action/errors-config.js';
import type { ActionType } from '../../action/decision.js';
import type { CountersignError } from '../../action/errors.js';
import { parseDuration } from '../../action/duration.js';
import type { Json } from '../../action/json.js';
import { NAME_PATTERN } from '../../action/proposal.js';
import type { Idempotency } from '../tool.js';
import { compilePostcondition, type Postcondition } from './postconditions.js';
import { compileBodyFormat, compileHeaderStyles, compileQueryStyles } from './declared-format.js';
import type { FieldStyle, HeaderStyle } from './fields.js';
import { checkHeaders } from './headers.js';
import { METHODS, type Method } from '../../http/options.js';
import type { Accepted, HeaderValue, HttpOperation, HttpOptions, Inverse, LookUpRequest, Pages } from './options.js';
import { isPointer, tokensOf } from './pointer.js';
import { holdsFields, type BodyFormat } from './request-body.js';
import { compileSchema, type Validate } from './schema.js';
import type { Secrets } from '../../http/secrets.js';
import type { KeyPlace } from './idempotency-key.js';
import { parseTemplate, type Template } from './template.js';

export interface CompiledProbe {
  readonly name: string;
  readonly url: Template;
  readonly at: readonly string[];
  readonly without: readonly (readonly string[])[];
  readonly mustFind: boolean;
  readonly body: Json | undefined;
  readonly errors: readonly string[] | undefined;
  readonly pages: CompiledPages | undefined;
}

export interface CompiledPages {
  /** The tokens of the pointer to the next page, or the Link header. */
  readonly next: readonly string[] | 'link';
  readonly parameter: string | undefined;
  readonly max: number;
}

export interface CompiledAccepted {
  readonly poll: Template | 'location';
  readonly done: Postcondition;
  readonly failed: Postcondition | undefined;
  readonly message: readonly string[] | undefined;
  readonly withinMs: number;
}

export interface CompiledLookUp {
  readonly url: Template;
  readonly at: readonly string[];
  readonly finalAfterMs: number | undefined;
}

export interface Operation {
  readonly name: string;
  readonly method: Method;
  readonly url: Template;
  readonly headers: Readonly<Record<string, HeaderValue>>;
  /** The validators of the parts of the input. Undefined: the input must not have that part. */
  readonly input: { readonly [part in 'path' | 'query' | 'headers' | 'body']: Validate | undefined };
  readonly bodyOptional: boolean;
  readonly bodyFormat: BodyFormat;
  readonly queryStyles: Readonly<Record<string, FieldStyle>>;
  readonly headerStyles: Readonly<Record<string, HeaderStyle>>;
  readonly response: Validate | undefined;
  readonly actionType: ActionType;
  /** The target that it writes or reads: `payments.refunds`. */
  readonly target: string;
  readonly rows: readonly string[] | undefined;
  readonly probes: readonly CompiledProbe[];
  /** The probe of the same URL as the operation itself. */
  readonly ownProbe: CompiledProbe | undefined;
  /** The postconditions. When empty, what follows from the method is checked instead. */
  readonly ensures: readonly Postcondition[];
  /** The pointers to what may change. Undefined: what follows from the method. */
  readonly changes: readonly string[] | undefined;
  readonly idempotency: Idempotency;
  readonly keyLifetimeMs: number | undefined;
  readonly lookUp: CompiledLookUp | undefined;
  readonly accepted: CompiledAccepted | undefined;
  /** How long the postconditions may take to hold; undefined where it is not declared. Milliseconds. */
  readonly settlesWithinMs: number | undefined;
  readonly errors: readonly string[] | undefined;
  readonly bodyTemplate: Json | undefined;
  readonly meansNotDone: ReadonlySet<number>;
  readonly ifMatch: boolean;
  readonly compensate: Inverse | undefined;
}

const MAX_PROBES = 10;
const MAX_PAGES = 20;
const MAX_WITHIN_MS = 600_000;
const JOB_ROOTS = ['input', 'result'];
const PROBE_NAME = /^[A-Za-z_]\w{0,62}$/;
const TARGET = /^[a-z0-9_][a-z0-9_.-]{0,126}$/;
const PROBE_ROOTS: ReadonlySet<string> = new Set(['path', 'query', 'headers', 'body', 'result']);
const LOOK_UP_ROOTS: ReadonlySet<string> = new Set(['path', 'query', 'headers', 'body', 'key']);

/** Methods whose postcondition follows from the request. */
const SELF_EVIDENT: ReadonlySet<Method> = new Set(['PUT', 'PATCH', 'DELETE']);

/** Compiles all operations. @throws CountersignError CONFIG_INVALID */
export function compileOperations(options: HttpOptions, secrets: Secrets): ReadonlyMap<string, Operation> {
  const compiled = new Map<string, Operation>();
  const toolLookUp = options.lookUp === undefined ? undefined : compileLookUp(options.lookUp, 'lookUp');
  for (const [name, declared] of Object.entries(options.operations)) {
    compiled.set(name, compileOperation(name, declared, options.name, toolLookUp, secrets));
  }
  if (compiled.size === 0) throw invalid('operations', 'at least one operation');
  for (const { name, compensate } of compiled.values()) {
    if (compensate !== undefined && !compiled.has(compensate.op)) {
      throw invalid(`operations.${name}.compensate.op`, `one of: ${[...compiled.keys()].join(', ')}`);
    }
  }
  return compiled;
}

function compileOperation(
  name: string,
  declared: HttpOperation,
  tool: string,
  toolLookUp: CompiledLookUp | undefined,
  secrets: Secrets,
): Operation {
  const field = `operations.${name}`;
  if (!NAME_PATTERN.test(name)) throw invalid(field, 'a name of letters, digits, ".", "_" and "-"');
  const { method, headers = {}, ifMatch = false } = declared;
  if (!METHODS.includes(method)) throw invalid(`${field}.method`, `one of: ${METHODS.join(', ')}`);
  const slashes = new Set(declared.input?.slashes);
  const url = parseTemplate(declared.url, `${field}.url`, slashes);
  const unused = [...slashes].find((one) => !url.expressions.some((part) => part.slashes && part.reference[1] === one));
  if (unused !== undefined) throw invalid(`${field}.input.slashes`, `names in the path of the URL, not ${unused}`);
  checkReferences(url, new Set(['path']), `${field}.url`);
  checkHeaders(headers, `${field}.headers`, secrets);

  const actionType = declared.actionType ?? defaultType(method);
  const probes = compileProbes(declared, field, slashes);
  const ownProbe = probes.find((probe) => probe.url.path === url.path);
  const idempotency = actionType === 'READ' ? 'native' : (declared.idempotency ?? 'none');
  const lookUp =
    declared.lookUp === undefined ? toolLookUp : compileLookUp(declared.lookUp, `${field}.lookUp`, slashes);
  if (idempotency === 'lookup' && lookUp === undefined)
    throw invalid(`${field}.lookUp`, 'given: idempotency is lookup');
  const ensures = (declared.ensures ?? []).map((source, at) => compilePostcondition(source, `${field}.ensures[${at}]`));
  if (declared.input?.body !== undefined && (method === 'GET' || method === 'HEAD')) {
    throw invalid(`${field}.input.body`, 'left out: GET and HEAD have none');
  }
  checkKeyLifetime(declared, idempotency, field);
  if (declared.errors !== undefined) checkPointer(declared.errors, `${field}.errors`);
  for (const pointer of declared.changes ?? []) checkPointer(pointer, `${field}.changes`);
  if (declared.rows !== undefined) checkPointer(declared.rows, `${field}.rows`);
  const bodyFormat = compileBodyFormat(declared, field);
  if (actionType !== 'READ') checkVerifiable(declared, { method, probes, ownProbe, bodyFormat, field });
  if (ifMatch && ownProbe === undefined) throw invalid(`${field}.ifMatch`, 'used with a probe of the same URL');

  const target = declared.target ?? fixedSegments(url);
  if (!TARGET.test(target)) throw invalid(`${field}.target`, 'a name in lower case: orders.refunds');
  return {
    name,
    method,
    url,
    headers,
    input: compileInput(declared, url, field),
    bodyOptional: declared.input?.bodyOptional ?? false,
    bodyFormat,
    queryStyles: compileQueryStyles(declared, field),
    headerStyles: compileHeaderStyles(declared, field),
    response: declared.response === undefined ? undefined : compileSchema(declared.response, `${field}.response`),
    actionType,
    target: `${tool.toLowerCase()}.${target}`,
    rows: declared.rows === undefined ? undefined : tokensOf(declared.rows),
    probes,
    ownProbe,
    ensures,
    changes: declared.changes,
    idempotency,
    keyLifetimeMs: declared.keyLifetimeMs,
    lookUp,
    accepted: declared.accepted && compileAccepted(declared.accepted, `${field}.accepted`, slashes),
    settlesWithinMs:
      declared.settlesWithin === undefined ? undefined : within(declared.settlesWithin, `${field}.settlesWithin`),
    errors: declared.errors === undefined ? undefined : tokensOf(declared.errors),
    bodyTemplate: declared.bodyTemplate,
    meansNotDone: new Set(declared.meansNotDone),
    ifMatch,
    compensate: declared.compensate,
  };
}

function checkKeyLifetime({ keyLifetimeMs }: HttpOperation, idempotency: Idempotency, field: string): void {
  if (keyLifetimeMs === undefined) return;
  if (idempotency !== 'native') throw invalid(`${field}.keyLifetimeMs`, 'left out: it is for native only');
  if (!Number.isSafeInteger(keyLifetimeMs) || keyLifetimeMs < 1) {
    throw invalid(`${field}.keyLifetimeMs`, 'a whole number of milliseconds, at least 1');
  }
}

/** Refuses operations that need a key and have no place for it. @throws CountersignError CONFIG_INVALID */
export function checkKeyPlaces(operations: ReadonlyMap<string, Operation>, { body }: KeyPlace): void {
  if (body === undefined) return;
  for (const { name, idempotency, actionType, input } of operations.values()) {
    if (actionType === 'READ' || idempotency === 'none' || input.body !== undefined) continue;
    throw invalid(`operations.${name}.input.body`, 'given: the idempotency key goes into it');
  }
}

function defaultType(method: Method): ActionType {
  if (method === 'GET' || method === 'HEAD') return 'READ';
  return method === 'DELETE' ? 'DELETE' : 'CALL_API';
}

/** Refuses an operation whose effect could not be verified, because success must mean verified. @throws CountersignError CONFIG_INVALID */
function checkVerifiable(
  { ensures = [], changes }: HttpOperation,
  {
    method,
    probes,
    ownProbe,
    bodyFormat,
    field,
  }: Pick<Operation, 'method' | 'probes' | 'ownProbe' | 'bodyFormat'> & { field: string },
): void {
  if (probes.length === 0) {
    throw invalid(`${field}.probes`, 'at least one read request that shows what the operation changes');
  }
  const isReadBack = SELF_EVIDENT.has(method) && (method === 'DELETE' || holdsFields(bodyFormat));
  if (isReadBack && ownProbe !== undefined) return;
  if (ensures.length === 0)
    throw invalid(`${field}.ensures`, 'what must be true afterwards: it does not follow from the request');
  if (changes === undefined)
    throw invalid(`${field}.changes`, 'JSON pointers to what may change: it does not follow from the request');
}

function compileInput({ input = {} }: HttpOperation, url: Template, field: string): Operation['input'] {
  const names = new Set(url.references.map((reference) => reference.slice(1).join('.')));
  const path =
    names.size === 0
      ? undefined
      : compileSchema(
          input.path ?? {
            type: 'object',
            properties: Object.fromEntries([...names].map((name) => [name, PLAIN_SEGMENT])),
            required: [...names],
            additionalProperties: false,
          },
          `${field}.input.path`,
        );
  const compile = (part: 'query' | 'headers' | 'body'): Validate | undefined =>
    input[part] === undefined ? undefined : compileSchema(input[part], `${field}.input.${part}`);
  return { path, query: compile('query'), headers: compile('headers'), body: compile('body') };
}

const PLAIN_SEGMENT = { type: ['string', 'integer'], minLength: 1, maxLength: 256 };

function compileProbes(
  { probes = {}, errors: operationErrors }: HttpOperation,
  field: string,
  slashes: ReadonlySet<string>,
): readonly CompiledProbe[] {
  const entries = Object.entries(probes);
  if (entries.length > MAX_PROBES) throw invalid(`${field}.probes`, `at most ${MAX_PROBES} probes`);
  return entries.map(([name, probe]) => {
    const place = `${field}.probes.${name}`;
    if (!PROBE_NAME.test(name) || name.endsWith('_truncated')) {
      throw invalid(place, 'a name of letters, digits and "_" that does not end with _truncated');
    }
    const url = parseTemplate(probe.get, `${place}.get`, slashes);
    checkReferences(url, PROBE_ROOTS, `${place}.get`);
    const { errors = operationErrors } = probe;
    for (const pointer of [probe.at ?? '', errors ?? '', ...(probe.without ?? [])]) checkPointer(pointer, place);
    const { mustFind = false } = probe;
    if (mustFind && url.references.some(([root]) => root === 'result')) {
      throw invalid(`${place}.mustFind`, 'left out: nothing of the result is there before the effect');
    }
    return {
      name,
      url,
      at: tokensOf(probe.at ?? ''),
      without: (probe.without ?? []).map(tokensOf),
      mustFind,
      body: probe.body,
      errors: errors === undefined ? undefined : tokensOf(errors),
      pages: probe.pages && compilePages(probe.pages, `${place}.pages`),
    };
  });
}

/** @throws CountersignError CONFIG_INVALID */
export function compilePages({ next, parameter, max = MAX_PAGES }: Pages, field: string): CompiledPages {
  if (next !== 'link') checkPointer(next, `${field}.next`);
  if (parameter !== undefined && (next === 'link' || !/^[A-Za-z0-9_.[\]-]{1,64}$/.test(parameter))) {
    throw invalid(`${field}.parameter`, 'the name of a query parameter, where next is a pointer to a cursor');
  }
  if (!Number.isInteger(max) || max < 1 || max > 100) throw invalid(`${field}.max`, 'a whole number from 1 to 100');
  return { next: next === 'link' ? next : tokensOf(next), parameter, max };
}

function compileAccepted(accepted: Accepted, field: string, slashes: ReadonlySet<string>): CompiledAccepted {
  const { poll, done, failed, message } = accepted;
  const url = poll === 'location' ? poll : parseTemplate(poll, `${field}.poll`, slashes);
  if (url !== 'location') checkReferences(url, PROBE_ROOTS, `${field}.poll`);
  if (message !== undefined) checkPointer(message, `${field}.message`);
  return {
    poll: url,
    done: compilePostcondition(done, `${field}.done`, JOB_ROOTS),
    failed: failed === undefined ? undefined : compilePostcondition(failed, `${field}.failed`, JOB_ROOTS),
    message: message === undefined ? undefined : tokensOf(message),
    withinMs: within(accepted.within, `${field}.within`),
  };
}

function within(text: string, field: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms > MAX_WITHIN_MS) throw invalid(field, 'a duration such as 30s or 2m, at most 10m');
  return ms;
}

function compileLookUp(lookUp: LookUpRequest, field: string, slashes?: ReadonlySet<string>): CompiledLookUp {
  const url = parseTemplate(lookUp.get, `${field}.get`, slashes);
  checkReferences(url, LOOK_UP_ROOTS, `${field}.get`);
  if (!url.references.some(([root]) => root === 'key')) throw invalid(`${field}.get`, 'a URL with {key} in it');
  checkPointer(lookUp.at ?? '', `${field}.at`);
  const { finalAfterMs } = lookUp;
  if (finalAfterMs !== undefined && !(Number.isInteger(finalAfterMs) && finalAfterMs >= 0)) {
    throw invalid(`${field}.finalAfterMs`, 'a whole number of milliseconds');
  }
  return { url, at: tokensOf(lookUp.at ?? ''), finalAfterMs };
}

function checkReferences({ references }: Template, roots: ReadonlySet<string>, field: string): void {
  const foreign = references.find(([root = '']) => !roots.has(root));
  if (foreign !== undefined)
    throw invalid(field, `references to ${[...roots].join(', ')} only, not to ${foreign.join('.')}`);
}

function checkPointer(pointer: string, field: string): void {
  if (!isPointer(pointer)) throw invalid(field, `a JSON pointer such as /order/status, not ${pointer.slice(0, 80)}`);
}

function fixedSegments({ segments }: Template): string {
  const fixed = segments.flatMap(({ parts }) => (parts.length === 1 && typeof parts[0] === 'string' ? [parts[0]] : []));
  const name = fixed.map((part) => part.toLowerCase().replaceAll(/[^a-z0-9_-]+/g, '_')).filter((part) => part !== '');
  return name.join('.') || 'root';
}

function invalid(field: string, expected: string): CountersignError {
  return configInvalid(field, expected, "the tool's config");
}
