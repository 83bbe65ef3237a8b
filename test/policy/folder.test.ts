/** A policy read from a folder: in one state, with nothing overlooked, and nothing from outside of it. */
import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { bundleFromFiles, loadBundle, starterFolder } from '../../src/policy/index.js';
import { folderFingerprint, readFolder } from '../../src/policy/folder.js';
import { starterFiles } from '../../src/policy/starter-files.js';
import { PERMIT_ALL } from './facts.js';

const starter = bundleFromFiles(await starterFiles());

async function refusalOf(run: Promise<unknown>): Promise<CountersignError> {
  const error: unknown = await run.then(
    () => new Error('it was accepted'),
    (error: unknown) => error,
  );
  if (error instanceof CountersignError) return error;
  throw error;
}

describe('a folder', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'countersign-bundle-'));
    await mkdir(join(folder, 'tests'));
    for (const [name, text] of Object.entries(starter.files)) await writeFile(join(folder, name), text);
  });
  afterEach(() => rm(folder, { recursive: true }));

  test('loads to the same bundle as its texts, with notes and hidden files beside it left out', async () => {
    await writeFile(join(folder, 'README.md'), 'notes');
    await writeFile(join(folder, '.roles.cedar.swp'), 'x');
    await writeFile(join(folder, 'roles.cedar~'), 'x');
    expect(await loadBundle(folder)).toEqual(starter);
    await writeFile(join(folder, 'tests', 'matrix.yaml'), 'a: 1\r\n');
    expect((await loadBundle(folder)).files['tests/matrix.yaml']).toBe('a: 1\n');
  });

  test.each(['more.Cedar', 'roles.cedar.disabled', 'schema.cedarschema.json', 'policies.txt'])(
    'with a file %s is refused: it could be a policy that is overlooked',
    async (name) => {
      await writeFile(join(folder, name), PERMIT_ALL);
      expect(await refusalOf(loadBundle(folder))).toMatchObject({ code: 'POLICY_INVALID', field: name });
    },
  );

  test('with policies in a subfolder is refused', async () => {
    await mkdir(join(folder, 'more'));
    await writeFile(join(folder, 'more', 'b.cedar'), PERMIT_ALL);
    expect(await refusalOf(loadBundle(folder))).toMatchObject({ code: 'POLICY_INVALID', field: 'more/' });
  });

  test('with a file that is not UTF-8 is refused', async () => {
    await writeFile(join(folder, 'b.cedar'), Buffer.from([0x2f, 0x2f, 0xff, 0xfe]));
    expect(await refusalOf(loadBundle(folder))).toMatchObject({ code: 'POLICY_INVALID', field: 'b.cedar' });
  });

  test('with a file over 1 MiB is refused before it is read', async () => {
    await writeFile(join(folder, 'b.cedar'), Buffer.alloc(1024 * 1024 + 1, 0x20));
    expect((await refusalOf(loadBundle(folder))).message).toContain('b.cedar: it is over 1 MiB');
    // More than Node reads at once. Nothing is written: it is a hole.
    await truncate(join(folder, 'b.cedar'), 2 ** 31);
    expect((await refusalOf(loadBundle(folder))).message).toContain('b.cedar: it is over 1 MiB');
  });

  test('with a link that leads out of it is refused; links inside, as container mounts have them, are followed', async () => {
    await mkdir(join(folder, '..data'));
    await writeFile(join(folder, '..data', 'linked.cedar'), '@id("linked") permit (principal, action, resource);');
    await symlink(join('..data', 'linked.cedar'), join(folder, 'linked.cedar'));
    expect((await loadBundle(folder)).files['linked.cedar']).toContain('@id("linked")');
    await symlink(join(starterFolder(), 'roles.cedar'), join(folder, 'out.cedar'));
    const error = await refusalOf(loadBundle(folder));
    expect(error.message).toBe('out.cedar: it is a link that leads out of the folder');
    await rm(join(folder, 'out.cedar'));
    await symlink('nowhere.cedar', join(folder, 'dangling.cedar'));
    expect((await refusalOf(loadBundle(folder))).message).toBe('dangling.cedar: it does not exist');
  });

  test.each(['missing', 'roles.cedar'])('that is no folder (%s) is refused', async (name) => {
    const error = await refusalOf(loadBundle(join(folder, name)));
    expect(error).toMatchObject({ code: 'POLICY_INVALID', field: join(folder, name) });
  });

  test('has another fingerprint after each change, and the same without one', async () => {
    const first = await folderFingerprint(folder);
    expect(await folderFingerprint(folder)).toBe(first);
    const read = await readFolder(folder);
    expect(read.fingerprint).toBe(first);
    expect(read.load().digest).toBe(starter.digest);
    await writeFile(join(folder, 'more.cedar'), PERMIT_ALL);
    const second = await folderFingerprint(folder);
    expect(second).not.toBe(first);
    await rename(join(folder, 'more.cedar'), join(folder, 'other.cedar'));
    const third = await folderFingerprint(folder);
    expect(third).not.toBe(second);
    await writeFile(join(folder, 'other.cedar'), PERMIT_ALL.replace('permit-all', 'permit_all'));
    expect(await folderFingerprint(folder)).not.toBe(third);
    await writeFile(join(folder, 'README.md'), 'notes');
    await rm(join(folder, 'other.cedar'));
    expect(await folderFingerprint(folder)).toBe(first);
    expect(await folderFingerprint(join(folder, 'missing'))).toMatch(/does not exist/);
  });

  test('that keeps changing while it is read is refused, and may be tried again', async () => {
    const ended = new AbortController();
    const writing = (async () => {
      for (let n = 0; !ended.signal.aborted; n++) await writeFile(join(folder, 'busy.cedar'), `${PERMIT_ALL}// ${n}`);
    })();
    try {
      const error = await refusalOf(
        (async () => {
          for (;;) await readFolder(folder);
        })(),
      );
      expect(error).toMatchObject({
        code: 'POLICY_INVALID',
        field: folder,
        retryable: true,
        message: `${folder} keeps changing while it is read.`,
      });
    } finally {
      ended.abort();
      await writing;
    }
    expect((await readFolder(folder)).load().files['busy.cedar']).toContain('permit-all');
  });

  test('has its files in the order of their names, and what is wrong with them says what to do', async () => {
    await writeFile(join(folder, 'a.txt'), '');
    await writeFile(join(folder, 'tests', 'note.txt'), '');
    expect(await refusalOf(loadBundle(folder))).toMatchObject({
      field: 'a.txt',
      message: 'a.txt: a policy bundle has no such file',
      expected: '*.cedar, schema.cedarschema, limits.yaml, history.yaml and tests/*.yaml',
      fix: expect.stringMatching(/^Rename it/) as string,
    });
    await rm(join(folder, 'a.txt'));
    expect(await refusalOf(loadBundle(folder))).toMatchObject({ field: 'tests/note.txt' });
    await rm(join(folder, 'tests', 'note.txt'));
    await mkdir(join(folder, 'b.cedar'));
    expect(await refusalOf(loadBundle(folder))).toMatchObject({ field: 'b.cedar/' });
    await rm(join(folder, 'b.cedar'), { recursive: true });
    await mkdir(join(folder, 'tests', 'c.yaml'));
    expect(await refusalOf(loadBundle(folder))).toMatchObject({ field: 'tests/c.yaml' });
    await rm(join(folder, 'tests', 'c.yaml'), { recursive: true });
    await writeFile(join(folder, 'tests', '.hidden'), 'x');
    expect((await loadBundle(folder)).digest).toBe(starter.digest);
  });

  test('with what cannot be read says so, with the place and the cause', async () => {
    const missing = await refusalOf(loadBundle(join(folder, 'missing')));
    expect(missing).toMatchObject({
      message: `${join(folder, 'missing')}: it does not exist`,
      fix: 'Name a folder that holds a policy bundle.',
    });
    expect(missing.cause).toMatchObject({ code: 'ENOENT' });
    const file = await refusalOf(loadBundle(join(folder, 'roles.cedar')));
    expect(file.message).toBe(`${join(folder, 'roles.cedar')}: it cannot be read`);
    expect(file.cause).toMatchObject({ code: 'ENOTDIR' });
    await writeFile(join(folder, 'b.cedar'), Buffer.from([0x2f, 0x2f, 0xff]));
    const binary = await refusalOf(loadBundle(folder));
    expect(binary).toMatchObject({ message: 'b.cedar: it is not UTF-8 text', fix: 'Save the file as UTF-8.' });
    expect(binary.cause).toBeInstanceOf(TypeError);
  });

  test('may be a link itself, and a file of 1 MiB is not too large', async () => {
    await symlink(folder, `${folder}-link`);
    try {
      expect((await loadBundle(`${folder}-link`)).digest).toBe(starter.digest);
    } finally {
      await rm(`${folder}-link`);
    }
    await writeFile(join(folder, 'b.cedar'), PERMIT_ALL.padEnd(1024 * 1024, ' '));
    expect((await loadBundle(folder)).files['b.cedar']).toHaveLength(1024 * 1024);
  });

  test('keeps a mark at the beginning of a file as it is: it is part of the text', async () => {
    await writeFile(join(folder, 'tests', 't.yaml'), '\ufeffa: 1\n');
    expect((await loadBundle(folder)).files['tests/t.yaml']).toBe('\ufeffa: 1\n');
  });
});

test('the files of the starter bundle are those of its folder', async () => {
  expect(await starterFiles()).toEqual((await loadBundle(starterFolder())).files);
});
