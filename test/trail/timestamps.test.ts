/** Time stamps of an authority that is asked over HTTP: what is kept was verified, and whatever is wrong with an answer is refused. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { SignerIdentifier, type Attribute } from '@peculiar/asn1-cms';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { Accuracy, MessageImprint, PKIStatus, TimeStampReq } from '@peculiar/asn1-tsp';
import {
  AlgorithmIdentifier,
  Extension,
  Extensions,
  id_kp_codeSigning,
  id_kp_serverAuth,
  id_kp_timeStamping,
  KeyUsageFlags,
  SubjectKeyIdentifier,
} from '@peculiar/asn1-x509';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CountersignError } from '../../src/action/errors.js';
import type { AnchoredCheckpoint } from '../../src/trail/anchors/anchor.js';
import { timestampAnchor, type TimestampAnchorOptions } from '../../src/trail/anchors/timestamp.js';
import { trustedCertificates } from '../../src/trail/timestamps/chain.js';
import { timestampRequest } from '../../src/trail/timestamps/exchange.js';
import { verifyTimestamp } from '../../src/trail/timestamps/verify.js';
import {
  answerWith,
  attribute,
  ecKeys,
  extension,
  issue,
  stamp,
  startAuthority,
  type Authority,
  type Issued,
  type IssueOptions,
  type Reply,
  type StampOptions,
} from '../support/timestamp-authority.js';

const HOUR_MS = 3_600_000;
const CHECKPOINT: AnchoredCheckpoint = { tenant: 'acme', size: 3, jws: 'a.signed.checkpoint' };

let authority: Authority;
let cwd: string;
let kept: AnchoredCheckpoint[];
const root = issue({ subject: 'Root', authority: true });
const signer = issue({ subject: 'Stamps', issuer: root });

beforeAll(async () => {
  authority = await startAuthority(() => undefined);
  cwd = await mkdtemp(path.join(os.tmpdir(), 'countersign-timestamps-'));
});
beforeEach(() => {
  kept = [];
});
afterAll(async () => {
  await authority?.close();
  await rm(cwd, { recursive: true, force: true });
});

async function trusting(...certificates: readonly Issued[]): Promise<string> {
  const file = path.join(
    cwd,
    `${createHash('sha256')
      .update(String(certificates.map(({ pem }) => pem)))
      .digest('hex')}.pem`,
  );
  await writeFile(file, certificates.map(({ pem }) => pem).join('\n'));
  return file;
}

interface Case {
  readonly reply: Reply;
  /** Default: the root. */
  readonly trusted?: readonly Issued[];
  readonly options?: Partial<TimestampAnchorOptions>;
}

/** Puts the checkpoint to an anchor whose authority answers so. */
async function put({ reply, trusted = [root], options = {} }: Case): Promise<string> {
  authority.reply = reply;
  const anchor = timestampAnchor({
    url: authority.url,
    caFile: await trusting(...trusted),
    allow: { loopback: true },
    keep: {
      name: 'kept',
      put: (checkpoint) => {
        kept.push(checkpoint);
        return Promise.resolve('kept');
      },
    },
    ...options,
  });
  return anchor.put(CHECKPOINT, AbortSignal.timeout(20_000));
}

const granted =
  (options: Partial<StampOptions> = {}): Reply =>
  (query) =>
    answerWith(stamp(query, { signer, ...options }));

/** An authority whose certificate is another. */
const certified = (changes: Partial<IssueOptions>): Reply =>
  granted({ signer: issue({ subject: 'Stamps', issuer: root, ...changes }) });

/** An authority between the root and the one that signs. */
function between(changes: Partial<IssueOptions>): Reply {
  const middle = issue({ subject: 'Middle', authority: true, issuer: root, ...changes });
  const below = issue({ subject: 'Stamps', issuer: middle });
  return granted({ signer: below, certificates: [below, middle] });
}

