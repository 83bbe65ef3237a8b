/** The command line without any server: help, wrong usage, keys, credentials. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { peekCredential, readCredential } from '../../src/trust/index.js';
import { EXIT_CODES } from '../../src/cli/exit-codes.js';
import { createProgram } from '../../src/cli/program.js';
import { cli, errorOf, folder, spawned, start } from './support.js';

/** Nothing listens on these. */
const NOWHERE = {
  TEMPORAL_ADDRESS: '127.0.0.1:1',
  COUNTERSIGN_LEDGER_URL: 'postgres://user:hunter2-secret@127.0.0.1:1/ledger',
};

async function withKeys(): Promise<{ cwd: string; env: Record<string, string> }> {
  const cwd = await folder();
  const { code } = await cli(['keys', 'create', '--out', 'keys.json'], { cwd });
  expect(code).toBe(0);
  return { cwd, env: { COUNTERSIGN_KEYS_FILE: path.join(cwd, 'keys.json') } };
}

describe('help', () => {
  test('lists every command, every exit code and the environment', async () => {
    const { code, stdout } = await cli(['--help']);
    expect(code).toBe(0);
    const commands =
      'init dev worker gateway setup doctor keys agent approver api-key propose show list pending approve deny cancel saga freeze freezes unfreeze resolve revoke receipts trail';
    for (const name of commands.split(' ')) expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'));
    for (const { code, meaning } of Object.values(EXIT_CODES)) expect(stdout).toContain(`  ${code}  ${meaning}`);
    expect(stdout).toContain('COUNTERSIGN_LEDGER_URL');
    expect(stdout).toMatch(/Examples:\n {2}\$ countersign dev/);
  });

  test('of each command that does something shows an example', () => {
    const leaves = createProgram()
      .commands.flatMap((command) => (command.commands.length > 0 ? command.commands : [command]))
      .filter(({ commands }) => commands.length === 0);
    expect(leaves.length).toBeGreaterThanOrEqual(17);
    for (const command of leaves) {
      let text = '';
      command.configureOutput({ writeOut: (more) => (text += more) }).outputHelp();
      expect({ command: command.name(), text }).toMatchObject({
        text: expect.stringMatching(/--json[^]*Examples:\n {2}\$ .*countersign /) as string,
      });
    }
  });
});

describe('wrong usage', () => {
  test.each([
    ['no command', []],
    ['an unknown command', ['propse']],
    ['an unknown option', ['list', '--colour']],
    ['a missing option', ['agent', 'create', '--id', 'x']],
    ['a missing argument', ['show']],
    ['a status that does not exist', ['list', '--status', 'done']],
    ['a number that is none', ['list', '--limit', '-5']],
    ['two scopes of a freeze', ['freeze', '--all', '--tool', 'x', '--reason', 'y']],
    ['a freeze of nothing', ['freeze', '--reason', 'y']],
    ['an id that is no id', ['show', 'a b', '--tenant', 'acme']],
    ['no tenant', ['show', 'a1']],
    ['a search that is more than a value', ['list', '--tenant', 'acme', '--tool', `x' OR CountersignTenant != 'acme`]],
    ['a search with a double quote', ['list', '--agent', 'x" OR "1"="1']],
    ['a tenant that is more than a name', ['list', '--tenant', `acme' OR '1'='1`]],
  ])('%s: exit code 2, on stderr, and as one JSON document on request', async (_, args) => {
    const [text, json] = await Promise.all([cli(args, { env: NOWHERE }), cli([...args, '--json'], { env: NOWHERE })]);
    expect([text.code, json.code]).toEqual([2, 2]);
    expect(text.stdout).toBe('');
    expect(text.stderr).toMatch(/^error USAGE: /m);
    const error = errorOf(json);
    expect(error.code).toBe('USAGE');
    expect(error.fix).toBeTruthy();
  });

  test.each([[[]], [['list', '--limit', '-5', '--json']], [['freezes']]])(
    'as a process it ends as it does here: %j',
    async (args) => {
      const [here, process] = await Promise.all([cli, spawned].map((run) => run(args, { env: NOWHERE })));
      expect({ ...process, json: null }).toEqual({ ...here, json: null });
      expect(process?.code).toBeGreaterThan(0);
    },
  );

  test('no stack trace unless asked for', async () => {
    const args = ['list', '--limit', 'x'];
    const [quiet, debug] = await Promise.all([cli(args), cli(args, { env: { COUNTERSIGN_DEBUG: '1' } })]);
    expect(quiet.stderr).not.toMatch(/\n {4}at /);
    expect(debug.stderr).toMatch(/\n {4}at /);
  });

  test('no escape sequences where nobody looks, or NO_COLOR is set', async () => {
    const [piped, forced, refused] = await Promise.all([
      cli(['show', 'x y']),
      cli(['show', 'x y'], { env: { FORCE_COLOR: '1' } }),
      cli(['show', 'x y'], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } }),
    ]);
    expect(piped.stderr).not.toContain('\u001b[');
    expect(forced.stderr).toContain('\u001b[31m');
    expect(refused.stderr).not.toContain('\u001b[');
  });
});

