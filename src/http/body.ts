/** An answer's body as JSON: unpacked within bounds, parsed without losing digits. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';
import { isSafeNumber, parse } from 'lossless-json';
import { assertJson, type Json } from '../action/json.js';
import type { Answer } from './wire.js';

/** The answer came, but is not what it says it is. */
export class BrokenBody extends Error {
  override readonly name = 'BrokenBody';
}

const UNPACKERS = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
} as const;

/**
 * JSON as it is, but integers beyond ±(2^53-1) as texts; other texts as texts; nothing as null; anything else as
 * `{contentType, bytes, sha256}`.
 *
 * @throws BrokenBody
 */
export async function bodyOf(answer: Answer, maxBytes: number): Promise<Json> {
  const bytes = await unpacked(answer, maxBytes);
  if (bytes.length === 0) return null;
  const contentType = one(answer.headers['content-type']) ?? '';
  const type = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  if (/^application\/(.+\+)?json$/.test(type)) return parsed(textOf(bytes));
  if (type.startsWith('text/') || /[/+]xml$/.test(type)) return checked(textOf(bytes));
  return { contentType: type, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

export function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(', ') : header;
}

async function unpacked({ headers, body }: Answer, maxOutputLength: number): Promise<Buffer> {
  const encoding = one(headers['content-encoding'])?.trim().toLowerCase() ?? 'identity';
  if (encoding === 'identity' || encoding === '' || body.length === 0) return body;
  // Packed twice is what bombs are; no service needs it.
  if (!Object.hasOwn(UNPACKERS, encoding)) throw new BrokenBody('the answer is packed in a way that is not known');
  try {
    return await UNPACKERS[encoding as keyof typeof UNPACKERS](body, { maxOutputLength });
  } catch (error) {
    const tooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    throw new BrokenBody(
      tooLarge ? `the answer unpacks to more than ${maxOutputLength} bytes` : 'the answer does not unpack',
    );
  }
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new BrokenBody('the answer is not UTF-8');
  }
}

function parsed(text: string): Json {
  let value: unknown;
  try {
    value = parse(text, null, {
      parseNumber: (number) => (isSafeNumber(number, { approx: true }) ? Number(number) : number),
      onDuplicateKey: () => {
        throw new BrokenBody('the answer has a key twice in one object');
      },
    });
  } catch (error) {
    throw error instanceof BrokenBody ? error : new BrokenBody('the answer is not JSON');
  }
  return checked(value);
}

function checked(value: unknown): Json {
  try {
    assertJson(value, 'answer');
    return value;
  } catch (error) {
    throw new BrokenBody((error as Error).message);
  }
}
