/** Verifies a time-stamp token: that an authority that is trusted signed it, over these bytes, and when. */
import { createHash } from 'node:crypto';
import type { SignerInfo } from '@peculiar/asn1-cms';
import { TSTInfoVersion, type Accuracy, type TSTInfo } from '@peculiar/asn1-tsp';
import { cmsSchemeOf, HASHES, isSignedBy, SHA256 } from './algorithms.js';
import { written } from './asn1.js';
import type { HeldCertificate } from './certificate.js';
import { assertTrusted } from './chain.js';
import { timestampInvalid } from './invalid.js';
import type { RevocationList } from './revocation-list.js';
import { RevocationCheck } from './revocation.js';
import { readToken, type Token } from './token.js';

export interface Timestamp {
  /** When the authority says that it was shown the bytes. */
  readonly at: Date;
  /** They existed then at the latest: `at`, and how far the authority's clock may be off, as it says itself. */
  readonly latest: Date;
  /** The subject of the certificate that signed. */
  readonly authority: string;
  /** The policy of the authority, an object identifier. */
  readonly policy: string;
}

export interface VerifyTimestampOptions {
  /** What was stamped. */
  readonly data: string;
  readonly trusted: readonly HeldCertificate[];
  /** As it was asked for. Default: any, or none. */
  readonly nonce?: Uint8Array;
  /** Default: any. */
  readonly policy?: string | undefined;
  /** Which certificates were revoked. With lists, one must cover each certificate below a trusted one. Default: nobody asks. */
  readonly revoked?: readonly RevocationList[] | undefined;
}

/** An authority that says less of its clock than this says nothing. Seconds. */
const WORST_ACCURACY_S = 86_400;

/** @param der the token @throws CountersignError TIMESTAMP_INVALID */
export function verifyTimestamp(der: Uint8Array, options: VerifyTimestampOptions): Timestamp {
  const token = readToken(der);
  const { info } = token;
  assertOver(info, options);
  const signer = signerOf(token);
  assertSigned(token, signer);
  const { genTime: at } = info;
  const latest = new Date(at.getTime() + accuracyMs(info.accuracy));
  const { trusted, revoked } = options;
  const revocation = revoked && new RevocationCheck(revoked, latest);
  assertTrusted(signer, { others: token.certificates, trusted, at, revocation });
  return { at, latest, authority: signer.subject, policy: info.policy };
}

function assertOver(info: TSTInfo, { data, nonce, policy }: VerifyTimestampOptions): void {
  const { hashAlgorithm, hashedMessage } = info.messageImprint;
  const imprint = createHash('sha256').update(data).digest();
  if (hashAlgorithm.algorithm !== SHA256 || !imprint.equals(Buffer.from(hashedMessage.buffer))) {
    throw timestampInvalid('it is over something else');
  }
  if (info.version !== TSTInfoVersion.v1) throw timestampInvalid('it is of a version that is not known');
  if (Number.isNaN(info.genTime.getTime())) throw timestampInvalid('it says no time');
  if (info.extensions?.some(({ critical }) => critical))
    throw timestampInvalid('it has an extension that is not understood');
  if (nonce !== undefined && !(info.nonce !== undefined && Buffer.from(info.nonce).equals(nonce))) {
    throw timestampInvalid('it answers another request: its nonce is another');
  }
  if (policy !== undefined && info.policy !== policy) {
    throw timestampInvalid(`it was made under the policy ${info.policy}, not ${policy}`);
  }
}

/**
 * The certificate whose hash is signed with the time stamp (RFC 5816), so that no other with the same key or name can stand for it. Where the
 * signature names one by its issuer and number too, that must be it.
 */
function signerOf({ signer: { sid }, signingCertificate: { certs }, certificates }: Token): HeldCertificate {
  const [named] = certs;
  const found = named && certificates.find(({ x509 }) => isHash(named, x509.raw));
  if (found === undefined) throw timestampInvalid('the certificate that it names is not in it');
  const { issuerAndSerialNumber } = sid;
  if (issuerAndSerialNumber === undefined) return found;
  const { issuer, serialNumber } = found.fields.tbsCertificate;
  const same =
    written(issuerAndSerialNumber.issuer).equals(written(issuer)) &&
    Buffer.from(issuerAndSerialNumber.serialNumber).equals(Buffer.from(serialNumber));
  if (!same) throw timestampInvalid('it names two certificates as the one that signed it');
  return found;
}

function isHash({ hashAlgorithm, certHash }: Token['signingCertificate']['certs'][number], der: Buffer): boolean {
  const hash = HASHES[hashAlgorithm?.algorithm ?? SHA256];
  return hash !== undefined && createHash(hash).update(der).digest().equals(Buffer.from(certHash.buffer));
}

function assertSigned({ content, contentDigest, signed, signer }: Token, { key }: HeldCertificate): void {
  const hash = HASHES[signer.digestAlgorithm.algorithm];
  const scheme = hash === undefined ? undefined : cmsSchemeOf(signer.signatureAlgorithm, hash);
  if (hash === undefined || scheme?.keys.includes(key.asymmetricKeyType ?? '') !== true) {
    throw timestampInvalid(`it is signed with an algorithm that is not taken (${algorithmsOf(signer)})`);
  }
  if (!createHash(hash).update(content).digest().equals(contentDigest)) {
    throw timestampInvalid('what is signed is another time stamp');
  }
  if (!isSignedBy(key, scheme, signed, signer.signature.buffer)) throw timestampInvalid('its signature is another’s');
}

function algorithmsOf({ digestAlgorithm, signatureAlgorithm }: SignerInfo): string {
  return `${signatureAlgorithm.algorithm} over ${digestAlgorithm.algorithm}`;
}

/** RFC 3161, section 2.4.2. Whole milliseconds, rounded up. */
function accuracyMs(accuracy: Accuracy | undefined): number {
  if (accuracy === undefined) return 0;
  const { seconds, millis = 0, micros = 0 } = accuracy;
  const good = [seconds, millis, micros].every((part) => Number.isInteger(part) && part >= 0);
  if (!good || seconds > WORST_ACCURACY_S || millis > 999 || micros > 999) {
    throw timestampInvalid('it says no accuracy that can be');
  }
  return seconds * 1000 + millis + (micros > 0 ? 1 : 0);
}
