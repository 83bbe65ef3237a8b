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
  for (const { language, name, code = '' } of blocks) {
    if (language === 'js') await writeFile(path.join(cwd, name ?? ''), code);
    if (language === 'text') expect(said).toEqual(linesLike(code));
    if (language !== 'sh') continue;
    said = '';
    for (const line of code.trim().split('\n')) {
      if (PREPARES.test(line)) continue;
      const [program = '', ...words] = await wordsOf(line);
      if (program === 'source') env = { ...env, ...(await environmentIn(path.join(cwd, words[0] ?? ''))) };
      else if (program === 'export') env = { ...env, ...Object.fromEntries([(words[0] ?? '').split('=')]) };
      else if (program === 'node') await promisify(execFile)(process.execPath, words, { cwd, env });
      else {
        expect([program, words[0]]).toEqual(['npx', 'countersign']);
        const args = words.slice(1);
        if (args[0] === 'dev') await running(args, { cwd, env }, /Ctrl-C stops everything/);
        else {
          const { stdout } = await cli(args, { cwd, env });
          said += stdout;
          // `Run the same line again`: nothing is done a second time.
          if (args.includes('ticket-4711')) expect((await cli(args, { cwd, env })).stdout).toBe(stdout);
        }
      }
    }
  }
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
