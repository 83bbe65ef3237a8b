/** A time-stamping authority (RFC 3161) with certificates of its own, which can be told to do any of it wrongly. */
import { constants, createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  Attribute,
  CertificateChoices,
  CertificateSet,
  CMSVersion,
  ContentInfo,
  DigestAlgorithmIdentifiers,
  EncapsulatedContent,
  EncapsulatedContentInfo,
  id_signedData,
  IssuerAndSerialNumber,
  SignedData,
  SignerIdentifier,
  SignerInfo,
  SignerInfos,
} from '@peculiar/asn1-cms';
import { id_mgf1, RsaSaPssParams } from '@peculiar/asn1-rsa';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  Accuracy,
  id_ct_tstInfo,
  PKIFreeText,
  PKIStatus,
  PKIStatusInfo,
  TimeStampReq,
  TimeStampResp,
  TSTInfo,
} from '@peculiar/asn1-tsp';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  CertificateList,
  CRLReason,
  type CRLReasons,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  id_ce_basicConstraints,
  id_ce_cRLReasons,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_kp_timeStamping,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  RevokedCertificate,
  SubjectPublicKeyInfo,
  TBSCertificate,
  TBSCertList,
  Time,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import { EssCertIdV2, oidBytes, signedBytes, SigningCertificateV2, written } from '../../src/trail/timestamps/asn1.js';

const ECDSA_SHA1 = '1.2.840.10045.4.1';
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';
const RSA_SHA256 = '1.2.840.113549.1.1.11';
const SHA256 = '2.16.840.1.101.3.4.2.1';
const SHA512 = '2.16.840.1.101.3.4.2.3';
const RSA_PSS = '1.2.840.113549.1.1.10';
const ED25519 = '1.3.101.112';
const DAY_MS = 86_400_000;

/** A certificate with its key. */
export interface Issued {
  readonly certificate: Certificate;
  readonly der: Buffer;
  readonly pem: string;
  readonly key: KeyObject;
}

export interface IssueOptions {
  readonly subject: string;
  /** Default: itself. */
  readonly issuer?: Issued;
  readonly authority?: boolean;
  readonly pathLength?: number;
  /** Default: from yesterday for a month. */
  readonly from?: Date;
  readonly to?: Date;
  /** Extended key usages. Default: for time stamps, where it is of no authority. */
  readonly purposes?: readonly string[];
  readonly purposesCritical?: boolean;
  /** Default: for signatures, or for certificates where it is of an authority. */
  readonly keyUsage?: number;
  readonly more?: readonly Extension[];
  readonly keys?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  /** What its signature is over, and what it says of that. Default: SHA-256. */
  readonly hash?: 'sha1';
  /** Signed with RSASSA-PSS, where the key is of RSA. */
  readonly pss?: Partial<PssOptions>;
}

export interface PssOptions {
  /** Object identifiers. Default: SHA-256. */
  readonly hash: string;
  readonly mask: string;
  /** Default: 32. */
  readonly salt: number;
  readonly trailer: number;
}

/** How a key signs, and what says so. */
interface Signing {
  readonly algorithm: AlgorithmIdentifier;
  readonly sign: (data: Buffer) => Buffer;
}

const pss: PssOptions = { hash: SHA256, mask: SHA256, salt: 32, trailer: 1 };

function signing(key: KeyObject, how?: Partial<PssOptions>): Signing {
  if (key.asymmetricKeyType === 'ed25519') {
    return { algorithm: new AlgorithmIdentifier({ algorithm: ED25519 }), sign: (data) => sign(null, data, key) };
  }
  if (how === undefined && key.asymmetricKeyType !== 'rsa-pss') {
    return {
      algorithm: new AlgorithmIdentifier({ algorithm: algorithmOf(key) }),
      sign: (data) => sign('sha256', data, key),
    };
  }
  const { hash, mask, salt, trailer } = { ...pss, ...how };
  const parameters = new RsaSaPssParams({
    hashAlgorithm: new AlgorithmIdentifier({ algorithm: hash }),
    maskGenAlgorithm: new AlgorithmIdentifier({
      algorithm: id_mgf1,
      parameters: AsnConvert.serialize(new AlgorithmIdentifier({ algorithm: mask })),
    }),
    saltLength: salt,
    trailerField: trailer,
  });
  return {
    algorithm: new AlgorithmIdentifier({ algorithm: RSA_PSS, parameters: AsnConvert.serialize(parameters) }),
    sign: (data) => {
      const name = hash === SHA512 ? 'sha512' : hash === SHA256 ? 'sha256' : 'sha1';
      return sign(name, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: salt });
    },
  };
}

export const ecKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const algorithmOf = (key: KeyObject): string => (key.asymmetricKeyType === 'rsa' ? RSA_SHA256 : ECDSA_SHA256);

let serial = 1;

