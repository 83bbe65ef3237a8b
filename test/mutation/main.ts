/**
 * `npm run mutation -- [--only NAME,NAME] [--concurrency N] [--static] [--survivors]`: changes the sources in one place at a time, and counts how often
 * the tests notice. Progress goes to standard error, the figures are one JSON object on standard output, and a score below the threshold fails.
 */
import { parseArgs } from 'node:util';
import { figuresOf, survivorsOf, type Figures } from './figures.js';
import { PARTS } from './parts.js';
import { BREAK, installStryker, runStryker } from './stryker.js';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    concurrency: { type: 'string', default: '2' },
    static: { type: 'boolean', default: false },
    survivors: { type: 'boolean', default: false },
  },
});
const names = values.only?.split(',') ?? PARTS.map(({ name }) => name);
const unknown = names.filter((name) => PARTS.every((part) => part.name !== name));
const concurrency = Number(values.concurrency);
if (unknown.length > 0 || !Number.isSafeInteger(concurrency) || concurrency < 1) {
  const all = PARTS.map(({ name }) => name).join(', ');
  process.stderr.write(`--only is one or more of ${all}, with commas between; --concurrency is a number above 0\n`);
  process.exit(2);
}

const modules = await installStryker();
const parts: Record<string, Figures> = {};
for (const part of PARTS.filter(({ name }) => names.includes(name))) {
  process.stderr.write(`${part.name}: ${part.mutate.join(' ')}\n`);
  const report = await runStryker(modules, part, { concurrency, statics: values.static });
  const figures = figuresOf(report);
  parts[part.name] = figures;
  if (values.survivors) for (const line of survivorsOf(report)) process.stderr.write(`${line}\n`);
  process.stderr.write(
    `${part.name}: ${figures.score} % killed; report: .countersign/mutation/${part.name}/report.html\n`,
  );
}
process.stdout.write(`${JSON.stringify({ break: BREAK, parts }, null, 2)}\n`);
process.exit(Object.values(parts).every(({ score }) => score >= BREAK) ? 0 : 1);
