/** The snippets of docs/privacy.md run, in their order. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.js';
import { DEFAULT_RETENTION_DAYS } from '../../src/config/retention.js';
import { privacySchema } from '../../src/config/privacy.js';
import { openRedaction } from '../../src/privacy/open-redaction.js';
import { payloadEncryption } from '../../src/privacy/data-converter.js';
import { createProgram } from '../../src/cli/program.js';
import { cli } from '../cli/support.js';
import { ROOT } from '../support/root.js';
import { createNamespace } from '../support/temporal.js';
import { onSources, scratch, snippetsOf } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/privacy.md'), 'utf8');
const snippets = snippetsOf(page);
const snippet = (name: string): string => snippets.get(name) ?? `no snippet ${name}`;
let folder: string;

beforeAll(async () => {
  folder = await scratch('privacy');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs the commands of a snippet in the folder. */
async function runAll(name: string): Promise<readonly unknown[]> {
  const documents: unknown[] = [];
  for (const line of snippet(name).trim().split('\n')) {
    const [program, ...args] = line.split(' ');
    expect(program).toBe('countersign');
    const ended = await cli([...args, '--json'], { cwd: folder });
    expect(ended.code).toBe(0);
    documents.push(ended.json());
  }
  return documents;
}

test('has no other snippets than those run here', () => {
  expect([...snippets.keys()]).toEqual([
    'keys',
    'countersign.config.mjs',
    'rotate',
    'client.ts',
    'codec-server',
    'redaction',
    'redaction.config.mjs',
    'subject.config.mjs',
    'erase',
  ]);
});

test('keys are made, named in the config and rotated', async () => {
  const [made] = (await runAll('keys')) as [{ encrypts: string }];
  process.env['SHOP_DATABASE_URL'] = 'postgres://app:secret@127.0.0.1:5432/shop';
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, onSources(snippet('countersign.config.mjs')));
  const config = await loadConfig(file);
  const encryption = await payloadEncryption({}, config.privacy);
  expect(encryption.keys?.current.id).toBe(made.encrypts);
  await Promise.all(config.tools.map((tool) => tool.close()));

  const [added, used] = (await runAll('rotate')) as [{ encrypts: string }, { encrypts: string; decrypts: string[] }];
  expect(added.encrypts).toBe(made.encrypts);
  expect(used.encrypts).not.toBe(made.encrypts);
  expect(used.decrypts).toContain(made.encrypts);
});

test('a client of one’s own encrypts', async () => {
  const { address } = await createNamespace();
  const file = path.join(folder, 'client.mts');
  const code = snippet('client.ts').replace('Connection.connect()', `Connection.connect({ address: '${address}' })`);
  await writeFile(file, onSources(code));
  const before = process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'];
  process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'] = path.join(folder, 'payload-keys.json');
  try {
    const { countersign } = (await import(pathToFileURL(file).href)) as {
      countersign: { temporal: Client };
    };
    const [codec] = countersign.temporal.options.loadedDataConverter.payloadCodecs;
    const [sealed] = (await codec?.encode([{ data: Buffer.from('clear') }])) ?? [];
    expect(Buffer.from(sealed?.metadata?.['encoding'] ?? []).toString()).toBe('binary/encrypted');
    await countersign.temporal.connection.close();
  } finally {
    if (before === undefined) delete process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'];
    else process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'] = before;
  }
});

test('what is redacted is named in the config, under a key of its own', async () => {
  await runAll('redaction');
  const file = path.join(folder, 'redaction.config.mjs');
  await writeFile(file, onSources(snippet('redaction.config.mjs')));
  const config = await loadConfig(file);
  const redaction = await openRedaction(config.privacy?.redaction, await payloadEncryption({}, config.privacy), {
    current: () => Promise.reject(new Error('nobody is named')),
    at: () => Promise.resolve(undefined),
  });
  const input = { set: { email: 'ada@example.com', plan: 'pro' } };
  const redacted = redaction?.of('acme', 'shop-db')?.proposal({ actionId: 'a', tool: 'shop-db', input });
  expect(redacted?.input).toEqual({
    set: { email: expect.stringMatching(/^redacted:[\w-]{22}$/) as string, plan: 'pro' },
  });
  await Promise.all(config.tools.map((tool) => tool.close()));
});

test('whom values are about is said where the schema of the config wants it', async () => {
  const file = path.join(folder, 'subject.config.mjs');
  await writeFile(file, snippet('subject.config.mjs'));
  const { redaction } = (await import(pathToFileURL(file).href)) as { redaction: object };
  expect(privacySchema.safeParse({ redaction }).success).toBe(true);
  const [, command] = snippet('erase').split(' ');
  expect(createProgram().commands.map((one) => one.name())).toContain(command);
});

test('the table of durations lists the defaults', () => {
  const listed = [...page.matchAll(/^\| `(\w+)` +\| (\d+) +\|/gm)].map(([, kind, days]) => [kind, Number(days)]);
  expect(Object.fromEntries(listed)).toEqual(DEFAULT_RETENTION_DAYS);
});

test('the command that serves the Temporal CLI is one of the command line', () => {
  expect(createProgram().commands.map((command) => `countersign ${command.name()}`)).toContain(
    snippet('codec-server').trim(),
  );
});
