/** Payloads are encrypted so that one changed byte, another key or a plain payload is refused; and keys are rotated without a gap. */
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Payload } from '@temporalio/common';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { payloadEncryption } from '../../src/privacy/data-converter.js';
import { EncryptingCodec, ENCRYPTED, KEY_ID } from '../../src/privacy/payload-codec.js';
import { addPayloadKey, createPayloadKeys, usePayloadKey } from '../../src/privacy/payload-key-files.js';
import { loadPayloadKeys, parsePayloadKeys } from '../../src/privacy/payload-keys.js';

const key = (kid: string, byte: number): object => ({
  kty: 'oct',
  kid,
  k: Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 7 + byte) % 256)).toString('base64url'),
});
const keys = (...list: readonly object[]) => parsePayloadKeys(JSON.stringify({ keys: list }), 'test');
const [OLD, NEW] = [key('old', 1), key('new', 2)];
const codec = new EncryptingCodec(keys(NEW, OLD));
const SECRET: Payload = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('"Ada Lovelace"') };

/** As plain objects of bytes, whatever class holds them. */
const plainly = (payloads: readonly Payload[]): unknown =>
  payloads.map(({ metadata, data }) => ({
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes).toString('hex')]),
    ),
    data: Buffer.from(data ?? []).toString('hex'),
  }));

async function one(by: EncryptingCodec, payload = SECRET): Promise<Payload> {
  return (await by.encode([payload]))[0] as Payload;
}

describe('a payload', () => {
  test('comes back as it was, whatever it holds', async () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    const payload = fc.record({ metadata: fc.dictionary(fc.string({ maxLength: 20 }), bytes), data: bytes });
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { maxLength: 5 }), async (payloads) => {
        expect(plainly(await codec.decode(await codec.encode(payloads)))).toEqual(plainly(payloads));
      }),
    );
  });

  test('shows neither what it holds nor of what kind that is, and is never the same twice', async () => {
    const [first, second] = [await one(codec), await one(codec)];
    expect(Buffer.from(first.metadata?.['encoding'] ?? []).toString()).toBe(ENCRYPTED);
    expect(Buffer.from(first.metadata?.[KEY_ID] ?? []).toString()).toBe('new');
    expect(Object.keys(first.metadata ?? {})).toHaveLength(2);
    expect(Buffer.from(first.data ?? []).toString('latin1')).not.toMatch(/Ada|json/);
    expect(plainly([first])).not.toEqual(plainly([second]));
  });

  test('that was encrypted by this format’s first version is read by every later one', async () => {
    const data = `AfJJsKLVeLSxhtOOB6FhyR9T/VXe5K0SHupqxsKUzN2y4FTFwBP7URHk6One6YPS0E2hYUwyJ4kuyeXMiXYkOiqVTxfj6z4gQZVypSYf4ZsfEWRyKBgw1NJO5AMc/73uKaK9/Z4=`;
    const metadata = { encoding: Buffer.from(ENCRYPTED), [KEY_ID]: Buffer.from('old') };
    expect(plainly(await codec.decode([{ metadata, data: Buffer.from(data, 'base64') }]))).toEqual(plainly([SECRET]));
  });

  test('is refused with any one bit changed', async () => {
    const sealed = await one(codec);
    const data = Buffer.from(sealed.data ?? []);
    for (let at = 0; at < data.length; at++) {
      const changed = Buffer.from(data);
      changed[at] = (changed[at] as number) ^ (1 << (at % 8));
      await expect(codec.decode([{ ...sealed, data: changed }])).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
    }
  });

  test.each([0, 1, 20, 60])('is refused when it is cut to %i bytes', async (length) => {
    const sealed = await one(codec);
    const cut = { ...sealed, data: Buffer.from(sealed.data ?? []).subarray(0, length) };
    await expect(codec.decode([cut])).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
  });

  test('is refused under the id of another key that is known', async () => {
    const sealed = await one(codec);
    const moved = { ...sealed, metadata: { ...sealed.metadata, [KEY_ID]: Buffer.from('old') } };
    await expect(codec.decode([moved])).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
  });

  test('is refused under the same bytes of key with another id', async () => {
    const twin = new EncryptingCodec(keys(key('twin', 2)));
    const sealed = await one(codec);
    const moved = { ...sealed, metadata: { ...sealed.metadata, [KEY_ID]: Buffer.from('twin') } };
    await expect(twin.decode([moved])).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
  });

  test('is refused by who does not have its key, and by who has none, with a word on which', async () => {
    const sealed = await one(codec);
    const other = new EncryptingCodec(keys(OLD));
    await expect(other.decode([sealed])).rejects.toMatchObject({ code: 'PAYLOAD_KEY_UNKNOWN', message: /"new"/ });
    await expect(new EncryptingCodec(undefined).decode([sealed])).rejects.toMatchObject({
      code: 'PAYLOAD_KEY_UNKNOWN',
      message: /has no payload keys/,
    });
  });

  test('that is plain is refused where there are keys, unless it is meant', async () => {
    await expect(codec.decode([SECRET])).rejects.toMatchObject({ code: 'PAYLOAD_PLAIN' });
    await expect(codec.decode([{}])).rejects.toMatchObject({ code: 'PAYLOAD_PLAIN' });
    const migrating = new EncryptingCodec(keys(NEW), 'accept');
    expect(await migrating.decode([SECRET, await one(codec)])).toHaveLength(2);
    expect(await new EncryptingCodec(undefined).decode([SECRET])).toEqual([SECRET]);
  });
});