describe('is kept with the checkpoint', () => {
  test('when everything about it is right, and what was asked for was asked for', async () => {
    const began = Date.now();
    const said = await put({ reply: granted(), options: { policy: '1.2.3.4.5' } });
    expect(said).toMatch(/^existed at 20\d\d-.*Z at the latest, says CN=Stamps; kept$/);
    const query = authority.queries.at(-1) as TimeStampReq;
    expect(query).toMatchObject({ version: 1, certReq: true, reqPolicy: '1.2.3.4.5' });
    expect(query.messageImprint.hashAlgorithm.algorithm).toBe('2.16.840.1.101.3.4.2.1');
    const hash = createHash('sha256').update(CHECKPOINT.jws).digest('hex');
    expect(Buffer.from(query.messageImprint.hashedMessage.buffer).toString('hex')).toBe(hash);
    const [{ timestamp = '', ...checkpoint } = CHECKPOINT] = kept;
    expect(checkpoint).toEqual(CHECKPOINT);
    const trusted = trustedCertificates(root.pem, 'test');
    const {
      at,
      latest,
      authority: who,
    } = verifyTimestamp(Buffer.from(timestamp, 'base64'), { data: CHECKPOINT.jws, trusted });
    expect(who).toBe('CN=Stamps');
    expect(at.getTime()).toBeGreaterThanOrEqual(began);
    expect(latest.getTime()).toBe(at.getTime() + 1_000);
  });

  test('each request has a nonce of its own', async () => {
    const nonces = new Set(Array.from({ length: 200 }, () => timestampRequest('x', undefined).nonce.toString('hex')));
    expect(nonces.size).toBe(200);
    for (const nonce of nonces) expect(Number.parseInt(nonce.slice(0, 2), 16)).toBeLessThan(0x80);
  });

  const middle = issue({
    subject: 'Middle',
    authority: true,
    issuer: root,
    pathLength: 0,
    purposes: [id_kp_timeStamping],
  });
  const below = issue({ subject: 'Stamps', issuer: middle });
  const rsa = issue({ subject: 'Stamps', issuer: root, keys: generateKeyPairSync('rsa', { modulusLength: 2048 }) });
  const cases: readonly (readonly [string, Case])[] = [
    ['by way of another authority', { reply: granted({ signer: below, certificates: [middle, below] }) }],
    ['when the authority between is the one that is trusted', { reply: granted({ signer: below }), trusted: [middle] }],
    ['when its own certificate is the one that is trusted', { reply: granted(), trusted: [signer] }],
    ['signed with RSA', { reply: granted({ signer: rsa }) }],
    [
      'granted with modifications',
      { reply: (query) => answerWith(stamp(query, { signer }), PKIStatus.grantedWithMods) },
    ],
    ['without a word on accuracy', { reply: granted({ info: { accuracy: undefined as unknown as Accuracy } }) }],
    [
      'by the identifier of its key',
      {
        reply: granted({
          change: ({ signerInfos: [info] }) => {
            const subjectKeyIdentifier = new SubjectKeyIdentifier(Buffer.from('key'));
            if (info !== undefined) info.sid = new SignerIdentifier({ subjectKeyIdentifier });
          },
        }),
      },
    ],
  ];
  test.each(cases)('%s', async (_, one) => {
    await put(one);
    expect(kept).toHaveLength(1);
  });
});

