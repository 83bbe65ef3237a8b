/** docs/upgrades.md: its config is loaded, its commands are the command line's, and what it says of each kind of workflow is so. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { deploymentOf, loadConfig } from '../../src/config/config.js';
import { WORKFLOWS } from '../../src/temporal.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/upgrades.md'), 'utf8');
let folder: string;

beforeAll(async () => {
  folder = await scratch('upgrades');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the config names a deployment, and so does the environment, which goes first', async () => {
  const [, snippet = ''] = /^```js\n([^]*?)^```$/m.exec(page) ?? [];
  const file = path.join(folder, 'countersign.config.mjs');
  const text = `import { defineConfig } from 'countersign/worker';
    export default defineConfig({ policies: 'policies', tools: [], ${snippet.replace(/^\/\/.*$/m, '')} });`;
  await writeFile(file, onSources(text));
  const config = await loadConfig(file);
  expect(deploymentOf(config, {})).toEqual({ name: 'countersign' });
  const [, named = ''] = /`(COUNTERSIGN_DEPLOYMENT=\S+)`/.exec(page) ?? [];
  const [variable = '', name] = named.split('=');
  const env = { [variable]: name, COUNTERSIGN_BUILD_ID: 'b-1' };
  expect(page).toContain('`COUNTERSIGN_BUILD_ID`');
  expect(deploymentOf({ deployment: { name: 'other' } }, env)).toEqual({ name: 'countersign', buildId: 'b-1' });
});

test('every command is one of the command line’s, with its options', () => {
  const inText = [...page.matchAll(/`(countersign [a-z][^`]*)`|^ +(countersign [a-z].*)$/gm)];
  const commands = inText.map(([, quoted, line]) => (quoted ?? line ?? '').replaceAll(/"[^"]*"/g, 'VALUE').split(' '));
  expect(commands.length).toBeGreaterThan(4);
  for (const [, ...words] of commands) {
    let command = createProgram();
    for (const word of words) command = command.commands.find((one) => one.name() === word) ?? command;
    expect({ words, below: command.commands.map((one) => one.name()) }).toEqual({ words, below: [] });
    const known = command.options.map(({ long }) => long);
    expect(known).toEqual(expect.arrayContaining(words.filter((word) => word.startsWith('--'))));
  }
});

/** What the page calls each type of workflow. The compiler asks for the next one. */
const CALLED: Readonly<Record<keyof typeof WORKFLOWS, string>> = {
  batch: 'batches',
  canary: 'canaries that wait',
  canaryRound: 'of drawing canaries',
  checkpointTrails: 'of checkpoints',
  compensation: 'compensations',
  dryRun: 'dry runs',
  ledgerAlarm: 'alarms',
  notification: 'notifications',
  reconcile: 'rounds of reconciling',
  recordedOutcome: 'looking up a recorded outcome',
  retention: 'of retention',
  resolution: 'the wait for a resolution',
  saga: 'sagas',
  signedCommand: 'signed commands',
  trustedAction: 'actions',
};

test('every type of workflow is said to be pinned, or to move on, as it is', () => {
  const lines = page.split('\n');
  const pinned = lines.find((line) => line.startsWith('- **Short workflows are pinned**')) ?? '';
  const moving = lines.find((line) => line.startsWith('- **What may wait moves on**')) ?? '';
  for (const [type, behavior] of Object.entries(WORKFLOWS)) {
    const name = CALLED[type as keyof typeof WORKFLOWS];
    expect({ type, pinned: pinned.includes(name), moving: moving.includes(name) }).toEqual({
      type,
      pinned: behavior === 'PINNED',
      moving: behavior === 'AUTO_UPGRADE',
    });
  }
});
