/** docs/production.md: its settings are read as it says, its config loads, and its commands are the command line's. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { expect, onTestFinished, test } from 'vitest';
import { ERROR_CODES } from '../../src/action/errors.js';
import { createProgram } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config/config.js';
import { temporalSettings, VARIABLES } from '../../src/environment.js';
import { ROOT } from '../support/root.js';
import { onSources, scratch, snippetsOf } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/production.md'), 'utf8');
const snippets = snippetsOf(page);

const settingsIn = (name: string) => {
  const lines = [...(snippets.get(name) ?? '').matchAll(/^export (\w+)=(\S+)$/gm)];
  return Object.fromEntries(lines.map(([, variable = '', value = '']) => [variable, value]));
};

test('a server with mutual TLS, and Temporal Cloud, are reached by what the page sets', () => {
  expect(temporalSettings(settingsIn('mtls'))).toMatchObject({
    address: 'temporal.internal:7233',
    tls: { caFile: '/run/secrets/temporal/ca.crt', keyFile: '/run/secrets/temporal/tls.key' },
  });
  expect(temporalSettings(settingsIn('cloud'))).toMatchObject({
    namespace: 'countersign.a1b2c',
    apiKey: 'file:/run/secrets/temporal/api-key',
  });
});

test('every variable that it names is read', () => {
  const named = [...page.matchAll(/`?\b((?:TEMPORAL|COUNTERSIGN)_[A-Z_]+)\b/g)].map(([, name]) => name as string);
  expect(named.filter((name) => !(name in VARIABLES) && !(name in ERROR_CODES))).toEqual([]);
});

test('the config for workers that decide and workers that act loads for both', async () => {
  const folder = await scratch('production');
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'countersign.config.mjs');
  await writeFile(file, onSources(snippets.get('countersign.config.mjs') ?? ''));
  const { tools } = await loadConfig(file);
  expect(tools.map(({ name, taskQueue }) => [name, taskQueue])).toEqual([['shop-db', 'shop']]);
  await Promise.all(tools.map((tool) => tool.close()));
});

test('the commands are those of the command line, with their options', () => {
  const commands = [...page.matchAll(/`countersign ([^`]+)`/g)].map(([, words]) => (words as string).split(' '));
  expect(commands.length).toBeGreaterThan(8);
  for (const words of commands) {
    let command: Command = createProgram();
    let at = 0;
    for (; words[at] !== undefined; at++) {
      const next = command.commands.find((one) => one.name() === words[at]);
      if (next === undefined) break;
      command = next;
    }
    expect({ words, at }).not.toEqual({ words, at: 0 });
    const options = words.slice(at).filter((word) => word.startsWith('--'));
    expect(command.options.map(({ long }) => long)).toEqual(expect.arrayContaining(options));
  }
});