describe('is refused, with ANCHOR_FAILED, and nothing is kept:', () => {
  const other = issue({ subject: 'Root', authority: true });
  const imprint = (algorithm: string, hash: string, data: string): MessageImprint =>
    new MessageImprint({
      hashAlgorithm: new AlgorithmIdentifier({ algorithm }),
      hashedMessage: new OctetString(createHash(hash).update(data).digest()),
    });
  const without = (type: string) => (attributes: readonly Attribute[]) =>
    attributes.filter(({ attrType }) => attrType !== type);
  const instead =
    (type: string, ...values: readonly Buffer[]) =>
    (attributes: readonly Attribute[]) => [...without(type)(attributes), attribute(type, ...values)];
  const nameConstraints = new Extension({
    extnID: '2.5.29.30',
    critical: false,
    extnValue: new OctetString(Buffer.from('3000', 'hex')),
  });
  const unknown = extension('1.2.3.4.5.6', new OctetString(Buffer.from('x')));
  // Two that signed each other.
  const [oneKeys, otherKeys] = [ecKeys(), ecKeys()];
  const first = issue({ subject: 'One', authority: true, keys: oneKeys });
  const second = issue({ subject: 'Other', authority: true, keys: otherKeys, issuer: first });
  const circle = [second, issue({ subject: 'One', authority: true, keys: oneKeys, issuer: second })];
  const inCircle = issue({ subject: 'Stamps', issuer: second });
  let earlier: Buffer | undefined;

  const cases: readonly (readonly [string, RegExp, Case])[] = [
    // What it is over.
    [
      'it is over something else',
      /it is over something else/,
      { reply: granted({ info: { messageImprint: imprint('2.16.840.1.101.3.4.2.1', 'sha256', 'another') } }) },
    ],
    [
      'it says another hash than it is',
      /it is over something else/,
      { reply: granted({ info: { messageImprint: imprint('1.3.14.3.2.26', 'sha256', CHECKPOINT.jws) } }) },
    ],
    [
      'it is over the checkpoint by another hash',
      /it is over something else/,
      { reply: granted({ info: { messageImprint: imprint('1.3.14.3.2.26', 'sha1', CHECKPOINT.jws) } }) },
    ],
    ['its nonce is another', /its nonce is another/, { reply: granted({ info: { nonce: Uint8Array.of(1).buffer } }) }],
    [
      'it has no nonce',
      /its nonce is another/,
      { reply: (query) => answerWith(stamp(Object.assign(query, { nonce: undefined }), { signer })) },
    ],
    [
      'it is an earlier answer about the same checkpoint',
      /its nonce is another/,
      { reply: (query) => (earlier ??= answerWith(stamp(timestamped(query), { signer }))) },
    ],
    [
      'it was made under another policy',
      /under the policy 1\.2\.3\.4\.1, not 1\.2\.9/,
      { reply: granted({ info: { policy: '1.2.3.4.1' } }), options: { policy: '1.2.9' } },
    ],
    ['it is of a version that is not known', /version/, { reply: granted({ info: { version: 2 as never } }) }],
    [
      'it has a critical extension',
      /extension that is not understood/,
      { reply: granted({ info: { extensions: new Extensions([unknown]) } }) },
    ],
    // When.
    [
      'its clock is an hour ahead',
      /its clock says/,
      { reply: granted({ info: { genTime: new Date(Date.now() + HOUR_MS) } }) },
    ],
    [
      'its clock is an hour behind',
      /its clock says/,
      { reply: granted({ info: { genTime: new Date(Date.now() - HOUR_MS) } }) },
    ],
    [
      'its clock may be off by two days',
      /accuracy/,
      { reply: granted({ info: { accuracy: new Accuracy({ seconds: 172_800 }) } }) },
    ],
    [
      'its clock is off by less than nothing',
      /accuracy/,
      { reply: granted({ info: { accuracy: new Accuracy({ seconds: -5 }) } }) },
    ],
    // The status.
    [
      'the authority refuses',
      /rejection \(no coins left\)/,
      { reply: () => answerWith(undefined, PKIStatus.rejection, 'no coins left') },
    ],
    [
      'the authority refuses, and sends a token',
      /rejection/,
      { reply: (query) => answerWith(stamp(query, { signer }), PKIStatus.rejection) },
    ],
    ['the authority wants to be asked later', /waiting/, { reply: () => answerWith(undefined, PKIStatus.waiting) }],
    ['the authority grants it, and sends none', /says that it did/, { reply: () => answerWith(undefined) }],
    // The answer.
    ['the answer is empty', /no answer that can be read/, { reply: () => Buffer.alloc(0) }],
    ['the answer is a page', /no answer that can be read/, { reply: () => Buffer.from('<html>Please log in</html>') }],
    ['the answer is garbage', /no answer that can be read/, { reply: () => Buffer.from('3082ffff0202', 'hex') }],
    [
      'the answer is cut off',
      /no answer that can be read/,
      { reply: (query) => answerWith(stamp(query, { signer })).subarray(0, -40) },
    ],
    ['the answer is larger than is read', /larger than 65536 bytes/, { reply: () => Buffer.alloc(65_537, 0x30) }],
    ['the answer never ends', /larger than 65536 bytes/, { reply: endless }],
    ['the answer does not come', /the time for it was over/, { reply: () => undefined, options: { timeoutMs: 50 } }],
    [
      'the connection is cut',
      /no answer/,
      {
        reply: (_, { socket }) => {
          socket.destroy();
          return undefined;
        },
      },
    ],
    ['the server fails', /HTTP 503/, { reply: answered(503) }],
    ['the server leads elsewhere', /HTTP 302/, { reply: answered(302, { location: 'https://elsewhere.example' }) }],
    // Who signed.
    [
      'it is of an authority that is not trusted',
      /no trusted certificate vouches/,
      { reply: granted(), trusted: [other] },
    ],
    [
      'its certificate is over',
      /is good from .* to /,
      { reply: certified({ from: new Date(Date.now() - 48 * HOUR_MS), to: new Date(Date.now() - 24 * HOUR_MS) }) },
    ],
    ['its certificate is not good yet', /is good from/, { reply: certified({ from: new Date(Date.now() + HOUR_MS) }) }],
    ['its certificate has no extended key usage', /not for time stamps alone/, { reply: certified({ purposes: [] }) }],
    [
      'its certificate is for code',
      /not for time stamps alone/,
      { reply: certified({ purposes: [id_kp_codeSigning] }) },
    ],
    [
      'its certificate is for code too',
      /not for time stamps alone/,
      { reply: certified({ purposes: [id_kp_timeStamping, id_kp_codeSigning] }) },
    ],
    ['its usage is not critical', /not for time stamps alone/, { reply: certified({ purposesCritical: false }) }],
    [
      'its key is for encryption',
      /for something else than signatures/,
      { reply: certified({ keyUsage: KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment }) },
    ],
    ['its certificate has a critical extension', /\(1\.2\.3\.4\.5\.6\)/, { reply: certified({ more: [unknown] }) }],
    [
      'its certificate has an extension twice',
      /has an extension twice/,
      { reply: certified({ more: [extension('2.5.29.15', new OctetString(Buffer.from('x')))] }) },
    ],
    [
      'its key is short',
      /has a key that is not taken/,
      { reply: certified({ keys: generateKeyPairSync('rsa', { modulusLength: 1024 }) }) },
    ],
    ['its certificate is signed over SHA-1', /algorithm that is not taken/, { reply: certified({ hash: 'sha1' }) }],
    [
      'the root was over then',
      /the certificate of CN=Old is good from/,
      (() => {
        const old = issue({ subject: 'Old', authority: true, from: new Date(Date.now() - 60 * 24 * HOUR_MS) });
        return { reply: granted({ signer: issue({ subject: 'Stamps', issuer: old }) }), trusted: [old] };
      })(),
    ],
    // The way to who is trusted.
    [
      'the authority between is missing',
      /no trusted certificate vouches/,
      { reply: granted({ signer: issue({ subject: 'Stamps', issuer: issue({ subject: 'Middle', issuer: root }) }) }) },
    ],
    [
      'what is between is no authority',
      /no trusted certificate vouches/,
      { reply: between({ authority: false, keyUsage: KeyUsageFlags.digitalSignature }) },
    ],
    [
      'what is between says that it is no authority, and signs certificates',
      /is of no authority/,
      { reply: between({ authority: false, purposes: [], keyUsage: KeyUsageFlags.keyCertSign }) },
    ],
    [
      'the authority between may not sign certificates',
      /no trusted certificate/,
      { reply: between({ keyUsage: KeyUsageFlags.cRLSign }) },
    ],
    [
      'the authority between was over then',
      /the certificate of CN=Middle is good from/,
      { reply: between({ to: new Date(Date.now() - HOUR_MS) }) },
    ],
    [
      'the authority between is for servers',
      /not for time stamps/,
      { reply: between({ purposes: [id_kp_serverAuth] }) },
    ],
    [
      'the authority between has names that it may vouch for',
      /\(2\.5\.29\.30\)/,
      { reply: between({ more: [nameConstraints] }) },
    ],
    [
      'there is one authority too many',
      /may have 0 authorities below it, not 1/,
      (() => {
        const narrow = issue({ subject: 'Narrow', authority: true, pathLength: 0 });
        const middle = issue({ subject: 'Middle', authority: true, issuer: narrow });
        const below = issue({ subject: 'Stamps', issuer: middle });
        return { reply: granted({ signer: below, certificates: [below, middle] }), trusted: [narrow] };
      })(),
    ],
    [
      'authorities vouch for each other in a circle',
      /no trusted certificate vouches/,
      { reply: granted({ signer: inCircle, certificates: [inCircle, ...circle] }) },
    ],
    // The signature.
    ['somebody else signed it', /its signature is another/, { reply: granted({ key: ecKeys().privateKey }) }],
    [
      'what is signed was exchanged',
      /what is signed is another time stamp/,
      {
        reply: granted({
          attributes: instead('1.2.840.113549.1.9.4', octets(createHash('sha256').update('x').digest())),
        }),
      },
    ],
    [
      'it names another certificate of the same authority',
      /the certificate that it names is not in it/,
      { reply: granted({ named: issue({ subject: 'Stamps', issuer: root }) }) },
    ],
    [
      'it names two certificates',
      /names two certificates/,
      {
        reply: (query) => {
          const twin = issue({ subject: 'Stamps', issuer: root });
          return answerWith(stamp(query, { signer, named: twin, certificates: [signer, twin], key: twin.key }));
        },
      },
    ],
    ['it names no certificate', /does not say once the certificate/, { reply: granted({ named: null }) }],
    [
      'its certificate is not with it',
      /the certificate that it names is not in it/,
      { reply: granted({ certificates: [] }) },
    ],
    [
      'it has more certificates than are looked at',
      /more than 16 certificates/,
      { reply: granted({ certificates: Array.from({ length: 17 }, () => signer) }) },
    ],
    [
      'no digest is signed',
      /does not say once the digest/,
      { reply: granted({ attributes: without('1.2.840.113549.1.9.4') }) },
    ],
    [
      'two digests are signed',
      /does not say once the digest/,
      {
        reply: granted({
          attributes: (honest) => [...honest, ...honest.filter(({ attrType }) => attrType === '1.2.840.113549.1.9.4')],
        }),
      },
    ],
    [
      'it is signed as something else',
      /says that it is no time stamp/,
      { reply: granted({ attributes: instead('1.2.840.113549.1.9.3', Buffer.from('06092a864886f70d010701', 'hex')) }) },
    ],
    [
      'something else is signed',
      /what is signed is no time stamp/,
      { reply: granted({ eContentType: '1.2.840.113549.1.7.1' }) },
    ],
    ['it has two signatures', /has not one signature/, { reply: granted({ signatures: 2 }) }],
    ['it has no signature', /has not one signature/, { reply: granted({ signatures: 0 }) }],
    [
      'it has no signed attributes',
      /does not say once/,
      {
        reply: granted({
          change: ({ signerInfos: [info] }) => {
            if (info !== undefined) delete info.signedAttrs;
          },
        }),
      },
    ],
    [
      'it is signed over MD5',
      /algorithm that is not taken/,
      {
        reply: granted({
          change: ({ signerInfos: [info] }) => {
            if (info !== undefined) info.digestAlgorithm = new AlgorithmIdentifier({ algorithm: '1.2.840.113549.2.5' });
          },
        }),
      },
    ],
    [
      'its signature says that it is of another kind of key',
      /algorithm that is not taken/,
      {
        reply: granted({
          change: ({ signerInfos: [info] }) => {
            if (info !== undefined)
              info.signatureAlgorithm = new AlgorithmIdentifier({ algorithm: '1.2.840.113549.1.1.11' });
          },
        }),
      },
    ],
    // What the anchor itself has.
    ['there is no file of certificates', /absent\.pem/, { reply: granted(), options: { caFile: 'absent.pem' } }],
    [
      'the file of certificates has none',
      /has no certificates that can be read/,
      { reply: granted(), options: { caFile: import.meta.filename } },
    ],
  ];
  test.each(cases)('%s', async (_, message, one) => {
    const failed: unknown = await put(one).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'ANCHOR_FAILED', message: expect.stringMatching(message) as string });
    expect(kept).toEqual([]);
  });

  test('a checkpoint that has a time stamp already is not stamped again', async () => {
    const reply = granted();
    authority.reply = reply;
    const keep = timestampAnchor({
      name: 'inner',
      url: authority.url,
      caFile: await trusting(root),
      allow: { loopback: true },
      keep: { name: 'kept', put: () => Promise.resolve('kept') },
    });
    await expect(put({ reply, options: { keep } })).rejects.toThrow('The anchor inner did not take the checkpoint');
  });
});

