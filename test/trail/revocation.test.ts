/** Certificates of an authority that were revoked: lists from files are checked, cover or do not, and whatever they leave open does not count. */
import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { Accuracy, TimeStampReq } from '@peculiar/asn1-tsp';
import {
  CRLDistributionPoints,
  CRLReasons,
  DistributionPoint,
  DistributionPointName,
  GeneralName,
  InvalidityDate,
  IssuingDistributionPoint,
  KeyUsageFlags,
} from '@peculiar/asn1-x509';
import { describe, expect, test } from 'vitest';
import { HeldCertificate } from '../../src/trail/timestamps/certificate.js';
import { trustedCertificates } from '../../src/trail/timestamps/chain.js';
import { timestampRequest } from '../../src/trail/timestamps/exchange.js';
import { revocationLists } from '../../src/trail/timestamps/revocation-list.js';
import { verifyTimestamp } from '../../src/trail/timestamps/verify.js';
import {
  extension,
  issue,
  revocationList,
  stamp,
  type Issued,
  type ListOptions,
} from '../support/timestamp-authority.js';

const DATA = 'a checkpoint';
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const at = (ms: number): Date => new Date(Date.now() + ms);

const long = { from: at(-90 * DAY), to: at(90 * DAY) };
const root = issue({ subject: 'Root', authority: true, ...long });
const middle = issue({ subject: 'Middle', authority: true, issuer: root, ...long });
const signer = issue({ subject: 'Stamps', issuer: middle });
const stranger = issue({ subject: 'Middle', authority: true, issuer: root });

interface Case {
  readonly lists: readonly ListOptions[];
  readonly signer?: Issued;
  readonly trusted?: readonly Issued[];
  readonly genTime?: Date;
}

/** Verifies a token of now that came by way of `middle`. */
function verified({ lists, signer: by = signer, trusted = [root], genTime = new Date() }: Case): string {
  const query = AsnConvert.parse(timestampRequest(DATA, undefined).body, TimeStampReq);
  const token = stamp(query, {
    signer: by,
    certificates: [by, middle],
    info: { genTime, accuracy: new Accuracy({ seconds: 60 }) },
  });
  return verifyTimestamp(token, {
    data: DATA,
    trusted: trusted.map(({ der }) => new HeldCertificate(der)),
    revoked: lists.flatMap((list) => revocationLists(revocationList(list), 'crl.pem')),
  }).authority;
}

const ofRoot: ListOptions = { issuer: root };
const ofMiddle: ListOptions = { issuer: middle };
const point = (uri: string): GeneralName => new GeneralName({ uniformResourceIdentifier: uri });
const issuing = (fields: Partial<IssuingDistributionPoint>) =>
  extension('2.5.29.28', new IssuingDistributionPoint(fields));
const named = new DistributionPointName({ fullName: [point('http://ca.example/7.crl')] });
const published = issue({
  subject: 'Stamps',
  issuer: middle,
  more: [
    extension('2.5.29.31', new CRLDistributionPoints([new DistributionPoint({ distributionPoint: named })]), false),
  ],
});
const lastDay = issue({ subject: 'Stamps', issuer: middle, from: at(-30 * DAY), to: at(-DAY) });

