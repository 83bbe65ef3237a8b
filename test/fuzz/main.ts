/** `npm run fuzz -- [--minutes N] [--target NAME] [--seed N]`: feeds each target in turn, keeps what breaks a promise, and prints figures as JSON. */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { fuzz, keep, type Found } from './fuzz.js';
import { TARGETS } from './targets.js';

const { values } = parseArgs({
  options: { minutes: { type: 'string' }, target: { type: 'string' }, seed: { type: 'string' } },
});
const minutes = Number(values.minutes ?? 1);
const chosen = TARGETS.filter(({ name }) => values.target === undefined || name === values.target);
if (!(minutes > 0) || chosen.length === 0) {
  process.stderr.write(
    `--minutes is a number above 0, --target one of ${TARGETS.map(({ name }) => name).join(', ')}\n`,
  );
  process.exit(2);
}
os.setPriority(os.constants.priority.PRIORITY_LOW);
const seed = Number(values.seed ?? Date.now() % 2 ** 31);

/** Turns are short, so that each target has had many when it is interrupted. */
const TURN_MS = Math.min(10_000, (minutes * 60_000) / chosen.length);
const figures = new Map<string, { cases: number; ms: number }>();
const broken: Found[] = [];
const until = Date.now() + minutes * 60_000;
for (let turn = 0; Date.now() < until; turn++) {
  // One that is broken is broken again at once.
  const whole = chosen.filter(({ name }) => broken.every(({ target }) => target !== name));
  const target = whole[turn % whole.length];
  if (target === undefined) break;
  const found = await fuzz(target, { cases: 1_000_000, withinMs: TURN_MS, seed: seed + turn });
  const { cases, ms } = figures.get(target.name) ?? { cases: 0, ms: 0 };
  figures.set(target.name, { cases: cases + found.cases, ms: ms + found.ms });
  if (found.broken === undefined) continue;
  broken.push(found);
  process.stderr.write(`${target.name}: ${found.broken.why}\n  kept as ${await keep(target, found.broken.text)}\n`);
}
process.stdout.write(`${JSON.stringify({ seed, minutes, targets: Object.fromEntries(figures), broken }, null, 2)}\n`);
process.exit(broken.length === 0 ? 0 : 1);