describe('a file of keys', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-payload-keys-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test('is rotated so that old payloads stay readable and no process meets what it cannot read', async () => {
    const file = path.join(folder, 'rotated.json');
    const load = async () =>
      new EncryptingCodec(await loadPayloadKeys({ env: { COUNTERSIGN_PAYLOAD_KEYS_FILE: file } }));
    const { encrypts } = await createPayloadKeys(file, new Date('2026-11-29T10:00:00Z'));
    expect(encrypts).toMatch(/^2026-11-29-/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const before = await load();
    const early = await one(before);

    const { added, encrypts: still } = await addPayloadKey(file, new Date('2027-01-01T00:00:00Z'));
    expect(still).toBe(encrypts);
    const between = await load();
    await expect(before.decode([await one(between)])).resolves.toHaveLength(1);

    expect((await usePayloadKey(file)).encrypts).toBe(added);
    const after = await load();
    const late = await one(after);
    await expect(after.decode([early, late])).resolves.toHaveLength(2);
    await expect(between.decode([late])).resolves.toHaveLength(1);
    await expect(before.decode([late])).rejects.toMatchObject({ code: 'PAYLOAD_KEY_UNKNOWN' });
    expect((await usePayloadKey(file, encrypts)).encrypts).toBe(encrypts);
    await expect(usePayloadKey(file, 'none')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('is never overwritten by a new one', async () => {
    const file = path.join(folder, 'kept.json');
    await createPayloadKeys(file, new Date());
    const text = await readFile(file, 'utf8');
    await expect(createPayloadKeys(file, new Date())).rejects.toMatchObject({ code: 'FILES_EXIST' });
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  test('that others can read is refused in production', async () => {
    const file = path.join(folder, 'open.json');
    await createPayloadKeys(file, new Date());
    await chmod(file, 0o640);
    await expect(loadPayloadKeys({ env: {}, file, production: true })).rejects.toMatchObject({
      code: 'KEYS_INVALID',
      message: /0640/,
    });
    await chmod(file, 0o400);
    await expect(loadPayloadKeys({ env: {}, file, production: true })).resolves.toBeDefined();
  });

  test('that the config names must be there, and the config must not want encryption without keys', async () => {
    const missing = { payloads: { keysFile: path.join(folder, 'missing.json') } };
    await expect(payloadEncryption({}, missing)).rejects.toMatchObject({ code: 'KEYS_MISSING' });
    await expect(payloadEncryption({}, { payloads: {} })).rejects.toMatchObject({ code: 'KEYS_MISSING' });
    expect((await payloadEncryption({}, {})).on).toBe(false);
    await expect(payloadEncryption({ COUNTERSIGN_PLAIN_PAYLOADS: 'yes' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    const both = { COUNTERSIGN_PAYLOAD_KEYS: '{}', COUNTERSIGN_PAYLOAD_KEYS_FILE: 'keys.json' };
    await expect(payloadEncryption(both)).rejects.toMatchObject({ code: 'KEYS_INVALID' });
  });

  const bad: readonly [string, string, string][] = [
    ['is not JSON', '{"keys": [s3cret', 'f'],
    ['has no keys', '{"keys": []}', 'f'],
    ['has a key twice', JSON.stringify({ keys: [OLD, OLD] }), 'f.keys'],
    ['has a key that is too short', JSON.stringify({ keys: [{ ...OLD, k: 's3cret' }] }), 'f.keys[0].k'],
    ['has a key of zeros', JSON.stringify({ keys: [{ ...OLD, k: 'A'.repeat(43) }] }), 'f.keys[0].k'],
    ['has an id that a log cannot show', JSON.stringify({ keys: [{ ...OLD, kid: 'a\nb' }] }), 'f.keys[0].kid'],
    ['has a signing key', JSON.stringify({ keys: [{ ...OLD, kty: 'OKP' }] }), 'f.keys[0].kty'],
    ['is for another algorithm', JSON.stringify({ keys: [{ ...OLD, alg: 'A128GCM' }] }), 'f.keys[0].alg'],
  ];
  test.each(bad)('that %s is refused, without a word of what it holds', (_what, text, field) => {
    let thrown: unknown;
    try {
      parsePayloadKeys(text, 'f');
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'KEYS_INVALID', field });
    expect(JSON.stringify(thrown)).not.toContain('s3cret');
  });

  test('is read from the environment before the config', async () => {
    const file = path.join(folder, 'config.json');
    await writeFile(file, JSON.stringify({ keys: [OLD] }));
    const env = { COUNTERSIGN_PAYLOAD_KEYS: JSON.stringify({ keys: [NEW] }) };
    expect((await loadPayloadKeys({ env, file }))?.current.id).toBe('new');
  });
});
