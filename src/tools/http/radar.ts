/** The radar of a service: the list of what happened there, as the service itself keeps it, read again and again. */
import { configInvalid } from '../../action/errors-config.js';
import { CountersignError } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import { one } from '../../http/body.js';
import { isTexts, isWhole } from '../../radar/option-checks.js';
import type { Gap, Observed, ObservedWrite, RadarReader, RadarSource } from '../../radar/source.js';
import { keyValue } from './idempotency-key.js';
import { compilePages, type CompiledPages } from './operation.js';
import type { HttpRadarOptions } from './options.js';
import { readPages } from './pages.js';
import { at, isPointer, tokensOf } from './pointer.js';
import { contextOf, within, type Service } from './service.js';
import { expand, parseTemplate, type Template } from './template.js';

interface HttpSource {
  readonly service: Service;
  readonly url: Template;
  readonly list: { readonly at: readonly string[]; readonly pages: CompiledPages | undefined };
  readonly unix: boolean;
  readonly pointers: Readonly<Record<'id' | 'key' | 'time', readonly string[]>> & {
    readonly kind: readonly string[] | undefined;
    readonly user: readonly string[] | undefined;
  };
  readonly kinds: ReadonlySet<string> | undefined;
  readonly overlapMs: number;
}

const KNOWN = 'get at pages since id key time kind kinds user writers everyMs overlapMs required'.split(' ');

/** @throws CountersignError CONFIG_INVALID */
export function httpRadar(options: HttpRadarOptions | undefined, service: Service): RadarSource | undefined {
  if (options === undefined) return undefined;
  const { everyMs = 60_000, overlapMs = 300_000, since = 'rfc3339', writers = {}, kinds, required = false } = options;
  const check = (ok: boolean, field: string, expected: string): void => {
    if (!ok) throw configInvalid(`radar.${field}`, expected, "the tool's config");
  };
  for (const field of Object.keys(options)) check(KNOWN.includes(field), field, 'left out: it is not known');
  const pointer = (field: 'id' | 'key' | 'time' | 'kind' | 'user' | 'at', text: unknown): readonly string[] => {
    check(typeof text === 'string' && isPointer(text), field, 'a JSON pointer, such as /id');
    return tokensOf(text as string);
  };
  check(typeof options.get === 'string', 'get', 'the URL of a list, with {since}');
  const url = parseTemplate(options.get, 'radar.get');
  const references = url.references.map((reference) => reference.join('.'));
  check(references.length === 1 && references[0] === 'path.since', 'get', 'a URL with {since} and no other reference');
  check(since === 'rfc3339' || since === 'unix', 'since', 'rfc3339 or unix');
  check(isWhole(everyMs, 1_000, 3_600_000), 'everyMs', 'milliseconds from 1,000 to 3,600,000');
  check(isWhole(overlapMs, 0, 86_400_000), 'overlapMs', 'milliseconds, at most a day');
  check(kinds === undefined || (isTexts(kinds) && options.kind !== undefined), 'kinds', 'a list of kinds, with kind');
  check(typeof required === 'boolean', 'required', 'true or false');
  const { roles = [] } = writers;
  check(isTexts(roles) && Object.keys(writers).every((name) => name === 'roles'), 'writers', '{ roles: […] }');
  check(roles.length === 0 || options.user !== undefined, 'writers', 'left out where user is: nothing says who it was');
  const source: HttpSource = {
    service,
    url,
    list: {
      at: pointer('at', options.at ?? ''),
      pages: options.pages && compilePages(options.pages, 'radar.pages'),
    },
    unix: since === 'unix',
    pointers: {
      id: pointer('id', options.id),
      key: pointer('key', options.key),
      time: pointer('time', options.time),
      kind: options.kind === undefined ? undefined : pointer('kind', options.kind),
      user: options.user === undefined ? undefined : pointer('user', options.user),
    },
    kinds: kinds === undefined ? undefined : new Set(kinds),
    overlapMs,
  };
  const { format } = service.key;
  return {
    kind: 'http',
    everyMs,
    required,
    writers,
    url: service.client.base.href,
    // A service may tell of one request in several events.
    oneWritePerKey: false,
    repeats: true,
    ...(format === 'uuid' || format === 'sha256' ? { formatKey: (key: string) => keyValue(key, service.key) } : {}),
    open: ({ memory }) => new HttpRadarReader(source, memory),
    async stands(signal) {
      const { list, cut } = await events(source, new Date(), signal);
      if (cut !== undefined)
        return { ok: false, detail: 'its list of events is longer than what is read of it', fix: cut };
      return { ok: true, detail: `its list of events answers; ${list.length} in the last ${overlapMs / 1000} s` };
    },
  };
}

class HttpRadarReader implements RadarReader {
  readonly #source: HttpSource;
  /** Up to when every event is judged that was in the list by then. */
  #judged: Date;
  /** What happened before it was first looked at is not the radar's matter. Undefined before that. */
  #began: Date | undefined;

