/** Time stamps that are signed with RSASSA-PSS and with Ed25519, and certificates that are: which of them count. */
import { generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { AsnConvert } from '@peculiar/asn1-schema';
import { TimeStampReq } from '@peculiar/asn1-tsp';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';
import { describe, expect, test } from 'vitest';
import { HeldCertificate } from '../../src/trail/timestamps/certificate.js';
import { trustedCertificates } from '../../src/trail/timestamps/chain.js';
import { timestampRequest } from '../../src/trail/timestamps/exchange.js';
import { verifyTimestamp } from '../../src/trail/timestamps/verify.js';
import { issue, stamp, type Issued, type StampOptions } from '../support/timestamp-authority.js';

const SHA1 = '1.3.14.3.2.26';
const SHA256 = '2.16.840.1.101.3.4.2.1';
const SHA512 = '2.16.840.1.101.3.4.2.3';
const DATA = 'a checkpoint';

const rsaKeys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const edKeys = () => generateKeyPairSync('ed25519');
const root = issue({ subject: 'Root', authority: true });
const rsa = issue({ subject: 'Stamps', issuer: root, keys: rsaKeys });
const ed = issue({ subject: 'Stamps', issuer: root, keys: edKeys() });
const pssKeys = (options: object) => generateKeyPairSync('rsa-pss', { modulusLength: 2048, ...options });
const restricted = issue({
  subject: 'Stamps',
  issuer: root,
  keys: pssKeys({ hashAlgorithm: 'sha512', mgf1HashAlgorithm: 'sha512', saltLength: 64 }),
});
const open = issue({ subject: 'Stamps', issuer: root, keys: pssKeys({}) });

function token(options: StampOptions): Buffer {
  return stamp(AsnConvert.parse(timestampRequest(DATA, undefined).body, TimeStampReq), options);
}

function said(options: StampOptions, trusted: Issued = root): string {
  return verifyTimestamp(token(options), { data: DATA, trusted: [new HeldCertificate(trusted.der)] }).authority;
}

const sha512 = { hash: SHA512, mask: SHA512, salt: 64 } as const;
const edRoot = issue({ subject: 'Root', authority: true, keys: edKeys() });
const pssRoot = issue({ subject: 'Root', authority: true, keys: rsaKeys, pss: {} });

test.each<readonly [string, { readonly options: StampOptions; readonly trusted?: Issued }]>([
  ['RSASSA-PSS, with a key of RSA', { options: { signer: rsa, pss: {} } }],
  ['RSASSA-PSS over SHA-512', { options: { signer: rsa, pss: sha512, hash: SHA512 } }],
  ['RSASSA-PSS without salt', { options: { signer: rsa, pss: { salt: 0 } } }],
  ['RSASSA-PSS, with a key for it alone', { options: { signer: open } }],
  ['RSASSA-PSS, with a key for SHA-512 alone', { options: { signer: restricted, pss: sha512, hash: SHA512 } }],
  ['Ed25519', { options: { signer: ed } }],
  [
    'Ed25519, by an authority whose key is of that kind',
    { options: { signer: issue({ subject: 'Stamps', issuer: edRoot }) }, trusted: edRoot },
  ],
  [
    'ECDSA, by an authority that signs with RSASSA-PSS',
    { options: { signer: issue({ subject: 'Stamps', issuer: pssRoot, pss: {} }) }, trusted: pssRoot },
  ],
])('verifies when it is signed with %s', (_, { options, trusted = root }) => {
  expect(said(options, trusted)).toBe('CN=Stamps');
  const changed = token(options);
  changed[changed.length - 3] = (changed[changed.length - 3] ?? 0) ^ 1;
  const held = [new HeldCertificate(trusted.der)];
  expect(() => verifyTimestamp(changed, { data: DATA, trusted: held })).toThrow('its signature is another’s');
});

describe('is refused when', () => {
  const instead = (algorithm: AlgorithmIdentifier): NonNullable<StampOptions['change']> => {
    return ({ signerInfos: [info] }) => {
      if (info !== undefined) info.signatureAlgorithm = algorithm;
    };
  };
  const notTaken = /is signed with an algorithm that is not taken/;
  test.each<readonly [string, RegExp, StampOptions]>([
    ['its RSASSA-PSS is over SHA-1', notTaken, { signer: rsa, pss: { hash: SHA1, mask: SHA1, salt: 20 } }],
    ['its mask is of another hash', notTaken, { signer: rsa, pss: { mask: SHA512 } }],
    ['its mask is of SHA-1', notTaken, { signer: rsa, pss: { mask: SHA1 } }],
    ['it says another hash than RSASSA-PSS does', notTaken, { signer: rsa, pss: {}, hash: SHA512 }],
    ['its trailer is another', notTaken, { signer: rsa, pss: { trailer: 2 } }],
    [
      'its RSASSA-PSS has no parameters',
      notTaken,
      { signer: rsa, change: instead(new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.10' })) },
    ],
    [
      'the parameters of its RSASSA-PSS cannot be read',
      /no parameters of RSASSA-PSS that can be read/,
      {
        signer: rsa,
        change: instead(
          new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.10', parameters: Uint8Array.of(2, 1, 5).buffer }),
        ),
      },
    ],
    [
      'its key is for RSASSA-PSS alone, and it says that it is signed otherwise',
      notTaken,
      { signer: open, change: instead(new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.11' })) },
    ],
    [
      'it says another salt than it has',
      /its signature is another’s/,
      {
        signer: rsa,
        pss: { salt: 32 },
        change: ({ signerInfos: [info] }) => {
          const other = stampedAlgorithm({ signer: rsa, pss: { salt: 20 } });
          if (info !== undefined) info.signatureAlgorithm = other;
        },
      },
    ],
    ['its Ed25519 is over the digest of SHA-256', notTaken, { signer: ed, hash: SHA256 }],
    [
      'its Ed25519 has parameters',
      notTaken,
      { signer: ed, change: instead(new AlgorithmIdentifier({ algorithm: '1.3.101.112', parameters: null })) },
    ],
    [
      'it says Ed25519, and its key is another',
      notTaken,
      { signer: ed, change: instead(new AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.4' })) },
    ],
    ['another key of Ed25519 signed it', /its signature is another’s/, { signer: ed, key: edKeys().privateKey }],
    [
      'a key for RSASSA-PSS is short',
      /has a key that is not taken/,
      {
        signer: issue({
          subject: 'Stamps',
          issuer: root,
          keys: generateKeyPairSync('rsa-pss', { modulusLength: 1024 }),
        }),
      },
    ],
    [
      'its certificate is signed with RSASSA-PSS over SHA-1',
      notTaken,
      {
        signer: issue({ subject: 'Stamps', issuer: pssRoot, pss: { hash: SHA1, mask: SHA1, salt: 20 } }),
      },
    ],
  ])('%s', (_, message, options) => {
    const trusted = options.signer.certificate.tbsCertificate.issuer;
    const by = [root, pssRoot].find(({ certificate }) => certificate.tbsCertificate.subject === trusted) ?? root;
    expect(() => said(options, by)).toThrow(message);
  });

  test('a key says that it is for another hash', () => {
    // Node signs with no such key otherwise: the signature is that of another key, and only the key's word is against it.
    const tight = pssKeys({ hashAlgorithm: 'sha512', mgf1HashAlgorithm: 'sha512', saltLength: 64 });
    const signer = issue({ subject: 'Stamps', issuer: root, keys: tight });
    expect(() => said({ signer, key: rsaKeys.privateKey, pss: {} })).toThrow('its signature is another’s');
  });
});

function stampedAlgorithm(options: StampOptions): AlgorithmIdentifier {
  let found = new AlgorithmIdentifier();
  token({
    ...options,
    change: ({ signerInfos: [info] }) => {
      found = info?.signatureAlgorithm ?? found;
    },
  });
  return found;
}

describe('made by OpenSSL (`cms -sign -cades`, its content by `ts -reply`), under an authority that signs with RSASSA-PSS,', () => {
  const fixture = (name: string): Promise<string> =>
    readFile(path.join(import.meta.dirname, 'fixtures/openssl-pss', name), 'utf8');

  test.each([
    ['rsa', 'a key of RSA'],
    ['rsa-pss', 'a key for RSASSA-PSS over SHA-384 alone'],
    ['ec', 'ECDSA, by `ts -reply`'],
  ])('%s: signed with %s, verifies', async (name) => {
    const trusted = trustedCertificates(await fixture('ca.pem'), 'test');
    const made = Buffer.from(await fixture(`${name}.token`), 'base64');
    const { authority, at } = verifyTimestamp(made, { data: DATA, trusted });
    expect([authority, at.toISOString()]).toEqual([`CN=Stamps ${name.replace('-', '')}`, '2026-11-29T21:08:12.000Z']);
    expect(() => verifyTimestamp(made, { data: 'another', trusted })).toThrow('over something else');
  });
});
