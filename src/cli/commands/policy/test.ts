/** `countersign policy test`: the tests of a policy folder, and which rules none of them made decide. */
import type { Command } from 'commander';
import type { RuleCoverage, TestResult, TestRun } from '../../../policy/authoring/testing/run.js';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import type { Exit } from '../../exit-codes.js';
import { usageError } from '../../usage-error.js';
import { wholeNumber } from '../../whole-number.js';
import { bundleSource, CONFIG_OPTION, FOLDER_ARGUMENT, type SourceOptions } from './bundle-source.js';

interface TestOptions extends SourceOptions {
  readonly junit?: string;
  readonly watch?: boolean;
  readonly coverage?: boolean;
  readonly minCoverage?: number;
}

/** How often a watched folder is looked at. Milliseconds. */
const WATCH_MS = 300;

export function testPolicy(policy: Command): void {
  policy
    .command('test')
    .argument(...FOLDER_ARGUMENT)
    .description('run the tests in tests/*.yaml of a policy folder')
    .option(...CONFIG_OPTION)
    .option('--junit <file>', 'write the results as JUnit XML too')
    .option('--coverage', 'show which tests each rule decided in')
    .option(
      '--min-coverage <percent>',
      'fail when tests made fewer of the rules decide',
      wholeNumber('--min-coverage', 0, 100),
    )
    .option('--watch', 'run again whenever the folder changes, until Ctrl-C')
    .addHelpText(
      'after',
      examples(
        'countersign policy test',
        'countersign policy test ./policies --min-coverage 100 --junit results.xml',
        'countersign policy test ./policies --watch',
      ) + '\n\nExits with 1 when a test fails. docs/policy-authoring.md shows how tests are written.',
    )
    .action(run(testFolder));
}

async function testFolder(context: Context, given: string | undefined, options: TestOptions): Promise<Exit> {
  const { folder } = await bundleSource(context, given, options);
  if (options.watch !== true) return await testOnce(context, folder, options);
  if (context.out.json) {
    throw usageError('A watch has no one result.', { field: '--json', fix: 'Leave out --json or --watch.' });
  }
  const [{ awaitStop }, { folderFingerprint }] = await Promise.all([
    import('../../await-stop.js'),
    import('../../../policy/folder.js'),
  ]);
  const { stopped } = awaitStop();
  let last: string | undefined;
  for (let ended = false; !ended; ended = await stoppedWithin(stopped, WATCH_MS)) {
    const now = await folderFingerprint(folder);
    if (now === last) continue;
    last = now;
    await testOnce(context, folder, options).catch((error: unknown) => context.out.fail(error));
    context.out.note('watching; Ctrl-C to stop');
  }
  return 'success';
}

async function stoppedWithin(stopped: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
  try {
    return await Promise.race([stopped.then(() => true), waited]);
  } finally {
    clearTimeout(timer);
  }
}

async function testOnce(context: Context, folder: string, options: TestOptions): Promise<Exit> {
  const [{ compilePolicy, loadBundle }, { readTables }, { coveredPercent, runTables }, { junitXml }] =
    await Promise.all([
      import('../../../policy/index.js'),
      import('../../../policy/authoring/testing/table.js'),
      import('../../../policy/authoring/testing/run.js'),
      import('../../../policy/authoring/testing/junit.js'),
    ]);
  const policy = compilePolicy(await loadBundle(folder));
  const tests = readTables(policy.bundle.files);
  if (tests.length === 0) {
    throw usageError(`${folder} has no tests.`, {
      field: 'folder',
      expected: 'tests/*.yaml in it',
      fix: 'docs/policy-authoring.md shows how they are written.',
    });
  }
  const ran = runTables(policy, tests);
  const percent = coveredPercent(ran.coverage);
  const failed = ran.results.filter(({ differences }) => differences.length > 0);
  const covered = percent >= (options.minCoverage ?? 0);
  const ok = failed.length === 0 && covered;
  if (options.junit !== undefined) {
    const { writeFile } = await import('node:fs/promises');
    await writeFile(options.junit, junitXml(ran.results));
  }
  const { out } = context;
  const document = {
    ok,
    folder,
    digest: policy.digest,
    tests: ran.results.length,
    failed: failed.length,
    coveredPercent: percent,
    uncovered: ran.coverage.filter((rule) => rule.tests.length === 0).map(({ id }) => id),
    results: ran.results.map(({ name, place, differences }) => ({
      name,
      place,
      ok: differences.length === 0,
      differences,
    })),
    coverage: ran.coverage,
  };
  const texts = await resultTexts(context, ran, percent, options);
  out.result(document, () => texts.join('\n'));
  return ok ? 'success' : 'fault';
}

async function resultTexts(
  { out: { paint } }: Context,
  { results, coverage }: TestRun,
  percent: number,
  { coverage: whole = false, minCoverage = 0 }: TestOptions,
): Promise<readonly string[]> {
  const [{ locationText }, { differenceText }] = await Promise.all([
    import('../../../policy/cedar.js'),
    import('../../../policy/authoring/testing/junit.js'),
  ]);
  const failed = results.filter(({ differences }) => differences.length > 0);
  const failure = ({ name, place, differences }: TestResult): readonly string[] => [
    `${paint.red('✗')} ${paint.bold(sanitize(name))}  ${paint.dim(locationText(place))}`,
    ...differences.map((difference) => `    ${sanitize(differenceText(difference))}`),
  ];
  const line = ({ id, place, tests }: RuleCoverage): string => {
    const mark = tests.length === 0 ? paint.yellow('never') : String(tests.length).padStart(5);
    return `  ${mark}  ${sanitize(id)}  ${paint.dim(locationText(place))}`;
  };
  const shown = coverage.filter(({ tests }) => whole || tests.length === 0);
  return [
    ...failed.flatMap(failure),
    `${failed.length === 0 ? paint.green('✓') : paint.red('✗')} ${results.length - failed.length} of ${results.length} tests pass`,
    `${percent >= minCoverage ? paint.green('✓') : paint.red('✗')} ${percent} % of ${coverage.length} rules decided in some test${minCoverage > 0 ? `, at least ${minCoverage} % must` : ''}`,
    ...(shown.length === 0
      ? []
      : [paint.dim(whole ? 'decided in so many tests:' : 'decided in no test:'), ...shown.map(line)]),
  ];
}
