/**
 * Encrypts what passes through Temporal. AES-256-GCM (NIST SP 800-38D) with a random nonce, under a key of its own for each payload: derived
 * from the key of the file and a random salt (HKDF, RFC 5869), so that no number of payloads wears the key of the file out.
 *
 * An encrypted payload has the metadata `encoding: binary/encrypted` and `encryption-key-id`. Its data are version, salt, nonce, ciphertext
 * and tag; the ciphertext is that of the whole payload, a `temporal.api.common.v1.Payload`.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, type KeyObject } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import { CountersignError, type CountersignErrorOptions } from '../action/errors.js';
import type { PayloadKeys } from './payload-keys.js';

export const ENCRYPTED = 'binary/encrypted';
export const KEY_ID = 'encryption-key-id';

const CIPHER = 'aes-256-gcm';
const VERSION = 1;
const SALT_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = 1 + SALT_BYTES + NONCE_BYTES;

const PayloadMessage = proto.temporal.api.common.v1.Payload;

/** What becomes of a payload that is not encrypted where keys are there. `accept`: while workflows that began before are open. */
export type PlainPayloads = 'refuse' | 'accept';

/** Without keys nothing is encrypted, and what others encrypted is refused with a word on why. */
export class EncryptingCodec implements PayloadCodec {
  readonly #keys: PayloadKeys | undefined;
  readonly #plain: PlainPayloads;

  constructor(keys: PayloadKeys | undefined, plain: PlainPayloads = 'refuse') {
    this.#keys = keys;
    this.#plain = keys === undefined ? 'accept' : plain;
  }

  encode(payloads: Payload[]): Promise<Payload[]> {
    const keys = this.#keys;
    return settled(() => (keys === undefined ? payloads : payloads.map((payload) => encrypted(payload, keys))));
  }

  /** @throws CountersignError PAYLOAD_KEY_UNKNOWN, PAYLOAD_INVALID, PAYLOAD_PLAIN */
  decode(payloads: Payload[]): Promise<Payload[]> {
    return settled(() => payloads.map((payload) => this.#decoded(payload)));
  }

  #decoded(payload: Payload): Payload {
    if (textOf(payload, 'encoding') === ENCRYPTED) return decrypted(payload, this.#keys);
    if (this.#plain === 'accept') return payload;
    throw new CountersignError('PAYLOAD_PLAIN', 'A payload that must be encrypted is not.', {
      field: 'payload',
      expected: `a payload with the encoding ${ENCRYPTED}`,
      fix: 'Give whoever sent it the payload keys (the Temporal CLI: --codec-endpoint). Where workflows began before encryption was switched on, set privacy.payloads.plain to accept until they have ended.',
    });
  }
}

/** What throws, rejects. */
async function settled<T>(work: () => T): Promise<T> {
  return work();
}

function encrypted(payload: Payload, { current }: PayloadKeys): Payload {
  const [salt, nonce] = [randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES)];
  const head = Buffer.concat([Buffer.of(VERSION), salt, nonce]);
  const cipher = createCipheriv(CIPHER, derivedKey(current.key, salt), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(bound(current.id, head));
  const plain = PayloadMessage.encode(PayloadMessage.create(payload)).finish();
  const text = Buffer.concat([cipher.update(plain), cipher.final()]);
  return {
    metadata: { encoding: Buffer.from(ENCRYPTED), [KEY_ID]: Buffer.from(current.id) },
    data: Buffer.concat([head, text, cipher.getAuthTag()]),
  };
}

function decrypted(payload: Payload, keys: PayloadKeys | undefined): Payload {
  const id = textOf(payload, KEY_ID);
  const key = keys?.byId.get(id);
  if (key === undefined) throw unknownKey(id, keys);
  const data = Buffer.from(payload.data ?? []);
  if (data[0] !== VERSION || data.length < HEAD_BYTES + TAG_BYTES) {
    throw invalid('An encrypted payload is cut, or of another version.');
  }
  const head = data.subarray(0, HEAD_BYTES);
  const salt = head.subarray(1, 1 + SALT_BYTES);
  const decipher = createDecipheriv(CIPHER, derivedKey(key, salt), head.subarray(1 + SALT_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(bound(id, head));
  decipher.setAuthTag(data.subarray(-TAG_BYTES));
  try {
    const plain = Buffer.concat([decipher.update(data.subarray(HEAD_BYTES, -TAG_BYTES)), decipher.final()]);
    return PayloadMessage.decode(plain);
  } catch (cause) {
    throw invalid('An encrypted payload was changed, or its key id names another key.', { cause });
  }
}

/** What else the tag is over: a payload under another key id, encoding or version does not decrypt. */
function bound(id: string, head: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`countersign payload\n${ENCRYPTED}\n${id}\n`), head]);
}

function derivedKey(key: KeyObject, salt: Buffer): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key, salt, 'countersign payload', 32));
}

function textOf({ metadata }: Payload, name: string): string {
  return Buffer.from(metadata?.[name] ?? []).toString();
}

function unknownKey(id: string, keys: PayloadKeys | undefined): CountersignError {
  const what = `A payload is encrypted under the key ${JSON.stringify(id.slice(0, 64))}`;
  return new CountersignError(
    'PAYLOAD_KEY_UNKNOWN',
    keys === undefined
      ? `${what}, and this process has no payload keys.`
      : `${what}, which this process does not have.`,
    {
      field: 'COUNTERSIGN_PAYLOAD_KEYS_FILE',
      expected: 'the payload keys that the workers have, the old ones too',
      fix: 'Give this process the file of payload keys; a key stays in it for as long as histories are under it.',
    },
  );
}

function invalid(message: string, options: CountersignErrorOptions = {}): CountersignError {
  return new CountersignError('PAYLOAD_INVALID', message, {
    field: 'payload',
    expected: 'what a process with the payload keys encrypted',
    fix: 'Find out who can write into Temporal. What cannot be decrypted is not acted on.',
    ...options,
  });
}
