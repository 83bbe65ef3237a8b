/** docs/policy-backtest.md: its rules load, its commands are the command line's, and its table has every kind of change. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { parseScrubRules } from '../../src/decisions/scrub-rules.js';
import { CHANGE_KINDS } from '../../src/policy/backtest/index.js';
import { ROOT } from '../support/root.js';
import { snippetsOf } from './support.js';

const doc = await readFile(path.join(ROOT, 'docs/policy-backtest.md'), 'utf8');

test('the scrub rules', () => {
  const rules = parseScrubRules(snippetsOf(doc).get('scrub.yaml') ?? '', 'scrub.yaml');
  expect(rules.rules.map((rule) => rule.do)).toEqual(['pseudonym', 'pseudonym', 'remove']);
});

test('every kind of change, in order', () => {
  const rows = [...doc.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, kind]) => kind);
  expect(rows).toEqual(CHANGE_KINDS);
});

test('the commands and their options', () => {
  const blocks = [...doc.matchAll(/^```sh\n([^]*?)^```$/gm)].map(([, text = '']) => text);
  const lines = blocks.flatMap((text) => text.split('\n').filter((line) => line !== ''));
  expect(lines).toHaveLength(9);
  for (const line of lines) {
    const [program, ...words] = line.replaceAll(/"[^"]*"/g, 'QUERY').split(' ');
    expect(program).toBe('countersign');
    let command: Command = createProgram();
    for (const word of words) {
      const below = command.commands.find((one) => one.name() === word);
      if (below === undefined) break;
      command = below;
    }
    const known = command.options.map(({ long }) => long);
    expect(known).toEqual(expect.arrayContaining(words.filter((word) => word.startsWith('--'))));
  }
});
