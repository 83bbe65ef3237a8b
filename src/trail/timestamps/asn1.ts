/** Reading and writing ASN.1 by declared schemas, with a refusal for whatever does not fit one. */
import {
  AsnArray,
  AsnConvert,
  AsnObjectIdentifierConverter,
  AsnProp,
  AsnPropTypes,
  AsnType,
  AsnTypeTypes,
  OctetString,
} from '@peculiar/asn1-schema';
import { Attribute } from '@peculiar/asn1-cms';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { timestampInvalid } from './invalid.js';

/** @param what goes on from "it holds no" @throws CountersignError TIMESTAMP_INVALID */
export function readAs<T>(bytes: ArrayBuffer | Uint8Array, type: new () => T, what: string): T {
  try {
    return AsnConvert.parse(bytes, type);
  } catch (error) {
    throw timestampInvalid(`it holds no ${what} that can be read`, error);
  }
}

export function written(value: unknown): Buffer {
  return Buffer.from(AsnConvert.serialize(value));
}

/** An object identifier as DER. */
export function oidBytes(oid: string): Buffer {
  return Buffer.from(AsnObjectIdentifierConverter.toASN(oid).toBER());
}

class AttributeSet extends AsnArray<Attribute> {
  constructor(items?: Attribute[]) {
    super(items);
    Object.setPrototypeOf(this, AttributeSet.prototype);
  }
}
AsnType({ type: AsnTypeTypes.Set, itemType: Attribute })(AttributeSet);

/** What RFC 5652, section 5.4, has a signature over: the attributes as a SET OF, in the order of DER. */
export function signedBytes(attributes: readonly Attribute[]): Buffer {
  const sorted = attributes.toSorted((one, other) => Buffer.compare(written(one), written(other)));
  return written(new AttributeSet(sorted));
}

/** RFC 5035, section 4. What follows the hash says again what the hash is over, and is not read. */
export class EssCertIdV2 {
  /** Absent: SHA-256. */
  hashAlgorithm?: AlgorithmIdentifier;
  certHash = new OctetString();
  issuerSerial?: ArrayBuffer;
}
AsnProp({ type: AlgorithmIdentifier, optional: true })(EssCertIdV2.prototype, 'hashAlgorithm');
AsnProp({ type: OctetString })(EssCertIdV2.prototype, 'certHash');
AsnProp({ type: AsnPropTypes.Any, optional: true })(EssCertIdV2.prototype, 'issuerSerial');

export class SigningCertificateV2 {
  /** The first is the certificate of the key that signed. */
  certs: EssCertIdV2[] = [];
  policies?: ArrayBuffer;
}
AsnProp({ type: EssCertIdV2, repeated: 'sequence' })(SigningCertificateV2.prototype, 'certs');
AsnProp({ type: AsnPropTypes.Any, optional: true })(SigningCertificateV2.prototype, 'policies');
