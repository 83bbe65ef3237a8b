/** `countersign prove`: whether the guarantees hold with one's own policies, tools and keys, tried where nothing can be harmed. */
import path from 'node:path';
import type { Command } from 'commander';
import { sanitize } from '../../presentation/sanitize.js';
import type { ProvenReport, Result } from '../../prove/report.js';
import { collect, examples, run } from '../command.js';
import { LOCAL_FOLDER, type Context } from '../context.js';
import type { Exit } from '../exit-codes.js';
import type { Paint } from '../output.js';
import { usageError } from '../usage-error.js';

interface ProveCommandOptions {
  readonly config?: string;
  readonly policies?: string;
  readonly tenant: string;
  readonly scratchDatabase?: string;
  readonly scratchTemporal?: string;
  readonly sandbox?: readonly string[];
  readonly schema?: readonly string[];
  readonly proposals?: string;
  readonly publicKeys?: string;
  readonly only?: readonly string[];
  readonly junit?: string;
}

export function proveCommand(program: Command): void {
  program
    .command('prove')
    .description('try to break every guarantee with your own policies, tools and keys, in a scratch world')
    .option('--config <file>', 'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs')
    .option('--policies <folder>', "the policy folder; default: the config's")
    .option('--sandbox <tool=url>', 'a sandbox of the service of an http or mcp tool; repeat it for others', collect)
    .option(
      '--schema <tool=file>',
      "SQL that makes the tables of a postgres tool; default: its database's catalog is read",
      collect,
    )
    .option('--proposals <file>', 'proposals to try, where none can be made up (docs/prove.md)')
    .option(
      '--scratch-database <url>',
      'a Postgres on which databases may be made and removed; default: an embedded one',
    )
    .option(
      '--scratch-temporal <host:port>',
      'a Temporal on which namespaces may be made and removed; default: an embedded one',
    )
    .option('--public-keys <file>', "auditors' public keys, to be compared with the keys of this process")
    .option(
      '--tenant <tenant>',
      'whose agents and people are made up, where rules are about tenants',
      'countersign-prove',
    )
    .option('--only <name>', 'a guarantee or a family of them; repeat it for others', collect)
    .option('--junit <file>', 'write the results as JUnit XML too')
    .addHelpText(
      'after',
      examples(
        'countersign prove',
        'countersign prove --sandbox payments=http://127.0.0.1:9000 --junit proven.xml',
        'countersign prove --schema shop-db=schema.sql --only approvals --json',
      ) +
        '\n\nNothing is sent to the systems of your tools, your Temporal or your ledger; without --schema, the catalog of a database is read.\n' +
        'Exit codes: 0, every guarantee that applies holds; 1, one is broken; 2, it could not be tried.',
    )
    .action(run(runProve));
}

async function runProve(context: Context, options: ProveCommandOptions): Promise<Exit> {
  const { out } = context;
  const [{ prove }, { junitOf }] = await Promise.all([
    import('../../prove/prove.js'),
    import('../../prove/report.js'),
    quietly(),
  ]);
  let report: ProvenReport;
  try {
    const { config, configFile } = await configOf(context, options);
    report = await prove({
      config,
      configFile,
      env: context.env,
      developmentKeys: path.resolve(LOCAL_FOLDER, 'keys.json'),
      policies: options.policies,
      tenant: (await import('../action-name.js')).checkTenant(options.tenant),
      scratchDatabase: options.scratchDatabase,
      scratchTemporal: options.scratchTemporal,
      sandboxes: pairsOf('--sandbox', options.sandbox),
      schemas: pairsOf('--schema', options.schema),
      proposals: options.proposals,
      publicKeys: options.publicKeys,
      only: options.only,
      log: (message) => out.note(message),
      told: ({ id, status }) => out.note(`${MARKS[status]} ${id}`),
    });
  } catch (thrown) {
    // Nothing was tried, whatever the reason: scripts must not take it for a guarantee that is broken.
    out.fail(thrown);
    return 'usage';
  }
  if (options.junit !== undefined) {
    const { writeFile } = await import('node:fs/promises');
    await writeFile(options.junit, junitOf(report));
  }
  out.result(report, () => reportText(report, out.paint));
  if (report.broken > 0) return 'fault';
  return report.notTried > 0 ? 'usage' : 'success';
}

async function configOf(context: Context, { config: named }: ProveCommandOptions) {
  const { configFile, loadConfig } = await import('../../config/config.js');
  const file = configFile(named, context.env);
  if (file === undefined) {
    throw usageError('There is no config.', {
      field: '--config',
      expected: 'the config of the workers',
      fix: 'Name it with --config; `countersign init` writes one.',
    });
  }
  const config = await loadConfig(file, context.env);
  // The operator's own tools are read and never called; what they opened to read definitions is closed.
  for (const tool of config.tools) context.defer(() => tool.close());
  return { config, configFile: path.resolve(file) };
}

/** The SDK's own log would be in the way of the results. */
async function quietly(): Promise<void> {
  const { DefaultLogger, Runtime } = await import('@temporalio/worker');
  const logger = new DefaultLogger('ERROR', () => {});
  Runtime.install({ logger, telemetryOptions: { logging: { filter: 'ERROR', forward: {} } }, shutdownSignals: [] });
}

function pairsOf(option: string, given: readonly string[] = []): Readonly<Record<string, string>> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)] as const;
      throw usageError(`${option} does not say of which tool.`, { field: option, expected: 'TOOL=VALUE' });
    }),
  );
}

const MARKS: Readonly<Record<Result['status'], string>> = {
  holds: '✓',
  broken: '✗',
  not_applicable: '–',
  not_tried: '!',
};

function reportText(report: ProvenReport, paint: Paint): string {
  const { guarantees, tools, untried, holds, broken, notApplicable, notTried, milliseconds } = report;
  const families = [...new Set(guarantees.map(({ family }) => family))];
  const blocks = families.flatMap((family) => [
    '',
    paint.bold(family),
    ...guarantees.filter((one) => one.family === family).flatMap((one) => resultLines(one, paint)),
  ]);
  const left = tools.flatMap(({ name, leftOut }) =>
    leftOut.map((what) => paint.dim(`not made anew of ${name}: ${sanitize(what)}`)),
  );
  const not = Object.entries(untried).map(([name, why]) =>
    paint.yellow(`${sanitize(name)} was not tried: ${sanitize(why)}`),
  );
  const counts = [
    `${holds} hold`,
    ...(broken === 0 ? [] : [paint.red(`${broken} broken`)]),
    ...(notTried === 0 ? [] : [paint.red(`${notTried} could not be tried`)]),
    `${notApplicable} do not apply`,
  ];
  const seconds = (milliseconds / 1000).toFixed(1);
  return [...blocks, '', ...left, ...not, `${counts.join(', ')}  ${paint.dim(`(${seconds} s)`)}`].join('\n');
}

function resultLines({ id, promise, status, detail, fix }: Result, paint: Paint): readonly string[] {
  const colour = { holds: paint.green, broken: paint.red, not_applicable: paint.dim, not_tried: paint.red }[status];
  return [
    `${colour(MARKS[status])} ${sanitize(promise)}  ${paint.dim(id)}`,
    ...(status === 'holds' ? [] : [`    ${status === 'not_applicable' ? 'Does not apply: ' : ''}${sanitize(detail)}`]),
    ...(fix === undefined ? [] : [`    ${paint.bold('fix')} ${sanitize(fix)}`]),
  ];
}
