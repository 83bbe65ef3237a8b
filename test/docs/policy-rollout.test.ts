/** docs/policy-rollout.md: its config is loaded, its code compiles against the package, and its commands are those of the command line. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config/config.js';
import {
  encodeCredential,
  generateKeyringFile,
  issueApprover,
  parseKeyring,
  verifyEvidence,
} from '../../src/trust/index.js';
import { startLedger } from '../ledger/support.js';
import { digestText } from '../../src/action/json.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch, snippetsOf } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/policy-rollout.md'), 'utf8');
const snippets = snippetsOf(page);
let folder: string;

beforeAll(async () => {
  folder = await scratch('rollout');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the config takes the policy from the ledger', async () => {
  process.env['SHOP_DATABASE_URL'] = 'postgres://app:secret@127.0.0.1:5432/shop';
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, onSources(snippets.get('countersign.config.mjs') ?? ''));
  const { policies, tools } = await loadConfig(file);
  expect(policies).toEqual({ from: 'ledger', folder: path.join(folder, 'policies'), quorum: 2 });
  await Promise.all(tools.map((tool) => tool.close()));
});

test('the code records evidence that a promotion can name', async () => {
  const at = await startLedger();
  const file = path.join(folder, 'evidence.mjs');
  const code = (snippets.get('evidence.ts') ?? '')
    .replace(/url: string, approver: string, found: FoundEvidence/, 'url, approver, found')
    .replace(', type FoundEvidence', '');
  await writeFile(file, onSources(code));
  const { recordEvidence } = (await import(file)) as {
    recordEvidence: (url: string, approver: string, found: object) => Promise<void>;
  };
  const keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'test');
  const ann = await issueApprover(keyring, { id: 'ann', tenant: 'acme', roles: ['policy-admin'] });
  const [candidate, baseline, report] = [digestText('a'), digestText('b'), digestText('c')];
  await recordEvidence(at.url, encodeCredential(ann), {
    candidate,
    baseline,
    report,
    decisions: 3,
    summary: { changed: 1 },
  });
  const [evidence] = await at.ledger.rollout.evidence(candidate, baseline);
  expect(evidence).toMatchObject({ report, summary: { changed: 1 } });
  expect(evidence && (await verifyEvidence(keyring, evidence))).toMatchObject({ by: 'ann' });
  await at.stop();
});

test('every command and option of the page exists, and every command of the roll-out is on the page', () => {
  const group = createProgram().commands.find((command) => command.name() === 'policy') as Command;
  const lines = [...page.matchAll(/^ {4}countersign policy (.*)$/gm)].map(([, line = '']) => line);
  expect(lines.length).toBeGreaterThan(4);
  for (const line of lines) {
    const [name, ...words] = (line.match(/"[^"]*"|\S+/g) ?? []).map(String);
    const command = group.commands.find((one) => one.name() === name);
    const known = command?.options.map(({ long }) => long);
    const unknown = words.filter((word) => word.startsWith('--') && known?.includes(word) !== true);
    expect({ line, command: command?.name(), unknown }).toEqual({ line, command: name, unknown: [] });
  }
  const own = ['publish', 'shadow', 'retire', 'promote', 'rollback', 'status', 'history', 'divergences'];
  expect(group.commands.map((one) => one.name())).toEqual(expect.arrayContaining(own));
  for (const name of own) expect(page).toMatch(new RegExp(`\\b${name}\\b`));
});
