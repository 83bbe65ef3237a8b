/** What an authority for time stamps answers, and the tokens and lists of revoked certificates that an audit finds years later: ASN.1, from outside. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { trustedCertificates } from '../../src/trail/timestamps/chain.js';
import { tokenIn } from '../../src/trail/timestamps/exchange.js';
import { revocationLists } from '../../src/trail/timestamps/revocation-list.js';
import { verifyTimestamp } from '../../src/trail/timestamps/verify.js';
import { holds, refusedOr, type Target } from './target.js';

const ca = path.join(import.meta.dirname, '../trail/fixtures/openssl/ca.pem');
const trusted = trustedCertificates(readFileSync(ca, 'utf8'), 'corpus');

/** What the authority of the corpus signed. */
const SAID = new Set([
  '2026-11-29T17:32:17.000Z CN=Stamps rsa, O=Acme',
  '2026-11-29T17:32:17.000Z CN=Stamps ec, O=Acme',
]);

export const timestamp: Target = {
  name: 'timestamp',
  words: [
    // A sequence without an end, one of four gigabytes, one with nothing in it; a null, a zero, a negative number.
    '\x30\x80',
    '\x30\x84\xff\xff\xff\xff',
    '\x30\x00',
    '\x05\x00',
    '\x02\x01\x00',
    '\x02\x01\xff',
    '\x31\x80',
    '\xa0\x80',
    '\x24\x80',
    '\x18\x0f99991231235959Z',
    // SHA-1, MD5, data, timeStamping.
    '\x06\x05\x2b\x0e\x03\x02\x1a',
    '\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05',
    '\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01',
    '\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08',
  ],
  async feed(text) {
    // A byte each: neither is text.
    const bytes = Buffer.from(text, 'latin1');
    const answered = await refusedOr(() => tokenIn(bytes));
    for (const token of [bytes, ...(answered === undefined ? [] : [answered])]) {
      const found = await refusedOr(() => verifyTimestamp(token, { data: 'a checkpoint', trusted }));
      if (found === undefined) continue;
      holds(SAID.has(`${found.at.toISOString()} ${found.authority}`), 'a time stamp verifies that nobody signed');
    }
    for (const list of (await refusedOr(() => revocationLists(bytes, 'corpus'))) ?? []) {
      for (const issuer of trusted) {
        const flaw = await refusedOr(() => list.flawUnder(issuer) ?? 'none');
        holds(flaw !== 'none', 'a list verifies that nobody signed');
        await refusedOr(() => list.gapFor(issuer, new Date(0)) ?? 'none');
      }
    }
  },
};
