/** The order of a run: what takes long begins first, so that no file runs alone at the end while a core is idle. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What took over 20 s in a whole run on two cores, the longest first. The rest follows as Vitest orders it: larger files first. */
const LONGEST = [
  'prove/prove',
  'hazards/crash',
  'hazards/restarts',
  'browser/pages',
  'hazards/canaries',
  'hazards/compensation',
  'cli/processes',
  'radar/definitions',
  'radar/postgres',
  'radar/required',
  'radar/lease',
  'chaos/broken-runtime',
  'hazards/limits',
  'prove/ways-in',
  'dev/postgres',
  'hazards/policy-rollout',
  'chaos/short-run',
  'workflow/upgrade',
  'dev/no-orphans',
  'hazards/standing-approvals',
  'workflow/temporal-native',
  'gateway/mcp',
  'notify/notification',
  'hazards/left-behind',
  'hazards/runaway',
  'cli/actions',
  'docs/clients',
  'browser/approval',
  'cli/receipts',
  'hazards/postgres-lies',
  'hazards/faults',
  'hazards/saga',
  'gateway/api',
  'clients/adapters',
  'hazards/outages',
  'browser/hostile',
  'browser/temporal-ui',
  'policy/backtest/corpus',
  'docs/readme',
  'replay/command',
  'hazards/people',
  'dev/temporal',
  'gateway/events',
  'tools/mcp',
  'hazards/signed-commands',
  'client/closing',
  'ledger/archive',
  'gateway/dry-run',
  'tools/http-action',
  'hazards/later-runs',
  'clients/client',
  'docs/mcp',
  'cli/usage',
  'gateway/attacks',
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