/** A request with the same imprint, and no nonce that anybody asked with. */
function timestamped(query: TimeStampReq): TimeStampReq {
  return Object.assign(new TimeStampReq(query), { nonce: Uint8Array.of(5, 5, 5, 5).buffer });
}

function octets(value: Buffer): Buffer {
  return Buffer.from(AsnConvert.serialize(new OctetString(value)));
}

function answered(status: number, headers: Record<string, string> = {}): Reply {
  return (_query, _request, response) => {
    response.writeHead(status, headers).end();
    return undefined;
  };
}

const endless: Reply = (_query, _request, response) => {
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(16_384, 0x30)));
  };
  response.on('drain', more);
  more();
  return undefined;
};

test('whatever byte of a token is changed, it says nothing else than before', async () => {
  const { body } = timestampRequest(CHECKPOINT.jws, undefined);
  const token = stamp(AsnConvert.parse(body, TimeStampReq), { signer });
  const options = { data: CHECKPOINT.jws, trusted: trustedCertificates(root.pem, 'test') };
  const honest = JSON.stringify(verifyTimestamp(token, options));
  const said = (bytes: Buffer): string => {
    try {
      return JSON.stringify(verifyTimestamp(bytes, options));
    } catch (error) {
      return (error as CountersignError).code;
    }
  };
  const found = Array.from({ length: Math.floor(token.length / 7) }, (_, n) => {
    const changed = Buffer.from(token);
    changed[n * 7] = (changed[n * 7] ?? 0) ^ 0x01;
    return said(changed);
  });
  expect(found.filter((one) => one !== 'TIMESTAMP_INVALID' && one !== honest)).toEqual([]);
  // Versions and the list of digests are outside of what is signed, and nothing depends on them.
  expect(found.filter((one) => one === honest).length).toBeLessThan(6);
});

