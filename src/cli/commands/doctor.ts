/** `countersign doctor`: what is there, what is missing, and what to do about it. */
import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import { asCountersignError, type CountersignError } from '../../action/errors.js';
import type { CountersignConfig } from '../../config/config.js';
import type { RadarSource } from '../../radar/source.js';
import type { Tool } from '../../tools/tool.js';
import { isProduction } from '../../environment.js';
import { examples, run } from '../command.js';
import type { Context } from '../context.js';
import type { Exit } from '../exit-codes.js';
import { effectsStanding, receiptsSeen, receiptsStanding } from '../record-checks.js';
import { sanitize } from '../../presentation/sanitize.js';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found. */
  readonly detail: string;
  /** What to do, when it is not ok. */
  readonly fix?: string;
}

const OLDEST_NODE = [20, 19] as const;

export function doctor(program: Command): void {
  program
    .command('doctor')
    .description('check the installation: Node, Temporal, workers, ledger, keys, config, policies')
    .option('--config <file>', 'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs')
    .option('--this-worker', 'check only that the worker on this machine polls: the health check of its container')
    .addHelpText(
      'after',
      examples('countersign doctor', 'countersign doctor --json | jq ".checks[] | select(.ok | not)"'),
    )
    .action(run(examine));
}

async function examine(context: Context, options: { config?: string; thisWorker?: boolean }): Promise<Exit> {
  const groups = await Promise.all(
    options.thisWorker === true
      ? [check('worker', () => thisWorker(context)).then((found) => [found])]
      : [
          Promise.resolve([node()]),
          temporalChecks(context),
          ledgerChecks(context),
          keyChecks(context),
          configChecks(context, options.config),
        ],
  );
  const checks = groups.flat();
  const ok = checks.every((check) => check.ok);
  const { out } = context;
  const { paint } = out;
  out.result({ ok, checks }, () =>
    checks
      .map(({ name, ok, detail, fix }) => {
        const mark = ok ? paint.green('✓') : paint.red('✗');
        return `${mark} ${name.padEnd(18)} ${sanitize(detail)}${fix === undefined ? '' : `\n  ${paint.dim('fix')}${' '.repeat(16)}${sanitize(fix)}`}`;
      })
      .join('\n'),
  );
  return ok ? 'success' : 'fault';
}

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [oldest, minorOfOldest] = OLDEST_NODE;
  const ok = major > oldest || (major === oldest && minor >= minorOfOldest);
  return bad(ok, { name: 'node', detail: process.versions.node }, `Install Node ${OLDEST_NODE.join('.')} or later.`);
}

async function temporalChecks(context: Context): Promise<Check[]> {
  const { address, namespace, taskQueue } = context.temporalSettings;
  let client: Client;
  try {
    client = await context.temporal();
  } catch (error) {
    return [failed('temporal', error)];
  }
  const [{ missingAttributes, pollers }, { SEARCH_ATTRIBUTES }] = await Promise.all([
    import('../temporal-checks.js'),
    import('../../client/search-attributes.js'),
  ]);
  return Promise.all([
    Promise.resolve({ name: 'temporal', ok: true, detail: address }),
    check('search attributes', async () => {
      const missing = await missingAttributes(client, namespace, Object.keys(SEARCH_ATTRIBUTES));
      const detail = missing.length === 0 ? `registered in ${namespace}` : `${namespace} lacks ${missing.join(', ')}`;
      return bad(missing.length === 0, { name: 'search attributes', detail }, 'Run `countersign setup`.');
    }),
    check('workers', async () => {
      const count = await pollers(client, namespace, taskQueue);
      const detail = count === 0 ? `none on the task queue ${taskQueue}` : `${count} on the task queue ${taskQueue}`;
      return bad(count > 0, { name: 'workers', detail }, 'Start one: `countersign worker` (or `countersign dev`).');
    }),
    ...(context.hasLedger()
      ? [standing('receipts seen', async () => receiptsSeen(await context.ledger(), client))]
      : []),
  ]);
}

async function thisWorker(context: Context): Promise<Check> {
  const { namespace, taskQueue } = context.temporalSettings;
  const client = await context.temporal();
  const [{ pollsFrom }, { hostname }] = await Promise.all([import('../temporal-checks.js'), import('node:os')]);
  const ok = await pollsFrom(hostname(), client, namespace, taskQueue);
  const detail = `${ok ? 'polls' : 'none on this machine polls'} ${taskQueue} in ${namespace}`;
  return bad(ok, { name: 'worker', detail }, 'Restart it, and read its log.');
}

async function ledgerChecks(context: Context): Promise<Check[]> {
  return [
    await check('ledger', async () => {
      const { Ledger } = await import('../../ledger/index.js');
      const { pendingGatewayTables } = await import('../../gateway/store/set-up.js');
      const database = await context.database();
      const { version, schema, writable, latencyMs, ...ledger } = await new Ledger(database).health();
      const pending = [...ledger.pending, ...(await pendingGatewayTables(database))];
      const about = `Postgres ${version}, schema ${schema}, ${Math.round(latencyMs * 10) / 10} ms away`;
      if (!writable) {
        return bad(
          false,
          { name: 'ledger', detail: `${about}, read-only` },
          'Point COUNTERSIGN_LEDGER_URL at the primary server.',
        );
      }
      const detail = pending.length === 0 ? about : `${about}, not set up: ${pending.join(', ')}`;
      return bad(pending.length === 0, { name: 'ledger', detail }, 'Run `countersign setup`.');
    }),
    await standing('receipts', async () => receiptsStanding(await context.ledger())),
    await check('clocks', () => clocksCheck(context)),
  ];
}

