/** The operator's tools, made anew on systems that are nobody's. What cannot be made anew is not tried at all. */
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { configInvalid } from '../action/errors-config.js';
import type { Place } from '../tools/elsewhere.js';
import { unfitSandbox } from './scratch/sandbox.js';
import type { Tool } from '../tools/tool.js';
import { fromUntrusted, type Candidate } from './candidates/candidate.js';
import { operationCandidates } from './candidates/operations.js';
import { postgresCandidates } from './candidates/postgres.js';
import { makeScratchDatabase, type ScratchDatabase } from './scratch/database.js';
import { JOURNAL_TABLE } from './scratch/journal.js';
import { startRelay, type Relay } from './scratch/relay.js';
import type { ScratchServers } from './scratch/servers.js';

/** The variable that every credential of a tool is read from. */
export const SECRET_VARIABLE = 'COUNTERSIGN_PROVE_SECRET';

interface ToolsOptions {
  readonly tools: readonly Tool[];
  /** Base URLs of sandboxes, by the tool's name. */
  readonly sandboxes: Readonly<Record<string, string>>;
  /** Files of SQL that make the tables of a tool's database, by the tool's name. */
  readonly schemas: Readonly<Record<string, string>>;
  readonly servers: ScratchServers;
  readonly rows: number;
  readonly secret: string;
  readonly marked: (tool: string) => Readonly<Record<string, string>>;
  /** Proposals that the operator wrote, by the tool's name. */
  readonly proposals: ReadonlyMap<string, readonly Candidate[]>;
}

export interface ProvenTool {
  readonly tool: Tool;
  readonly place: Place;
  readonly candidates: readonly Candidate[];
  /** How many effects its system has had so far, by a witness that is not the tool. */
  readonly effects: () => Promise<number>;
  /** The same, where what was sent again under the same key counts once. */
  readonly distinctEffects: () => Promise<number>;
  readonly database?: ScratchDatabase;
  /** What could not be made anew of it. */
  readonly leftOut: readonly string[];
  close(): Promise<void>;
}

export interface OpenedTools {
  readonly proven: readonly ProvenTool[];
  /** Why a tool is not tried, by its name. */
  readonly untried: Readonly<Record<string, string>>;
}

/** How long reading the definitions of a database may take. Milliseconds. */
const DEFINITIONS_MS = 15_000;

/** As pg_dump writes them. */
const EXTENSION_LINES = /^(?:CREATE|COMMENT ON) EXTENSION [^;\n]*;$/gm;

/** Once `checkPlaces` has passed. */
export async function openTools(options: ToolsOptions): Promise<OpenedTools> {
  const proven: ProvenTool[] = [];
  const untried: Record<string, string> = {};
  try {
    for (const tool of options.tools) {
      const opened = await openTool(tool, options);
      if (typeof opened === 'string') untried[tool.name] = opened;
      else proven.push(opened);
    }
  } catch (error) {
    for (const one of proven) await one.close();
    throw error;
  }
  return { proven, untried };
}

/**
 * An accident, such as a production address in the place of a sandbox's, ends here.
 *
 * @throws CountersignError CONFIG_INVALID where a place that was named is one of the operator's own, or no tool could be tried anywhere
 */
export function checkPlaces({
  tools,
  sandboxes,
  schemas,
}: Pick<ToolsOptions, 'tools' | 'sandboxes' | 'schemas'>): void {
  const names = new Set(tools.map(({ name }) => name));
  for (const [option, given] of Object.entries({ '--sandbox': sandboxes, '--schema': schemas })) {
    const unknown = Object.keys(given).find((name) => !names.has(name));
    if (unknown !== undefined)
      throw configInvalid(`${option} ${unknown}`, `for one of ${[...names].join(', ')}`, 'the command');
  }
  for (const [name, url] of Object.entries(sandboxes)) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw configInvalid(`--sandbox ${name}`, 'a URL of http or https', 'the command');
    }
    const owner = tools.find(({ elsewhere }) => elsewhere?.needs === 'address' && elsewhere.isOwn(url));
    if (owner !== undefined) throw isOwn(`--sandbox ${name}`, owner.name);
  }
  const without = tools.map((tool) => [tool.name, placeMissing(tool, sandboxes)] as const);
  if (tools.length > 0 && without.every(([, why]) => why !== undefined)) throw nothingToTry(without);
}

/** Why a tool cannot be tried, whatever is done for it; undefined where it can. */
function placeMissing({ name, elsewhere }: Tool, sandboxes: ToolsOptions['sandboxes']): string | undefined {
  if (elsewhere === undefined) return 'it cannot be made anew elsewhere (it has no member `elsewhere`)';
  if (elsewhere.needs === 'database' || sandboxes[name] !== undefined) return undefined;
  return `no sandbox was named for it: --sandbox ${name}=http://…`;
}

/** @param untried names of tools, and why each cannot be tried */
export function nothingToTry(untried: readonly (readonly [string, string | undefined])[]): CountersignError {
  const why = untried.map(([name, reason = '']) => `${name}: ${reason}`).join('; ');
  return new CountersignError('CONFIG_INVALID', `No tool can be tried where nothing can be harmed. ${why}.`, {
    field: 'tools',
    expected: 'at least one tool that can be made anew on a scratch system',
    fix: 'Name a sandbox with --sandbox NAME=URL, or the definitions of its database with --schema NAME=FILE. Nothing was done.',
  });
}

