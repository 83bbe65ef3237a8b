/** docs/delegation.md: its code and its commands run, and what it says of scopes and narrowing is so. */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import {
  decodeCredential,
  encodeCredential,
  issueAgent,
  peekCredential,
  readCredential,
  scopeCovers,
  signProposal,
  verifyProposal,
  type Keyring,
} from '../../src/trust/index.js';
import { cli } from '../cli/support.js';
import { ROOT } from '../support/root.js';
import { newKeys } from '../trust/support.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/delegation.md'), 'utf8');
const BOT = { id: 'bot', tenant: 'acme', roles: ['billing_agent'], scopes: ['payments', 'crm'] };
let keyring: Keyring;
let folder: string;
let credential: string;

beforeAll(async () => {
  ({ keyring } = await newKeys());
  folder = await scratch('delegation');
  credential = encodeCredential(await issueAgent(keyring, BOT));
  await writeFile(path.join(folder, 'bot.csk'), credential);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function proposer(text: string) {
  const digest = digestText('proposal');
  const proof = await signProposal(decodeCredential(text), digest);
  return verifyProposal(keyring, proof, { digest, now: new Date() });
}

test('orchestrator.ts makes a credential that proposes within what it was given', async () => {
  const block = page.split('```ts orchestrator.ts\n')[1]?.split('```')[0] as string;
  const file = path.join(folder, 'orchestrator.ts');
  await writeFile(file, onSources(block));
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', file], {
    cwd: ROOT,
    env: { ...process.env, COUNTERSIGN_AGENT: credential },
  });
  const { agent, authority } = await proposer(stdout.trim());
  expect(agent).toMatchObject({ id: 'bot/refunds', via: ['bot'], scopes: ['payments:refund'] });
  expect(authority.caps).toMatchObject([{ actions: 10, amounts: { EUR: 50 } }]);
});

test('the commands do, one after the other, what is said of them', async () => {
  const lines = [...page.matchAll(/^ {4}countersign (.+)$/gm)].map(([, line]) => (line as string).split(' '));
  expect(lines.length).toBeGreaterThanOrEqual(2);
  for (const args of lines) {
    const ended = await cli(args, { cwd: folder });
    expect({ args, code: ended.code, stderr: ended.stderr }).toMatchObject({ code: 0 });
  }
  const one = await readCredential(path.join(folder, 'one.csk'));
  expect(peekCredential(one)).toMatchObject({
    id: 'bot/refunds/one',
    roles: [],
    caps: [{ actions: 10, amounts: { EUR: 50 } }, { actions: 1 }],
  });
  expect((await proposer(encodeCredential(one))).agent.id).toBe('bot/refunds/one');
});

test('the table of scopes', () => {
  const rows = [...page.matchAll(/^\| (`.+?)\s*\|/gm)].map(([, cell]) =>
    [...(cell as string).matchAll(/`([^`]+)`/g)].map(([, scope]) => scope as string),
  );
  const covered = (scope: string) =>
    ['get_customer', 'get_all', 'delete', 'select'].filter((operation) => scopeCovers([scope], 'crm', operation));
  const other = (scope: string) => scopeCovers([scope], 'erp', 'select');
  expect(rows.flat().map((scope) => [scope, covered(scope), other(scope)])).toEqual([
    ['crm', ['get_customer', 'get_all', 'delete', 'select'], false],
    ['crm:*', ['get_customer', 'get_all', 'delete', 'select'], false],
    ['crm:get_customer', ['get_customer'], false],
    ['crm:get_*', ['get_customer', 'get_all'], false],
    ['*:select', ['select'], true],
    ['*', ['get_customer', 'get_all', 'delete', 'select'], true],
  ]);
});
