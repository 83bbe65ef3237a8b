/** `countersign agent delegate`: a narrower credential, made with nothing but the delegator's own. */
import { stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  encodeCredential,
  generateKeyringFile,
  issueAgent,
  issueApprover,
  parseKeyring,
  peekCredential,
  readCredential,
} from '../../src/trust/index.js';
import { cli, errorOf, folder } from './support.js';

/** A folder with the credentials of an agent and of a person, and no keys anywhere. */
async function withBot(): Promise<string> {
  const cwd = await folder();
  const keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'keys');
  const bot = await issueAgent(keyring, {
    id: 'bot',
    tenant: 'acme',
    roles: ['a'],
    scopes: ['crm:get_*'],
    ttlSeconds: 7200,
  });
  const ann = await issueApprover(keyring, { id: 'ann', tenant: 'acme', roles: ['dba'] });
  await writeFile(path.join(cwd, 'bot.csk'), encodeCredential(bot));
  await writeFile(path.join(cwd, 'person.csk'), encodeCredential(ann));
  return cwd;
}

const DELEGATE = ['agent', 'delegate', '--id', 'helper', '--scope', 'crm:get_customer'];

describe('agent delegate', () => {
  test('writes a credential that only its owner reads, and tells its id', async () => {
    const cwd = await withBot();
    const made = await cli(
      [...DELEGATE, '--as', 'bot.csk', '--max-actions', '3', '--max-amount', 'EUR=50.5', '--out', 'h.csk', '--json'],
      { cwd },
    );
    expect(made.code).toBe(0);
    const file = path.join(cwd, 'h.csk');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const credential = await readCredential(file);
    const { expiresAt, jti, ...holder } = peekCredential(credential);
    expect(holder).toEqual({
      kind: 'agent',
      id: 'bot/helper',
      tenant: 'acme',
      roles: [],
      scopes: ['crm:get_customer'],
      via: ['bot'],
      caps: [{ jti, actions: 3, amounts: { EUR: 50.5 } }],
    });
    expect(Math.abs(expiresAt.getTime() - Date.now() - 3_600_000)).toBeLessThan(60_000);
    expect(made.json()).toMatchObject({ id: 'bot/helper', jti, file });
    expect(made.stdout + made.stderr).not.toContain(credential.privateJwk.d);
  });

  test('takes the delegator from the environment, and prints nothing but the credential', async () => {
    const cwd = await withBot();
    const end = new Date(Date.now() + 600_000).toISOString();
    const { code, stdout, stderr } = await cli([...DELEGATE, '--role', 'a', '--expires', end], {
      cwd,
      env: { COUNTERSIGN_AGENT: path.join(cwd, 'bot.csk') },
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^csk_[\w-]+\n$/);
    expect(stderr).toMatch(/^warning .*secret/);
    const { expiresAt, roles } = peekCredential(await readCredential(stdout));
    expect(roles).toEqual(['a']);
    expect(Math.abs(expiresAt.getTime() - Date.parse(end))).toBeLessThan(60_000);
  });

  test.each([
    ['--scope', ['--scope', 'crm']],
    ['--role', ['--role', 'admin']],
    ['--expires', ['--expires', '3h']],
    ['--expires', ['--expires', 'tomorrow']],
    ['--expires', ['--expires', '2001-01-01T00:00:00Z']],
    ['--id', ['--id', 'other/bot']],
    ['--max-amount', ['--max-amount', '50']],
    ['--max-amount', ['--max-amount', 'EUR=-1']],
    ['--max-amount', ['--max-amount', 'EUR=1e9']],
    ['--max-amount', ['--max-amount', 'EUR=1', '--max-amount', 'EUR=2']],
    ['--max-actions', ['--max-actions', '0']],
    ['--as', ['--as', 'person.csk']],
  ])('a wrong or wider %s is refused and named: %j', async (field, over) => {
    const cwd = await withBot();
    const ended = await cli([...DELEGATE, '--as', 'bot.csk', ...over, '--json'], { cwd });
    expect(ended.code).toBe(2);
    expect(errorOf(ended)).toMatchObject({ code: 'USAGE', field });
    expect(errorOf(ended).fix).toBeTruthy();
  });
});
