/** What the reference of the site says of public names: each of them, and each option of the config, has words where its reader needs some. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Sources } from '../../site/code/exports.js';
import { configKeys } from '../../site/reference/config.js';
import { entriesOf } from '../../site/reference/typescript.js';
import { ROOT } from '../support/root.js';
import { undocumentedIn } from './undocumented.js';

const sources = new Sources(ROOT);
const entries = [...(await entriesOf(ROOT, '.')), ...(await entriesOf(ROOT, 'clients/typescript'))];

test('every entry point of both packages is read', () => {
  expect(entries.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['countersign', 'countersign/plugin', 'countersign-client', 'countersign-client/mastra']),
  );
});

test.each(entries)('$name says what each of its exports is', ({ file }) => {
  expect(undocumentedIn(sources, file)).toEqual([]);
});

test('every key of the config, and every option of what is made in it, has its meaning', () => {
  const rows = configKeys(sources)
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  expect(rows.length).toBeGreaterThan(200);
  expect(rows.filter((row) => /\|\s*\|$/.test(row))).toEqual([]);
});

describe('the rule', () => {
  /** What it finds in an entry point of these lines, without the name of the file. */
  async function found(...lines: readonly string[]): Promise<readonly string[]> {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-docstrings-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await writeFile(path.join(folder, 'index.ts'), lines.join('\n'));
    return undocumentedIn(new Sources(folder), 'index.ts').map((text) => text.replace('index.ts: ', ''));
  }

  test.each([
    ['a declaration', ['export interface Bare { readonly name: string }'], ['Bare']],
    ['words that only repeat the name', ['/** The open grants. */', 'export const OPEN_GRANTS = [];'], ['OPEN_GRANTS']],
    ['what may be left out', ['/** Said. */', 'export interface A { b?: string; c: string }'], ['A.b']],
    [
      'a number',
      ['/** Said. */', 'export type A = { b: number | undefined } | { c: readonly number[] };'],
      ['A.b', 'A.c'],
    ],
    ['a method', ['/** Said. */', 'export class A { b(): void {} #c(): void {} private d(): void {} }'], ['A.b']],
    [
      'a member inside of another',
      ['/** Said. */', 'export interface A { b: Readonly<Record<string, { c?: 1 }>> }'],
      ['A.b.c'],
    ],
    [
      'what is inherited',
      ['interface B { c?: 1 }', '/** Said. */', 'export interface A extends Omit<B, "d"> {}'],
      ['B.c'],
    ],
    [
      'what is derived',
      ['interface B { c?: 1 }', '/** Said. */', 'export type A = Readonly<Partial<B>> & { d: 1 };'],
      ['B.c'],
    ],
    ['a parameter', ['/** Said. */', 'export function a(b: string, c = 1, d: number): void {}'], ['a(c)', 'a(d)']],
    [
      'a parameter of a method',
      ['/** Said. */', 'export interface A {', '/** Said. */', 'b(c?: string): void }'],
      ['A.b(c)'],
    ],
    ['an option', ['/** Said. */', 'export function a({ b }: { b?: 1; c: 2 }): void {}'], ['a.b']],
  ])('finds %s that nothing is said of', async (_, lines, missing) => {
    expect(await found(...lines)).toEqual(missing);
  });

  test('asks for no words where the name says it all, or the docstring names the parameter', async () => {
    expect(
      await found(
        '/** Said, with `c` and `d`. */',
        'export function a(b: string, c = 1, { d }: { d?: number } = {}): void {}',
        '/** Said. */',
        'export interface A {',
        '  readonly name: string;',
        '  /** How long. Seconds, default 5. */',
        '  readonly seconds?: number;',
        '}',
      ),
    ).toEqual([]);
  });
});
