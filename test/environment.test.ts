/** Which environment variables there are is said in one place, to programs and to people. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { secretVariable, VARIABLES, variable } from '../src/environment.js';
import { ROOT } from './support/root.js';

/** `src/dev` reads what only development needs; the variables of a terminal and those of OpenTelemetry are not ours. */
const ELSEWHERE = new Set([
  'src/environment.ts',
  'src/cli/output.ts',
  'src/cli/commands/dev.ts',
  'src/telemetry/settings.ts',
]);

test('an empty variable is an absent one', () => {
  expect(variable('TEMPORAL_ADDRESS', { TEMPORAL_ADDRESS: ' ' })).toBeUndefined();
  expect(variable('TEMPORAL_ADDRESS', { TEMPORAL_ADDRESS: 'temporal:7233' })).toBe('temporal:7233');
});

test('a secret comes from its variable or from a file, and not from both', async () => {
  const file = path.join(await mkdtemp(path.join(os.tmpdir(), 'countersign-env-')), 'secret');
  onTestFinished(() => rm(path.dirname(file), { recursive: true }));
  await writeFile(file, 'postgres://ledger\n');
  const inFile = { COUNTERSIGN_LEDGER_URL_FILE: file };
  expect(secretVariable('COUNTERSIGN_LEDGER_URL', inFile)).toBe('postgres://ledger');
  expect(secretVariable('COUNTERSIGN_LEDGER_URL', { COUNTERSIGN_LEDGER_URL: 'postgres://other' })).toBe(
    'postgres://other',
  );
  const refused = expect.objectContaining({ code: 'CONFIG_INVALID', field: 'COUNTERSIGN_LEDGER_URL_FILE' }) as Error;
  for (const env of [{ ...inFile, COUNTERSIGN_LEDGER_URL: 'x' }, { COUNTERSIGN_LEDGER_URL_FILE: `${file}.none` }]) {
    expect(() => secretVariable('COUNTERSIGN_LEDGER_URL', env)).toThrow(refused);
  }
});

test('every variable stands in the reference of the config', async () => {
  const reference = await readFile(path.join(ROOT, 'docs/config.md'), 'utf8');
  expect(Object.keys(VARIABLES).filter((name) => !reference.includes(`\`${name}\``))).toEqual([]);
});

test('nothing else reads the environment by a name of its own', async () => {
  const reading: string[] = [];
  for (const folder of ['src', 'activities', 'workflows']) {
    for (const name of await readdir(path.join(ROOT, folder), { recursive: true })) {
      const file = path.join(folder, name);
      if (!/\.tsx?$/.test(name) || file.startsWith('src/dev/') || ELSEWHERE.has(file)) continue;
      if (/\benv(\.[A-Z]|\[['"`])/.test(await readFile(path.join(ROOT, file), 'utf8'))) reading.push(file);
    }
  }
  expect(reading).toEqual([]);
});