describe('a reader that goes away', () => {
  test('is no error', async () => {
    const child = start(['--help']);
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('keys', () => {
  test('are made once, for the owner only, and never replaced', async () => {
    const { cwd } = await withKeys();
    const before = await readFile(path.join(cwd, 'keys.json'), 'utf8');
    expect((await stat(path.join(cwd, 'keys.json'))).mode & 0o777).toBe(0o600);
    const again = await cli(['keys', 'create', '--out', 'keys.json', '--json'], { cwd });
    expect(again.code).toBe(2);
    expect(errorOf(again).field).toBe('--out');
    expect(await readFile(path.join(cwd, 'keys.json'), 'utf8')).toBe(before);
  });

  test('are never printed: what `keys public` gives holds no private part', async () => {
    const { cwd, env } = await withKeys();
    const { code, json, stdout, stderr } = await cli(['keys', 'public', '--json'], { cwd, env });
    expect(code).toBe(0);
    expect(Object.keys(json() as object)).toEqual(['issuer', 'grant', 'receipt', 'tool', 'gateway']);
    const secrets = [...(await readFile(path.join(cwd, 'keys.json'), 'utf8')).matchAll(/"d": "([^"]+)"/g)].map(
      ([, d]) => d,
    );
    expect(secrets).toHaveLength(5);
    for (const secret of secrets) expect(stdout + stderr).not.toContain(secret);
  });

  test.each([
    ['worker', ['grant', 'receipt', 'tool']],
    ['tool-worker', ['tool']],
    ['gateway', ['gateway']],
    ['issuer', ['issuer']],
  ])('a %s gets the private keys that it signs with, and of the others the public ones', async (process, roles) => {
    const { cwd, env } = await withKeys();
    const extract = ['keys', 'extract', '--keys', 'keys.json', '--for', process, '--out', 'part.json', '--json'];
    expect((await cli(extract, { cwd })).code).toBe(0);
    expect((await stat(path.join(cwd, 'part.json'))).mode & 0o777).toBe(0o600);
    const part = JSON.parse(await readFile(path.join(cwd, 'part.json'), 'utf8')) as Record<string, { d?: string }[]>;
    expect(Object.keys(part).filter((role) => part[role]?.some(({ d }) => d !== undefined))).toEqual(roles);
    const publicOf = async (file: string) =>
      (await cli(['keys', 'public', '--json'], { cwd, env: { ...env, COUNTERSIGN_KEYS_FILE: file } })).json();
    expect(await publicOf('part.json')).toEqual(await publicOf('keys.json'));
    // Never over what is there, and never of a file that lacks what is asked for.
    const again = await cli(extract, { cwd });
    expect([again.code, errorOf(again).code]).toEqual([1, 'KEYS_INVALID']);
    const other = process === 'issuer' ? 'worker' : 'issuer';
    const lacking = await cli(['keys', 'extract', '--keys', 'part.json', '--for', other, '--out', 'x.json', '--json'], {
      cwd,
    });
    expect([lacking.code, errorOf(lacking).code]).toEqual([1, 'KEYS_MISSING']);
    await expect(stat(path.join(cwd, 'x.json'))).rejects.toThrow('ENOENT');
  });

  test('are not made up on the way: without them no credential is issued', async () => {
    const cwd = await folder();
    const ended = await cli(['agent', 'create', '--id', 'b', '--tenant', 'acme', '--scope', '*', '--json'], {
      cwd,
    });
    expect(ended.code).toBe(1);
    expect(errorOf(ended)).toMatchObject({
      code: 'KEYS_MISSING',
      fix: expect.stringContaining('countersign keys create') as string,
    });
  });
});

describe('credentials', () => {
  test('an agent gets a file that only its owner reads, with what was asked for in it', async () => {
    const { cwd, env } = await withKeys();
    const args = [
      'agent',
      'create',
      '--id',
      'bot',
      '--tenant',
      'acme',
      '--role',
      'a',
      '--role',
      'b',
      '--scope',
      'shop-db',
    ];
    const made = await cli([...args, '--owner', 'ann', '--ttl', '2h', '--out', 'bot.csk', '--json'], { cwd, env });
    expect(made.code).toBe(0);
    const file = path.join(cwd, 'bot.csk');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const credential = await readCredential(file);
    const { expiresAt, ...holder } = peekCredential(credential);
    expect(holder).toEqual({
      kind: 'agent',
      id: 'bot',
      tenant: 'acme',
      roles: ['a', 'b'],
      scopes: ['shop-db'],
      owner: 'ann',
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    });
    expect(Math.abs(expiresAt.getTime() - Date.now() - 7_200_000)).toBeLessThan(60_000);
    expect(made.stdout + made.stderr).not.toContain(credential.privateJwk.d);
    expect(made.stdout + made.stderr).not.toContain('csk_');
  });

  test('an existing file is never replaced by a credential', async () => {
    const { cwd, env } = await withKeys();
    await writeFile(path.join(cwd, 'ann.csk'), 'precious');
    const args = ['approver', 'create', '--id', 'ann', '--tenant', 'acme', '--role', 'dba', '--out', 'ann.csk'];
    expect((await cli(args, { cwd, env })).code).toBe(2);
    expect(await readFile(path.join(cwd, 'ann.csk'), 'utf8')).toBe('precious');
  });

  test('printed, it is the only thing on stdout, and the warning is on stderr', async () => {
    const { cwd, env } = await withKeys();
    const args = ['approver', 'create', '--id', 'ann', '--tenant', 'acme', '--role', 'dba'];
    const { code, stdout, stderr } = await cli(args, { cwd, env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^csk_[\w-]+\n$/);
    expect(stderr).toMatch(/^warning .*secret/);
    expect(peekCredential(await readCredential(stdout)).kind).toBe('approver');
  });

  test.each([
    ['--ttl', ['--ttl', 'forever']],
    ['--id', ['--id', 'two words']],
    ['--tenant', ['--tenant', 'ACME']],
    ['--role', ['--role', 'a b']],
  ])('a wrong %s is named', async (field, over) => {
    const { cwd, env } = await withKeys();
    const args = ['approver', 'create', '--id', 'ann', '--tenant', 'acme', '--role', 'dba', ...over, '--json'];
    const ended = await cli(args, { cwd, env });
    expect(ended.code).toBe(2);
    expect(errorOf(ended)).toMatchObject({ code: 'USAGE', field });
  });

  test("an agent's credential does not approve, nor an approver's propose", async () => {
    const { cwd, env } = await withKeys();
    await cli(['agent', 'create', '--id', 'bot', '--tenant', 'acme', '--scope', '*', '--out', 'bot.csk'], { cwd, env });
    const swapped = await cli(['approve', 'x', '--as', 'bot.csk', '--yes', '--json'], {
      cwd,
      env: { ...env, ...NOWHERE },
    });
    expect(swapped.code).toBe(2);
    expect(errorOf(swapped)).toMatchObject({ code: 'USAGE', field: '--as' });
  });
});

describe('a proposal that cannot be one', () => {
  test.each([
    ['INVALID_JSON', ['--input', '{"a":1,']],
    ['INVALID_JSON', ['--input', '{"a":1,"a":2}']],
    ['INVALID_NUMBER', ['--input', '{"a":12345678901234567890}']],
    ['INVALID_TEXT', ['--input', '{"a":"\\u0000"}']],
    ['INVALID_TEXT', ['--input', '{"a":"\\ud800"}']],
    ['INVALID_PROPOSAL', ['--input', '{}', '--action-id', 'a/b']],
    ['USAGE', ['--input', '[1]']],
    ['USAGE', []],
    ['USAGE', ['--input', '{}', '--input-file', 'x']],
    ['USAGE', ['--input-file', '/does/not/exist']],
    ['USAGE', ['--input', '{}', '--within', '5s']],
    ['USAGE', ['--input', '{}', '--claim', 'environment']],
  ])('is refused with %s before anything is sent: %j', async (code, args) => {
    const ended = await cli(['propose', '--tool', 'shop-db', '--json', ...args], { env: NOWHERE });
    expect(ended.code).toBe(2);
    expect(errorOf(ended).code).toBe(code);
  });

  test('without a credential nothing is proposed', async () => {
    const ended = await cli(['propose', '--tool', 't', '--input', '-', '--json'], {
      env: NOWHERE,
      stdin: '{}',
    });
    expect(ended.code).toBe(2);
    expect(errorOf(ended).field).toBe('COUNTERSIGN_AGENT');
  });
});

describe('servers that are not there', () => {
  test('doctor says what is wrong and what to do, and keeps the password', async () => {
    const cwd = await folder();
    const [text, json] = await Promise.all([
      cli(['doctor'], { cwd, env: NOWHERE }),
      cli(['doctor', '--json'], { cwd, env: NOWHERE }),
    ]);
    expect([text.code, json.code]).toEqual([1, 1]);
    expect(text.stdout).toMatch(/^✓ node/m);
    for (const name of ['temporal', 'ledger', 'keys', 'config'])
      expect(text.stdout).toMatch(new RegExp(`^✗ ${name} .*\n  fix `, 'm'));
    const { ok, checks } = json.json() as { ok: boolean; checks: { name: string; ok: boolean; fix?: string }[] };
    expect(ok).toBe(false);
    expect(checks.filter((check) => !check.ok).every(({ fix }) => fix !== undefined && fix !== '')).toBe(true);
    for (const { stdout, stderr } of [text, json]) expect(stdout + stderr).not.toContain('hunter2-secret');
  });

  test.each([
    ['TEMPORAL_UNAVAILABLE', ['list', '--tenant', 'acme']],
    ['LEDGER_UNAVAILABLE', ['freezes']],
    ['LEDGER_UNAVAILABLE', ['setup']],
  ])('are %s, exit code 1: %j', async (code, args) => {
    const ended = await cli([...args, '--json'], { env: NOWHERE });
    expect(ended.code).toBe(1);
    const error = errorOf(ended);
    expect(error.code).toBe(code);
    expect(error.fix).toBeTruthy();
    expect(ended.stdout + ended.stderr).not.toContain('hunter2-secret');
  });

  test('a worker does not start in production without keys', async () => {
    const cwd = await folder();
    const ended = await cli(['worker', '--json'], { cwd, env: { ...NOWHERE, COUNTERSIGN_ENV: 'production' } });
    expect(ended.code).toBe(1);
    expect(errorOf(ended).code).toBe('KEYS_MISSING');
  });
});
