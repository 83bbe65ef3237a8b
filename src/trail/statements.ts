/** Entries as in-toto statements (https://in-toto.io/Statement/v1) in DSSE envelopes, which tools for attestations read. */
import { decodeJwt } from 'jose';
import type { ReceiptClaims } from '../action/receipt.js';
import { canonical, digestText, type Digest, type JsonObject } from '../action/json.js';
import { signingKey, type Keyring } from '../trust/index.js';
import { readEntry, type EntryBody } from './entry.js';
import type { TrailLine } from './format.js';
import { trailKeysOf } from './keys.js';
import { verifiedLines } from './verified-lines.js';

/** The type of the predicate, with its version. docs/trail.md describes it. */
export const PREDICATE_TYPE = 'urn:countersign:attestation:trail-entry:v1';

const PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** A DSSE envelope (https://github.com/secure-systems-lab/dsse, version 1). */
export interface Envelope {
  readonly payloadType: typeof PAYLOAD_TYPE;
  /** Base64 of the statement. */
  readonly payload: string;
  readonly signatures: readonly [{ readonly keyid: string; readonly sig: string }];
}

/**
 * Envelopes signed with the key that signs receipts; lines that are no entries are passed over. The trail is verified along the way, so that this key
 * signs for nobody who can write to the ledger: what came before an error is worth nothing.
 *
 * @throws CountersignError KEYS_MISSING; TRAIL_BROKEN
 */
export async function* envelopes(lines: AsyncIterable<TrailLine>, keyring: Keyring): AsyncGenerator<Envelope> {
  const { key, kid } = signingKey(keyring, 'receipt');
  for await (const line of verifiedLines(lines, trailKeysOf(keyring))) {
    const statement = line.type === 'entry' ? statementOf(line) : undefined;
    if (statement === undefined) continue;
    const payload = Buffer.from(canonical(statement));
    const sig = key.sign(preAuthenticated(payload)).toString('base64');
    yield { payloadType: PAYLOAD_TYPE, payload: payload.toString('base64'), signatures: [{ keyid: kid, sig }] };
  }
}

/** What is signed: DSSE's pre-authentication encoding. */
export function preAuthenticated(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`DSSEv1 ${PAYLOAD_TYPE.length} ${PAYLOAD_TYPE} ${payload.length} `), payload]);
}

function statementOf({ hash, entry, evidence }: Extract<TrailLine, { type: 'entry' }>): JsonObject | undefined {
  const body = readEntry(entry);
  if (body === undefined) return undefined;
  const claims = receiptIn(body, evidence);
  return {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [
      {
        name: `${body.tenant}/${body.kind}/${body.subject}`,
        digest: { sha256: hexOf(claims?.outcomeDigest ?? body.digest) },
      },
    ],
    predicateType: PREDICATE_TYPE,
    predicate: {
      entry,
      entryHash: hash,
      kind: body.kind,
      at: body.at,
      ...(evidence === undefined ? {} : { evidence }),
      ...(claims === undefined ? {} : { receipt: claims as unknown as JsonObject }),
    },
  };
}

/** What a receipt claims, where an entry is about one and has it with it. The signature is not verified here. */
export function receiptIn({ kind, digest }: EntryBody, evidence: string | undefined): ReceiptClaims | undefined {
  if (kind !== 'receipt' || evidence === undefined || digestText(evidence) !== digest) return undefined;
  try {
    return decodeJwt(evidence) as unknown as ReceiptClaims;
  } catch {
    return undefined;
  }
}

function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
