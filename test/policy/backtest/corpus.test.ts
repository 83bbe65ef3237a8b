/**
 * The corpus, recorded once from scripted agents that went through the whole pipeline: under the policy that it was recorded under nothing
 * changes, and five changes whose effect is known by construction change exactly what they must. What they must change is worked out here
 * from the records, without the engine.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DecisionRecord } from '../../../src/action/decision-record.js';
import { readRecording, type Recording } from '../../../src/decisions/file.js';
import { backtest, type BacktestReport } from '../../../src/policy/backtest/index.js';
import { bundleFromFiles, compilePolicy, loadBundle } from '../../../src/policy/index.js';
import { ROOT } from '../../support/root.js';

const FOLDER = join(ROOT, 'test/corpus');

let recording: Recording;
let files: Readonly<Record<string, string>>;

beforeAll(async () => {
  const name = join(FOLDER, 'decisions.jsonl.gz');
  recording = readRecording(await readFile(name), name);
  ({ files } = await loadBundle(join(FOLDER, 'policy')));
});

/** The report on the policy with one file edited. Budgets run out in the last half: what concerns them takes all records. */
function under(file: string, edit: (text: string) => string, records = recording.records): BacktestReport {
  const edited = edit(files[file] ?? '');
  expect(edited).not.toBe(files[file]);
  const candidate = compilePolicy(bundleFromFiles({ ...files, [file]: edited }));
  return backtest(records, { candidate, recordedUnder: recording.policies });
}

const idOf = ({ actionId }: { readonly actionId: string }): string => actionId;
const changed = (report: BacktestReport, kind?: string): string[] =>
  report.changes.filter((change) => kind === undefined || change.kind === kind).map(idOf);

/** Whether policy and people let it go ahead. */
function went({ decision, approvals }: DecisionRecord): boolean {
  if (decision?.effect !== 'require_approval') return decision?.effect === 'allow';
  const yes = new Set(approvals.filter(({ verdict }) => verdict === 'approve').map(({ approver }) => approver));
  return (
    decision.requirements.every(({ quorum }) => yes.size >= quorum) &&
    !approvals.some(({ verdict }) => verdict === 'deny')
  );
}

describe('the corpus', { timeout: 240_000 }, () => {
  test('holds at least 2,000 decisions over three kinds of tools, with approvals, budgets and denials', () => {
    const { records } = recording;
    expect(records.length).toBeGreaterThanOrEqual(2000);
    expect(new Set(records.map(({ facts }) => facts?.tool.kind))).toEqual(new Set(['postgres', 'http', 'mcp']));
    const count = (meant: (record: DecisionRecord) => boolean): number => records.filter(meant).length;
    expect(count(({ decision }) => decision?.effect === 'deny' && decision.code === 'POLICY_DENIED')).toBeGreaterThan(
      50,
    );
    expect(count(({ decision }) => decision?.code === 'LIMIT_EXCEEDED')).toBeGreaterThan(20);
    expect(count(({ approvals }) => approvals.some(({ verdict }) => verdict === 'approve'))).toBeGreaterThan(50);
    expect(count(({ approvals }) => approvals.some(({ verdict }) => verdict === 'deny'))).toBeGreaterThan(10);
    expect(
      count(({ holds }) => holds.some(({ kind, status }) => kind === 'budget' && status === 'consumed')),
    ).toBeGreaterThan(400);
  });

  test('changes in nothing, to the letter, under the policy that it was recorded under', () => {
    const candidate = compilePolicy(bundleFromFiles(files));
    const { summary, changes } = backtest(recording.records, { candidate, recordedUnder: recording.policies });
    expect(changes).toEqual([]);
    expect(summary).toMatchObject({ undecided: 0, beforePolicy: 0, exhausted: 0 });
    expect([summary.decisions, summary.redecided, summary.same, summary.toTheLetter]).toEqual(
      Array(4).fill(recording.records.length),
    );
    expect(JSON.stringify(summary).length).toBeLessThan(16 * 1024);
  });

  test('gives the same bytes for the same input, in whatever order it comes', () => {
    const candidate = compilePolicy(bundleFromFiles({ ...files, 'limits.yaml': 'limits: {}\n' }));
    // Of the last, some found no room in a budget.
    const last = recording.records.slice(-300);
    const [inOrder, reversed] = [last, last.toReversed()].map((records) =>
      backtest(records, { candidate, recordedUnder: recording.policies }),
    );
    expect(inOrder?.changes).not.toEqual([]);
    expect(JSON.stringify(reversed)).toBe(JSON.stringify(inOrder));
  });
});

