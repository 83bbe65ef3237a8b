/** Time stamps of a trail's checkpoints: a round makes them beside what other anchors do, and `verify` says offline what they show. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { AsnConvert } from '@peculiar/asn1-schema';
import { TimeStampReq } from '@peculiar/asn1-tsp';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { digest } from '../../src/action/json.js';
import type { AnchorLine } from '../../src/trail/anchored.js';
import { parseTrailKeys } from '../../src/trail/keys.js';
import type { TrailReport } from '../../src/trail/report.js';
import { HeldCertificate } from '../../src/trail/timestamps/certificate.js';
import { timestampRequest } from '../../src/trail/timestamps/exchange.js';
import { verifyTimestamp } from '../../src/trail/timestamps/verify.js';
import { verifyTrail } from '../../src/trail/verify-lines.js';
import { generateKeyringFile, parseKeyring, publicKeyring, signCheckpoint } from '../../src/trust/index.js';
import { cli, errorOf, folder } from '../cli/support.js';
import { ROOT } from '../support/root.js';
import {
  answerWith,
  issue,
  revocationList,
  stamp,
  startAuthority,
  type StampOptions,
} from '../support/timestamp-authority.js';
import { settleAction, startTrailWorld, type TrailWorld } from './world.js';

const run = promisify(execFile);

const root = issue({ subject: 'Root', authority: true });
const signer = issue({ subject: 'Stamps', issuer: root });
const stranger = issue({ subject: 'Root', authority: true });

let world: TrailWorld;
beforeAll(async () => {
  world = await startTrailWorld();
});
afterAll(() => world?.stop());

/** A line that an anchor kept, with a time stamp over that checkpoint. */
function stamped(jws: string, options: Partial<StampOptions> = {}): Required<AnchorLine> {
  const query = AsnConvert.parse(timestampRequest(jws, undefined).body, TimeStampReq);
  return { jws, timestamp: stamp(query, { signer, ...options }).toString('base64') };
}

async function verified(
  anchors: readonly AnchorLine[],
  trusted: typeof root | undefined = root,
  keys: object = world.keys,
): Promise<TrailReport> {
  const lines = async function* (): AsyncGenerator<string> {
    yield* world.lines;
  };
  const held = trusted && [new HeldCertificate(trusted.der)];
  return verifyTrail(lines(), {
    keys: await parseTrailKeys(JSON.stringify(keys), 'keys'),
    anchors,
    checkTimestamp: held && ((token, data) => verifyTimestamp(token, { data, trusted: held })),
  });
}

describe('an exported trail', () => {
  test('existed, checkpoint by checkpoint, when its time stamps say at the latest', async () => {
    const genTime = new Date(Date.now() + 60_000);
    const anchors = world.anchors.map((jws) => stamped(jws, { info: { genTime } }));
    const existedAt = new Date(genTime.getTime() + 1_000).toISOString();
    expect(await verified(anchors)).toMatchObject({
      ok: true,
      anchors: 3,
      timestamps: [3, 4, 8].map((size) => ({ size, existedAt, authority: 'CN=Stamps' })),
      timestampsUnchecked: 0,
    });
  });

  test('with lines that have none beside them verifies, and unknown authorities are not asked for', async () => {
    const [first = '', ...others] = world.anchors;
    const anchors = [stamped(first), ...others.map((jws) => ({ jws }))];
    expect(await verified(anchors)).toMatchObject({ ok: true, anchors: 3, timestamps: [{ size: 3 }] });
    const lines = async function* (): AsyncGenerator<string> {
      yield* world.lines;
    };
    const keys = await parseTrailKeys(JSON.stringify(world.keys), 'keys');
    expect(await verifyTrail(lines(), { keys, anchors })).toMatchObject({ timestamps: [], timestampsUnchecked: 1 });
  });

  test('of another tenant in the same file is passed over, with its time stamp', async () => {
    const claims = { v: 1, tenant: 'beta', size: 3, root: digest('x'), head: digest('y'), prev: null, iat: 1 } as const;
    const foreign = { jws: await signCheckpoint(world.first, claims), timestamp: 'AAAA' };
    expect(await verified([foreign])).toMatchObject({ ok: true, anchors: 0, timestamps: [] });
  });
});

test('a checkpoint that an authority saw only after its key was revoked is none from before, whatever it says itself', async () => {
  const [, key] = world.keys.receipt;
  const revokedAt = new Date(Date.now() + 3_600_000).toISOString();
  const keys = { receipt: [world.keys.receipt[0] as object, { ...key, revokedAt }] };
  const seen = (hours: number) =>
    verified(
      world.anchors.map((jws) => stamped(jws, { info: { genTime: new Date(Date.now() + hours * 3_600_000) } })),
      root,
      keys,
    );
  // Entries 9 to 12 have no checkpoint.
  const first = async (hours: number) => (await seen(hours)).problems.find(({ code }) => code === 'key_revoked')?.at;
  expect(await first(0)).toBe(9);
  expect(await first(2)).toBe(7);
});

