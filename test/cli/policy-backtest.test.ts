/** `countersign record` and `countersign policy diff | backtest | suggest`: on a real ledger whose receipts are signed, and on what was exported from it. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../src/action/decision-record.js';
import { digest } from '../../src/action/json.js';
import type { Proposal } from '../../src/action/proposal.js';
import { proposalDigest } from '../../src/action/proposal.js';
import type { BacktestReport, BacktestSummary } from '../../src/policy/backtest/index.js';
import { compilePolicy, loadBundle, starterFolder } from '../../src/policy/index.js';
import type { Suggestion } from '../../src/policy/suggest.js';
import { policyFromText } from '../../src/testing/index.js';
import { generateKeyringFile, hashReceipt, parseKeyring, signReceipt } from '../../src/trust/index.js';
import { startLedger, type TestLedger } from '../ledger/support.js';
import { approval, recorded } from '../policy/backtest/recording.js';
import { PERMIT_ALL } from '../policy/facts.js';
import { cli, errorOf, folder } from './support.js';

const CEDAR = `${PERMIT_ALL}
@id("large") @reason("{rows} rows") @approval("dba")
forbid (principal, action, resource) when { context.rows > 100 };

@id("never")
forbid (principal, action == Countersign::Action::"DELETE", resource) when { context.targets.contains("users") };
`;
const policy = policyFromText({ 'rules.cedar': CEDAR });
const dora = approval('dora@example.com', ['dba']);

let ledger: TestLedger;
let env: Record<string, string>;

/** Settles what was recorded as workers do, with a receipt that is signed. */
async function settle(records: readonly DecisionRecord[], keys: string): Promise<void> {
  const keyring = await parseKeyring(keys, 'test');
  await ledger.ledger.content.putPolicy(policy.digest, policy.bundle.files);
  for (const record of records) {
    const { tenant, actionId, facts, decision, approvals, status } = record;
    const proposal = record.proposal as Proposal;
    const outcome = {
      status,
      reason: 'as the test says',
      tenant,
      actionId,
      proposalDigest: proposalDigest(proposal),
      tool: 'shop-db',
      ...(facts === undefined ? {} : { facts }),
      ...(decision === undefined ? {} : { decision }),
      approvals,
      checks: [],
      steps: {},
    };
    const claims = {
      v: 1 as const,
      tenant,
      actionId,
      proposalDigest: outcome.proposalDigest,
      status,
      reason: outcome.reason,
      tool: 'shop-db',
      approvals: [],
      outcomeDigest: digest(outcome),
      iat: 1_700_000_000,
    };
    await ledger.ledger.receipts.settle({
      tenant,
      actionId,
      proposalDigest: outcome.proposalDigest,
      outcome,
      proposal,
      sign: async (link) => {
        const jws = await signReceipt(keyring, { ...claims, ...link });
        return { jws, hash: hashReceipt(jws) };
      },
    });
  }
}

async function policyFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const made = path.join(await folder(), 'policies');
  await mkdir(made);
  const { files: starter } = await loadBundle(starterFolder());
  const all = { 'schema.cedarschema': starter['schema.cedarschema'] ?? '', ...files };
  for (const [name, text] of Object.entries(all)) await writeFile(path.join(made, name), text);
  return made;
}

beforeAll(async () => {
  ledger = await startLedger();
  const keys = JSON.stringify(await generateKeyringFile());
  env = { COUNTERSIGN_LEDGER_URL: ledger.url, COUNTERSIGN_KEYS: keys };
  const large = Array.from({ length: 5 }, (_, n) => ({
    id: `large-${n}`,
    at: 10 + n,
    preview: { rows: 101 + n },
    approvals: [dora],
    input: { where: { email: 'maria@example.com' } },
  }));
  const scenes = [
    { id: 'small', at: 0 },
    { id: 'forbidden', at: 1, actionType: 'DELETE' as const, operation: 'delete', preview: { targets: ['users'] } },
    ...large,
    {
      id: 'refused',
      at: 30,
      preview: { rows: 500 },
      agent: { id: 'other' },
      approvals: [approval('dora@example.com', ['dba'], 'deny')],
    },
  ];
  await settle(recorded(policy, scenes), keys);
});
afterAll(() => ledger?.stop());