describe('of a policy change whose effect is known, the backtest finds exactly that', { timeout: 240_000 }, () => {
  let half: readonly DecisionRecord[];
  const ids = (meant: (record: DecisionRecord) => boolean): string[] => half.filter(meant).map(idOf);

  beforeAll(() => {
    half = recording.records.slice(0, 1000);
  });

  test('a narrower table: writers may not touch orders any more', () => {
    const report = under(
      'rules.cedar',
      (text) =>
        text.replace(/(@id\("writers-write"\)[^;]*\n\));/, '$1\nunless { context.targets.contains("orders") };'),
      half,
    );
    const theirs = ({ facts }: DecisionRecord): boolean =>
      facts?.agent.roles.includes('read_write_user') === true && facts.preview.targets.includes('orders');
    const denied = ids((record) => theirs(record) && went(record));
    expect(denied.length).toBeGreaterThan(50);
    expect(changed(report, 'newly-denied')).toEqual(denied);
    // People were asked in vain about what policy now denies.
    expect(changed(report, 'no-longer-asked')).toEqual(
      ids((record) => theirs(record) && !went(record) && record.decision?.effect === 'require_approval'),
    );
    // What is not written any more leaves room in the budget of rows.
    const ofTheirs = new Set(ids(theirs));
    const others = report.changes.filter(({ actionId }) => !ofTheirs.has(actionId));
    for (const { before, kind } of others) {
      expect(kind).toMatch(/^(no-longer-asked|newly-allowed|other-terms)$/);
      expect(before.effect).toBe('require_approval');
    }
  });

  test('a new quorum: a large change needs two dbas', () => {
    const report = under('rules.cedar', (text) => text.replace('@approval("dba")', '@approval("dba, quorum=2")'), half);
    const asked = ({ decision }: DecisionRecord): boolean =>
      decision?.requirements.some(({ policy }) => policy === 'large-changes') === true;
    const newly = ids((record) => asked(record) && went(record));
    expect(newly.length).toBeGreaterThan(15);
    expect(changed(report, 'newly-asked')).toEqual(newly);
    // Those that people refused or left are asked about as before, on other terms.
    expect(changed(report, 'other-terms')).toEqual(ids((record) => asked(record) && !went(record)));
    expect(report.changes).toHaveLength(ids(asked).length);
    expect(report.groups.find(({ by }) => by === 'rule')).toMatchObject({ name: 'large-changes', count: newly.length });
  });

  test('a smaller budget: 600 EUR of refunds for each agent', () => {
    const report = under('limits.yaml', (text) => text.replace('max: 2500', 'max: 600'));
    const spent = new Map<string, number>();
    const expected: string[] = [];
    const newly: string[] = [];
    const firstAt = new Map<string, string>();
    let amount = 0;
    // Each agent waits for one action before it proposes the next, so that its refunds can be added up one by one.
    for (const record of recording.records) {
      const { facts, proposal, decision, status } = record;
      if (facts?.operation !== 'refund' || decision === undefined) continue;
      const agent = facts.agent.id;
      const asked = ((proposal?.input ?? {}) as { body: { amount: number } }).body.amount;
      const before = spent.get(agent) ?? 0;
      const fits = before + asked <= 600;
      if (!fits && decision.effect !== 'deny') {
        firstAt.set(agent, firstAt.get(agent) ?? record.decidedAt);
        if (went(record)) {
          expected.push(record.actionId);
          amount += asked;
        }
      }
      // What found no room in the larger budget may be small enough for what is left of the smaller one.
      const allowed = fits && decision.code === 'LIMIT_EXCEEDED';
      if (allowed) newly.push(record.actionId);
      if (allowed || (fits && status === 'success')) spent.set(agent, before + asked);
    }
    expect(expected.length).toBeGreaterThan(20);
    expect(changed(report, 'newly-denied')).toEqual(expected);
    expect(report.summary.amounts['newly-denied']).toEqual({ EUR: amount });
    expect(report.exhausted.map(({ limit, key, firstAt: at }) => [limit, key, at])).toEqual(
      [...firstAt].sort(([, a], [, b]) => (a < b ? -1 : 1)).map(([agent, at]) => ['refunds', `agent=${agent}`, at]),
    );
    expect(changed(report, 'newly-allowed')).toEqual(newly);
    expect(changed(report, 'newly-asked')).toEqual([]);
  });

  test('a rule that never matches: nothing', () => {
    const report = under(
      'rules.cedar',
      (text) =>
        `${text}\n@id("no-drops")\nforbid (principal, action == Countersign::Action::"DELETE", resource)\nwhen { context.rows > 1000000 };\n`,
      half.slice(0, 300),
    );
    expect(report.changes).toEqual([]);
    expect(report.summary.toTheLetter).toBe(300);
  });

  test('a typo that opens everything: what no rule permitted is allowed, and what is forbidden stays so', () => {
    const report = under(
      'rules.cedar',
      (text) =>
        text.replace(
          'principal in Countersign::Role::"clerk",\n  action,\n  resource == Countersign::Tool::"notes"',
          'principal,\n  action,\n  resource',
        ),
      half,
    );
    const unpermitted = ({ decision }: DecisionRecord): boolean =>
      decision?.code === 'POLICY_DENIED' && decision.violations.every(({ policy }) => policy !== 'protected-tables');
    const large = ({ facts }: DecisionRecord): boolean =>
      (facts?.preview.rows ?? 0) > 20 && /WRITE|DELETE/.test(facts?.actionType ?? '');
    expect(changed(report, 'newly-allowed')).toEqual(ids((record) => unpermitted(record) && !large(record)));
    expect(changed(report, 'newly-askable')).toEqual(ids((record) => unpermitted(record) && large(record)));
    expect(changed(report, 'newly-allowed').length).toBeGreaterThan(20);
    // That a second rule permits what one permitted before is another reason, and no other decision.
    const others = report.changes.filter(({ kind }) => kind !== 'newly-allowed' && kind !== 'newly-askable');
    expect(new Set(others.map(({ kind }) => kind))).toEqual(new Set(['other-terms']));
    for (const { before, after } of others) expect(after.standing).toBe(before.standing);
  });
});