describe('is located, by the number of the anchor:', () => {
  const [first, second] = [0, 1].map((n) => () => world.anchors[n] ?? '') as [() => string, () => string];
  const cases: readonly (readonly [string, RegExp, () => AnchorLine])[] = [
    [
      'the time stamp of another checkpoint',
      /anchor 2 does not count\. .*over something else/,
      () => ({ jws: second(), timestamp: stamped(first()).timestamp }),
    ],
    [
      'one of an authority that is not trusted',
      /no trusted certificate/,
      () => stamped(second(), { signer: issue({ subject: 'Stamps', issuer: stranger }) }),
    ],
    [
      'one that was made when its certificate was over',
      /is good from/,
      () => stamped(second(), { info: { genTime: new Date(Date.now() + 60 * 86_400_000) } }),
    ],
    [
      'one from before the checkpoint says that it was signed',
      /anchor 2 is of 20.*, and the checkpoint says that it was signed at 20/,
      () => stamped(second(), { info: { genTime: new Date(Date.now() - 3_600_000) } }),
    ],
    [
      'one that somebody changed',
      /anchor 2 does not count/,
      () => {
        const token = Buffer.from(stamped(second()).timestamp, 'base64');
        token[token.length - 5] = (token[token.length - 5] ?? 0) ^ 1;
        return { jws: second(), timestamp: token.toString('base64') };
      },
    ],
    ['one that is none', /no token that can be read/, () => ({ jws: second(), timestamp: 'AAAA' })],
    ['one that is no text in base64', /not written in base64/, () => ({ jws: second(), timestamp: '{"a":1}' })],
    [
      'one with something behind it',
      /no token in DER/,
      () => {
        const token = Buffer.from(stamped(second()).timestamp, 'base64');
        return { jws: second(), timestamp: Buffer.concat([token, Buffer.from('xyz')]).toString('base64') };
      },
    ],
    [
      'one that is larger than any token',
      /larger than 65536 bytes/,
      () => ({ jws: second(), timestamp: Buffer.alloc(65_538).toString('base64') }),
    ],
  ];
  test.each(cases)('%s', async (_, message, wrong) => {
    const report = await verified([stamped(first()), wrong()]);
    expect(report).toMatchObject({ ok: false, anchors: 2, timestamps: [{ size: 3 }] });
    expect(report.problems).toEqual([{ code: 'timestamp', at: 2, problem: expect.stringMatching(message) as string }]);
  });
});

