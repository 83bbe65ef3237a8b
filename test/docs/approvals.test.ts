/** docs/approvals.md: its policy asks for what it says, its options and defaults are the grammar's, its commands and its code run. */
import { execFile } from 'node:child_process';
import { chmod, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/action/errors.js';
import { editedProposal } from '../../src/action/edit.js';
import type { Outcome } from '../../src/action/outcome.js';
import { createProgram } from '../../src/cli/program.js';
import type { Countersign, PendingAction } from '../../src/client/countersign.js';
import { findTemporal } from '../../src/dev/index.js';
import { parseApprovals } from '../../src/policy/approval.js';
import { evaluate } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { encodeCredential, signApproval, signedEdit } from '../../src/trust/index.js';
import { checkConfig, DEFAULT_APPROVAL_RATE_LIMIT } from '../../src/config/config.js';
import { MAIN } from '../cli/support.js';
import { factsOf, PERMIT_ALL } from '../policy/facts.js';
import { ROOT } from '../support/root.js';
import { pending, shopTool, startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { onSources, scratch } from './support.js';

const doc = await readFile(path.join(ROOT, 'docs/approvals.md'), 'utf8');
const blocks = [...doc.matchAll(/^```(\w+)\n([^]*?)^```$/gm)];

function snippet(wanted: string, which = 0): string {
  const text = blocks.filter(([, language]) => language === wanted)[which]?.[2];
  if (text === undefined) throw new Error(`docs/approvals.md has no snippet of ${wanted}`);
  return text;
}

test('has no other snippets than those run here', () => {
  expect([...doc.matchAll(/^```(\w+)/gm)].map(([, language]) => language)).toEqual([
    'cedar',
    'js',
    'sh',
    'ts',
    'cedar',
    'ts',
  ]);
});

describe('the grammar', () => {
  test('the policy asks for what is said of it', () => {
    const policy = policyFromText({ 'permit.cedar': PERMIT_ALL, 'payout.cedar': snippet('cedar') });
    const facts = factsOf({
      actionType: 'WRITE',
      tool: { environment: 'production' },
      preview: { rows: 3, targets: ['payouts'] },
    });
    const said = { policy: 'production-payout', reason: '3 payouts in production', ttlSeconds: 4 * 3600 };
    expect(evaluate(policy, facts).requirements).toEqual([
      {
        ...said,
        roles: ['finance', 'treasurer'],
        quorum: 2,
        denials: 2,
        remindSeconds: 1800,
        escalations: [
          { afterSeconds: 3600, roles: ['cfo'] },
          { afterSeconds: 3 * 3600, roles: ['ceo'] },
        ],
      },
      { ...said, roles: ['security'], quorum: 1, passkey: true },
    ]);
  });

  test('the table has every option, with its default', () => {
    const rows = [...doc.matchAll(/^\| `([^`]+)` +\| (.*?) +\|/gm)].map(([, option = '', value = '']) => [
      option.replaceAll('\\|', '|'),
      value.trim().replaceAll('`', ''),
    ]);
    const options = rows.slice(1, rows.findIndex(([option]) => option?.startsWith('escalate')) + 1);
    expect(rows[0]).toEqual(['role|other', '']);
    expect(options.map(([option]) => option)).toEqual([
      'quorum=2',
      'ttl=4h',
      'denials=2',
      'passkey',
      'self',
      'remind=30m',
      'escalate=1h:cfo',
    ]);
    const [plain] = parseApprovals('role|other');
    for (const [option = ''] of options) expect(parseApprovals(`role|other, ${option}`)).not.toEqual([plain]);
    // Said or not said, the default is the same.
    const said = options.filter(([, byDefault]) => byDefault !== 'no' && byDefault !== 'never');
    const explicit = said.map(([option = '', byDefault]) => `${option.split('=')[0]}=${byDefault}`);
    expect(explicit).toEqual(['quorum=1', 'ttl=1d', 'denials=1']);
    expect(parseApprovals(`role|other, ${explicit.join(', ')}`)).toEqual([{ ...plain, denials: 1 }]);
  });
});

test('the config is one, and says the defaults', async () => {
  const folder = await scratch('approvals');
  try {
    const file = path.join(folder, 'countersign.config.mjs');
    const config = snippet('js').replace('// …', "policies: 'policies', tools: [],");
    await writeFile(file, `const defineConfig = (config) => config;\n${config}`);
    const { default: read } = (await import(file)) as { default: unknown };
    expect(checkConfig(read, 'docs')).toMatchObject({
      selfApproval: false,
      approvalRateLimit: DEFAULT_APPROVAL_RATE_LIMIT,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('the commands and codes are there', () => {
  const names = new Set(createProgram().commands.map((command) => command.name()));
  for (const [, name] of doc.matchAll(/countersign ([a-z-]+)/g)) expect(names).toContain(name);
  const codes = [...doc.matchAll(/`([A-Z]+_[A-Z_]+)`/g)].map(([, code]) => code);
  const known = new Set<string>(Object.keys(ERROR_CODES));
  expect(codes.filter((code) => code !== 'COUNTERSIGN_APPROVER' && !known.has(code as string))).toEqual([]);
});

describe('on real servers', () => {
  let stack: Stack;
  let bot: Countersign;
  let folder: string;

  beforeAll(async () => {
    folder = await scratch('approvals');
    stack = await startStack({
      worker: false,
      schema:
        'CREATE TABLE refunds (id int PRIMARY KEY, amount int NOT NULL); INSERT INTO refunds VALUES (1, 0), (2, 0), (3, 0);',
    });
    const rule =
      '@id("people") @reason("money") @approval("dba") forbid (principal, action == Countersign::Action::"WRITE", resource);';
    await writeFile(path.join(stack.policies, 'people.cedar'), rule);
    await stack.startWorker({ config: { policies: stack.policies, tools: [shopTool(stack.shopUrl)] } });
    bot = await stack.agent();
  });
  afterAll(async () => {
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function refund(actionId: string, id: number): Promise<PendingAction> {
    const input = { op: 'update', table: 'refunds', set: { amount: 40 }, where: { id } };
    return pending(bot, { actionId, tool: 'shop-db', input });
  }

  test('what is handed in with Temporal’s own command is carried out', async () => {
    const action = await refund('refund-1001', 1);
    const { path: temporal } = await findTemporal({ env: process.env, log: () => {} });
    await symlink(temporal, path.join(folder, 'temporal'));
    const countersign = path.join(folder, 'countersign');
    await writeFile(countersign, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    await chmod(countersign, 0o755);
    await promisify(execFile)('sh', ['-e', '-c', snippet('sh')], {
      cwd: folder,
      env: {
        PATH: `${folder}:${process.env['PATH']}`,
        HOME: folder,
        TEMPORAL_ADDRESS: stack.temporal.address,
        TEMPORAL_NAMESPACE: stack.temporal.namespace,
        COUNTERSIGN_APPROVER: encodeCredential(await stack.approver('dora', ['dba'])),
      },
    });
    expect(await action.outcome()).toMatchObject({
      status: 'success',
      approvals: [{ approver: 'dora', reason: 'checked with Bob' }],
    });
    expect((await stack.shop.query('SELECT amount FROM refunds WHERE id = 1')).rows).toEqual([{ amount: 40 }]);
  });

  test('the agent proposes anew what it was told', async () => {
    const file = path.join(folder, 'as-wished.ts');
    await writeFile(file, onSources(snippet('ts')));
    const { asWished } = (await import(file)) as {
      asWished: (
        countersign: Countersign,
        ended: Outcome,
        rewrite: (words: string) => Promise<Record<string, unknown>>,
      ) => Promise<Outcome | PendingAction>;
    };
    const first = await refund('refund-1002', 2);
    const dora = await stack.approver('dora', ['dba']);
    await stack.decide(first, dora, 'request_changes', 'at most 20');
    const words: string[] = [];
    const second = await asWished(bot, await first.outcome(), async (said) => {
      words.push(said);
      return { op: 'update', table: 'refunds', set: { amount: 20 }, where: { id: 2 } };
    });
    expect(words).toEqual(['dora asks for changes: at most 20']);
    if (second.status !== 'pending') throw new Error(second.status);
    expect(second.pending.shown.proposal.revises).toBe('refund-1002');
    await stack.decide(second, dora);
    const ended = await second.outcome();
    expect(ended.status).toBe('success');
    expect(await asWished(bot, ended, async () => ({}))).toBe(ended);
  });

  test('the agent waits for what is done instead, and a policy lets security see what a person changed', async () => {
    const file = path.join(folder, 'in-the-end.ts');
    await writeFile(file, onSources(snippet('ts', 1)));
    const { outcomeInTheEnd } = (await import(file)) as {
      outcomeInTheEnd: (countersign: Countersign, ended: Outcome) => Promise<Outcome>;
    };
    await writeFile(path.join(stack.policies, 'edited.cedar'), snippet('cedar', 1));
    await stack.worker?.policy.reload();
    const [dora, sam] = [await stack.approver('dora', ['dba']), await stack.approver('sam', ['security'])];
    const first = await refund('refund-1003', 3);
    const { shown, shownDigest } = first.pending;
    const edited = editedProposal(shown.proposal, { input: { ...shown.proposal.input, set: { amount: 30 } } });
    const { tenant, actionId } = first;
    const edit = signedEdit(shown.proposal, edited);
    const token = await signApproval(dora, { tenant, actionId, shownDigest, verdict: 'request_changes', edit });
    await bot.decide(actionId, token, tenant, edited);
    const inTheEnd = outcomeInTheEnd(bot, await first.outcome());

    const next = await until(
      () => bot.view(edited.actionId),
      (view) => view.pending !== undefined,
    );
    const asked = { ...first, actionId: edited.actionId, pending: next.pending ?? first.pending };
    expect(await stack.decide(asked, dora)).toMatchObject({ state: 'waiting' });
    await stack.decide(asked, sam);
    expect(await inTheEnd).toMatchObject({ status: 'success', actionId: edited.actionId });
    expect((await stack.shop.query('SELECT amount FROM refunds WHERE id = 3')).rows).toEqual([{ amount: 30 }]);
  });
});
