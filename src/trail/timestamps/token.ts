/** A time-stamp token (RFC 3161, section 2.4.2) taken apart: what it says, who says so, and what the signature is over. */
import { ContentInfo, id_signedData, SignedData, type SignerInfo } from '@peculiar/asn1-cms';
import { OctetString } from '@peculiar/asn1-schema';
import { id_ct_tstInfo, TSTInfo } from '@peculiar/asn1-tsp';
import { oidBytes, readAs, signedBytes, SigningCertificateV2, written } from './asn1.js';
import { HeldCertificate } from './certificate.js';
import { timestampInvalid } from './invalid.js';

/** Larger than any token with the certificates of its authority, and small enough to be read at once. Bytes. */
const MAX_TOKEN_BYTES = 64 * 1024;
const MAX_CERTIFICATES = 16;

const CONTENT_TYPE = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';

export interface Token {
  readonly info: TSTInfo;
  /** The bytes of `info`. */
  readonly content: Buffer;
  readonly signer: SignerInfo;
  /** What the signature is over. */
  readonly signed: Buffer;
  /** What the signed attributes say is the digest of `content`. */
  readonly contentDigest: Buffer;
  readonly signingCertificate: SigningCertificateV2;
  readonly certificates: readonly HeldCertificate[];
}

/** Nothing of it is verified yet. @throws CountersignError TIMESTAMP_INVALID */
export function readToken(der: Uint8Array): Token {
  if (der.length > MAX_TOKEN_BYTES) throw timestampInvalid(`it is larger than ${MAX_TOKEN_BYTES} bytes`);
  const outer = readAs(der, ContentInfo, 'token');
  if (outer.contentType !== id_signedData || !written(outer).equals(der))
    throw timestampInvalid('it is no token in DER');
  const { encapContentInfo, signerInfos, certificates } = readAs(outer.content, SignedData, 'signed data');
  const content = encapContentInfo.eContent?.single;
  if (encapContentInfo.eContentType !== id_ct_tstInfo || content === undefined) {
    throw timestampInvalid('what is signed is no time stamp');
  }
  const [signer] = signerInfos;
  if (signer === undefined || signerInfos.length > 1) throw timestampInvalid('it has not one signature');
  if ((certificates?.length ?? 0) > MAX_CERTIFICATES) {
    throw timestampInvalid(`it has more than ${MAX_CERTIFICATES} certificates`);
  }
  if (!attribute(signer, CONTENT_TYPE, 'what is signed').equals(oidBytes(id_ct_tstInfo))) {
    throw timestampInvalid('what is signed says that it is no time stamp');
  }
  return {
    info: readAs(content.buffer, TSTInfo, 'time'),
    content: Buffer.from(content.buffer),
    signer,
    signed: signedBytes(signer.signedAttrs ?? []),
    contentDigest: Buffer.from(
      readAs(attribute(signer, MESSAGE_DIGEST, 'the digest of what is signed'), OctetString, 'digest').buffer,
    ),
    signingCertificate: readAs(
      attribute(signer, SIGNING_CERTIFICATE_V2, 'the certificate that signed, by SHA-2 (RFC 5816)'),
      SigningCertificateV2,
      'reference to the certificate that signed (SigningCertificateV2)',
    ),
    certificates: [...(certificates ?? [])].flatMap(({ certificate }) =>
      certificate === undefined ? [] : [new HeldCertificate(written(certificate))],
    ),
  };
}

/** The value of a signed attribute that must be there once, with one value. */
function attribute({ signedAttrs = [] }: SignerInfo, type: string, what: string): Buffer {
  const values = signedAttrs.filter(({ attrType }) => attrType === type).flatMap(({ attrValues }) => attrValues);
  const [value] = values;
  if (value === undefined || values.length > 1) throw timestampInvalid(`its signature does not say once ${what}`);
  return Buffer.from(value);
}