describe('counts when', () => {
  const revokedLater = (reason: CRLReasons): ListOptions => ({
    ...ofMiddle,
    revoked: [{ certificate: signer, at: at(HOUR), reason }],
  });
  test.each<readonly [string, Case]>([
    ['lists of every authority leave its certificates out', { lists: [ofRoot, ofMiddle] }],
    ['they list others', { lists: [ofRoot, { ...ofMiddle, revoked: [{ certificate: stranger, at: at(-HOUR) }] }] }],
    ['the authority between is trusted, and its list leaves it out', { lists: [ofMiddle], trusted: [middle] }],
    ['its own certificate is trusted', { lists: [], trusted: [signer] }],
    ['lists are of after', { lists: [{ ...ofRoot, from: at(0) }, ofMiddle], genTime: at(-HOUR) }],
    [
      'lists were good then, and are over',
      {
        lists: [ofRoot, ofMiddle].map((list) => ({ ...list, from: at(-3 * HOUR), next: at(-HOUR) })),
        genTime: at(-2 * HOUR),
      },
    ],
    ['its certificate was given up later', { lists: [ofRoot, revokedLater(CRLReasons.cessationOfOperation)] }],
    ['its certificate was replaced later', { lists: [ofRoot, revokedLater(CRLReasons.superseded)] }],
    [
      'a list is for certificates of no authority, and one for those of authorities',
      {
        lists: [
          { ...ofRoot, extensions: [issuing({ onlyContainsCACerts: true })] },
          { ...ofMiddle, extensions: [issuing({ onlyContainsUserCerts: true })] },
        ],
      },
    ],
    [
      'a list is that of the place that the certificate names',
      { lists: [ofRoot, { ...ofMiddle, extensions: [issuing({ distributionPoint: named })] }], signer: published },
    ],
    [
      'its certificate was over when the list was made, and the list keeps such',
      {
        lists: [
          ofRoot,
          { ...ofMiddle, extensions: [extension('2.5.29.60', new InvalidityDate(at(-60 * DAY)), false)] },
        ],
        signer: lastDay,
        genTime: at(-2 * DAY),
      },
    ],
    ['a list of nobody is among them', { lists: [ofRoot, ofMiddle, { issuer: middle, key: stranger.key }] }],
  ])('%s', (_, one) => {
    expect(verified(one)).toBe('CN=Stamps');
  });
});