describe('made by OpenSSL, as `openssl ts -verify` takes it,', () => {
  const fixture = (name: string): string => path.join(import.meta.dirname, 'fixtures/openssl', name);
  const token = async (name: string): Promise<Buffer> =>
    Buffer.from(await readFile(fixture(`${name}.token`), 'utf8'), 'base64');

  test.each(['rsa', 'ec'])('with a key of the kind %s, verifies after its certificate is over', async (kind) => {
    const trusted = trustedCertificates(await readFile(fixture('ca.pem'), 'utf8'), 'test');
    expect(verifyTimestamp(await token(kind), { data: 'a checkpoint', trusted })).toMatchObject({
      authority: `CN=Stamps ${kind}, O=Acme`,
      policy: '1.2.3.4.1',
    });
    expect(() => verifyTimestamp(Buffer.from('00', 'hex'), { data: 'a checkpoint', trusted })).toThrow('no token');
  });

  test('and names its certificate by SHA-1 only, is refused', async () => {
    const trusted = trustedCertificates(await readFile(fixture('ca.pem'), 'utf8'), 'test');
    const old = await token('sha1-reference');
    expect(() => verifyTimestamp(old, { data: 'a checkpoint', trusted })).toThrow('by SHA-2 (RFC 5816)');
  });
});

