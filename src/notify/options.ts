/** Checks of the options that the channels have in common. */
import { configInvalid } from '../action/errors-config.js';
import { NAME_PATTERN } from '../action/proposal.js';
import { isThisMachine } from '../http/addresses.js';

export type { SecretRef } from '../http/options.js';

/** The default timeout of one attempt. Milliseconds. */
const DEFAULT_TIMEOUT_MS = 10_000;

/** @throws CountersignError CONFIG_INVALID */
export function checkedName(name: unknown, field: string): string {
  if (typeof name === 'string' && NAME_PATTERN.test(name)) return name;
  throw configInvalid(field, 'a name: 1 to 63 of A-Z a-z 0-9 . _ -, beginning with a letter or digit');
}

/** Parses a URL. The error does not quote the value, which may contain a password. @throws CountersignError CONFIG_INVALID */
export function checkedUrl(
  value: unknown,
  field: string,
  { loopback, plainHttp = false }: { readonly loopback: boolean; readonly plainHttp?: boolean },
): URL {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '' || url.hash !== '') {
    throw configInvalid(field, 'a URL without credentials and fragment');
  }
  const plain = url.protocol === 'http:' && (plainHttp || (loopback && isThisMachine(url.hostname)));
  if (url.protocol !== 'https:' && !plain) throw configInvalid(field, 'a URL of https (or http, to this machine)');
  return url;
}

/** @throws CountersignError CONFIG_INVALID */
export function checkedTimeout(ms: unknown, field: string): number {
  if (ms === undefined) return DEFAULT_TIMEOUT_MS;
  if (Number.isInteger(ms) && (ms as number) >= 1 && (ms as number) <= 60_000) return ms as number;
  throw configInvalid(field, 'a whole number of milliseconds from 1 to 60000');
}
