/** What is redacted, by tool, as the operator declares it. */
import type { Json, JsonObject } from '../action/json.js';

export interface RedactionRules {
  /** Names of columns of a database, or of members of objects, however deep: in inputs, states, samples and results. */
  readonly fields?: readonly string[];
  /** JSON pointers into the input (RFC 6901); `*` stands for any member or item: `/params/*`. */
  readonly input?: readonly string[];
  /** JSON pointers into the input, of which the first that leads to something names whom the values are about: what is recorded of them can be erased. */
  readonly subject?: readonly string[];
}

/** The member `privacy.redaction` of the config. */
export interface RedactionConfig {
  /** The file of the keys that digests are made under, relative to the config file: one of `countersign payload-keys create`. */
  readonly keysFile: string;
  /** By the tool's name. */
  readonly tools: Readonly<Record<string, RedactionRules>>;
}

export interface Redactions {
  /** Of what a rule names. */
  readonly mark: (value: Json) => Json;
  /** Of every other text, and of names of members. */
  readonly text: (text: string) => string;
  readonly name: (name: string) => string;
}

/** Redacts what these fields name, however deep, and everything else. @param fields in lower case: whoever writes a name otherwise is refused, and recorded */
export function markFields(value: Json, fields: ReadonlySet<string>, changes: Redactions): Json {
  const { mark, text, name: renamed } = changes;
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return value.map((item: Json) => markFields(item, fields, changes));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]: [string, Json]) => [
      renamed(name),
      fields.has(name.toLowerCase()) ? mark(item) : markFields(item, fields, changes),
    ]),
  );
}

/** Redactions what a pointer, as tokens, leads to. */
export function markAt(value: Json, [token, ...rest]: readonly string[], mark: (value: Json) => Json): Json {
  if (token === undefined) return mark(value);
  if (typeof value !== 'object' || value === null) return value;
  const meant = (name: string): boolean => token === '*' || token === name;
  if (Array.isArray(value)) {
    return value.map((item: Json, index) => (meant(String(index)) ? markAt(item, rest, mark) : item));
  }
  return Object.fromEntries(
    Object.entries(value as JsonObject).map(([name, item]) => [name, meant(name) ? markAt(item, rest, mark) : item]),
  );
}

/** Every scalar in a value, changed. */
export function eachScalar(value: Json, change: (scalar: string | number | boolean) => string): Json {
  if (value === null) return null;
  if (Array.isArray(value)) return value.map((item: Json) => eachScalar(item, change));
  if (typeof value !== 'object') return change(value);
  return Object.fromEntries(
    Object.entries(value).map(([name, item]: [string, Json]) => [name, eachScalar(item, change)]),
  );
}
