/** Where keys come from: environment, files and their permissions, and development keys that several processes want at once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isProduction } from '../../src/environment.js';
import { createKeyFile, extractKeys, loadKeyring } from '../../src/trust/key-store.js';
import { isOpenToOthers } from '../../src/trust/secret-file.js';
import {
  generateKeyringFile,
  narrowedKeyring,
  parseKeyring,
  publicKeyring,
  type KeyringFile,
} from '../../src/trust/key-file.js';
import { KEY_ROLES } from '../../src/trust/keys.js';
import { firstKey, publicPart, refusal } from './support.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'countersign-keys-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function keyFile(mode: number, name = 'keys.json') {
  const file = await generateKeyringFile();
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(file));
  await chmod(path, mode);
  return { file, path };
}

describe('keys in production', () => {
  const production = { COUNTERSIGN_ENV: 'production' };

  test.each([
    { COUNTERSIGN_ENV: 'production' },
    { NODE_ENV: 'production' },
    { COUNTERSIGN_ENV: 'staging', NODE_ENV: 'production' },
  ])('are never made: %o', async (env) => {
    expect(isProduction(env)).toBe(true);
    const devPath = join(folder, 'dev', 'keys.json');
    const error = await refusal(loadKeyring({ env, devPath }), 'KEYS_MISSING');
    expect(error.message).toContain('production');
    expect(error.fix).toContain('COUNTERSIGN_KEYS_FILE');
    expect(await readdir(folder)).toEqual([]);
  });

  test('are not taken from a development file that is already there', async () => {
    const { path } = await keyFile(0o600);
    await refusal(loadKeyring({ env: production, devPath: path }), 'KEYS_MISSING');
  });

  test('an empty variable is an absent one', async () => {
    await refusal(loadKeyring({ env: { ...production, COUNTERSIGN_KEYS: ' ' } }), 'KEYS_MISSING');
  });

  test('come from COUNTERSIGN_KEYS', async () => {
    const file = await generateKeyringFile();
    const keyring = await loadKeyring({ env: { ...production, COUNTERSIGN_KEYS: JSON.stringify(file) } });
    expect(keyring.sign.grant?.kid).toBe(firstKey(file, 'grant').kid);
  });

  test.each([0o600, 0o400])('come from a file of mode %o', async (mode) => {
    const { file, path } = await keyFile(mode);
    const keyring = await loadKeyring({ env: { ...production, COUNTERSIGN_KEYS_FILE: path } });
    expect(keyring.sign.issuer?.kid).toBe(firstKey(file, 'issuer').kid);
  });

  test('may be shared with a group only as Kubernetes mounts a secret: by root, to be read', () => {
    const [root, own] = [0, 1000];
    expect(isOpenToOthers({ mode: 0o100440, uid: root }, own)).toBe(false);
    for (const mode of [0o100444, 0o100460, 0o100450, 0o100441])
      expect(isOpenToOthers({ mode, uid: root }, own)).toBe(true);
    expect(isOpenToOthers({ mode: 0o100440, uid: own }, own)).toBe(true);
    expect(isOpenToOthers({ mode: 0o100440, uid: root }, root)).toBe(true);
    expect(isOpenToOthers({ mode: 0o100440, uid: 1001 }, own)).toBe(true);
  });

  test.each([0o640, 0o604, 0o644, 0o620, 0o602, 0o777])(
    'a file of mode %o that others can open is refused',
    async (mode) => {
      const { file, path } = await keyFile(mode);
      const error = await refusal(
        loadKeyring({ env: { ...production, COUNTERSIGN_KEYS_FILE: path } }),
        'KEYS_INVALID',
        [firstKey(file, 'grant').d],
      );
      expect(error.field).toBe(path);
      expect(error.fix).toContain('chmod 600');
    },
  );

  test('a link to a file that others can open is refused as the file is', async () => {
    const { path } = await keyFile(0o644);
    const alias = join(folder, 'alias.json');
    await symlink(path, alias);
    await refusal(loadKeyring({ env: { ...production, COUNTERSIGN_KEYS_FILE: alias } }), 'KEYS_INVALID');
  });

  test('a file of public keys may be open to all', async () => {
    const path = join(folder, 'public.json');
    const keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'keys');
    await writeFile(path, JSON.stringify(await publicKeyring(keyring)), { mode: 0o644 });
    const reader = await loadKeyring({ env: { ...production, COUNTERSIGN_KEYS_FILE: path } });
    expect(reader.sign).toEqual({});
    expect([...reader.verify.receipt.keys()]).toEqual([...keyring.verify.receipt.keys()]);
  });

  test('a file that is absent, a folder, or far too long is refused', async () => {
    const load = (path: string) => loadKeyring({ env: { ...production, COUNTERSIGN_KEYS_FILE: path } });
    expect((await refusal(load(join(folder, 'none.json')), 'KEYS_MISSING')).field).toBe(join(folder, 'none.json'));
    await refusal(load(folder), 'KEYS_INVALID');
    const long = join(folder, 'long.json');
    await writeFile(long, ' '.repeat(70_000), { mode: 0o600 });
    expect((await refusal(load(long), 'KEYS_INVALID')).message).toContain('too long');
  });

  test('that cannot be read are told by the variable that has them', async () => {
    const text = JSON.stringify({ issuer: [{ kty: 'OKP', crv: 'Ed25519', x: 'no' }] });
    const error = await refusal(loadKeyring({ env: { ...production, COUNTERSIGN_KEYS: text } }), 'KEYS_INVALID');
    expect(error.field).toBe('COUNTERSIGN_KEYS.issuer[0].x');
  });

  test('given twice, in text and as a file, are refused: neither silently wins', async () => {
    const { file, path } = await keyFile(0o600);
    const env = { ...production, COUNTERSIGN_KEYS: JSON.stringify(file), COUNTERSIGN_KEYS_FILE: path };
    await refusal(loadKeyring({ env }), 'KEYS_INVALID', [firstKey(file, 'issuer').d]);
  });
});

test('a file that holds the private key of one role is as secret as one that holds all', async () => {
  const { path } = await keyFile(0o600);
  const to = join(folder, 'tool.json');
  await extractKeys(path, to, ['tool']);
  await chmod(to, 0o644);
  const env = { COUNTERSIGN_ENV: 'production', COUNTERSIGN_KEYS_FILE: to };
  expect((await refusal(loadKeyring({ env }), 'KEYS_INVALID')).fix).toContain('pass the keys in COUNTERSIGN_KEYS');
});

test('in development a file that others can read is taken, and nobody need hear of keys that were made', async () => {
  const { file, path } = await keyFile(0o644);
  expect((await loadKeyring({ env: {}, devPath: path })).sign.grant?.kid).toBe(firstKey(file, 'grant').kid);
  expect((await loadKeyring({ env: {}, devPath: join(folder, 'new.json') })).sign.grant).toBeDefined();
});

describe('keys of one process, taken out of a file that has everything,', () => {
  test('are the private ones of its roles and the public ones of all others, for it alone', async () => {
    const { file, path } = await keyFile(0o600);
    const to = join(folder, 'tool.json');
    await extractKeys(path, to, ['tool']);
    const extracted = await loadKeyring({ env: { COUNTERSIGN_ENV: 'production', COUNTERSIGN_KEYS_FILE: to } });
    expect(Object.keys(extracted.sign)).toEqual(['tool']);
    expect(extracted.sign.tool?.kid).toBe(firstKey(file, 'tool').kid);
    for (const role of KEY_ROLES) expect([...extracted.verify[role].keys()]).toEqual([firstKey(file, role).kid]);
    expect((await stat(to)).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).sort()).toEqual(['keys.json', 'tool.json']);
  });

  test('name no role of which there is no key', async () => {
    const { issuer, grant } = await generateKeyringFile();
    const narrowed = await narrowedKeyring(JSON.stringify({ issuer, grant, tool: [] }), 'keys', ['issuer']);
    expect(Object.keys(narrowed).sort()).toEqual(['grant', 'issuer']);
    expect(narrowed.issuer).toEqual(issuer);
    expect(narrowed.grant).toEqual(grant?.map(publicPart));
  });

  test('are not taken where one is missing, or where there is a file already', async () => {
    const { file, path } = await keyFile(0o600);
    const { tool: _, ...without } = file;
    const lacking = join(folder, 'lacking.json');
    await writeFile(lacking, JSON.stringify(without), { mode: 0o600 });
    await refusal(extractKeys(lacking, join(folder, 'new.json'), ['tool']), 'KEYS_MISSING');
    const taken = await refusal(extractKeys(path, lacking, ['tool']), 'KEYS_INVALID');
    expect(taken).toMatchObject({ field: lacking, message: `${lacking} is there already.` });
    expect(JSON.parse(await readFile(lacking, 'utf8'))).toEqual(without);
    const nowhere = join(folder, 'none', 'new.json');
    const made = await refusal(extractKeys(path, nowhere, ['tool']), 'KEYS_INVALID');
    expect(made).toMatchObject({ field: nowhere, message: `${nowhere} cannot be made` });
    expect(made.cause).toMatchObject({ code: 'ENOENT' });
  });
});

describe('keys in development', () => {
  test('are made on the first run, for this user only, and are the same on the next', async () => {
    const devPath = join(folder, 'new', 'keys.json');
    const created: string[] = [];
    const first = await loadKeyring({ env: {}, devPath, onCreated: (path) => created.push(path) });
    const second = await loadKeyring({ env: {}, devPath, onCreated: (path) => created.push(path) });
    expect(created).toEqual([devPath]);
    expect(second.sign.issuer?.kid).toBe(first.sign.issuer?.kid);
    expect((await stat(devPath)).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'new'))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(folder, 'new'))).toEqual(['keys.json']);
  });

  test('are not made when the process has nowhere to keep them', async () => {
    await refusal(loadKeyring({ env: {} }), 'KEYS_MISSING');
  });

  test('a broken file is refused and left as it is', async () => {
    const devPath = join(folder, 'keys.json');
    await writeFile(devPath, '{"issuer": [');
    await refusal(loadKeyring({ env: {}, devPath }), 'KEYS_INVALID');
    expect(await readFile(devPath, 'utf8')).toBe('{"issuer": [');
  });

  test('a place that cannot hold a file is refused', async () => {
    await writeFile(join(folder, 'file'), '');
    await refusal(loadKeyring({ env: {}, devPath: join(folder, 'file', 'keys.json') }), 'KEYS_INVALID');
  });

  test('are not made under a name that is too long for a draft of them, and the fault of the system is told', async () => {
    const devPath = join(folder, 'k'.repeat(250));
    const error = await refusal(loadKeyring({ env: {}, devPath }), 'KEYS_INVALID');
    expect(error).toMatchObject({
      field: devPath,
      message: `${devPath} cannot be made`,
      cause: { code: 'ENAMETOOLONG' },
    });
    expect(await readdir(folder)).toEqual([]);
    const { gateway: _, ...before } = await generateKeyringFile();
    await writeFile(devPath, JSON.stringify(before), { mode: 0o600 });
    const added = await refusal(loadKeyring({ env: {}, devPath }), 'KEYS_INVALID');
    expect(added).toMatchObject({
      field: devPath,
      message: `${devPath} has no gateway key and cannot be given one`,
      cause: { code: 'ENAMETOOLONG' },
    });
    expect(JSON.parse(await readFile(devPath, 'utf8'))).toEqual(before);
  });

  test('made before gateways had keys are given one, which stays, and no other key changes', async () => {
    const { gateway: _, ...before } = await generateKeyringFile();
    const devPath = join(folder, 'keys.json');
    await writeFile(devPath, JSON.stringify(before), { mode: 0o600 });
    const created: string[] = [];
    const first = await loadKeyring({ env: {}, devPath, onCreated: (path) => created.push(path) });
    const second = await loadKeyring({ env: {}, devPath });
    const { gateway, ...rest } = JSON.parse(await readFile(devPath, 'utf8')) as KeyringFile;
    expect(rest).toEqual(before);
    expect(gateway).toHaveLength(1);
    expect(first.sign.gateway?.kid).toBe(gateway?.[0]?.kid);
    expect(second.sign.gateway?.kid).toBe(gateway?.[0]?.kid);
    expect(created).toEqual([]);
    expect((await stat(devPath)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['keys.json']);
    // In another process it is found where the file is only named.
    const named = await loadKeyring({ env: { COUNTERSIGN_KEYS_FILE: devPath } });
    expect(named.sign.gateway?.kid).toBe(first.sign.gateway?.kid);
  });

  test('many callers at once give an older file one and the same gateway key', async () => {
    const { gateway: _, ...before } = await generateKeyringFile();
    const devPath = join(folder, 'keys.json');
    await writeFile(devPath, JSON.stringify(before), { mode: 0o600 });
    const found = await Promise.all(Array.from({ length: 12 }, () => loadKeyring({ env: {}, devPath })));
    const kept = await loadKeyring({ env: {}, devPath });
    expect(new Set([...found, kept].map((keyring) => keyring.sign.gateway?.kid)).size).toBe(1);
    expect(kept.sign.gateway).toBeDefined();
    expect(await readdir(folder)).toEqual(['keys.json']);
  });

  test('another file’s gateway key is another: it follows from the issuer’s', async () => {
    const kids = await Promise.all(
      ['one.json', 'two.json'].map(async (name) => {
        const { gateway: _, ...before } = await generateKeyringFile();
        await writeFile(join(folder, name), JSON.stringify(before), { mode: 0o600 });
        return (await loadKeyring({ env: {}, devPath: join(folder, name) })).sign.gateway?.kid;
      }),
    );
    expect(new Set(kids).size).toBe(2);
    expect(kids).not.toContain(undefined);
  });

  test('behind a link are given the gateway key where they are', async () => {
    const { gateway: _, ...before } = await generateKeyringFile();
    await writeFile(join(folder, 'real.json'), JSON.stringify(before), { mode: 0o600 });
    const devPath = join(folder, 'keys.json');
    await symlink(join(folder, 'real.json'), devPath);
    const keyring = await loadKeyring({ env: {}, devPath });
    expect(keyring.sign.gateway).toBeDefined();
    expect((await readdir(folder)).sort()).toEqual(['keys.json', 'real.json']);
    const real = await loadKeyring({ env: { COUNTERSIGN_KEYS_FILE: join(folder, 'real.json') } });
    expect(real.sign.gateway?.kid).toBe(keyring.sign.gateway?.kid);
  });

  test('that somebody gave a gateway key of their own, or no issuer, are left as they are', async () => {
    const { gateway, issuer, grant, receipt } = await generateKeyringFile();
    const withoutPrivate = gateway?.map(publicPart);
    for (const file of [
      { issuer, grant, receipt, gateway },
      { issuer, grant, receipt, gateway: withoutPrivate },
      { grant, receipt },
    ]) {
      const devPath = join(folder, 'keys.json');
      await writeFile(devPath, JSON.stringify(file), { mode: 0o600 });
      await loadKeyring({ env: {}, devPath });
      expect(JSON.parse(await readFile(devPath, 'utf8'))).toEqual(file);
    }
  });

  test('are given a gateway key by the private key of an issuer, wherever it stands, and none where all are public', async () => {
    const [{ issuer: [own] = [], grant }, { issuer: [other] = [] }] = await Promise.all([
      generateKeyringFile(),
      generateKeyringFile(),
    ]);
    const devPath = join(folder, 'keys.json');
    const loaded = async (...issuer: (typeof own)[]) => {
      await writeFile(devPath, JSON.stringify({ issuer, grant }), { mode: 0o600 });
      return (await loadKeyring({ env: {}, devPath })).sign.gateway?.kid;
    };
    const alone = await loaded(own);
    expect(alone).toBeDefined();
    expect(await loaded(publicPart(other!), own)).toBe(alone);
    expect(await loaded(publicPart(own!))).toBeUndefined();
  });

  test('elsewhere a file without a gateway key works, and is never changed', async () => {
    const { gateway: _, ...before } = await generateKeyringFile();
    const path = join(folder, 'keys.json');
    await writeFile(path, JSON.stringify(before), { mode: 0o600 });
    for (const env of [{ COUNTERSIGN_KEYS_FILE: path }, { COUNTERSIGN_KEYS_FILE: path, NODE_ENV: 'production' }]) {
      const keyring = await loadKeyring({ env, devPath: path });
      expect(keyring.sign.issuer).toBeDefined();
      expect(keyring.sign.gateway).toBeUndefined();
    }
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(before);
  });

  test('are made for some roles only where that is wanted', async () => {
    const path = join(folder, 'gateway.json');
    expect(await createKeyFile(path, ['gateway'])).toBe(true);
    const keyring = await loadKeyring({ env: { COUNTERSIGN_KEYS_FILE: path } });
    expect(Object.keys(keyring.sign)).toEqual(['gateway']);
  });

  test('many callers at once get one and the same key', async () => {
    const devPath = join(folder, 'race', 'keys.json');
    const made = await Promise.all(Array.from({ length: 12 }, () => createKeyFile(devPath)));
    expect(made.filter(Boolean)).toHaveLength(1);
    expect(await readdir(join(folder, 'race'))).toEqual(['keys.json']);
    await parseKeyring(await readFile(devPath, 'utf8'), devPath);
  });

  test('several processes at once get one and the same key', { timeout: 60_000 }, async () => {
    const devPath = join(folder, 'processes', 'keys.json');
    const script = fileURLToPath(new URL('make-keys.ts', import.meta.url));
    const children = Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, ['--import', 'tsx', script, devPath], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
    });
    try {
      for (const { lines } of children) expect((await lines.next()).value).toBe('ready');
      for (const { child } of children) child.stdin.write('go\n');
      const found = await Promise.all(
        children.map(async ({ child, lines }) => {
          const answer = JSON.parse((await lines.next()).value ?? 'null') as { made: boolean; kid: string };
          if (child.exitCode === null) await once(child, 'exit');
          return answer;
        }),
      );
      expect(found.filter(({ made }) => made)).toHaveLength(1);
      expect(new Set(found.map(({ kid }) => kid)).size).toBe(1);
      expect(await readdir(join(folder, 'processes'))).toEqual(['keys.json']);
    } finally {
      for (const { child } of children) child.kill();
    }
  });
});
