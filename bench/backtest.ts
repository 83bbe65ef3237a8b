/**
 * What it costs to decide again: the recorded corpus under a candidate, on one core, against the same Cedar requests in a bare loop that does
 * nothing else. Both run in turns in one process, and each turn of both does the same decisions.
 *
 * Not measured: reading and checking the file, and verifying receipts in the ledger.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { readRecording } from '../src/decisions/file.js';
import { backtest as run } from '../src/policy/backtest/index.js';
import type { Facts } from '../src/action/decision.js';
import { bundleFromFiles, compilePolicy, type Policy } from '../src/policy/index.js';
import { median, round } from './statistics.js';

const TURNS = 9;
const FILE = fileURLToPath(new URL('../test/corpus/decisions.jsonl.gz', import.meta.url));

export async function backtest(args: readonly string[]): Promise<void> {
  const { records, policies } = readRecording(await readFile(FILE), FILE);
  const recorded = policies[0];
  if (recorded === undefined) throw new Error('The corpus has no policy.');
  const rules = recorded.files['rules.cedar'] ?? '';
  const changes = {
    'a rule changes': { 'rules.cedar': rules.replace('@approval("dba")', '@approval("dba, quorum=2")') },
    'a limit changes': { 'limits.yaml': (recorded.files['limits.yaml'] ?? '').replace('max: 2500', 'max: 600') },
  };
  const results = Object.entries(changes).map(([name, files]) => {
    const candidate = compilePolicy(bundleFromFiles({ ...recorded.files, ...files }));
    const asked = records.flatMap(({ facts }) => (facts === undefined ? [] : requestsOf(candidate, facts)));
    const bare = (): void => {
      for (const { request, set } of asked) candidate.ask(request, set);
    };
    const engine = (): void => {
      run(records, { candidate, recordedUnder: policies });
    };
    for (const warm of [bare, engine]) warm();
    const times = Array.from({ length: TURNS }, () => ({ bare: timed(bare), engine: timed(engine) }));
    const perSecond = (of: 'bare' | 'engine'): number =>
      Math.round(records.length / median(times.map((one) => one[of])));
    return {
      name,
      decisions: records.length,
      perSecond: perSecond('engine'),
      barePerSecond: perSecond('bare'),
      ratio: round(median(times.map((one) => one.bare / one.engine))),
    };
  });
  const ok = results.every(({ ratio }) => ratio >= 0.5);
  if (args.includes('--json'))
    console.log(JSON.stringify({ bench: 'backtest', bound: { ratio: 0.5 }, results, ok }, null, 2));
  else {
    for (const { name, decisions, perSecond, barePerSecond, ratio } of results) {
      console.log(
        `${name}: ${decisions} decisions, ${perSecond} a second; bare Cedar ${barePerSecond}; ratio ${ratio} (at least 0.5)`,
      );
    }
  }
  if (!ok) process.exitCode = 1;
}

/** The requests that deciding on these facts takes: a second one where only soft forbids stand against the action. */
function requestsOf(policy: Policy, facts: Facts) {
  const request = policy.request(facts);
  const { decision, diagnostics } = policy.ask(request, 'all');
  const forbids = decision === 'allow' ? [] : diagnostics.reason.map((id) => policy.rule(id));
  const soft = forbids.length > 0 && forbids.every(({ approvals }) => approvals !== undefined);
  return [{ request, set: 'all' as const }, ...(soft ? [{ request, set: 'without-soft' as const }] : [])];
}

/** Seconds. */
function timed(work: () => void): number {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
}
