/** docs/getting-started/tutorial.md: every line of it is run in its order, and says what the page shows. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cli, folder, running } from '../cli/support.js';
import { installInto } from '../support/install.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { ROOT } from '../support/root.js';
import { createNamespace } from '../support/temporal.js';

const BLOCK = /^```(?<language>sh|js|text)(?: (?<name>\S+))?\n(?<code>[^]*?)^```$/gm;
/** What makes a folder and installs packages: the README's lines, which npm run check:package runs. */
const PREPARES = /^(?:mkdir trial|cd trial|npm (?:init|pkg|install) .*)$/;

const page = await readFile(path.join(ROOT, 'docs/getting-started/tutorial.md'), 'utf8');
const blocks = [...page.matchAll(BLOCK)].map(({ groups = {} }) => groups);

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database?.drop());

test('every line says what the page shows', async () => {
  const [cwd, { address, namespace }] = await Promise.all([folder(), createNamespace()]);
  await installInto(cwd, ['pg']);
  let env: Record<string, string> = {
    DATABASE_URL: database.url,
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: namespace,
  };
  let said = '';
  const shown: { readonly said: string; readonly page: string }[] = [];
  const again: { readonly first: string; readonly second: string }[] = [];
  const run = async ([program = '', ...words]: readonly string[]): Promise<void> => {
    if (program === 'source') env = { ...env, ...(await environmentIn(path.join(cwd, words[0] ?? ''))) };
    else if (program === 'export') env = { ...env, ...Object.fromEntries([(words[0] ?? '').split('=')]) };
    else if (program === 'node') await promisify(execFile)(process.execPath, words, { cwd, env });
    else if (program !== 'npx' || words[0] !== 'countersign') throw new Error(`the page runs ${program}`);
    else if (words[1] === 'dev') await running(words.slice(1), { cwd, env }, /Ctrl-C stops everything/);
    else {
      const { stdout } = await cli(words.slice(1), { cwd, env });
      said += stdout;
      // `Run the same line again`: nothing is done a second time.
      if (words.includes('ticket-4711')) {
        again.push({ first: stdout, second: (await cli(words.slice(1), { cwd, env })).stdout });
      }
    }
  };
  for (const { language, name, code = '' } of blocks) {
    if (language === 'js') await writeFile(path.join(cwd, name ?? ''), code);
    if (language === 'text') shown.push({ said, page: code });
    if (language !== 'sh') continue;
    said = '';
    for (const line of code.trim().split('\n')) if (!PREPARES.test(line)) await run(await wordsOf(line));
  }
  expect(shown).toHaveLength(7);
  for (const { said: answer, page: like } of shown) expect(answer).toEqual(linesLike(like));
  expect(again.map(({ second }) => second)).toEqual(again.map(({ first }) => first));
  expect(again).toHaveLength(1);
});

/** As a shell reads the line. */
async function wordsOf(line: string): Promise<readonly string[]> {
  const { stdout } = await promisify(execFile)('bash', ['-c', `printf '%s\\n' ${line}`]);
  return stdout.trimEnd().split('\n');
}
/** What `source` would set. */
async function environmentIn(file: string): Promise<Record<string, string>> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  return Object.fromEntries(lines.map((line) => /^export (\w+)='?(.*?)'?$/.exec(line)?.slice(1) as [string, string]));
}

/** The lines of the page, in this order; `…` stands for anything. */
function linesLike(shown: string): unknown {
  const lines = shown
    .trim()
    .split('\n')
    .map((line) => line.split('…').map(escapedForRegExp).join('.*'));
  return expect.stringMatching(new RegExp(lines.join('[^]*?')));
}

function escapedForRegExp(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, '\\$&');
}
