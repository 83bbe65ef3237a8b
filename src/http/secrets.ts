/** Secrets by reference: read where they are used, and struck out of everything that comes back. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CountersignError } from '../action/errors.js';
import type { Json } from '../action/json.js';
import type { SecretRef } from './options.js';

/** A shorter text is found by chance in answers that hold no secret. */
const MIN_STRUCK = 4;
/** Access tokens come and go; those older than this many are long expired. */
const MAX_KNOWN = 256;

const STRUCK_OUT = '[secret]';

/** Reads secrets and remembers what it read, so that no answer, error or snapshot can carry one. */
export class Secrets {
  readonly #whose: string;
  readonly #known = new Set<string>();

  /** `whose` is for people: `The tool payments`. */
  constructor(whose: string) {
    this.#whose = whose;
  }

  /** @throws CountersignError CONFIG_INVALID: the reference has no right form, or its variable is not set. */
  check(ref: unknown, field: string): void {
    if (typeof ref !== 'string' || !/^(env:[A-Za-z_]\w*|file:.+)$/su.test(ref)) {
      throw new CountersignError('CONFIG_INVALID', `${this.#whose} takes ${field} by reference only.`, {
        field,
        expected: 'env:NAME or file:/path',
        fix: 'Put the secret into a variable of the environment or a file, and name that.',
      });
    }
    if (ref.startsWith('env:') && !process.env[ref.slice(4)]) throw this.#missing(ref);
  }

  /** @throws CountersignError CONFIG_INVALID. What it says names the reference, never the secret. */
  async read(ref: SecretRef): Promise<string> {
    if (ref.startsWith('env:')) return this.#take(process.env[ref.slice(4)], ref);
    return this.#take(await readFile(ref.slice(5), 'utf8').catch(() => undefined), ref);
  }

  readSync(ref: SecretRef): string {
    if (ref.startsWith('env:')) return this.#take(process.env[ref.slice(4)], ref);
    try {
      return this.#take(readFileSync(ref.slice(5), 'utf8'), ref);
    } catch {
      throw this.#missing(ref);
    }
  }

  /** From now on, `secret` is struck out, also as it looks in URLs, forms and Basic credentials. */
  remember(secret: string): void {
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64'), escaped(secret)]) {
      if (form.length < MIN_STRUCK) continue;
      this.#known.delete(form);
      this.#known.add(form);
    }
    for (const oldest of this.#known) {
      if (this.#known.size <= MAX_KNOWN) break;
      this.#known.delete(oldest);
    }
  }

  strike(text: string): string {
    let clean = text;
    // Longest first: a secret may hold another.
    for (const secret of [...this.#known].sort((a, b) => b.length - a.length)) {
      if (clean.includes(secret)) clean = clean.replaceAll(secret, STRUCK_OUT);
    }
    return clean;
  }

  strikeJson(value: Json): Json {
    if (typeof value === 'string') return this.strike(value);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map((item: Json) => this.strikeJson(item));
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.strike(key), this.strikeJson(item)]));
  }

  #take(read: string | undefined, ref: SecretRef): string {
    const secret = read?.trim();
    if (secret === undefined || secret === '') throw this.#missing(ref);
    this.remember(secret);
    return secret;
  }

  #missing(ref: string): CountersignError {
    return new CountersignError('CONFIG_INVALID', `${this.#whose} finds no secret at ${ref}.`, {
      field: ref,
      expected: 'a text that is not empty',
      fix: 'Set the variable, or correct the path and its permissions, on the worker.',
    });
  }
}

function escaped(secret: string): string {
  return JSON.stringify(secret).slice(1, -1);
}
