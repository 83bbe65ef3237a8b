/** An authenticator in software (WebAuthn Level 3, ES256): makes passkeys and asserts with them as a browser and a security key do together. */
import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';

/** What the page asks for, and what the browser and the authenticator then say. */
export interface CeremonyOptions {
  /** Base64url, as in the options that the server sent. */
  readonly challenge: string;
  readonly rpId: string;
  /** Of the page: `https://approvals.example.com`. */
  readonly origin: string;
  /** Whether the person gave a PIN, a finger or a face. Default true. */
  readonly userVerified?: boolean;
  /** Whether the person touched it. Default true. */
  readonly userPresent?: boolean;
  /** Further members of the client data, such as `crossOrigin`. Those of the same name win. */
  readonly clientData?: Readonly<Record<string, unknown>>;
}

export interface RegisterOptions extends CeremonyOptions {
  /** How the key attests itself. Default `none`. */
  readonly attestation?: 'none' | 'self';
}

export interface AssertOptions extends CeremonyOptions {
  /** Default the passkey made last. */
  readonly credentialId?: string;
  /** Default one more than before; 0 for an authenticator that does not count. */
  readonly counter?: number;
}

interface Passkey {
  readonly id: string;
  readonly privateKey: KeyObject;
  /** COSE key. */
  readonly publicKey: Buffer;
}

const UP = 0x01;
const UV = 0x04;
const AT = 0x40;

export class SoftwareAuthenticator {
  readonly #counts: boolean;
  readonly #passkeys: Passkey[] = [];
  #counter = 0;

  /** @param options.counts whether it has a signature counter (a security key) or always says 0 (a synced passkey). Default true. */
  constructor({ counts = true }: { readonly counts?: boolean } = {}) {
    this.#counts = counts;
  }

  /** Makes a new passkey. */
  register(options: RegisterOptions): RegistrationResponseJSON {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
    const rawId = randomBytes(32);
    const cose = cbor(
      new Map<number, CborValue>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Buffer.from(x, 'base64url')],
        [-3, Buffer.from(y, 'base64url')],
      ]),
    );
    const id = rawId.toString('base64url');
    this.#passkeys.push({ id, privateKey, publicKey: cose });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(rawId.length);
    const attested = Buffer.concat([Buffer.alloc(16), length, rawId, cose]);
    const authData = Buffer.concat([this.#authenticatorData(options, AT, this.#counter), attested]);
    const clientData = clientDataOf('webauthn.create', options);
    const { attestation = 'none' } = options;
    const statement: CborValue =
      attestation === 'none'
        ? new Map()
        : new Map<string, CborValue>([
            ['alg', -7],
            ['sig', sign('sha256', Buffer.concat([authData, sha256(clientData)]), privateKey)],
          ]);
    return {
      id,
      rawId: id,
      type: 'public-key',
      authenticatorAttachment: 'cross-platform',
      clientExtensionResults: {},
      response: {
        clientDataJSON: clientData.toString('base64url'),
        attestationObject: attestationObject(attestation === 'none' ? 'none' : 'packed', statement, authData),
        transports: ['usb'],
      },
    };
  }

  /** Signs the challenge with a passkey. */
  assert(options: AssertOptions): AuthenticationResponseJSON {
    const passkey = this.#passkeys.find(({ id }) => id === (options.credentialId ?? this.#passkeys.at(-1)?.id));
    if (passkey === undefined) throw new Error('the authenticator has no such passkey');
    if (this.#counts) this.#counter++;
    const authData = this.#authenticatorData(options, 0, options.counter ?? this.#counter);
    const clientData = clientDataOf('webauthn.get', options);
    const signature = sign('sha256', Buffer.concat([authData, sha256(clientData)]), passkey.privateKey);
    return {
      id: passkey.id,
      rawId: passkey.id,
      type: 'public-key',
      authenticatorAttachment: 'cross-platform',
      clientExtensionResults: {},
      response: {
        clientDataJSON: clientData.toString('base64url'),
        authenticatorData: authData.toString('base64url'),
        signature: signature.toString('base64url'),
      },
    };
  }

  /** A copy with the same keys and counter, as somebody makes who broke the authenticator open. */
  clone(): SoftwareAuthenticator {
    const copy = new SoftwareAuthenticator({ counts: this.#counts });
    copy.#passkeys.push(...this.#passkeys);
    copy.#counter = this.#counter;
    return copy;
  }

  #authenticatorData(
    { rpId, userVerified = true, userPresent = true }: CeremonyOptions,
    flags: number,
    counter: number,
  ) {
    const counted = Buffer.alloc(4);
    counted.writeUInt32BE(counter);
    const set = flags | (userPresent ? UP : 0) | (userVerified ? UV : 0);
    return Buffer.concat([sha256(Buffer.from(rpId)), Buffer.from([set]), counted]);
  }
}

/** The attestation object, base64url: also for tests that put together one that no authenticator makes. */
export function attestationObject(fmt: string, attStmt: CborValue, authData: Buffer): string {
  const object = new Map<string, CborValue>([
    ['fmt', fmt],
    ['attStmt', attStmt],
    ['authData', authData],
  ]);
  return cbor(object).toString('base64url');
}

function clientDataOf(type: string, { challenge, origin, clientData }: CeremonyOptions): Buffer {
  return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false, ...clientData }));
}

function sha256(data: Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

export type CborValue = number | string | Buffer | readonly CborValue[] | ReadonlyMap<string | number, CborValue>;

/** CBOR (RFC 8949), as much of it as authenticators need. */
export function cbor(value: CborValue): Buffer {
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string | number, CborValue>)];
    return Buffer.concat([head(5, entries.length), ...entries.flatMap(([key, item]) => [cbor(key), cbor(item)])]);
  }
  const items = value as readonly CborValue[];
  return Buffer.concat([head(4, items.length), ...items.map(cbor)]);
}

function head(major: number, argument: number): Buffer {
  if (argument < 24) return Buffer.from([(major << 5) | argument]);
  if (argument < 0x100) return Buffer.from([(major << 5) | 24, argument]);
  const long = Buffer.from([(major << 5) | 25, 0, 0]);
  long.writeUInt16BE(argument, 1);
  return long;
}
