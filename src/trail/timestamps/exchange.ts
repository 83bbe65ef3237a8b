/** Asking a time-stamping authority: the request, and the token in its answer (RFC 3161, section 2.4). */
import { createHash, randomBytes } from 'node:crypto';
import { OctetString } from '@peculiar/asn1-schema';
import { MessageImprint, PKIStatus, TimeStampReq, TimeStampResp } from '@peculiar/asn1-tsp';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { readAs, written } from './asn1.js';
import { timestampInvalid } from './invalid.js';

const SHA256 = '2.16.840.1.101.3.4.2.1';

export interface TimestampRequest {
  /** DER. */
  readonly body: Buffer;
  /** As the answer must repeat it. */
  readonly nonce: Buffer;
}

/** @param data what is to be stamped: the authority sees its hash alone */
export function timestampRequest(data: string, policy: string | undefined): TimestampRequest {
  const nonce = randomBytes(8);
  // A positive INTEGER of eight bytes, however it is read.
  nonce[0] = ((nonce[0] ?? 0) & 0x3f) | 0x40;
  const request = new TimeStampReq({
    messageImprint: new MessageImprint({
      hashAlgorithm: new AlgorithmIdentifier({ algorithm: SHA256, parameters: null }),
      hashedMessage: new OctetString(createHash('sha256').update(data).digest()),
    }),
    nonce: new Uint8Array(nonce).buffer,
    certReq: true,
    ...(policy === undefined ? {} : { reqPolicy: policy }),
  });
  return { body: written(request), nonce };
}

/** The longest text of an authority that is quoted. */
const QUOTED = 200;

/** @returns DER, not verified yet. @throws CountersignError TIMESTAMP_INVALID where the authority gave none */
export function tokenIn(answer: Uint8Array): Buffer {
  const { status: said, timeStampToken } = readAs(answer, TimeStampResp, 'answer');
  const { status, statusString } = said;
  if (status !== PKIStatus.granted && status !== PKIStatus.grantedWithMods) {
    const why = [...(statusString ?? [])].join(' ').slice(0, QUOTED);
    throw timestampInvalid(
      `the authority gave none: ${PKIStatus[status] ?? 'a status that is not known'}${why && ` (${why})`}`,
    );
  }
  if (timeStampToken === undefined) throw timestampInvalid('the authority gave none, and says that it did');
  return written(timeStampToken);
}