async function clocksCheck(context: Context): Promise<Check> {
  const { clocksStanding } = await import('../clock-checks.js');
  const { ok, detail } = await clocksStanding(await context.ledger());
  return bad(ok, { name: 'clocks', detail }, "Have the machine's clock set by NTP, and the database's as well.");
}

async function keyChecks(context: Context): Promise<Check[]> {
  return [
    await check('keys', async () => {
      const { sign } = await context.keyring();
      const missing = (['grant', 'receipt', 'tool'] as const).filter((role) => sign[role] === undefined);
      const can = [
        ...(missing.length === 0 ? ['run a worker'] : []),
        ...(sign.issuer === undefined ? [] : ['issue credentials']),
      ];
      const detail = `the keys can ${can.join(' and ') || 'verify only'}${isProduction(context.env) ? ' (production)' : ''}`;
      return bad(
        missing.length === 0,
        { name: 'keys', detail },
        `A worker needs the private keys for ${missing.join(' and ')} too.`,
      );
    }),
  ];
}

async function configChecks(context: Context, file: string | undefined): Promise<Check[]> {
  const { loadConfig } = await import('../../config/config.js');
  let config: Awaited<ReturnType<typeof loadConfig>>;
  try {
    config = await loadConfig(file, context.env);
  } catch (error) {
    return [failed('config', error)];
  }
  for (const tool of config.tools) context.defer(() => tool.close());
  const tools = config.tools.map(({ name, environment }) => `${name} (${environment})`).join(', ');
  return [
    { name: 'config', ok: true, detail: `tools: ${tools || 'none'}` },
    ...(await Promise.all(config.tools.map((tool) => toolCheck(tool)))),
    ...(await Promise.all(
      config.tools.flatMap((tool) => (tool.radar === undefined ? [] : [radarCheck(tool.name, tool.radar)])),
    )),
    ...(context.hasLedger() && config.tools.some((tool) => tool.effects !== undefined)
      ? [await standing('effects', async () => effectsStanding(await context.ledger(), config.tools))]
      : []),
    await check('policies', async () => {
      const { compilePolicy } = await import('../../policy/index.js');
      const { configuredBundle } = await import('../configured-bundle.js');
      const { bundle, from } = await configuredBundle(context, config);
      return { name: 'policies', ok: true, detail: `${from} (${compilePolicy(bundle).digest})` };
    }),
    ...(context.hasLedger() ? await canaryChecks(context, config) : []),
    ...(config.privacy === undefined ? [] : [await check('privacy', () => privacyCheck(context, config))]),
  ];
}

/** Nothing where none are sent by themselves. */
async function canaryChecks(context: Context, { oversight }: CountersignConfig): Promise<Check[]> {
  const name = 'canaries';
  try {
    const { canaryStanding } = await import('../canary-checks.js');
    const { taskQueue } = context.temporalSettings;
    const standing = await canaryStanding(await context.ledger(), taskQueue, oversight);
    return standing === undefined ? [] : [bad(standing.ok, { name, detail: standing.detail }, standing.fix)];
  } catch (error) {
    return [failed(name, error)];
  }
}

/** The keys that are wanted are there, and rules are for tools that there are. */
async function privacyCheck({ env }: Context, { privacy, tools }: CountersignConfig): Promise<Check> {
  const [{ payloadEncryption }, { openRedaction }] = await Promise.all([
    import('../../privacy/data-converter.js'),
    import('../../privacy/open-redaction.js'),
  ]);
  const encryption = await payloadEncryption(env, privacy);
  const names = tools.map(({ name }) => name);
  const redaction = await openRedaction(privacy?.redaction, encryption, NO_SUBJECTS, names);
  const { keys } = encryption;
  const payloads =
    keys === undefined ? 'payloads are not encrypted' : `${keys.current.id} encrypts, of ${keys.byId.size}`;
  return { name: 'privacy', ok: true, detail: redaction === undefined ? payloads : `${payloads}; values are redacted` };
}

async function toolCheck(tool: Tool): Promise<Check> {
  const name = `tool ${tool.name}`;
  return await check(name, async () => {
    await tool.check?.({ signal: AbortSignal.timeout(TOOL_CHECK_MS) });
    return { name, ok: true, detail: tool.check === undefined ? 'not checked: it has no check' : 'ready for effects' };
  });
}

/** How the radar stands in the tool's system. What it found is in `countersign radar`. */
async function radarCheck(tool: string, radar: RadarSource): Promise<Check> {
  const name = `radar ${tool}`;
  return await check(name, async () => {
    const { ok, detail, fix = '' } = await radar.stands(AbortSignal.timeout(TOOL_CHECK_MS));
    return bad(ok, { name, detail }, fix);
  });
}

/** Nothing is redacted here. */
const NO_SUBJECTS = {
  current: () => Promise.reject(new Error('no key is made here')),
  at: () => Promise.resolve(undefined),
};

/** The longest time for a tool's system to answer. Milliseconds. */
const TOOL_CHECK_MS = 5_000;

/** A check that says how it stands, or throws what is wrong. */
function standing(name: string, look: () => Promise<string>): Promise<Check> {
  return check(name, async () => ({ name, ok: true, detail: await look() }));
}

async function check(name: string, look: () => Promise<Check>): Promise<Check> {
  try {
    return await look();
  } catch (error) {
    return failed(name, error);
  }
}

function failed(name: string, thrown: unknown): Check {
  const error: CountersignError = asCountersignError(thrown);
  return {
    name,
    ok: false,
    detail: `${error.code}: ${error.message}`,
    ...(error.fix === undefined ? {} : { fix: error.fix }),
  };
}

function bad(ok: boolean, found: { name: string; detail: string }, fix: string): Check {
  return ok ? { ...found, ok } : { ...found, ok, fix };
}
