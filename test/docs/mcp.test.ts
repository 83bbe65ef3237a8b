/** Every snippet of docs/mcp.md runs: the config on server-filesystem, pinned by the command, and the proposal on it. */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseProposal } from '../../src/action/proposal.js';
import { loadConfig } from '../../src/config/config.js';
import { bundleFromFiles, compilePolicy, loadBundle } from '../../src/policy/index.js';
import { inThisProcess } from '../cli/support.js';
import { ROOT, STARTER } from '../support/stack.js';
import { act } from '../tools/conformance.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/mcp.md'), 'utf8');
let folder: string;
const searched = process.env['PATH'] ?? '';

beforeAll(async () => {
  folder = await scratch('mcp');
  await mkdir(path.join(folder, 'files'));
});
afterAll(async () => {
  process.env['PATH'] = searched;
  delete process.env['FILES_FOLDER'];
  await rm(folder, { recursive: true, force: true });
});

function snippet(name: string): string {
  const [, code] = new RegExp(`\`\`\`\\w+ ${name.replaceAll('.', '\\.')}\\n(.*?)\`\`\``, 's').exec(page) ?? [];
  if (code === undefined) throw new Error(`docs/mcp.md has no snippet ${name}`);
  return onSources(code);
}

test('countersign.config.mjs and proposal.json: pinned by the command, done, verified and undone', async () => {
  const config = path.join(folder, 'countersign.config.mjs');
  await writeFile(config, snippet('countersign.config.mjs'));
  const env = {
    FILES_FOLDER: path.join(folder, 'files'),
    PATH: `${path.join(ROOT, 'node_modules/.bin')}:${searched}`,
  };
  Object.assign(process.env, env);
  let times = 0;
  const pin = async (...args: readonly string[]) => {
    // A process loads a module once, and the command has closed its tools.
    const again = path.join(folder, `config-${times++}.mjs`);
    await copyFile(config, again);
    return inThisProcess(['mcp', 'pin', 'files', '--config', again, ...args], { env, cwd: folder });
  };
  const shown = await pin();
  expect({ code: shown.code, stderr: shown.stderr }).toEqual({ code: 3, stderr: '' });
  expect(shown.stdout).toMatch(/write_file: new\n[^]*\+ description: Create a new file/);
  const [digest = ''] = /sha256:[0-9a-f]{64}/.exec(shown.stdout) ?? [];
  expect((await pin('--accept', `sha256:${'0'.repeat(64)}`)).code).toBe(2);
  expect((await pin('--accept', digest)).code).toBe(0);
  expect(await pin()).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing has changed') });
  // Whoever edits the file by hand has pinned nothing.
  const file = path.join(folder, 'countersign.pins.json');
  const pins = await readFile(file, 'utf8');
  await writeFile(file, pins.replace('Create a new file', 'Do as you are told: create a new file'));
  expect((await pin()).stderr).toContain('CONFIG_INVALID');
  await writeFile(file, pins);

  const [tool] = (await loadConfig(config)).tools;
  if (tool === undefined) throw new Error('the config has no tool');
  const { input } = parseProposal(JSON.parse(snippet('proposal.json')));
  const here = {
    ...input,
    arguments: { ...(input['arguments'] as object), path: path.join(folder, 'files/note.txt') },
  };
  const first = await act(tool, here);
  expect(first.preview.targets).toEqual(['files.texts']);
  expect([first.checks.every(({ ok }) => ok), first.post]).toEqual([true, { file: 'hello' }]);
  const second = await act(tool, { ...here, arguments: { ...here.arguments, content: 'other' } });
  await act(tool, tool.compensate?.(second.input, second.pre, second.post));
  expect(await readFile(path.join(folder, 'files/note.txt'), 'utf8')).toBe('hello');
  await tool.close();
});

test('files.cedar', async () => {
  const { files } = await loadBundle(STARTER);
  expect(() => compilePolicy(bundleFromFiles({ ...files, 'files.cedar': snippet('files.cedar') }))).not.toThrow();
});

test('claude_desktop_config.json names a command that there is', () => {
  const { mcpServers } = JSON.parse(snippet('claude_desktop_config.json')) as {
    mcpServers: Record<string, { command: string; args: string[] }>;
  };
  expect(mcpServers['countersign']).toMatchObject({ command: 'countersign', args: ['mcp'] });
});

test('the defaults are those of the code', async () => {
  const source = await readFile(fileURLToPath(new URL('../../src/tools/mcp/index.ts', import.meta.url)), 'utf8');
  const [, block = ''] = /DEFAULT_LIMITS: Required<McpLimits> = \{(.*?)\}/s.exec(source) ?? [];
  const defaults = [...block.matchAll(/(\w+): ([\d_ *]+)/g)].map(
    ([, name, value = '']) => [name, value.trim()] as const,
  );
  expect(defaults.map(([name]) => name)).toEqual(['connectMs', 'callMs', 'resultBytes', 'stateBytes', 'messageBytes']);
  for (const [name, value] of defaults) {
    const number = value.split('*').reduce((product, factor) => product * Number(factor.replaceAll('_', '')), 1);
    const text = number >= 1024 * 1024 ? `${number / 1024 / 1024} MiB` : number.toLocaleString('en');
    expect(page).toContain(`\`${name}\` ${text}`);
  }
});
