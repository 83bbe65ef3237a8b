/** `npm run chaos -- --actions 300 --seed S [--json]`: everything goes wrong, and the journals judge. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { onShutdown, shutdown } from '../src/dev/index.js';
import { temporaryFolder } from '../src/dev/temporary-folder.js';
import { passes } from './judge.js';
import { run } from './run.js';

const USAGE = `usage: npm run chaos -- [--actions N] [--seed TEXT] [--json] [--evidence FOLDER] [--limit-seconds N] [--temporal dev|production]

  --actions        how many actions the agents propose (default 300)
  --seed           what decides everything that the run decides (default: the time)
  --json           the result as one JSON object on standard output, and nothing else there
  --evidence       an existing folder for everything that was judged; default: a temporary one, kept when something was found
  --limit-seconds  when agents give up (default 600)
  --temporal       dev: the development server (default); production: the production server, on a Postgres of its own
`;

const { values: given } = parseArgs({
  options: {
    actions: { type: 'string', default: '300' },
    seed: { type: 'string', default: String(Date.now()) },
    json: { type: 'boolean', default: false },
    evidence: { type: 'string' },
    'limit-seconds': { type: 'string', default: '600' },
    temporal: { type: 'string', default: 'dev' },
    help: { type: 'boolean', default: false },
  },
});
const actions = Number(given.actions);
const limitSeconds = Number(given['limit-seconds']);
const { temporal } = given;
const usable =
  Number.isInteger(actions) &&
  actions >= 1 &&
  actions <= 10_000 &&
  limitSeconds > 0 &&
  (temporal === 'dev' || temporal === 'production');
if (given.help || !usable) {
  process.stderr.write(USAGE);
  process.exit(given.help ? 0 : 2);
}

const start = Date.now();
const say = (text: string): void =>
  void process.stderr.write(`${((Date.now() - start) / 1000).toFixed(1).padStart(6)} s  ${text}\n`);

const data = await temporaryFolder('chaos');
const evidence = given.evidence ?? (await mkdtemp(path.join(os.tmpdir(), 'countersign-chaos-evidence-')));
// After a signal children and servers go with this process: what they judged so far is nothing to look at.
const callOff = onShutdown('the folder for evidence', async () => {
  if (given.evidence === undefined) await rm(evidence, { recursive: true, force: true });
});
let failed = true;
try {
  const { verdict, disturbances, met, unanswered, seconds } = await run({
    seed: given.seed,
    actions,
    folder: data.path,
    evidence,
    limitMs: limitSeconds * 1000,
    temporal,
    say,
  });
  failed = !passes(verdict);
  const { findings, ...counts } = verdict;
  const result = {
    ...counts,
    seed: given.seed,
    actions,
    disturbances,
    met,
    unanswered,
    seconds,
    ...(failed ? { findings: findings.slice(0, 50), evidence } : {}),
  };
  if (given.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  for (const { fault, actionId, what } of findings.slice(0, 20)) say(`${fault.toUpperCase()} ${actionId}: ${what}`);
  if (failed) say(`look at ${evidence}: evidence.json, and the history of each action above in histories/`);
} finally {
  await data.remove();
  if (failed) callOff();
  await shutdown();
}
process.exit(failed ? 1 : 0);