describe('does not count when', () => {
  const revoked = (certificate: Issued, when: Date, reason?: CRLReasons): Pick<ListOptions, 'revoked'> => ({
    revoked: [{ certificate, at: when, ...(reason === undefined ? {} : { reason }) }],
  });
  const was = /the certificate of CN=\w+ was revoked at 20/;
  const open = /nothing shows that the certificate of CN=\w+ was not revoked: /;
  const because = (why: string): RegExp => new RegExp(open.source + why);
  const rsaKeys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const mute = issue({ subject: 'Middle', authority: true, issuer: root, keyUsage: KeyUsageFlags.keyCertSign });
  test.each<readonly [string, RegExp, Case]>([
    [
      'its certificate was revoked before',
      was,
      { lists: [ofRoot, { ...ofMiddle, ...revoked(signer, at(-HOUR), CRLReasons.superseded) }] },
    ],
    [
      'the authority above was revoked before',
      was,
      { lists: [{ ...ofRoot, ...revoked(middle, at(-HOUR), CRLReasons.superseded) }, ofMiddle] },
    ],
    [
      'its certificate was given up within the accuracy of its clock',
      was,
      { lists: [ofRoot, { ...ofMiddle, ...revoked(signer, at(30_000), CRLReasons.superseded) }] },
    ],
    [
      'its key was stolen later',
      was,
      { lists: [ofRoot, { ...ofMiddle, ...revoked(signer, at(HOUR), CRLReasons.keyCompromise) }] },
    ],
    [
      'its certificate was revoked later without a reason',
      /without a reason/,
      { lists: [ofRoot, { ...ofMiddle, ...revoked(signer, at(HOUR)) }] },
    ],
    [
      'its certificate is on hold',
      /for the reason certificateHold/,
      { lists: [ofRoot, { ...ofMiddle, ...revoked(signer, at(HOUR), CRLReasons.certificateHold) }] },
    ],
    [
      'the authority above lost its key later',
      was,
      { lists: [{ ...ofRoot, ...revoked(middle, at(HOUR), CRLReasons.cACompromise) }, ofMiddle] },
    ],
    [
      'what the list says of it is not understood',
      was,
      {
        lists: [
          ofRoot,
          {
            ...ofMiddle,
            revoked: [
              { certificate: signer, at: at(HOUR), reason: extension('1.2.3', new OctetString(Buffer.from('x'))) },
            ],
          },
        ],
      },
    ],
    [
      'it is listed twice, once for a key that was stolen',
      /for the reason keyCompromise/,
      {
        lists: [
          ofRoot,
          {
            ...ofMiddle,
            revoked: [CRLReasons.keyCompromise, CRLReasons.superseded].map((reason) => ({
              certificate: signer,
              at: at(HOUR),
              reason,
            })),
          },
        ],
      },
    ],
    [
      'an old list has it, and a new one does not',
      was,
      {
        lists: [
          ofRoot,
          ofMiddle,
          {
            ...ofMiddle,
            ...revoked(signer, at(-3 * DAY), CRLReasons.superseded),
            from: at(-3 * DAY),
            next: at(-2 * DAY),
          },
        ],
      },
    ],
    [
      'its own certificate is trusted, and a list has it',
      was,
      { lists: [{ ...ofMiddle, ...revoked(signer, at(-HOUR)) }], trusted: [signer] },
    ],
    [
      'the trusted authority is on a list',
      was,
      { lists: [ofMiddle, { ...ofRoot, ...revoked(middle, at(-HOUR)) }], trusted: [middle] },
    ],
    // What no list covers.
    ['there is no list of its authority', because('none of the lists is of its authority'), { lists: [ofRoot] }],
    [
      'there is no list of the authority above',
      because('none of the lists is of its authority'),
      { lists: [ofMiddle] },
    ],
    [
      'the list is signed by another',
      because('crl.pem is not signed by CN=Middle'),
      { lists: [ofRoot, { ...ofMiddle, key: stranger.key }] },
    ],
    [
      'the list is of another authority of that name',
      because('crl.pem is not signed by CN=Middle'),
      { lists: [ofRoot, { issuer: stranger }] },
    ],
    [
      'its authority may not sign lists',
      because('crl.pem is not signed by CN=Middle'),
      { lists: [ofRoot, { issuer: mute }], signer: issue({ subject: 'Stamps', issuer: mute }), trusted: [root, mute] },
    ],
    [
      'the list is signed over SHA-1',
      because('crl.pem is signed with an algorithm that is not taken'),
      {
        lists: [
          {
            issuer: issue({ subject: 'Root', authority: true, keys: rsaKeys }),
            pss: { hash: '1.3.14.3.2.26', mask: '1.3.14.3.2.26', salt: 20 },
          },
          ofMiddle,
        ],
      },
    ],
    [
      'the list was over',
      because('crl.pem was over at the time of the stamp'),
      { lists: [ofRoot, { ...ofMiddle, next: at(-HOUR) }] },
    ],
    ['the list says no next one', because('.*says no next one'), { lists: [ofRoot, { ...ofMiddle, next: null }] }],
    [
      'the list is of tomorrow',
      because('.*a time that has not come'),
      { lists: [ofRoot, { ...ofMiddle, from: at(DAY) }] },
    ],
    [
      'its certificate was over when the list was made',
      because('.*may not list it any more'),
      { lists: [ofRoot, ofMiddle], signer: lastDay, genTime: at(-2 * DAY) },
    ],
    [
      'the list has changes alone',
      because('.*not understood \\(2\\.5\\.29\\.27\\)'),
      { lists: [ofRoot, { ...ofMiddle, extensions: [extension('2.5.29.27', new OctetString(Buffer.from('x')))] }] },
    ],
    [
      'the list is about authorities alone',
      because('.*about other certificates'),
      { lists: [ofRoot, { ...ofMiddle, extensions: [issuing({ onlyContainsCACerts: true })] }] },
    ],
    [
      'the list is about no authority',
      because('.*about other certificates'),
      { lists: [{ ...ofRoot, extensions: [issuing({ onlyContainsUserCerts: true })] }, ofMiddle] },
    ],
    [
      'the list is about those of other authorities too',
      because('.*about other certificates'),
      { lists: [ofRoot, { ...ofMiddle, extensions: [issuing({ indirectCRL: true })] }] },
    ],
    [
      'the list is about attributes',
      because('.*about other certificates'),
      { lists: [ofRoot, { ...ofMiddle, extensions: [issuing({ onlyContainsAttributeCerts: true })] }] },
    ],
    [
      'the list is that of another place',
      because('.*about other certificates'),
      {
        lists: [
          ofRoot,
          {
            ...ofMiddle,
            extensions: [
              issuing({
                distributionPoint: new DistributionPointName({ fullName: [point('http://ca.example/8.crl')] }),
              }),
            ],
          },
        ],
        signer: published,
      },
    ],
    [
      'the certificate names no place, and the list does',
      because('.*about other certificates'),
      { lists: [ofRoot, { ...ofMiddle, extensions: [issuing({ distributionPoint: named })] }] },
    ],
  ])('%s', (_, message, one) => {
    expect(() => verified(one)).toThrow(
      expect.objectContaining({ code: 'TIMESTAMP_INVALID', message: expect.stringMatching(message) as string }),
    );
  });
});

