/** Which signatures count, of tokens, certificates and lists alike: RSA (PKCS #1 v1.5 and PSS), ECDSA and Ed25519, over SHA-256 and stronger. */
import { constants, verify, type KeyObject } from 'node:crypto';
import { id_mgf1, RsaSaPssParams } from '@peculiar/asn1-rsa';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { readAs } from './asn1.js';

export const SHA256 = '2.16.840.1.101.3.4.2.1';

/** By object identifier, as Node names them. */
export const HASHES: Readonly<Record<string, string>> = {
  [SHA256]: 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

const RSA = '1.2.840.113549.1.1.1';
const RSA_PSS = '1.2.840.113549.1.1.10';
const ED25519 = '1.3.101.112';

/** Those whose identifier names the hash. */
const WITH_HASH: Readonly<Record<string, Scheme>> = {
  '1.2.840.113549.1.1.11': { keys: ['rsa'], hash: 'sha256' },
  '1.2.840.113549.1.1.12': { keys: ['rsa'], hash: 'sha384' },
  '1.2.840.113549.1.1.13': { keys: ['rsa'], hash: 'sha512' },
  '1.2.840.10045.4.3.2': { keys: ['ec'], hash: 'sha256' },
  '1.2.840.10045.4.3.3': { keys: ['ec'], hash: 'sha384' },
  '1.2.840.10045.4.3.4': { keys: ['ec'], hash: 'sha512' },
};

/** How a signature is verified. */
export interface Scheme {
  /** The kinds of keys that make it, as Node names them. */
  readonly keys: readonly string[];
  /** What is hashed before. Absent: the signature is over what is signed itself, which Ed25519 hashes with SHA-512. */
  readonly hash?: string;
  /** Of RSASSA-PSS, bytes. */
  readonly saltLength?: number;
}

/** @returns undefined where it is not taken. @throws CountersignError TIMESTAMP_INVALID where its parameters cannot be read */
export function schemeOf({ algorithm, parameters }: AlgorithmIdentifier): Scheme | undefined {
  if (algorithm === RSA_PSS) return parameters ? pssScheme(parameters) : undefined;
  if (algorithm === ED25519) return parameters === undefined ? { keys: ['ed25519'] } : undefined;
  return WITH_HASH[algorithm];
}

/**
 * As `schemeOf`, for a signature in CMS, which names the hash of what is signed besides. Where both name one, they must agree; with Ed25519 it is
 * SHA-512 (RFC 8419, section 3.1).
 */
export function cmsSchemeOf(signature: AlgorithmIdentifier, hash: string): Scheme | undefined {
  if (signature.algorithm === RSA) return { keys: ['rsa'], hash };
  const scheme = schemeOf(signature);
  return (scheme?.hash ?? 'sha512') === hash ? scheme : undefined;
}

/** RFC 4055, section 3.1. What is left out of the parameters says SHA-1. */
function pssScheme(parameters: ArrayBuffer): Scheme | undefined {
  const { hashAlgorithm, maskGenAlgorithm, saltLength, trailerField } = readAs(
    parameters,
    RsaSaPssParams,
    'parameters of RSASSA-PSS',
  );
  const hash = HASHES[hashAlgorithm.algorithm];
  if (hash === undefined || maskGenAlgorithm.algorithm !== id_mgf1 || !maskGenAlgorithm.parameters) return undefined;
  const mask = readAs(maskGenAlgorithm.parameters, AlgorithmIdentifier, 'hash of the mask of RSASSA-PSS');
  // Node masks with the hash that it signs with, and RFC 4056 has both be the same.
  if (mask.algorithm !== hashAlgorithm.algorithm || trailerField !== 1) return undefined;
  return Number.isInteger(saltLength) && saltLength >= 0 ? { keys: ['rsa', 'rsa-pss'], hash, saltLength } : undefined;
}

/** Whether the key made this signature over the data, in this way. */
export function isSignedBy(
  key: KeyObject,
  { keys, hash, saltLength }: Scheme,
  data: Buffer,
  signature: ArrayBuffer,
): boolean {
  if (!keys.includes(key.asymmetricKeyType ?? '')) return false;
  const options = saltLength === undefined ? key : { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
  try {
    return verify(hash, data, options, Buffer.from(signature));
  } catch {
    // The key itself names another hash, or a longer salt.
    return false;
  }
}
