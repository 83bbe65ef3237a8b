/** docs/standing-approvals.md: its policy loads, its program and its commands run on real servers. */
import { execFile } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { evaluate, resolveLimits, standingLimits } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { encodeCredential } from '../../src/trust/index.js';
import { cli, errorOf } from '../cli/support.js';
import { PERMIT_ALL } from '../policy/facts.js';
import { refundFacts } from '../policy/limits-example.js';
import { ROOT, startStack, TENANT, type Stack } from '../support/stack.js';
import { onSources, scratch } from './support.js';

const page = await readFile(path.join(ROOT, 'docs/standing-approvals.md'), 'utf8');
const blocks = new Map(
  [...page.matchAll(/^```(\w+)(?: (\S+))?\n([^]*?)^```$/gm)].map(([, language = '', name, text]) => [
    name ?? language,
    text as string,
  ]),
);
const commands = [...page.matchAll(/^ {4}countersign (.*)$/gm)].map(([, line = '']) =>
  (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', '')),
);

let stack: Stack;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  folder = await scratch('standing');
  stack = await startStack({ schema: 'SELECT 1' });
  const ann = encodeCredential(await stack.approver('ann', ['finance', 'dba']));
  await writeFile(path.join(folder, 'ann.csk'), ann, { mode: 0o600 });
  env = {
    COUNTERSIGN_LEDGER_URL: stack.ledgerUrl,
    TEMPORAL_ADDRESS: stack.temporal.address,
    TEMPORAL_NAMESPACE: stack.temporal.namespace,
    COUNTERSIGN_TASK_QUEUE: stack.temporal.taskQueue,
  };
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('has no other snippets than those run here', () => {
  expect([...blocks.keys()]).toEqual(['limits.yaml', 'cedar', 'grant.ts']);
});

test('the policy asks for people, and its budget measures what an approval in advance is capped in', () => {
  const policy = policyFromText({
    'limits.yaml': blocks.get('limits.yaml') ?? '',
    'permit.cedar': PERMIT_ALL,
    'refunds.cedar': blocks.get('cedar') ?? '',
  });
  expect(evaluate(policy, refundFacts)).toMatchObject({
    effect: 'require_approval',
    requirements: [{ policy: 'refunds-need-finance', roles: ['finance'] }],
  });
  const { measured } = resolveLimits(policy, refundFacts, { input: { amount: 12 } });
  const limits = standingLimits({ id: 'one', amounts: { EUR: 50 } }, measured);
  expect(limits?.map(({ demand }) => demand)).toEqual([
    { limit: 'standing:one:EUR', key: '', kind: 'budget', amount: 12, max: 50, unit: 'EUR' },
  ]);
  expect(limits?.[0]?.settled?.({ amount: 7 })).toBe(7);
  expect(standingLimits({ id: 'one', amounts: { USD: 50 } }, measured)).toBeUndefined();
});

test('the program gives one', async () => {
  const file = path.join(folder, 'grant.ts');
  await writeFile(file, onSources(blocks.get('grant.ts') ?? ''));
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', import.meta.resolve('tsx'), file], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  const [id = '', seq] = stdout.trim().split(' ');
  expect(await stack.ledger.standingApprovals.find(TENANT, id)).toMatchObject({ by: 'ann', amounts: { EUR: 50 } });
  expect(Number(seq)).toBeGreaterThan(0);
});

test('the commands give, list and end what they say', async () => {
  expect(commands.map(([name, verb]) => `${name} ${verb}`)).toEqual([
    'standing-approval grant',
    'standing-approval list',
    'standing-approval withdraw',
    'role-delegation give',
    'role-delegation list',
    'role-delegation end',
  ]);
  let given = '';
  for (const words of commands) {
    const named = words.map((word) => (/^[0-9a-f-]{36}$/.test(word) ? given : word));
    const done = await cli([...named, '--json'], { env, cwd: folder });
    expect({ words, stderr: done.stderr, code: done.code }).toEqual({ words, stderr: '', code: 0 });
    given = (done.json() as { id?: string }).id ?? given;
    expect(done.stdout).toContain(given);
  }
});

test('the bounds are the options of the command', async () => {
  const grant = createProgram()
    .commands.find((one) => one.name() === 'standing-approval')
    ?.commands.find((one) => one.name() === 'grant');
  const options = grant?.options.map(({ long }) => long).filter((long) => long !== '--reason' && long !== '--as');
  const told = [...page.matchAll(/^\| `(--[\w-]+)`/gm)].map(([, option]) => option);
  expect(told).toEqual(options);
  const long = [
    'standing-approval',
    'grant',
    'bot',
    '--tool',
    't',
    '--expires',
    '32d',
    '--reason',
    'r',
    '--as',
    'ann.csk',
  ];
  expect(errorOf(await cli([...long, '--json'], { env, cwd: folder })).expected).toBe('at most 31 days from now');
});
