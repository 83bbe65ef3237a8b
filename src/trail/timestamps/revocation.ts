/** Whether a certificate was revoked, by the lists that were given (RFC 5280, section 5): nothing is looked up, and what no list covers does not count. */
import { CRLReason, CRLReasons, id_ce_cRLReasons, type Extension, type RevokedCertificate } from '@peculiar/asn1-x509';
import { readAs } from './asn1.js';
import { iso, type HeldCertificate } from './certificate.js';
import { timestampInvalid } from './invalid.js';
import type { RevocationList } from './revocation-list.js';

const INVALIDITY_DATE = '2.5.29.24';

/**
 * Reasons that leave good what was signed before (RFC 3161, section 4): the key was given up, and nobody else has it. After any other, or without a
 * word on it, whoever has the key may write any time into what it signs.
 */
const GIVEN_UP: ReadonlySet<CRLReasons> = new Set([
  CRLReasons.unspecified,
  CRLReasons.affiliationChanged,
  CRLReasons.superseded,
  CRLReasons.cessationOfOperation,
]);

export class RevocationCheck {
  readonly #lists: readonly RevocationList[];
  /** The time stamp is of then at the latest. */
  readonly #latest: Date;

  constructor(lists: readonly RevocationList[], latest: Date) {
    this.#lists = lists;
    this.#latest = latest;
  }

  /** @throws CountersignError TIMESTAMP_INVALID unless a list that covers the certificate at the time of the stamp leaves it out */
  assertNotRevoked(certificate: HeldCertificate, issuer: HeldCertificate): void {
    let why = 'none of the lists is of its authority';
    let covered = false;
    for (const list of this.#lists.filter((one) => one.isAbout(certificate))) {
      const flaw = list.flawUnder(issuer);
      if (flaw !== undefined) {
        why = flaw;
        continue;
      }
      // Who was listed once stays listed, however old the list is.
      this.#assertNotListed(certificate, list);
      const gap = list.gapFor(certificate, this.#latest);
      if (gap === undefined) covered = true;
      else why = gap;
    }
    if (!covered) {
      throw timestampInvalid(`nothing shows that the certificate of ${certificate.subject} was not revoked: ${why}`);
    }
  }

  /** A certificate that is trusted needs no list. One that lists it counts, whoever signed that. @throws CountersignError TIMESTAMP_INVALID */
  assertTrustNotListed(certificate: HeldCertificate): void {
    for (const list of this.#lists) if (list.isAbout(certificate)) this.#assertNotListed(certificate, list);
  }

  #assertNotListed(certificate: HeldCertificate, list: RevocationList): void {
    const entry = list.entriesOf(certificate).find((one) => !leavesGood(one, this.#latest));
    if (entry === undefined) return;
    const at = iso(entry.revocationDate.getTime());
    const { reason } = reasonIn(entry) ?? {};
    const told = reason === undefined ? 'without a reason' : `for the reason ${CRLReasons[reason] ?? reason}`;
    throw timestampInvalid(`the certificate of ${certificate.subject} was revoked at ${at}, ${told}`);
  }
}

function leavesGood(entry: RevokedCertificate, latest: Date): boolean {
  const understood = new Set([id_ce_cRLReasons, INVALIDITY_DATE]);
  if (entry.crlEntryExtensions?.some(({ extnID, critical }) => critical && !understood.has(extnID))) return false;
  const found = reasonIn(entry);
  return found !== undefined && GIVEN_UP.has(found.reason) && latest < entry.revocationDate.getTime();
}

function reasonIn({ crlEntryExtensions = [] }: RevokedCertificate): CRLReason | undefined {
  const extension: Extension | undefined = crlEntryExtensions.find(({ extnID }) => extnID === id_ce_cRLReasons);
  return extension && readAs(extension.extnValue.buffer, CRLReason, 'reason of a revocation');
}