describe('credentials', () => {
  const env = 'TEST_TIMESTAMP_SECRET';
  afterEach(() => {
    delete process.env[env];
  });

  const asked: (string | undefined)[] = [];
  const wanting =
    (expected: string, how = 401): Reply =>
    (query, { headers: { authorization } }, response) => {
      asked.push(authorization);
      if (authorization === expected) return answerWith(stamp(query, { signer }));
      response.writeHead(how).end();
      return undefined;
    };

  test('of a user are sent with the password of the environment, read anew each time', async () => {
    process.env[env] = 'pässword';
    const options = { auth: { user: 'acme', password: `env:${env}` } } as const;
    const basic = (password: string): string => `Basic ${Buffer.from(`acme:${password}`).toString('base64')}`;
    await put({ reply: wanting(basic('pässword')), options });
    expect(kept).toHaveLength(1);
    expect(asked.at(-1)).toBe(basic('pässword'));
    process.env[env] = 'another';
    await put({ reply: wanting(basic('another')), options });
    expect(kept).toHaveLength(2);
  });

  test('that are a token come from a file', async () => {
    const file = path.join(cwd, 'token');
    await writeFile(file, 'a-token-of-length\n');
    await put({ reply: wanting('Bearer a-token-of-length'), options: { auth: { token: `file:${file}` } } });
    expect(kept).toHaveLength(1);
  });

  test.each([401, 403])('that are not taken are not told: HTTP %d', async (status) => {
    process.env[env] = 'the-secret-word';
    const failed = await put({
      reply: wanting('Bearer another', status),
      options: { auth: { token: `env:${env}` } },
    }).catch((error: unknown) => error as CountersignError);
    expect(failed).toMatchObject({ code: 'ANCHOR_FAILED' });
    expect((failed as Error).message).toContain(`HTTP ${status}, it does not take the credentials`);
    expect(kept).toEqual([]);
  });

  test('that are missing are asked for', async () => {
    await expect(put({ reply: wanting('Bearer x') })).rejects.toThrow('HTTP 401, it asks for credentials');
  });

  test('are struck out where an authority quotes them', async () => {
    process.env[env] = 'the-secret-word';
    const sent = Buffer.from('acme:the-secret-word').toString('base64');
    for (const quoted of ['the-secret-word', sent]) {
      const failed = await put({
        reply: () => answerWith(undefined, PKIStatus.rejection, `no account for ${quoted}`),
        options: { auth: { user: 'acme', password: `env:${env}` } },
      }).catch((error: unknown) => error as Error);
      expect((failed as Error).message).toContain('no account for [secret]');
      expect(JSON.stringify((failed as CountersignError).toJSON())).not.toContain(quoted);
      expect((failed as Error).cause).toBeUndefined();
    }
  });

  test('that no header can carry fail without being told', async () => {
    process.env[env] = 'the-secret\nword';
    const failed = await put({ reply: granted(), options: { auth: { token: `env:${env}` } } }).catch(
      (error: unknown) => error as Error,
    );
    expect(failed).toMatchObject({ code: 'ANCHOR_FAILED' });
    expect((failed as Error).message).not.toContain('the-secret');
  });

  test('that are gone when they are read are an anchor that failed, which says where they should be', async () => {
    process.env[env] = 'x';
    authority.reply = granted();
    const anchor = timestampAnchor({
      url: authority.url,
      caFile: await trusting(root),
      allow: { loopback: true },
      keep: { name: 'kept', put: () => Promise.resolve('kept') },
      auth: { token: `env:${env}` },
    });
    delete process.env[env];
    await expect(anchor.put(CHECKPOINT, AbortSignal.timeout(20_000))).rejects.toMatchObject({
      code: 'ANCHOR_FAILED',
      message: expect.stringContaining(`env:${env}`) as string,
    });
  });
});

