/** The order of a run: what takes long begins first, so that no file runs alone at the end while a core is idle. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What took over 20 s in a whole run on two cores, the longest first. The rest follows as Vitest orders it: larger files first. */
const LONGEST = [
  'prove/prove',
  'hazards/canaries',
  'hazards/restarts',
  'hazards/crash',
  'hazards/policy-rollout',
  'cli/processes',
  'hazards/compensation',
  'chaos/short-run',
  'hazards/limits',
  'hazards/left-behind',
  'chaos/broken-runtime',
  'radar/definitions',
  'cli/actions',
  'workflow/temporal-native',
  'hazards/standing-approvals',
  'hazards/postgres-lies',
  'browser/pages',
  'hazards/runaway',
  'hazards/overtaken',
  'gateway/api',
  'radar/postgres',
  'hazards/saga',
  'hazards/edits',
  'hazards/decided-and-cancelled',
  'policy/backtest/corpus',
  'gateway/mcp',
  'replay/command',
  'dev/postgres',
  'dev/no-orphans',
  'workflow/upgrade',
  'radar/required',
  'radar/hostile',
  'radar/lease',
  'tools/mcp',
  'hazards/faults',
  'notify/notification',
  'browser/approval',
  'ledger/archive',
  'verify/evaluator',
  'tools/http-action',
  'hazards/one-effect',
  'hazards/people',
  'hazards/accepted-pins',
  'gateway/attacks',
  'clients/client',
  'gateway/dry-run',
  'gateway/events',
  'cli/receipts',
  'cli/init',
];

const TESTS = path.resolve(import.meta.dirname, '..');
const PLACES = new Map(LONGEST.map((name, place) => [path.join(TESTS, `${name}.test.ts`), place]));

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const gone = [...PLACES.keys()].filter((file) => !existsSync(file));
    if (gone.length > 0) throw new Error(`test/support/longest-first.ts names what is not there: ${gone.join(', ')}`);
    const place = ({ moduleId }: TestSpecification): number => PLACES.get(moduleId) ?? LONGEST.length;
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
