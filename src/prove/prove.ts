/** Tries to break every guarantee in a scratch world made of the operator's policies and tools, and says what came of it. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { editedFolder } from '../config/config.js';
import { temporaryFolder } from '../dev/temporary-folder.js';
import { Ledger } from '../ledger/index.js';
import { knownValues } from '../policy/authoring/explain/known.js';
import { compilePolicy, loadBundle, type Policy } from '../policy/index.js';
import { payloadEncryption } from '../privacy/data-converter.js';
import { createPayloadKeys } from '../privacy/payload-key-files.js';
import { generateKeyringFile, parseKeyring } from '../trust/index.js';
import { casesOf, type ToolCases } from './cases.js';
import { Checks, type Guarantee } from './guarantee.js';
import { readProposals } from './proposals.js';
import { chosen } from './registry.js';
import { countOf, type ProvenReport, type Result } from './report.js';
import { captureLog } from './scratch/captured-log.js';
import { scratchConfig } from './scratch/config.js';
import { neutral, openScratchServers, scratchName, type ScratchServers } from './scratch/servers.js';
import { refuseOwnPlaces } from './own-places.js';
import { checkPlaces, nothingToTry, openTools, SECRET_VARIABLE, type OpenedTools } from './tools.js';
import { World, type Operator } from './world.js';

export interface ProveOptions extends Operator {
  /** The folder of policies, where the config takes them from the ledger. */
  readonly policies?: string | undefined;
  /** The tenant of the agents and people that are made up. Rules may be about it. */
  readonly tenant: string;
  readonly scratchDatabase?: string | undefined;
  readonly scratchTemporal?: string | undefined;
  readonly sandboxes: Readonly<Record<string, string>>;
  readonly schemas: Readonly<Record<string, string>>;
  /** A file of proposals, for what cannot be made up. */
  readonly proposals?: string | undefined;
  readonly publicKeys?: string | undefined;
  /** Ids or families of guarantees. Default: all. */
  readonly only?: readonly string[] | undefined;
  readonly log: (message: string) => void;
  /** Called with each result as it comes. */
  readonly told: (result: Result) => void;
}

/** Rows in each table: more than one above the highest bound of rows that a rule has, and at most so many. */
const ROWS = { least: 24, most: 400 } as const;

/**
 * @throws CountersignError where there is nothing to try it on, or a place that was named is the operator's own: then nothing was tried
 */
export async function prove(options: ProveOptions): Promise<ProvenReport> {
  const began = performance.now();
  const guarantees = chosen(options.only);
  refuseOwnPlaces(options);
  checkPlaces({ ...options, tools: options.config.tools });
  const { folder: policies, policy } = await policiesOf(options);
  const folder = await temporaryFolder('prove');
  const before = process.env;
  // Whatever looks for an address or a key of the operator's from here on finds none.
  const secret = `canary${randomBytes(18).toString('hex')}`;
  process.env = { ...neutral(before), [SECRET_VARIABLE]: secret };
  try {
    const servers = await openScratchServers({
      databaseUrl: options.scratchDatabase,
      temporalAddress: options.scratchTemporal,
      env: before,
      log: options.log,
    });
    try {
      return await inWorld(options, { servers, policies, policy, folder: folder.path, secret, guarantees, began });
    } finally {
      await servers.stop();
    }
  } finally {
    process.env = before;
    await folder.remove();
  }
}

interface Making {
  readonly servers: ScratchServers;
  readonly policies: string;
  readonly policy: Policy;
  readonly folder: string;
  readonly secret: string;
  readonly guarantees: readonly Guarantee[];
  readonly began: number;
}

async function inWorld(options: ProveOptions, making: Making): Promise<ProvenReport> {
  const { servers, policy, secret } = making;
  const { config, tenant, log } = options;
  const redacted = `redacted${randomBytes(12).toString('hex')}`;
  const proposals = options.proposals === undefined ? new Map() : await readProposals(options.proposals);
  log('making tables and rows for the tools');
  const rules = config.privacy?.redaction?.tools ?? {};
  const opened = await openTools({
    tools: config.tools,
    sandboxes: options.sandboxes,
    schemas: options.schemas,
    servers,
    rows: Math.min(ROWS.most, Math.max(ROWS.least, ...knownValues(policy).rows) + 2),
    secret,
    marked: (tool) => Object.fromEntries((rules[tool]?.fields ?? []).map((name) => [name, redacted])),
    proposals,
  });
  try {
    if (opened.proven.length === 0 && config.tools.length > 0) throw nothingToTry(Object.entries(opened.untried));
    log('asking the policies what they allow, deny and ask people about');
    const cases: ToolCases[] = [];
    for (const proven of opened.proven) cases.push(await casesOf(proven, { policy, tenant }));
    return await withWorld(options, making, { opened, cases, redacted });
  } finally {
    for (const one of opened.proven) await one.close().catch(() => {});
  }
}

