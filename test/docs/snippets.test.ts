/** No snippet is left to itself: each is run by a test or said why not, and every line that calls the command line names commands and options that are there. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { runInThisContext } from 'node:vm';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { checkConfig, DEFAULT_ROLES, defineConfig } from '../../src/config/config.js';
import { loadVerification } from '../../src/verify/index.js';
import { ROOT } from '../support/root.js';
import { snippetsOf } from './support.js';

const read = (file: string): Promise<string> => readFile(path.join(ROOT, file), 'utf8');
const filesIn = async (folder: string, ending: RegExp): Promise<readonly string[]> => {
  const names = await readdir(path.join(ROOT, folder), { recursive: true });
  return names.filter((name) => ending.test(name)).map((name) => `${folder}/${name}`);
};
const textsOf = async (files: readonly string[]): Promise<readonly (readonly [string, string])[]> =>
  Promise.all(files.map(async (file) => [file, await read(file)] as const));

const pages = await textsOf([
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'clients/typescript/README.md',
  'clients/python/README.md',
  ...(await filesIn('docs', /\.md$/)),
]);
const tests = await textsOf(await filesIn('test', /\.(?:ts|py)$/));

interface Block {
  readonly page: string;
  readonly language: string;
  readonly name: string | undefined;
  readonly code: string;
}

const blocks = pages.flatMap(([page, text]) =>
  [...text.matchAll(/^( *)```(\w*)(?: ([^\n]+))?\n([^]*?)^\1```$/gm)].map(
    ([, , language = '', name, code = '']): Block => ({ page, language, name, code }),
  ),
);

/** What a test takes out of the page by its language, because it has no name; the value is that test, or what the block is instead of code. */
const UNNAMED: Readonly<Record<string, string>> = {
  'README.md: cedar, cedar': 'test/docs/readme.test.ts',
  'clients/python/README.md: python': 'test/docs/snippets.test.ts',
  'clients/typescript/README.md: ts': 'test/docs/clients.test.ts',
  'docs/approvals.md: cedar, js, ts, cedar, ts': 'test/docs/approvals.test.ts',
  'docs/limits.md: cedar': 'test/docs/limits.test.ts',
  'docs/policy-input.md: cedarschema, cedar': 'test/docs/policy-input.test.ts',
  'docs/prove.md: json': 'test/docs/prove.test.ts',
  'docs/recovery.md: cedar': 'test/docs/recovery.test.ts',
  'docs/replay.md: yaml': 'test/cli/actions.test.ts',
  'docs/signed-commands.md: js': 'test/docs/snippets.test.ts',
  'docs/standing-approvals.md: cedar': 'test/docs/standing-approvals.test.ts',
  'docs/upgrades.md: js': 'test/docs/upgrades.test.ts',
  'docs/verification.md: js': 'test/docs/snippets.test.ts',
};
/** Drawn by the site, or shown as it is; commands are looked at below. */
const NO_CODE = new Set(['mermaid', 'text', 'sh', '']);

/** A page of docs/getting-started is read by its folder. */
const readers = (page: string): readonly (readonly [string, string])[] =>
  tests.filter(
    ([, text]) => text.includes(page) || (page.startsWith('docs/getting-started/') && text.includes('waysIn')),
  );

test('each snippet without a name is taken by the test that is named here', () => {
  const found = new Map<string, string[]>();
  for (const { page, language, name } of blocks) {
    if (name !== undefined || NO_CODE.has(language)) continue;
    found.set(page, [...(found.get(page) ?? []), language]);
  }
  expect([...found].map(([page, languages]) => `${page}: ${languages.join(', ')}`).toSorted()).toEqual(
    Object.keys(UNNAMED).toSorted(),
  );
  for (const [snippets, file] of Object.entries(UNNAMED)) {
    const [page = ''] = snippets.split(': ');
    expect(readers(page).map(([reader]) => reader)).toContain(file);
  }
});

test('each snippet with a name is taken by a test that reads its page', () => {
  const untaken = blocks.filter(({ page, language, name }) => {
    if (name === undefined || language === 'text') return false;
    return !readers(page).some(
      ([, text]) => text.includes(name) || text.includes('snippetsOf') || text.includes('BLOCK'),
    );
  });
  expect(untaken.map(({ page, name }) => `${page}: ${name ?? ''}`)).toEqual([]);
});

describe('the snippets that no other test takes', () => {
  const only = (page: string, language: string): string => {
    const found = blocks.filter(
      (block) => block.page === page && block.language === language && block.name === undefined,
    );
    expect(found).toHaveLength(1);
    return found[0]?.code ?? '';
  };

  test('the roles of signed commands are the defaults', () => {
    const text = only('docs/signed-commands.md', 'js').replace('export default', 'return');
    const read = runInThisContext(`(defineConfig) => { ${text} }`) as (as: typeof defineConfig) => { roles?: object };
    expect(read(defineConfig).roles).toEqual(DEFAULT_ROLES);
  });

  test('the model of meanings is one that workers take', async () => {
    const text = `(createOpenAICompatible) => ({ ${only('docs/verification.md', 'js')} })`;
    const given = (runInThisContext(text) as (make: typeof createOpenAICompatible) => object)(createOpenAICompatible);
    const config = checkConfig({ policies: './policies', tools: [], ...given }, 'docs/verification.md');
    expect((await loadVerification(config, [])).semantic).toBeDefined();
    expect(config.semantic).toMatchObject({ threshold: 0.85, mode: 'advise' });
  });

  test("the Python client's README has the program of docs/clients.md, which npm run check:python runs", async () => {
    const program = snippetsOf(await read('docs/clients.md')).get('propose.py');
    expect(only('clients/python/README.md', 'python')).toBe(program);
  });
});

/** Lines of shell that call the command line: in blocks of shell, and indented as commands are. Without remarks and what they are piped into. */
const calls = [
  ...new Set(
    pages.flatMap(([page, text]) => {
      const own = blocks
        .filter((block) => block.page === page && ['sh', ''].includes(block.language))
        .map(({ code }) => code);
      const indented = [...text.matchAll(/^ {4}((?:npx )?countersign .+)$/gm)].map(([, line = '']) => line);
      return [...own.join('\n').replaceAll('\\\n', ' ').split('\n'), ...indented].flatMap((line) =>
        [
          ...withoutText(line).matchAll(
            /(?:^|&& |\$\(|\| )\s*(?:[A-Z_]+=\S+ )*(?:npx )?(countersign (?:[^|&;)#<>]|<\w+>)+)/g,
          ),
        ].map(([, call = '']) => `${page}: ${call.trim()}`),
      );
    }),
  ),
];

/** What is quoted is one word, whatever is in it. */
function withoutText(line: string): string {
  return line.replaceAll(/'[^']*'|"[^"]*"/g, 'TEXT');
}

test('the pages call the command line in more than a hundred ways', () => {
  expect(calls.length).toBeGreaterThan(100);
});

test.each(calls)('%s', (call) => {
  const [, ...words] = call.slice(call.indexOf(': ') + 2).split(/\s+/);
  let command: Command = createProgram();
  const options = ['--help', '--version', '--json'];
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) break;
    command = next;
  }
  expect(command.parent).not.toBeNull();
  // A group of commands needs one of them.
  expect(words.includes('--help') ? [] : command.commands.map((each) => each.name())).toEqual([]);
  options.push(...command.options.map(({ long }) => long ?? ''));
  const given = words.filter((word) => word.startsWith('--')).map((word) => word.replace(/[=\]].*$/, ''));
  expect(options).toEqual(expect.arrayContaining(given));
});