test('a file may hold several, in PEM, or one in DER; anything else is refused', () => {
  const [one, other] = [ofRoot, ofMiddle].map((list) => revocationList(list)) as [Buffer, Buffer];
  const pem = (der: Buffer): string => `-----BEGIN X509 CRL-----\n${der.toString('base64')}\n-----END X509 CRL-----\n`;
  expect(revocationLists(one, 'x')).toHaveLength(1);
  expect(revocationLists(Buffer.from(`of the root\n${pem(one)}\n${pem(other)}`), 'x')).toHaveLength(2);
  for (const bytes of ['', 'nothing', root.pem, pem(Buffer.from('3000', 'hex'))]) {
    expect(() => revocationLists(Buffer.from(bytes), 'x.crl')).toThrow(
      expect.objectContaining({ code: 'KEYS_INVALID', field: 'x.crl' }),
    );
  }
});

test('whatever byte of a list is changed, it lists no fewer and covers no more', () => {
  const query = AsnConvert.parse(timestampRequest(DATA, undefined).body, TimeStampReq);
  const token = stamp(query, { signer, certificates: [signer, middle] });
  const trusted = [new HeldCertificate(root.der)];
  const good = revocationLists(revocationList(ofRoot), 'root.crl');
  const list = revocationList({
    ...ofMiddle,
    revoked: [{ certificate: signer, at: at(-HOUR), reason: CRLReasons.superseded }],
  });
  const accepted = Array.from({ length: list.length }, (_, n) => {
    const changed = Buffer.from(list);
    changed[n] = (changed[n] ?? 0) ^ 0x01;
    try {
      verifyTimestamp(token, { data: DATA, trusted, revoked: [...good, ...revocationLists(changed, 'x')] });
      return n;
    } catch {
      return undefined;
    }
  }).filter((n) => n !== undefined);
  expect(accepted).toEqual([]);
});

describe('lists that OpenSSL made (`ca -gencrl`)', () => {
  const fixture = (name: string): Promise<Buffer> =>
    readFile(path.join(import.meta.dirname, 'fixtures/openssl-pss', name));
  const check = async (token: string, list: string): Promise<string> => {
    const trusted = trustedCertificates(String(await fixture('ca.pem')), 'test');
    const revoked = revocationLists(await fixture(list), list);
    const der = Buffer.from(String(await fixture(token)), 'base64');
    return verifyTimestamp(der, { data: DATA, trusted, revoked }).authority;
  };

  test('leave out, or leave good, what was signed before', async () => {
    expect(await check('rsa.token', 'none.crl')).toBe('CN=Stamps rsa');
    expect(await check('rsa-pss.token', 'revoked.crl')).toBe('CN=Stamps rsapss');
    // Superseded five seconds after the stamp.
    expect(await check('ec.token', 'revoked.crl')).toBe('CN=Stamps ec');
  });

  test('say of a key that it was stolen', async () => {
    await expect(check('rsa.token', 'revoked.crl')).rejects.toThrow(
      'was revoked at 2026-11-29T21:08:17.000Z, for the reason keyCompromise',
    );
  });
});