const summaryOf = ({ json }: { json: () => unknown }): BacktestSummary => (json() as BacktestReport).summary;

describe('a backtest', () => {
  test('of the policy that is live changes nothing', async () => {
    const candidate = await policyFolder({ 'rules.cedar': CEDAR });
    const ended = await cli(['policy', 'backtest', '--candidate', candidate, '--json'], { env });
    expect(ended.code).toBe(0);
    expect(summaryOf(ended)).toMatchObject({ decisions: 8, redecided: 8, same: 8, toTheLetter: 8, undecided: 0 });
    const filters = [
      '--since',
      '2020-01-01',
      '--until',
      '2040-01-01',
      '--tenant',
      'acme',
      '--tool',
      'shop-db',
      '--agent',
      'other',
    ];
    const some = await cli(['policy', 'backtest', '--candidate', candidate, ...filters, '--json'], { env });
    expect(summaryOf(some)).toMatchObject({ decisions: 1, same: 1 });
  });

  test('is told as text, Markdown and a page without scripts, and fails by thresholds', async () => {
    const candidate = await policyFolder({
      'rules.cedar': CEDAR.replace('"dba"', '"dba, quorum=2"').replace('"users"', '"<b>users"'),
    });
    const args = ['policy', 'backtest', '--candidate', candidate];
    const text = await cli(args, { env });
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).toContain('Of 8 decisions, 8 were decided again: 1 stay as they are and 7 change.');
    expect(text.stdout).toContain('Newly needing approval: 5');
    expect(text.stdout).toContain('rule never: 1; such as acme/forbidden');

    const made = await folder();
    for (const format of ['markdown', 'html', 'json']) {
      const file = path.join(made, `report.${format}`);
      expect(await cli([...args, '--format', format, '--out', file], { env })).toMatchObject({
        code: 0,
        stdout: `written to ${file}\n`,
      });
      const [once, again] = [await readFile(file, 'utf8'), await cli([...args, '--format', format], { env })];
      expect(again.stdout).toBe(once);
    }
    expect(await readFile(path.join(made, 'report.html'), 'utf8')).not.toMatch(/<script|<b>|https?:/);
    expect(await readFile(path.join(made, 'report.markdown'), 'utf8')).toContain('| Newly needing approval | 5 |');

    const failing = await cli([...args, '--fail-on', 'newly-allowed,undecided', '--max-newly-asked', '50%'], { env });
    expect(failing.code).toBe(1);
    expect(failing.stderr).toContain('CHECK_FAILED');
    expect(failing.stderr).toContain('1 newly-allowed; 5 of 8 newly asked, more than 50 %');
    expect((await cli([...args, '--fail-on', 'newly-denied', '--max-newly-asked', '80%'], { env })).code).toBe(0);
    for (const wrong of [
      ['--fail-on', 'worse'],
      ['--max-newly-asked', '5'],
      ['--since', 'soon'],
      ['--format', 'pdf'],
    ]) {
      expect(errorOf(await cli([...args, ...wrong, '--json'], { env })).code).toBe('USAGE');
    }
  });

  test('is kept as the evidence for a promotion over the policy that is active, and only what the ledger itself recorded', async () => {
    const { rollout, content } = ledger.ledger;
    const candidate = await policyFolder({ 'rules.cedar': CEDAR.replace('"dba"', '"dba, quorum=2"') });
    const args = ['policy', 'backtest', '--candidate', candidate, '--keep', '--json'];
    const tooEarly = await cli(args, { env });
    expect(errorOf(tooEarly)).toMatchObject({ code: 'NOT_FOUND', field: '--keep' });

    const baseline = policy.digest;
    await content.putPolicy(baseline, policy.bundle.files);
    await rollout.publish({ digest: baseline, by: 'ann', reason: 'the first' });
    const signing = { by: 'ann', people: ['ann'], statements: ['signed by ann'], reason: 'the first', signed: 'x' };
    await rollout.change({ id: 'first', seq: 2, kind: 'promote', digest: baseline, ...signing });
    const ended = await cli(args, { env });
    expect(ended.code).toBe(0);
    const { candidate: digest, report, decisions } = summaryOf(ended);
    expect(await rollout.evidence(digest, baseline)).toMatchObject([{ report, decisions, summary: summaryOf(ended) }]);
    expect((await cli([...args, '--from', 'all.jsonl.gz'], { env })).code).toBe(2);
  });

  test('reads an export as it reads the ledger, scrubbed or not, and no export that was edited', async () => {
    const made = await folder();
    const rules = path.join(made, 'scrub.yaml');
    await writeFile(
      rules,
      'salt: sixteen characters at least\nrules: [{column: email, do: remove}, {at: /approvals/*/approver, do: pseudonym}]\n',
    );
    const [whole, scrubbed] = [path.join(made, 'all.jsonl.gz'), path.join(made, 'scrubbed.jsonl')];
    expect((await cli(['record', '--decisions', whole], { env })).stdout).toContain('8 decisions under 1 policies');
    const shown = await cli(['record', '--decisions', scrubbed, '--scrub', rules, '--json'], { env });
    expect(shown.json()).toMatchObject({ decisions: 8, scrubbed: 6 });
    const text = await readFile(scrubbed, 'utf8');
    expect(text).not.toMatch(/maria|dora/);

    const candidate = await policyFolder({ 'rules.cedar': CEDAR });
    for (const from of [whole, scrubbed]) {
      const ended = await cli(['policy', 'backtest', '--candidate', candidate, '--from', from, '--json'], { env: {} });
      expect(summaryOf(ended)).toMatchObject({ decisions: 8, same: 8 });
    }
    const some = await cli(
      ['policy', 'backtest', '--candidate', candidate, '--from', whole, '--agent', 'other', '--json'],
      { env: {} },
    );
    expect(summaryOf(some)).toMatchObject({ decisions: 1 });
    await writeFile(scrubbed, text.replace('"rows":101', '"rows":100'));
    const edited = await cli(['policy', 'backtest', '--candidate', candidate, '--from', scrubbed, '--json'], {
      env: {},
    });
    expect(errorOf(edited)).toMatchObject({
      code: 'INVALID_INPUT',
      message: expect.stringContaining('not as it was written'),
    });
    const none = await cli(
      ['policy', 'backtest', '--candidate', candidate, '--from', whole, '--until', '2020-01-01', '--json'],
      { env: {} },
    );
    expect(errorOf(none).code).toBe('NOT_FOUND');
  });
});

