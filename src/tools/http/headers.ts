/** Request headers: checks which ones config and input may set, and puts secrets into them. */
import { CountersignError } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import { UnwritableField, type HeaderStyle } from './fields.js';
import type { HeaderValue } from './options.js';
import type { Secrets } from '../../http/secrets.js';

const NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
/** A header value: visible ASCII, with spaces inside (RFC 9110, section 5.5, without obs-text). */
const VALUE = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;

/** Headers that only the tool sets, because they say what is sent, where and how. */
const OWN: ReadonlySet<string> = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'idempotency-key',
  'if-match',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Headers that carry credentials. An input may not set them, and config only by reference to a secret. */
const CREDENTIALS = /^(authorization|cookie|proxy-.*|x-api-key|api-key|.*(-|_)(token|secret|password|api-?key))$/;

/** Checks the headers of the config. @throws CountersignError CONFIG_INVALID */
export function checkHeaders(headers: Readonly<Record<string, HeaderValue>>, field: string, secrets: Secrets): void {
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    const place = `${field}.${name}`;
    if (!NAME.test(lower) || OWN.has(lower) || seen.has(lower)) {
      throw invalid(place, 'a header that the tool does not make itself, once', 'Leave it out.');
    }
    seen.add(lower);
    if (typeof value !== 'string') {
      secrets.check(value.secret, place);
      if (value.prefix !== undefined && !/^[\x20-\x7e]*$/.test(value.prefix)) throw invalid(place, 'visible ASCII');
    } else if (CREDENTIALS.test(lower)) {
      throw invalid(place, "a secret by reference: { secret: 'env:NAME' }", 'Move the secret out of the config.');
    } else if (!VALUE.test(value)) throw invalid(place, 'visible ASCII');
  }
}

/** Reads the secrets of the headers. The names are returned in lower case. @throws CountersignError CONFIG_INVALID */
export async function resolveHeaders(
  headers: Readonly<Record<string, HeaderValue>>,
  secrets: Secrets,
): Promise<Record<string, string>> {
  const resolved: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    const text = typeof value === 'string' ? value : `${value.prefix ?? ''}${await secrets.read(value.secret)}`;
    if (!VALUE.test(text)) throw invalid(`headers.${name}`, 'a secret of visible ASCII');
    resolved[name.toLowerCase()] = text;
  }
  return resolved;
}

/** Why a header of the input cannot be sent; undefined when it can. */
export function headerProblem(name: string, value: unknown): string | undefined {
  if (!NAME.test(name)) return 'is not a header name in lower case';
  if (isReservedHeader(name)) return 'is not for the input to give';
  return typeof value === 'string' && VALUE.test(value) ? undefined : 'is not a text of visible ASCII';
}

/** Writes the headers of an input: texts as they are, others in their style (OpenAPI's `simple`). @throws UnwritableField */
export function headersOf(
  values: JsonObject,
  styles: Readonly<Record<string, HeaderStyle>>,
): Readonly<Record<string, string>> {
  const written = Object.entries(values).map(([name, value]): [string, string] => {
    const style = Object.hasOwn(styles, name) ? styles[name] : undefined;
    const text = style === undefined || typeof value === 'string' ? value : listed(name, value, style);
    const problem = headerProblem(name, text);
    if (problem !== undefined) throw new UnwritableField([name], problem);
    return [name, text as string];
  });
  return Object.fromEntries(written);
}

function listed(name: string, value: Json, style: HeaderStyle): string {
  if (typeof value !== 'object' || value === null) return itemOf(name, value, '');
  if (Array.isArray(value))
    return joined(
      name,
      (value as readonly Json[]).map((item) => itemOf(name, item, '')),
    );
  const between = style === 'pairs' ? '=' : ',';
  const members = Object.entries(value);
  return joined(
    name,
    members.map(([key, member]) => `${itemOf(name, key, '=')}${between}${itemOf(name, member, '')}`),
  );
}

function joined(name: string, items: readonly string[]): string {
  if (items.length > 0) return items.join(',');
  throw new UnwritableField([name], 'is empty, so nothing of it would be sent: leave it out');
}

/** One item of a list. Nothing is encoded in a header, so what would be read as another item or as none cannot be sent. */
function itemOf(name: string, item: Json, forbidden: string): string {
  const text = item === null || typeof item === 'object' ? '' : String(item);
  if (text !== '' && text.trim() === text && ![',', '"', forbidden].some((one) => one !== '' && text.includes(one)))
    return text;
  throw new UnwritableField(
    [name],
    'holds an item that is no plain text, or has a comma, a quote or a blank at its end',
  );
}

/** Whether a name is no header, or one that the tool makes itself or that carries credentials. */
export function isReservedHeader(name: string): boolean {
  return !NAME.test(name) || OWN.has(name) || CREDENTIALS.test(name);
}

function invalid(field: string, expected: string, fix = 'Correct the header.'): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${field} must be ${expected}.`, { field, expected, fix });
}
