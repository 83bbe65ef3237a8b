/** Files in the body of a request: an agent gives them as text or base64, with a name and a media type. */
import { createHash } from 'node:crypto';
import type { Json, JsonObject } from '../../action/json.js';
import { UnwritableField } from './fields.js';
import type { Part } from './multipart.js';

export const MEDIA_TYPE = /^[A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+$/;

const CONTENT = ['text', 'base64'];
const MEMBERS = [...CONTENT, 'filename', 'contentType'];
/** What could make a file's name a path, or end the header that it stands in. */
const UNSAFE_NAME = /[/\\\p{Cc}\u2028\u2029]/u;

/** The content of a body that is a text, `{text}` or `{base64}`. @throws UnwritableField */
export function rawContent(value: Json): string | Buffer {
  return typeof value === 'string' ? value : contentOf([], membersOf([], value, CONTENT));
}

function contentOf(path: readonly string[], { text, base64 }: JsonObject): string | Buffer {
  if (typeof text === 'string' && base64 === undefined) return text;
  if (typeof base64 === 'string' && text === undefined) {
    const bytes = Buffer.from(base64, 'base64');
    if (bytes.toString('base64') === base64) return bytes;
    throw new UnwritableField([...path, 'base64'], 'is not base64 (RFC 4648, section 4, with padding)');
  }
  throw new UnwritableField(path, 'must hold either text or base64');
}

/** The part of a multipart body that holds a file. @throws UnwritableField */
export function filePart(name: string, path: readonly string[], value: Json): Part {
  const members = membersOf(path, value, MEMBERS);
  const { filename = name, contentType = 'application/octet-stream' } = members;
  if (typeof filename !== 'string' || filename === '' || UNSAFE_NAME.test(filename)) {
    throw new UnwritableField([...path, 'filename'], 'is not a plain file name');
  }
  if (typeof contentType !== 'string' || !MEDIA_TYPE.test(contentType)) {
    throw new UnwritableField([...path, 'contentType'], 'is not a media type such as image/png');
  }
  return { name, filename, contentType, content: contentOf(path, members) };
}

function membersOf(path: readonly string[], value: Json, known: readonly string[]): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UnwritableField(path, `must be an object of ${known.join(', ')}`);
  }
  const members = value as JsonObject;
  const surplus = Object.keys(members).find((key) => !known.includes(key));
  if (surplus !== undefined) throw new UnwritableField([...path, surplus], `is none of ${known.join(', ')}`);
  return members;
}

/** What people see of a file instead of its base64: its name, type, size and digest. */
export function shownFile(value: Json): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const { base64, ...others } = value as JsonObject;
  if (typeof base64 !== 'string') return value;
  const bytes = Buffer.from(base64, 'base64');
  return { ...others, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}