test('a diff tells in words what differs, and nothing of what does not', async () => {
  const limits = 'limits:\n  few: {kind: count, scope: agent, max: 5, window: 1d}\n';
  const before = await policyFolder({ 'rules.cedar': CEDAR, 'limits.yaml': limits });
  const after = await policyFolder({
    'rules.cedar': CEDAR.replace('> 100', '> 50')
      .replace('"dba"', '"dba, quorum=2"')
      .replace('permit-all', 'permit-everything'),
    'limits.yaml': limits.replace('max: 5', 'max: 3'),
  });
  const { stdout, code } = await cli(['policy', 'diff', before, after]);
  expect(code).toBe(0);
  expect(stdout.trimEnd().split('\n')).toEqual([
    '~ rule large changed',
    '    its condition was when { context.rows > 100 }, is when { context.rows > 50 }',
    '    who can lift it was dba within 1d, is 2 of dba within 1d',
    '- rule permit-all removed',
    '    permits any action by any agent on any tool',
    '+ rule permit-everything added',
    '    permits any action by any agent on any tool',
    '~ limit few changed',
    '    its max was 5, is 3',
  ]);
  const same = await policyFolder({
    'rules.cedar': `// a comment\n${CEDAR.replaceAll('\n', '\n\n')}`,
    'limits.yaml': limits,
  });
  expect((await cli(['policy', 'diff', before, same])).stdout).toBe('both say the same\n');
});