test('a round stamps what an authority answers for; another that lies is told, and keeps nobody from anything', async () => {
  const keys = JSON.stringify(await generateKeyringFile(['receipt']));
  const keyring = await parseKeyring(keys, 'test');
  const env = { COUNTERSIGN_LEDGER_URL: world.url, COUNTERSIGN_KEYS: keys };
  const cwd = await folder();
  for (const id of ['s-1', 's-2']) await settleAction(world.ledger, keyring, id, 'stamped');
  await writeFile(path.join(cwd, 'public-keys.json'), JSON.stringify(await publicKeyring(keyring)));
  await writeFile(path.join(cwd, 'tsa-ca.pem'), root.pem);
  await writeFile(path.join(cwd, 'other-ca.pem'), stranger.pem);
  const honest = await startAuthority((query) => answerWith(stamp(query, { signer })));
  const lying = await startAuthority((query) =>
    answerWith(stamp(query, { signer, info: { nonce: Uint8Array.of(1).buffer } })),
  );
  const index = path.join(inject('compiledSources'), 'src/trail/index.js');
  const file = (name: string): string => JSON.stringify(path.join(cwd, name));
  const authority = (name: string, url: string): string =>
    `timestampAnchor({ name: '${name}', url: '${url}', caFile: ${file('tsa-ca.pem')}, allow: { loopback: true },
       keep: fileAnchor({ path: ${file(`${name}.jsonl`)} }) })`;
  await writeFile(
    path.join(cwd, 'countersign.config.mjs'),
    `import { fileAnchor, timestampAnchor } from ${JSON.stringify(index)};
     export default {
       policies: ${JSON.stringify(path.join(ROOT, 'policies/starter'))},
       tools: [],
       trail: { anchors: [
         ${authority('lying', lying.url)},
         ${authority('honest', honest.url)},
         fileAnchor({ path: ${file('plain.jsonl')} }),
       ] },
     };`,
  );
  const trail = (...args: readonly string[]) => cli(['trail', ...args], { cwd, env });
  try {
    const failed = await trail('checkpoint', '--tenant', 'stamped', '--json');
    expect(errorOf(failed)).toMatchObject({
      code: 'ANCHOR_FAILED',
      message: expect.stringMatching(/^The anchor lying did not take the checkpoint: .*nonce/) as string,
    });
    await expect(readFile(path.join(cwd, 'lying.jsonl'))).rejects.toThrow('ENOENT');
    lying.reply = honest.reply;
    expect((await trail('checkpoint', '--tenant', 'stamped')).code).toBe(0);
    expect((await trail('checkpoint', '--tenant', 'stamped')).code).toBe(0);
  } finally {
    await honest.close();
    await lying.close();
  }
  // Each was asked until it had answered well, and not once more.
  expect([lying.queries.length, honest.queries.length]).toEqual([2, 1]);
  const [line = '', ...more] = (await readFile(path.join(cwd, 'honest.jsonl'), 'utf8')).trimEnd().split('\n');
  expect(more).toEqual([]);
  const { timestamp, ...plain } = JSON.parse(line) as { timestamp: string };
  expect(`${JSON.stringify(plain)}\n`).toBe(await readFile(path.join(cwd, 'plain.jsonl'), 'utf8'));
  expect(Buffer.from(timestamp, 'base64').length).toBeGreaterThan(500);

  await trail('export', '--tenant', 'stamped', '--out', 'stamped.jsonl');
  const verify = (...args: readonly string[]) =>
    cli(['trail', 'verify', 'stamped.jsonl', '--keys', 'public-keys.json', ...args], { cwd, env: {} });
  const good = await verify('--anchors', 'honest.jsonl', 'plain.jsonl', '--timestamp-ca', 'tsa-ca.pem');
  expect(good).toMatchObject({ code: 0, stderr: '' });
  expect(good.stdout).toMatch(/ {4}2 entries existed at 20\d\d-\S+Z at the latest, says CN=Stamps\n/);
  expect(good.stdout).toContain('2 anchors fit');
  const unchecked = await verify('--anchors', 'honest.jsonl');
  expect(unchecked.code).toBe(0);
  expect(unchecked.stdout).toContain('1 time stamps were not checked');
  const wrong = await verify('--anchors', 'honest.jsonl', '--timestamp-ca', 'other-ca.pem', '--json');
  expect(wrong.code).toBe(1);
  expect(wrong.json()).toMatchObject({
    error: { code: 'TRAIL_BROKEN' },
    trails: [{ problems: [{ code: 'timestamp', at: 1 }] }],
  });
  expect(await verify('--timestamp-ca', 'tsa-ca.pem')).toMatchObject({ code: 2 });
  expect(await verify('--anchors', 'honest.jsonl', '--timestamp-ca', 'public-keys.json')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('KEYS_INVALID') as string,
  });
  expect(await verify('--anchors', 'honest.jsonl', '--timestamp-ca', 'absent.pem')).toMatchObject({ code: 2 });
  // With lists of revoked certificates.
  const revoked = [{ certificate: signer, at: new Date(Date.now() - 60_000) }];
  await writeFile(path.join(cwd, 'none.crl'), revocationList({ issuer: root }));
  await writeFile(path.join(cwd, 'revoked.crl'), revocationList({ issuer: root, revoked }));
  await writeFile(path.join(cwd, 'other.crl'), revocationList({ issuer: stranger }));
  const listed = (...lists: readonly string[]) =>
    verify('--anchors', 'honest.jsonl', '--timestamp-ca', 'tsa-ca.pem', '--timestamp-crl', ...lists);
  expect(await listed('none.crl', 'other.crl')).toMatchObject({ code: 0, stderr: '' });
  expect(await listed('none.crl', 'revoked.crl')).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('the certificate of CN=Stamps was revoked at 20') as string,
  });
  expect(await listed('other.crl')).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('nothing shows that the certificate of CN=Stamps was not revoked') as string,
  });
  expect(await listed('public-keys.json')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('KEYS_INVALID') as string,
  });
  expect(await listed('absent.crl')).toMatchObject({ code: 2 });
  expect(await verify('--anchors', 'honest.jsonl', '--timestamp-crl', 'none.crl')).toMatchObject({ code: 2 });
  // In the ledger itself, too.
  expect(
    (
      await trail(
        'verify',
        '--tenant',
        'stamped',
        '--anchors',
        'honest.jsonl',
        '--timestamp-ca',
        'tsa-ca.pem',
        '--json',
      )
    ).json(),
  ).toMatchObject({
    ok: true,
    trails: [{ timestamps: [{ size: 2, authority: 'CN=Stamps' }] }],
  });
});

test('what reads certificates is loaded by whoever stamps, and by nobody else', async () => {
  const program = `
    const { fileAnchor, timestampAnchor } = await import(${JSON.stringify(path.join(inject('compiledSources'), 'src/trail/index.js'))});
    const { createRequire } = await import('node:module');
    const cache = createRequire(import.meta.url).cache;
    const loaded = () => Object.keys(cache).some((file) => file.includes('@peculiar'));
    const keep = fileAnchor({ path: '/nowhere' });
    const anchor = timestampAnchor({ url: 'http://127.0.0.1:1/', caFile: 'x', keep, allow: { loopback: true } });
    const before = loaded();
    await anchor.put({ tenant: 'a', size: 1, jws: 'x' }, AbortSignal.timeout(5000)).catch(() => {});
    console.log(JSON.stringify([before, loaded()]));`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], { cwd: ROOT });
  expect(JSON.parse(stdout)).toEqual([false, true]);
});