export function issue(options: IssueOptions): Issued {
  const { subject, issuer, authority = false, from = new Date(Date.now() - DAY_MS), keys = ecKeys() } = options;
  const { to = new Date(from.getTime() + 31 * DAY_MS), purposes = authority ? [] : [id_kp_timeStamping] } = options;
  const {
    keyUsage = authority ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign : KeyUsageFlags.digitalSignature,
    purposesCritical = true,
    pathLength: pathLenConstraint,
  } = options;
  const signer = issuer?.key ?? keys.privateKey;
  const how = signing(signer, options.pss);
  const signatureAlgorithm =
    options.hash === 'sha1' ? new AlgorithmIdentifier({ algorithm: ECDSA_SHA1 }) : how.algorithm;
  const usage = new KeyUsage();
  usage.fromNumber(keyUsage);
  const basic = new BasicConstraints({
    cA: authority,
    ...(pathLenConstraint === undefined ? {} : { pathLenConstraint }),
  });
  const name = nameOf(subject);
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: Uint8Array.of(1, serial++).buffer,
    signature: signatureAlgorithm,
    issuer: issuer?.certificate.tbsCertificate.subject ?? name,
    validity: new Validity({ notBefore: from, notAfter: to }),
    subject: name,
    subjectPublicKeyInfo: AsnConvert.parse(
      keys.publicKey.export({ type: 'spki', format: 'der' }),
      SubjectPublicKeyInfo,
    ),
    extensions: new Extensions([
      extension(id_ce_basicConstraints, basic),
      extension(id_ce_keyUsage, usage),
      ...(purposes.length === 0
        ? []
        : [extension(id_ce_extKeyUsage, new ExtendedKeyUsage([...purposes]), purposesCritical)]),
      ...(options.more ?? []),
    ]),
  });
  const signed = written(tbsCertificate);
  const signatureValue = bytes(options.hash === 'sha1' ? sign('sha1', signed, signer) : how.sign(signed));
  const certificate = new Certificate({ tbsCertificate, signatureAlgorithm, signatureValue });
  const der = written(certificate);
  const pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
  return { certificate, der, pem, key: keys.privateKey };
}

export function extension(extnID: string, value: unknown, critical = true): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(written(value)) });
}

function nameOf(subject: string): Name {
  const value = new AttributeValue({ utf8String: subject });
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: '2.5.4.3', value })])]);
}

export interface StampOptions {
  readonly signer: Issued;
  /** What comes with the token. Default: the certificate of the signer. */
  readonly certificates?: readonly Issued[];
  /** What it says otherwise than it should. */
  readonly info?: Partial<TSTInfo>;
  /** The certificate that the signed attributes name. Default: of the signer; null for none. */
  readonly named?: Issued | null;
  readonly attributes?: (attributes: readonly Attribute[]) => readonly Attribute[];
  readonly eContentType?: string;
  readonly signatures?: number;
  /** The key that signs. Default: the signer's. */
  readonly key?: KeyObject;
  /** Signed with RSASSA-PSS, where the key is of RSA. */
  readonly pss?: Partial<PssOptions>;
  /** The hash of what is signed, an object identifier. Default: SHA-512 with Ed25519, else SHA-256. */
  readonly hash?: typeof SHA256 | typeof SHA512;
  readonly change?: (signed: SignedData) => void;
}

/** The token over what a request has the hash of: DER. */
export function stamp(query: TimeStampReq, options: StampOptions): Buffer {
  const { signer, certificates = [signer], named = signer, eContentType = id_ct_tstInfo, key = signer.key } = options;
  const info = new TSTInfo({
    policy: query.reqPolicy ?? '1.2.3.4.1',
    messageImprint: query.messageImprint,
    serialNumber: Uint8Array.of(7).buffer,
    genTime: new Date(),
    accuracy: new Accuracy({ seconds: 1 }),
    ...(query.nonce === undefined ? {} : { nonce: query.nonce }),
    ...options.info,
  });
  const content = written(info);
  const { hash = key.asymmetricKeyType === 'ed25519' ? SHA512 : SHA256 } = options;
  const contentDigest = createHash(hash === SHA512 ? 'sha512' : 'sha256')
    .update(content)
    .digest();
  const how = signing(key, options.pss);
  const honest = [
    attribute('1.2.840.113549.1.9.3', oidBytes(eContentType)),
    attribute('1.2.840.113549.1.9.4', written(new OctetString(contentDigest))),
    ...(named === null ? [] : [attribute('1.2.840.113549.1.9.16.2.47', written(naming(named)))]),
  ];
  const signedAttrs = options.attributes?.(honest) ?? honest;
  const { issuer, serialNumber } = signer.certificate.tbsCertificate;
  const signerInfo = new SignerInfo({
    version: CMSVersion.v1,
    sid: new SignerIdentifier({ issuerAndSerialNumber: new IssuerAndSerialNumber({ issuer, serialNumber }) }),
    digestAlgorithm: new AlgorithmIdentifier({ algorithm: hash }),
    signedAttrs: [...signedAttrs],
    signatureAlgorithm: how.algorithm,
    signature: new OctetString(how.sign(signedBytes(signedAttrs))),
  });
  const signed = new SignedData({
    version: CMSVersion.v3,
    digestAlgorithms: new DigestAlgorithmIdentifiers([new AlgorithmIdentifier({ algorithm: hash })]),
    encapContentInfo: new EncapsulatedContentInfo({
      eContentType,
      eContent: new EncapsulatedContent({ single: new OctetString(content) }),
    }),
    certificates: new CertificateSet(certificates.map(({ certificate }) => new CertificateChoices({ certificate }))),
    signerInfos: new SignerInfos(Array.from({ length: options.signatures ?? 1 }, () => signerInfo)),
  });
  options.change?.(signed);
  return written(new ContentInfo({ contentType: id_signedData, content: AsnConvert.serialize(signed) }));
}

