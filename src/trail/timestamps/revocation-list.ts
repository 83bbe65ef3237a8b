/** A list of revoked certificates (RFC 5280, section 5), from a file: who signed it, whom it lists, and whom it covers when. */
import {
  CertificateList,
  id_ce_cRLNumber,
  id_ce_authorityKeyIdentifier,
  id_ce_issuingDistributionPoint,
  InvalidityDate,
  IssuingDistributionPoint,
  type Extension,
  type GeneralName,
  type RevokedCertificate,
} from '@peculiar/asn1-x509';
import { CountersignError } from '../../action/errors.js';
import { isSignedBy, schemeOf } from './algorithms.js';
import { readAs, written } from './asn1.js';
import { iso, type HeldCertificate } from './certificate.js';
import { timestampInvalid } from './invalid.js';

const PEM = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/g;

/** Since when the list keeps certificates that are over (X.509, 8.5.2.12): a GeneralizedTime, as an invalidity date is. */
const EXPIRED_CERTS_ON_CRL = '2.5.29.60';
/** Extensions that may be critical. A list of changes alone is critical and not among them. */
const UNDERSTOOD = new Set([
  id_ce_issuingDistributionPoint,
  id_ce_authorityKeyIdentifier,
  id_ce_cRLNumber,
  EXPIRED_CERTS_ON_CRL,
]);

/** How far the clock of whoever signed a list may be ahead of ours, milliseconds. */
const CLOCKS_APART_MS = 300_000;

/**
 * The lists in a file: PEM, or one in DER.
 *
 * @param source for people @throws CountersignError KEYS_INVALID
 */
export function revocationLists(bytes: Buffer, source: string): readonly RevocationList[] {
  const pem = [...bytes.toString('latin1').matchAll(PEM)].map(([, body = '']) => Buffer.from(body, 'base64'));
  try {
    return (pem.length > 0 ? pem : [bytes]).map((der) => new RevocationList(der, source));
  } catch (cause) {
    throw new CountersignError('KEYS_INVALID', `${source} has no list of revoked certificates that can be read.`, {
      field: source,
      expected: 'a CRL of RFC 5280, in DER or between -----BEGIN X509 CRL----- and -----END X509 CRL-----',
      fix: 'Name the file with the lists of the authority and of those above it.',
      cause,
    });
  }
}

export class RevocationList {
  readonly #source: string;
  readonly #whole: CertificateList;
  readonly #signed: Buffer;
  readonly #issuer: Buffer;
  /** By serial number. */
  readonly #revoked: ReadonlyMap<string, readonly RevokedCertificate[]>;
  readonly #extensions: ReadonlyMap<string, Extension>;
  readonly #scope: IssuingDistributionPoint | undefined;

  /** @throws CountersignError TIMESTAMP_INVALID */
  constructor(der: Buffer, source: string) {
    this.#source = source;
    this.#whole = readAs(der, CertificateList, 'list of revoked certificates');
    const { tbsCertList: fields, tbsCertListRaw } = this.#whole;
    this.#signed = tbsCertListRaw === undefined ? written(fields) : Buffer.from(tbsCertListRaw);
    this.#issuer = written(fields.issuer);
    this.#revoked = bySerialNumber(fields.revokedCertificates ?? []);
    this.#extensions = new Map((fields.crlExtensions ?? []).map((extension) => [extension.extnID, extension]));
    if (this.#extensions.size !== (fields.crlExtensions ?? []).length)
      throw timestampInvalid('a list has an extension twice');
    this.#scope = this.#extension(id_ce_issuingDistributionPoint, IssuingDistributionPoint);
  }

  /** Whether its authority, by name, issued the certificate. */
  isAbout({ fields }: HeldCertificate): boolean {
    return written(fields.tbsCertificate.issuer).equals(this.#issuer);
  }

  entriesOf({ fields }: HeldCertificate): readonly RevokedCertificate[] {
    return this.#revoked.get(hex(fields.tbsCertificate.serialNumber)) ?? [];
  }

  /** Why it is not the list of this authority; undefined where it is. */
  flawUnder(issuer: HeldCertificate): string | undefined {
    const { signatureAlgorithm, signature, tbsCertList } = this.#whole;
    const scheme = schemeOf(signatureAlgorithm);
    const algorithm = written(signatureAlgorithm);
    if (scheme === undefined || !written(tbsCertList.signature).equals(algorithm)) {
      return `${this.#source} is signed with an algorithm that is not taken (${signatureAlgorithm.algorithm})`;
    }
    if (!issuer.signsLists || !isSignedBy(issuer.key, scheme, this.#signed, signature)) {
      return `${this.#source} is not signed by ${issuer.subject}`;
    }
    return undefined;
  }

  /** Why it does not tell whether the certificate was revoked at that time; undefined where it does. */
  gapFor(certificate: HeldCertificate, at: Date): string | undefined {
    const { thisUpdate, nextUpdate } = this.#whole.tbsCertList;
    const [from, to] = [thisUpdate.getTime(), nextUpdate?.getTime()];
    if (Number.isNaN(from.getTime()) || from.getTime() > Date.now() + CLOCKS_APART_MS) {
      return `${this.#source} is of a time that has not come`;
    }
    if (to === undefined || !(to >= at)) {
      return `${this.#source} was over at the time of the stamp (${to === undefined ? 'it says no next one' : iso(to)})`;
    }
    // Certificates that are over are taken off the lists.
    const over = certificate.fields.tbsCertificate.validity.notAfter.getTime();
    const kept = this.#extension(EXPIRED_CERTS_ON_CRL, InvalidityDate)?.value;
    if (from > over && !(kept !== undefined && kept <= over)) {
      return `${this.#source} was made when the certificate was over, and may not list it any more`;
    }
    for (const { extnID, critical } of this.#extensions.values()) {
      if (critical && !UNDERSTOOD.has(extnID))
        return `${this.#source} has an extension that is not understood (${extnID})`;
    }
    return this.#inScope(certificate) ? undefined : `${this.#source} is about other certificates`;
  }

  #inScope(certificate: HeldCertificate): boolean {
    if (this.#scope === undefined) return true;
    const { distributionPoint, onlyContainsUserCerts, onlyContainsCACerts, onlySomeReasons } = this.#scope;
    if (this.#scope.indirectCRL || this.#scope.onlyContainsAttributeCerts || onlySomeReasons !== undefined)
      return false;
    if (certificate.x509.ca ? onlyContainsUserCerts : onlyContainsCACerts) return false;
    if (distributionPoint === undefined) return true;
    const own = certificate.distributionPoints.map((name) => bytesOf(name));
    return (distributionPoint.fullName ?? []).some((name) => own.includes(bytesOf(name)));
  }

  #extension<T>(oid: string, type: new () => T): T | undefined {
    const extension = this.#extensions.get(oid);
    return extension && readAs(extension.extnValue.buffer, type, `extension ${oid} of a list of revoked certificates`);
  }
}

function bySerialNumber(entries: readonly RevokedCertificate[]): ReadonlyMap<string, readonly RevokedCertificate[]> {
  const found = new Map<string, RevokedCertificate[]>();
  for (const entry of entries) {
    const serialNumber = hex(entry.userCertificate);
    const before = found.get(serialNumber);
    if (before === undefined) found.set(serialNumber, [entry]);
    else before.push(entry);
  }
  return found;
}

function bytesOf(name: GeneralName): string {
  return written(name).toString('hex');
}

/** An INTEGER, however many zeros are before it. */
function hex(integer: ArrayBuffer): string {
  return Buffer.from(integer)
    .toString('hex')
    .replace(/^(?:00)+/, '');
}