describe('the config', () => {
  const good = { url: 'https://tsa.example', caFile: 'ca.pem', keep: { name: 'x', put: () => Promise.resolve('') } };
  test.each<readonly [string, Partial<TimestampAnchorOptions>]>([
    ['timestamp.url', { url: 'http://tsa.example' }],
    ['timestamp.url', { url: 'https://user:pass@tsa.example' }],
    ['timestamp.caFile', { caFile: '' }],
    ['timestamp.keep', { keep: undefined as never }],
    ['timestamp.policy', { policy: 'the best' }],
    ['timestamp.timeoutMs', { timeoutMs: 0 }],
    ['timestampAnchor.name', { name: '' }],
    ['timestamp.auth', { auth: { user: 'a:b', password: 'file:x' } }],
    ['timestamp.auth', { auth: { user: '', password: 'file:x' } }],
    ['timestamp.auth', { auth: {} as never }],
    ['timestamp.auth', { auth: 'secret' as never }],
    ['timestamp.auth', { auth: { user: 'a', password: 'file:x', token: 'file:x' } }],
    ['timestamp.auth', { auth: { token: 'file:x', realm: 'y' } as never }],
    ['timestamp.auth.password', { auth: { user: 'a', password: 'hunter2' as never } }],
    ['env:TEST_TIMESTAMP_UNSET', { auth: { token: 'env:TEST_TIMESTAMP_UNSET' } }],
    ['timestamp.url', { url: 'http://tsa.example', allow: { plainHttp: true }, auth: { token: 'file:x' } }],
  ])('%s that cannot be used is refused: %j', (field, wrong) => {
    expect(() => timestampAnchor({ ...good, ...wrong })).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', field }),
    );
  });

  test('may let an authority be asked over http, as most public ones are', () => {
    expect(timestampAnchor({ ...good, url: 'http://tsa.example', allow: { plainHttp: true } }).name).toBe('timestamp');
  });
});