interface Found {
  readonly opened: OpenedTools;
  readonly cases: readonly ToolCases[];
  readonly redacted: string;
}

async function withWorld(
  options: ProveOptions,
  making: Making,
  { opened, cases, redacted }: Found,
): Promise<ProvenReport> {
  const { servers, policies, policy, folder, secret } = making;
  const { config, configFile, env, developmentKeys, tenant, publicKeys } = options;
  const keyFiles = {
    payloads: path.join(folder, 'payload-keys.json'),
    redaction: path.join(folder, 'redaction-keys.json'),
  };
  for (const file of Object.values(keyFiles)) await createPayloadKeys(file, new Date());
  const keys = JSON.stringify(await generateKeyringFile());
  const tools = opened.proven.map(({ tool }) => tool);
  const own = scratchConfig(config, { policies, tools, keyFiles });
  const ledgerUrl = await servers.createDatabase(scratchName('ledger'));
  const ledger = await Ledger.connect({ url: ledgerUrl, poolSize: 4 });
  try {
    await ledger.migrate();
    const world = await World.open({
      tenant,
      servers,
      temporal: servers.temporal,
      ledgerUrl,
      ledger,
      keys,
      keyring: await parseKeyring(keys, 'countersign prove'),
      encryption: await payloadEncryption({}, own.privacy),
      config: own,
      operator: { config, configFile, env, developmentKeys },
      policies,
      policy,
      cases,
      untried: opened.untried,
      log: captureLog(),
      secret,
      redacted,
      publicKeys,
      folder,
    });
    try {
      return reportOf(await tried(world, making.guarantees, options), opened, making);
    } finally {
      await world.close();
    }
  } finally {
    await ledger.close();
  }
}

async function tried(
  world: World,
  guarantees: readonly Guarantee[],
  { told }: ProveOptions,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const checks = new Checks(world, guarantees);
  for (const guarantee of guarantees) {
    const { id, family, promise } = guarantee;
    const began = performance.now();
    const about = { id, family, promise };
    let result: Omit<Result, 'milliseconds'>;
    try {
      result = { ...about, ...(await checks.check(guarantee)) };
    } catch (thrown) {
      const error = asCountersignError(thrown);
      const fix = error.fix ?? 'Run it again; report it if it stays so.';
      result = {
        ...about,
        status: 'not_tried',
        detail: `It could not be tried: ${error.message}`,
        fix,
        error: error.toJSON(),
      };
    }
    const timed = { ...result, milliseconds: Math.round(performance.now() - began) };
    results.push(timed);
    told(timed);
  }
  return results;
}

function reportOf(
  guarantees: readonly Result[],
  { proven, untried }: OpenedTools,
  { policy, began }: Making,
): ProvenReport {
  const [broken, notTried] = [countOf(guarantees, 'broken'), countOf(guarantees, 'not_tried')];
  return {
    ok: broken === 0 && notTried === 0,
    holds: countOf(guarantees, 'holds'),
    broken,
    notApplicable: countOf(guarantees, 'not_applicable'),
    notTried,
    tools: proven.map(({ tool: { name, kind, environment }, leftOut }) => ({ name, kind, environment, leftOut })),
    untried,
    policyDigest: policy.digest,
    milliseconds: Math.round(performance.now() - began),
    guarantees,
  };
}

/** @throws CountersignError CONFIG_INVALID, POLICY_INVALID */
async function policiesOf({ config, policies }: ProveOptions): Promise<{ folder: string; policy: Policy }> {
  const found = policies ?? editedFolder(config);
  if (found === undefined) {
    throw new CountersignError(
      'CONFIG_INVALID',
      'The config takes its policies from the ledger, and names no folder.',
      {
        field: '--policies',
        expected: 'the folder of the policies to be proven',
        fix: 'Name it with --policies; nothing is read from your ledger.',
      },
    );
  }
  const folder = path.resolve(found);
  return { folder, policy: compilePolicy(await loadBundle(folder)) };
}
