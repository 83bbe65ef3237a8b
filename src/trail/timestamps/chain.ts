/** The way from the certificate that signed a time stamp to one that is trusted: RFC 5280, section 6, as far as authorities of time stamps need it. */
import { CountersignError } from '../../action/errors.js';
import { HeldCertificate } from './certificate.js';
import { timestampInvalid } from './invalid.js';
import type { RevocationCheck } from './revocation.js';

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/**
 * The certificates in a PEM text: each is trusted, be it a root, an authority below one, or that of the time-stamping authority itself.
 *
 * @param source for people @throws CountersignError KEYS_INVALID
 */
export function trustedCertificates(pem: string, source: string): readonly HeldCertificate[] {
  try {
    const found = [...pem.matchAll(PEM)].map(([, body = '']) => new HeldCertificate(Buffer.from(body, 'base64')));
    if (found.length > 0) return found;
  } catch (error) {
    throw notTrusted(source, error);
  }
  throw notTrusted(source);
}

function notTrusted(source: string, cause?: unknown): CountersignError {
  return new CountersignError('KEYS_INVALID', `${source} has no certificates that can be read.`, {
    field: source,
    expected: 'PEM: at least one certificate between -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----',
    fix: 'Name the file with the certificates of the authority that you trust.',
    ...(cause === undefined ? {} : { cause }),
  });
}

export interface CertificatePathOptions {
  /** What came with the token. */
  readonly others: readonly HeldCertificate[];
  readonly trusted: readonly HeldCertificate[];
  /** When every certificate on the way must be good: the time of the stamp. */
  readonly at: Date;
  /** Default: nobody asks whether one was revoked. */
  readonly revocation?: RevocationCheck | undefined;
}

/**
 * Looks for the shortest way first. Each certificate is looked at once, so that no circle of them keeps anybody busy.
 *
 * @throws CountersignError TIMESTAMP_INVALID
 */
export function assertTrusted(
  signer: HeldCertificate,
  { others, trusted, at, revocation }: CertificatePathOptions,
): void {
  signer.assertSigns(at);
  if (trusted.some((one) => one.is(signer))) return revocation?.assertTrustNotListed(signer);
  let why = timestampInvalid(`no trusted certificate vouches for that of ${signer.subject}`);
  let left = [...trusted, ...others];
  let level: readonly HeldCertificate[] = [signer];
  for (let below = 0; level.length > 0; below++) {
    const next: HeldCertificate[] = [];
    for (const certificate of level) {
      for (const issuer of left.filter((one) => certificate.isFrom(one))) {
        try {
          certificate.assertWellSigned();
          issuer.assertIssues(at, below);
          revocation?.assertNotRevoked(certificate, issuer);
          if (trusted.includes(issuer)) return revocation?.assertTrustNotListed(issuer);
        } catch (error) {
          why = error as CountersignError;
          continue;
        }
        next.push(issuer);
      }
      left = left.filter((one) => !next.includes(one));
    }
    level = next;
  }
  throw why;
}
