/** A certificate, read by two: OpenSSL for signatures and issuers, the declared schemas for what its extensions say. */
import { X509Certificate, type KeyObject } from 'node:crypto';
import {
  BasicConstraints,
  Certificate,
  CRLDistributionPoints,
  ExtendedKeyUsage,
  id_ce_basicConstraints,
  id_ce_cRLDistributionPoints,
  id_ce_certificatePolicies,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_kp_timeStamping,
  KeyUsage,
  KeyUsageFlags,
  type Extension,
  type GeneralName,
} from '@peculiar/asn1-x509';
import { schemeOf } from './algorithms.js';
import { readAs } from './asn1.js';
import { timestampInvalid } from './invalid.js';

/** Extensions that may be critical, because they are looked at here or bind nothing that is. */
const UNDERSTOOD = new Set([
  id_ce_basicConstraints,
  id_ce_keyUsage,
  id_ce_extKeyUsage,
  id_ce_certificatePolicies,
  id_ce_subjectAltName,
]);
/** Names are not compared with them, so nothing under them is believed. */
const NAME_CONSTRAINTS = '2.5.29.30';
const ANY_PURPOSE = '2.5.29.37.0';

const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const LEAST_RSA_BITS = 2048;
const LONGEST_SUBJECT = 200;

export class HeldCertificate {
  readonly x509: X509Certificate;
  readonly fields: Certificate;
  readonly #extensions: ReadonlyMap<string, Extension>;

  /** @param der of the certificate @throws CountersignError TIMESTAMP_INVALID */
  constructor(der: Uint8Array) {
    try {
      this.x509 = new X509Certificate(der);
    } catch (error) {
      throw timestampInvalid('it holds a certificate that cannot be read', error);
    }
    this.fields = readAs(der, Certificate, 'certificate');
    const extensions = this.fields.tbsCertificate.extensions ?? [];
    this.#extensions = new Map(extensions.map((extension) => [extension.extnID, extension]));
    if (this.#extensions.size !== extensions.length) throw this.#invalid('has an extension twice');
  }

  /** For people: `CN=Stamps, O=Acme`. */
  get subject(): string {
    return this.x509.subject.split('\n').toReversed().join(', ').slice(0, LONGEST_SUBJECT);
  }

  /** @throws CountersignError TIMESTAMP_INVALID where it is of a kind that OpenSSL does not know */
  get key(): KeyObject {
    try {
      return this.x509.publicKey;
    } catch (error) {
      throw timestampInvalid(`the certificate of ${this.subject} has a key that cannot be read`, error);
    }
  }

  is(other: HeldCertificate): boolean {
    return this.x509.raw.equals(other.x509.raw);
  }

  /** Whether the other's key signed this one, and the other may sign certificates. */
  isFrom(issuer: HeldCertificate): boolean {
    return this.x509.checkIssued(issuer.x509) && this.x509.verify(issuer.key);
  }

  /** @throws CountersignError TIMESTAMP_INVALID where it cannot have signed time stamps at that time: RFC 3161, section 2.3 */
  assertSigns(at: Date): void {
    this.#assertGood(at);
    const purposes = this.#purposes();
    const critical = this.#extensions.get(id_ce_extKeyUsage)?.critical === true;
    if (!critical || purposes?.length !== 1 || purposes[0] !== id_kp_timeStamping) {
      throw this.#invalid(
        'is not for time stamps alone: timeStamping must be its only extended key usage, and critical',
      );
    }
    const usage = this.#keyUsage();
    const signing = KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation;
    if (usage !== undefined && ((usage & signing) === 0 || (usage & ~signing) !== 0)) {
      throw this.#invalid('has a key that is for something else than signatures');
    }
  }

  /**
   * @param below how many authorities are between this one and the certificate that signed
   * @throws CountersignError TIMESTAMP_INVALID where it cannot have vouched for an authority of time stamps at that time
   */
  assertIssues(at: Date, below: number): void {
    this.#assertGood(at);
    const basic = this.#extension(id_ce_basicConstraints, BasicConstraints);
    if (!this.x509.ca || basic?.cA !== true) throw this.#invalid('is of no authority, and signed another');
    const { pathLenConstraint: most } = basic;
    if (most !== undefined && !(most >= below))
      throw this.#invalid(`may have ${most} authorities below it, not ${below}`);
    const purposes = this.#purposes();
    if (purposes !== undefined && !purposes.includes(id_kp_timeStamping) && !purposes.includes(ANY_PURPOSE)) {
      throw this.#invalid('is of an authority that is not for time stamps');
    }
  }

  /** @throws CountersignError TIMESTAMP_INVALID where the signature on it could be forged */
  assertWellSigned(): void {
    const { signatureAlgorithm } = this.fields;
    if (schemeOf(signatureAlgorithm) !== undefined) return;
    throw this.#invalid(`is signed with an algorithm that is not taken (${signatureAlgorithm.algorithm})`);
  }

  /** Whether its key may sign lists of revoked certificates. */
  get signsLists(): boolean {
    const usage = this.#keyUsage();
    return usage === undefined || (usage & KeyUsageFlags.cRLSign) !== 0;
  }

  /** Where its authority says that the lists are which it may be on. */
  get distributionPoints(): readonly GeneralName[] {
    const points = this.#extension(id_ce_cRLDistributionPoints, CRLDistributionPoints) ?? [];
    return [...points].flatMap(({ distributionPoint }) => distributionPoint?.fullName ?? []);
  }

  #assertGood(at: Date): void {
    const { notBefore, notAfter } = this.fields.tbsCertificate.validity;
    const [from, to] = [notBefore.getTime(), notAfter.getTime()];
    if (!(from <= at && at <= to)) {
      throw this.#invalid(`is good from ${iso(from)} to ${iso(to)}, and the time stamp is of ${iso(at)}`);
    }
    for (const { extnID, critical } of this.#extensions.values()) {
      if (extnID === NAME_CONSTRAINTS || (critical && !UNDERSTOOD.has(extnID))) {
        throw this.#invalid(`has an extension that is not understood (${extnID})`);
      }
    }
    if (!isStrong(this.key))
      throw this.#invalid('has a key that is not taken: RSA of 2048 bits, P-256, P-384, P-521 or Ed25519');
  }

  #purposes(): readonly string[] | undefined {
    return this.#extension(id_ce_extKeyUsage, ExtendedKeyUsage);
  }

  #keyUsage(): number | undefined {
    return this.#extension(id_ce_keyUsage, KeyUsage)?.toNumber();
  }

  #extension<T>(oid: string, type: new () => T): T | undefined {
    const extension = this.#extensions.get(oid);
    return extension && readAs(extension.extnValue.buffer, type, `extension ${oid} of a certificate`);
  }

  #invalid(what: string) {
    return timestampInvalid(`the certificate of ${this.subject} ${what}`);
  }
}

/** For people, also where somebody wrote no time. */
export function iso(time: Date): string {
  return Number.isNaN(time.getTime()) ? 'no time' : time.toISOString();
}

function isStrong({ asymmetricKeyType: type, asymmetricKeyDetails: details = {} }: KeyObject): boolean {
  if (type === 'rsa' || type === 'rsa-pss') return (details.modulusLength ?? 0) >= LEAST_RSA_BITS;
  if (type === 'ed25519') return true;
  return type === 'ec' && CURVES.has(details.namedCurve ?? '');
}