  constructor(source: HttpSource, memory: JsonObject | undefined) {
    this.#source = source;
    this.#judged = timeIn(memory?.['judged']) ?? new Date();
    this.#began = timeIn(memory?.['began']);
  }

  async read(signal: AbortSignal): Promise<Observed> {
    const { service, url } = this.#source;
    const { list, cut, at } = await events(this.#source, this.#judged, signal);
    // Services that tell time in seconds round it down.
    this.#began ??= new Date(at.getTime() - (at.getTime() % 1000));
    const began = this.#began;
    const writes = list.flatMap((event) => writeIn(event, this.#source)).filter((write) => write.at >= began);
    const judged = at.toISOString();
    const gap: Gap = {
      position: `cut/${this.#judged.toISOString()}`,
      at: new Date(),
      detail: `The list of events since ${this.#judged.toISOString()} was longer than what is read of it: ${cut ?? ''}`,
    };
    return {
      system: `${service.client.base.origin}${url.path}`,
      writes,
      definitions: [],
      gaps: cut === undefined ? [] : [gap],
      ...(cut === undefined ? {} : { incomplete: tooLong(cut) }),
      position: judged,
      memory: { judged, began: began.toISOString() },
      more: false,
      watched: [url.source],
      unseen: [],
    };
  }

  confirm({ memory }: Observed): Promise<void> {
    this.#judged = timeIn(memory['judged']) ?? this.#judged;
    return Promise.resolve();
  }

  guard(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * The events since then, and those that may have come into the list late. `at`: when that was, by the clock that is behind, ours or the service's. What
 * an event says of its own time is no clock: one in the future would have all until then passed over.
 *
 * @throws CountersignError TOOL_UNAVAILABLE, TOOL_FAILED
 */
async function events(
  { service, url, list, unix, overlapMs }: HttpSource,
  judged: Date,
  signal: AbortSignal,
): Promise<{ readonly list: readonly Json[]; readonly cut: string | undefined; readonly at: Date }> {
  const asked = Date.now();
  const from = judged.getTime() - overlapMs;
  const since = unix ? String(Math.floor(from / 1000)) : new Date(from).toISOString();
  const target = expand(url, service.client.base, { path: { since } });
  if (target === undefined) throw new TypeError('the URL of the radar was not checked');
  const context = contextOf(service, 'GET', url);
  const { value, truncated, first } = await readPages(service, { url: target }, list, context, within(service, signal));
  if (!Array.isArray(value)) throw unreadable('has no list where the config says', 'radar.at');
  // The time of the answer, in whole seconds, where the service has a clock (RFC 9110, 6.6.1).
  const dated = Date.parse(one(first.headers['date']) ?? '');
  const at = new Date(Number.isNaN(dated) ? asked : Math.min(asked, dated));
  return { list: value as readonly Json[], cut: truncated?.more, at };
}

/** Nothing where the event is of a kind that is no write. @throws CountersignError TOOL_FAILED */
function writeIn(event: Json, { pointers, kinds }: HttpSource): readonly ObservedWrite[] {
  const textAt = (tokens: readonly string[] | undefined): string | undefined => {
    const value = tokens === undefined ? undefined : at(event, tokens);
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
  };
  const kind = textAt(pointers.kind);
  if (kinds !== undefined && (kind === undefined || !kinds.has(kind))) return [];
  const id = textAt(pointers.id);
  if (id === undefined || id === '') throw unreadable('has an event without an id', 'radar.id');
  const user = textAt(pointers.user);
  const time = timeOf(at(event, pointers.time));
  const key = textAt(pointers.key)?.replace(/^"(.*)"$/s, '$1');
  return [
    {
      // What is made anew under a name that was there before is another write.
      position: `${id}@${time.toISOString()}`,
      at: time,
      transaction: id,
      changes: [{ table: kind ?? 'an event', operation: 'event' }],
      keys: key === undefined || key === '' ? [] : [key],
      writers: user === undefined ? [] : [{ user, application: '' }],
    },
  ];
}

function timeIn(value: Json | undefined): Date | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(ms) ? undefined : new Date(ms);
}

function timeOf(value: Json | undefined): Date {
  // Seconds, where milliseconds would be of 1970.
  const ms = typeof value !== 'number' ? undefined : value < 1e11 ? value * 1000 : value;
  const time = ms === undefined ? timeIn(value) : new Date(ms);
  if (time === undefined || Number.isNaN(time.getTime())) throw unreadable('has an event without a time', 'radar.time');
  return time;
}

function tooLong(more: string): CountersignError {
  return new CountersignError('TOOL_FAILED', 'The list of events is longer than what is read of it.', {
    field: 'radar.pages',
    fix: more,
    retryable: true,
  });
}

function unreadable(what: string, field: string): CountersignError {
  return new CountersignError('TOOL_FAILED', `The list of events ${what}.`, {
    field,
    fix: "Correct the pointer in the tool's config.",
  });
}