function isOwn(field: string, owner: string): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${field} names a system of your own: that of ${owner}.`, {
    field,
    expected: 'a system that nobody uses',
    fix: 'Name a sandbox. Nothing was done.',
  });
}

/** A text says why it is not tried. */
async function openTool(tool: Tool, options: ToolsOptions): Promise<ProvenTool | string> {
  const missing = placeMissing(tool, options.sandboxes);
  if (missing !== undefined) return missing;
  const sandbox = options.sandboxes[tool.name];
  if (tool.elsewhere?.needs === 'address' && sandbox !== undefined) return openAtAddress(tool, sandbox, options);
  const statements = await statementsOf(tool, options);
  return typeof statements === 'string' ? statements : openOnDatabase(tool, statements, options);
}

async function statementsOf(tool: Tool, { schemas }: ToolsOptions): Promise<readonly string[] | string> {
  const file = schemas[tool.name];
  if (file !== undefined) {
    const text = await readFile(file, 'utf8').catch(() => {
      throw configInvalid(`--schema ${tool.name}`, 'a file that can be read', 'the command');
    });
    // What pg_dump says to psql is not for the server. An extension that cannot be made here is left out by itself.
    const extensions = text.match(EXTENSION_LINES) ?? [];
    return [...extensions, text.replaceAll(EXTENSION_LINES, '').replaceAll(/^\\.*$/gm, '')];
  }
  const { elsewhere } = tool;
  if (elsewhere?.definitions === undefined) return 'it does not tell the definitions of its database';
  try {
    return await elsewhere.definitions(AbortSignal.timeout(DEFINITIONS_MS));
  } catch (error) {
    return `the definitions of its database cannot be read (${asCountersignError(error).message}); give them with --schema ${tool.name}=FILE`;
  }
}

async function openOnDatabase(
  tool: Tool,
  statements: readonly string[],
  options: ToolsOptions,
): Promise<ProvenTool | string> {
  const { servers, rows, secret } = options;
  let database: ScratchDatabase;
  try {
    database = await makeScratchDatabase(servers, {
      tool: tool.name,
      statements,
      rows,
      secret,
      marked: options.marked(tool.name),
    });
  } catch (error) {
    const { field, message, fix = '' } = asCountersignError(error);
    if (field === tool.name) return `${message} ${fix}`;
    throw error;
  }
  const place: Place = { url: database.toolUrl, secret: `env:${SECRET_VARIABLE}`, alsoWritten: [JOURNAL_TABLE] };
  const own = [...(options.proposals.get(tool.name) ?? []), ...postgresCandidates(tool.name, database.tables)];
  const effects = async (): Promise<number> => {
    const [row] = await database.query<{ n: string }>(
      `SELECT count(DISTINCT xid) AS n FROM ${JOURNAL_TABLE} WHERE role = $1`,
      [new URL(database.toolUrl).username],
    );
    return Number(row?.n ?? 0);
  };
  const made = madeAt(tool, place);
  return {
    tool: made,
    place,
    candidates: withUntrusted(own),
    effects,
    distinctEffects: effects,
    database,
    leftOut: database.leftOut,
    async close() {
      await made.close();
      await database.close();
    },
  };
}

async function openAtAddress(tool: Tool, sandbox: string, options: ToolsOptions): Promise<ProvenTool | string> {
  const changing = new Set(
    (tool.describe?.() ?? []).flatMap(({ actionType, operation }) => (actionType === 'READ' ? [] : [operation])),
  );
  const relay: Relay = await startRelay(sandbox, changing);
  const place: Place = { url: relay.url, secret: `env:${SECRET_VARIABLE}` };
  const own = [...(options.proposals.get(tool.name) ?? []), ...operationCandidates(tool)];
  const made = madeAt(tool, place);
  const close = async (): Promise<void> => {
    await made.close();
    await relay.close();
  };
  const unfit = await unfitSandbox(made);
  if (unfit !== undefined) {
    await close();
    return unfit;
  }
  return {
    tool: made,
    place,
    candidates: withUntrusted(numberedAnew(own)),
    effects: async () => relay.effects(),
    distinctEffects: async () => relay.distinctEffects(),
    leftOut: [],
    close,
  };
}

/** @throws CountersignError INTERNAL where what was made is not the tool: then nothing of it may be called */
export function madeAt(tool: Tool, place: Place): Tool {
  const made = tool.elsewhere?.at(place);
  if (made !== undefined && made !== tool && made.name === tool.name && made.environment === tool.environment)
    return made;
  throw new CountersignError('CONFIG_INVALID', `The tool ${tool.name} was not made anew elsewhere.`, {
    field: `${tool.name}.elsewhere`,
    expected: 'another tool of the same name and environment',
    fix: 'Correct its `elsewhere.at`, or leave it out: then the tool is not tried.',
  });
}

/** A sandbox keeps what earlier runs did to it: the same again would change nothing there. */
function numberedAnew(own: readonly Candidate[]): readonly Candidate[] {
  const first = randomInt(1_000_000);
  return own.map((candidate) => ({ ...candidate, input: (n) => candidate.input(first + n) }));
}

function withUntrusted(own: readonly Candidate[]): readonly Candidate[] {
  const changes = own.filter(({ actionType }) => actionType !== 'READ').slice(0, 3);
  return [...own, ...changes.map(fromUntrusted)];
}
