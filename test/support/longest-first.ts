/** The order of a run: what takes long begins first, so that no file runs alone at the end while a core is idle. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What took over 14 s in a whole run on two cores, the longest first. The rest follows as Vitest orders it: larger files first. */
const LONGEST = [
  'hazards/canaries',
  'prove/prove',
  'browser/pages',
  'hazards/policy-rollout',
  'cli/processes',
  'radar/definitions',
  'hazards/compensation',
  'gateway/mcp',
  'hazards/restarts',
  'chaos/short-run',
  'notify/notification',
  'gateway/api',
  'browser/approval',
  'hazards/standing-approvals',
  'radar/postgres',
  'hazards/postgres-lies',
  'hazards/limits',
  'workflow/temporal-native',
  'hazards/crash',
  'cli/actions',
  'chaos/broken-runtime',
  'hazards/outages',
  'dev/postgres',
  'radar/required',
  'gateway/dry-run',
  'gateway/attacks',
  'hazards/saga',
  'hazards/people',
  'hazards/signed-commands',
  'tools/http-action',
  'verify/evaluator',
  'tools/mcp',
  'replay/command',
  'prove/ways-in',
  'hazards/overtaken',
  'clients/adapters',
  'clients/client',
  'hazards/edits',
  'dev/no-orphans',
  'browser/temporal-ui',
  'gateway/events',
  'browser/hostile',
  'workflow/upgrade',
  'hazards/accepted-pins',
  'radar/lease',
  'radar/hostile',
  'policy/backtest/corpus',
  'hazards/left-behind',
  'cli/receipts',
  'docs/tutorial',
  'cli/init',
  'radar/acknowledge',
  'gateway/openapi',
  'hazards/later-runs',
  'hazards/runaway',
  'hazards/faults',
  'docs/clients',
  'ledger/outage',
  'telemetry/traces',
  'site/site',
  'cli/usage',
  'cli/policy-backtest',
  'dev/temporal',
  'radar/required-http',
  'tools/postgres-execute',
  'hazards/one-effect',
  'hazards/decided-and-cancelled',
  'hazards/history',
  'tools/http-outcomes',
  'ledger/archive',
  'verify/actions',
  'tools/postgres-conformance',
  'workflow/steps',
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