export interface ListOptions {
  readonly issuer: Issued;
  /** Whom it lists, when each was revoked, and what it says of that. */
  readonly revoked?: readonly {
    readonly certificate: Issued;
    readonly at: Date;
    readonly reason?: CRLReasons | Extension;
  }[];
  /** Default: from yesterday for a month. */
  readonly from?: Date;
  /** Default: in a month; null: it does not say. */
  readonly next?: Date | null;
  readonly extensions?: readonly Extension[];
  /** The key that signs. Default: the issuer's. */
  readonly key?: KeyObject;
  readonly pss?: Partial<PssOptions>;
}

/** A list of revoked certificates: DER. */
export function revocationList(options: ListOptions): Buffer {
  const { issuer, revoked = [], from = new Date(Date.now() - DAY_MS), key = issuer.key, extensions = [] } = options;
  const { next = new Date(Date.now() + 30 * DAY_MS) } = options;
  const how = signing(key, options.pss);
  const tbsCertList = new TBSCertList({
    version: Version.v2,
    signature: how.algorithm,
    issuer: issuer.certificate.tbsCertificate.subject,
    thisUpdate: new Time(from),
    ...(next === null ? {} : { nextUpdate: new Time(next) }),
    ...(revoked.length === 0 ? {} : { revokedCertificates: revoked.map(revocation) }),
    ...(extensions.length === 0 ? {} : { crlExtensions: [...extensions] }),
  });
  return written(
    new CertificateList({
      tbsCertList,
      signatureAlgorithm: how.algorithm,
      signature: bytes(how.sign(written(tbsCertList))),
    }),
  );
}

function revocation({ certificate, at, reason }: NonNullable<ListOptions['revoked']>[number]): RevokedCertificate {
  const told =
    reason === undefined || reason instanceof Extension
      ? reason
      : extension(id_ce_cRLReasons, new CRLReason(reason), false);
  return new RevokedCertificate({
    userCertificate: certificate.certificate.tbsCertificate.serialNumber,
    revocationDate: new Time(at),
    ...(told === undefined ? {} : { crlEntryExtensions: [told] }),
  });
}

/** That a token was granted, or a refusal. */
export function answerWith(token: Buffer | undefined, status = PKIStatus.granted, text?: string): Buffer {
  return written(
    new TimeStampResp({
      status: new PKIStatusInfo({ status, ...(text === undefined ? {} : { statusString: new PKIFreeText([text]) }) }),
      ...(token === undefined ? {} : { timeStampToken: AsnConvert.parse(token, ContentInfo) }),
    }),
  );
}

function naming({ der }: Issued): SigningCertificateV2 {
  const id = Object.assign(new EssCertIdV2(), { certHash: new OctetString(sha256(der)) });
  return Object.assign(new SigningCertificateV2(), { certs: [id] });
}

export function attribute(attrType: string, ...values: readonly Buffer[]): Attribute {
  return new Attribute({ attrType, attrValues: values.map(bytes) });
}

const sha256 = (data: Buffer): Buffer => createHash('sha256').update(data).digest();
const bytes = (buffer: Buffer): ArrayBuffer => new Uint8Array(buffer).buffer;

export type Reply = (query: TimeStampReq, request: IncomingMessage, response: ServerResponse) => Buffer | undefined;

export interface Authority {
  readonly url: string;
  /** What was asked, in its order. */
  readonly queries: TimeStampReq[];
  /** How it answers: undefined where `response` was used. */
  reply: Reply;
  close(): Promise<void>;
}

export async function startAuthority(reply: Reply): Promise<Authority> {
  const queries: TimeStampReq[] = [];
  const authority = { reply, queries };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const query = AsnConvert.parse(Buffer.concat(chunks), TimeStampReq);
      queries.push(query);
      const body = authority.reply(query, request, response);
      if (body !== undefined) response.writeHead(200, { 'content-type': 'application/timestamp-reply' }).end(body);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(authority, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsa`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  });
}
