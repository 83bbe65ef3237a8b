/** Request headers: checks which ones config and input may set, and puts secrets into them. */
import { CountersignError } from '../../action/errors.js';
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

/** Whether a name is no header, or one that the tool makes itself or that carries credentials. */
export function isReservedHeader(name: string): boolean {
  return !NAME.test(name) || OWN.has(name) || CREDENTIALS.test(name);
}

function invalid(field: string, expected: string, fix = 'Correct the header.'): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${field} must be ${expected}.`, { field, expected, fix });
}
