/** The keys that encrypt what passes through Temporal: a JWK Set (RFC 7517) of symmetric keys. The first encrypts; all of them decrypt. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import { isProduction, variable, type Environment } from '../environment.js';
import { keysInvalid, readSecretFile, refuseOpenFile } from '../trust/index.js';

export interface PayloadKey {
  readonly id: string;
  /** 256 bits. */
  readonly key: KeyObject;
}

export interface PayloadKeys {
  /** Encrypts. */
  readonly current: PayloadKey;
  /** Each of them decrypts what it encrypted. */
  readonly byId: ReadonlyMap<string, KeyObject>;
}

const KEY_BYTES = 32;

const keySchema = z.strictObject({
  kty: z.literal('oct'),
  kid: z.string().regex(/^[\w.-]{1,64}$/),
  k: z.string().regex(/^[\w-]{43}$/),
  alg: z.literal('A256GCM').exactOptional(),
  use: z.literal('enc').exactOptional(),
});
const fileSchema = z.strictObject({ keys: z.array(keySchema).min(1).max(64) });

/** The content of a file of payload keys. */
export type PayloadKeyFile = z.infer<typeof fileSchema>;

/** What stands where, for errors: they never say what a file holds. */
const EXPECTED: Readonly<Record<string, string>> = {
  kty: '"oct"',
  kid: '1 to 64 letters, digits, `_`, `.` or `-`',
  k: '32 bytes in base64url without padding',
  alg: '"A256GCM"',
  use: '"enc"',
};

/** @throws CountersignError KEYS_INVALID */
export function payloadKeyFile(text: string, source: string): PayloadKeyFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // What the parser says quotes the text, which is secret.
    throw keysInvalid(`${source} is not JSON`, { field: source, expected: 'a JWK Set: {"keys": […]}' });
  }
  const { data, error } = fileSchema.safeParse(json);
  if (data === undefined) {
    const [, index, member] = error.issues[0]?.path ?? [];
    const field = `${source}${index === undefined ? '' : `.keys[${String(index)}]`}${member === undefined ? '' : `.${String(member)}`}`;
    const expected =
      EXPECTED[String(member)] ?? 'a JWK Set of 1 to 64 keys with kty, kid, k, and no more than alg and use';
    throw keysInvalid(`${field} is not what a file of payload keys holds there`, { field, expected });
  }
  const ids = data.keys.map(({ kid }) => kid);
  const twice = ids.find((id, index) => ids.indexOf(id) < index);
  if (twice === undefined) return data;
  throw keysInvalid(`${source} has two keys with the id ${twice}`, {
    field: `${source}.keys`,
    expected: 'each id once',
    fix: 'What was encrypted under an id can be decrypted by one key only: give the newer one an id of its own.',
  });
}

/** @throws CountersignError KEYS_INVALID */
export function parsePayloadKeys(text: string, source: string): PayloadKeys {
  const keys = payloadKeyFile(text, source).keys.map(({ kid, k }, index): PayloadKey => {
    const bytes = Buffer.from(k, 'base64url');
    if (bytes.length === KEY_BYTES && new Set(bytes).size > 1) return { id: kid, key: createSecretKey(bytes) };
    const field = `${source}.keys[${index}].k`;
    throw keysInvalid(`${field} is no random key`, { field, expected: EXPECTED['k'] as string });
  });
  const [current] = keys as [PayloadKey];
  return { current, byId: new Map(keys.map(({ id, key }) => [id, key])) };
}

export interface PayloadKeySources {
  /** COUNTERSIGN_PAYLOAD_KEYS (JSON) and COUNTERSIGN_PAYLOAD_KEYS_FILE (a path) come before `file`. */
  readonly env: Environment;
  /** Of the config. */
  readonly file?: string | undefined;
  /** Whether a file that others can read is refused. Default: what the environment says. */
  readonly production?: boolean;
}

/**
 * Undefined where no keys are named anywhere.
 *
 * @throws CountersignError KEYS_MISSING (no such file); KEYS_INVALID, also where both variables are set, or (in production) others can read
 *   the file
 */
export async function loadPayloadKeys({
  env,
  file,
  production = isProduction(env),
}: PayloadKeySources): Promise<PayloadKeys | undefined> {
  const text = variable('COUNTERSIGN_PAYLOAD_KEYS', env);
  const named = variable('COUNTERSIGN_PAYLOAD_KEYS_FILE', env);
  if (text !== undefined && named !== undefined) {
    throw keysInvalid('Both COUNTERSIGN_PAYLOAD_KEYS and COUNTERSIGN_PAYLOAD_KEYS_FILE are set', {
      field: 'COUNTERSIGN_PAYLOAD_KEYS',
      expected: 'one of the two',
      fix: 'Unset one of them.',
    });
  }
  if (text !== undefined) return parsePayloadKeys(text, 'COUNTERSIGN_PAYLOAD_KEYS');
  const path = named ?? file;
  if (path === undefined) return undefined;
  const read = await readSecretFile(path);
  const keys = parsePayloadKeys(read.text, path);
  if (production) refuseOpenFile(path, read, 'COUNTERSIGN_PAYLOAD_KEYS');
  return keys;
}

/** @throws CountersignError KEYS_MISSING */
export function requiredKeys(keys: PayloadKeys | undefined): PayloadKeys {
  if (keys !== undefined) return keys;
  throw new CountersignError(
    'KEYS_MISSING',
    'The config says that payloads are encrypted, and there are no payload keys.',
    {
      field: 'privacy.payloads.keysFile',
      expected: 'privacy.payloads.keysFile in the config, or COUNTERSIGN_PAYLOAD_KEYS_FILE or COUNTERSIGN_PAYLOAD_KEYS',
      fix: 'Create them once with `countersign payload-keys create --out payload-keys.json`, and give every process the file.',
    },
  );
}