test('a suggestion spares people what they always approved, allows nothing else, and is a draft', async () => {
  const policies = await policyFolder({ 'rules.cedar': CEDAR });
  const draft = path.join(await folder(), 'draft');
  const args = ['policy', 'suggest', '--policies', policies, '--at-least', '5'];
  const { suggestions } = (await cli([...args, '--out', draft, '--json'], { env })).json() as {
    suggestions: Suggestion[];
  };
  expect(suggestions).toMatchObject([{ rule: 'large', agent: 'test-agent', maxRows: 105, approved: 5, spared: 5 }]);
  expect(suggestions[0]?.sentence).toBe(
    'dora@example.com approved 5 of 5: update on shop-db (test) by test-agent, at most 105 rows',
  );
  expect((await readdir(draft)).sort()).toEqual(['rules.cedar', 'schema.cedarschema']);
  expect(await readFile(path.join(policies, 'rules.cedar'), 'utf8')).toBe(CEDAR);
  const tried = await cli(['policy', 'backtest', '--candidate', draft, '--json'], { env });
  expect(summaryOf(tried).changes).toMatchObject({ 'no-longer-asked': 5, 'newly-allowed': 0, 'newly-askable': 0 });
  expect(compilePolicy(await loadBundle(draft)).rules).toHaveLength(3);
  expect((await cli([...args.slice(0, -1), '6'], { env })).stdout).toContain('there is nothing');
  expect(errorOf(await cli([...args, '--out', draft, '--json'], { env })).code).toBe('USAGE');
});

test('what was changed in the ledger behind the receipts is not decided again', async () => {
  const candidate = await policyFolder({ 'rules.cedar': CEDAR });
  await ledger.pool.query(`alter table countersign.actions disable trigger final;
    update countersign.actions set outcome = replace(outcome::text, '"rows":500', '"rows":50')::json where action_id = 'refused'`);
  const ended = await cli(['policy', 'backtest', '--candidate', candidate, '--json'], { env });
  expect(errorOf(ended)).toMatchObject({ code: 'RECEIPTS_BROKEN', message: expect.stringContaining('acme/refused') });
});

test('an action that its limits stopped is explained by the figures that were read then, where the record has them', async () => {
  const limits = (scope: string) =>
    `limits:\n  money: {kind: budget, scope: ${scope}, amount: input.amount, unit: EUR, max: 100, window: 1d}\n`;
  const limited = policyFromText({ 'rules.cedar': CEDAR, 'limits.yaml': limits('agent') });
  const scenes = [
    { id: 'first', at: 40, input: { amount: 80 } },
    { id: 'too-much', at: 50, input: { amount: 50 } },
  ];
  await settle(recorded(limited, scenes), env['COUNTERSIGN_KEYS'] ?? '');
  const explained = async (scope: string) => {
    const policies = await policyFolder({ 'rules.cedar': CEDAR, 'limits.yaml': limits(scope) });
    const ended = await cli(['policy', 'explain', 'acme/too-much', '--policies', policies, '--json'], { env });
    expect(ended.code).toBe(0);
    return ended.json();
  };
  expect(await explained('agent')).toMatchObject({
    effect: 'deny',
    decision: { code: 'LIMIT_EXCEEDED' },
    reason: expect.stringContaining('50 EUR asked, 20 of 100 EUR left'),
    changes: [{ effect: 'allow', changes: [{ kind: 'input', text: 'amount of the input is 20' }] }],
  });
  expect(await explained('tool')).toMatchObject({
    effect: 'allow',
    notes: [
      expect.stringContaining('another policy'),
      'Limits were not decided on: the record has no figures of money.',
    ],
  });
});
