/** Compiles what the operator declares of the server's tools, together with their pinned definitions. */
import type { ActionType } from '../../action/decision.js';
import { parseDuration } from '../../action/duration.js';
import { configInvalid } from '../../action/errors-config.js';
import type { CountersignError } from '../../action/errors.js';
import type { JsonObject } from '../../action/json.js';
import { MAX_WITHIN_MS, NAME_PATTERN } from '../../action/proposal.js';
import { keyPlaceOf, type KeyPlace } from '../http/idempotency-key.js';
import { isPointer, tokensOf } from '../http/pointer.js';
import { compilePostcondition, type Postcondition } from '../http/postconditions.js';
import { compileSchema, type Validate } from '../http/schema.js';
import type { Idempotency } from '../tool.js';
import type { McpInverse, McpLookUp, McpOptions, McpProbe, McpToolOptions } from './options.js';
import type { Definitions } from '../pinnable.js';
import { compileRead, type DeclaredRead } from './declared-read.js';
import { servedReads, type ServedRead } from './resources-and-prompts.js';

export interface StateReading extends DeclaredRead {
  readonly name: string;
  readonly mustFind: boolean;
}

export interface EffectLookUp {
  /** Undefined: the probes are read. */
  readonly reading: DeclaredRead | undefined;
  readonly happened: Postcondition | undefined;
  readonly finalAfterMs: number | undefined;
}

export interface DeclaredTool {
  /** The name of the server's tool. */
  readonly name: string;
  readonly actionType: ActionType;
  readonly target: string;
  /** The operator's own schema of the arguments. */
  readonly narrowed: Validate | undefined;
  readonly rows: readonly string[] | undefined;
  readonly probes: readonly StateReading[];
  readonly ensures: readonly Postcondition[];
  readonly changes: readonly string[];
  readonly idempotency: Idempotency;
  /** Where an argument takes the key. */
  readonly key: KeyPlace | undefined;
  readonly lookUp: EffectLookUp | undefined;
  readonly settlesWithinMs: number;
  readonly compensate: McpInverse | undefined;
  /** Set where it is no tool of the server, but reads its resources or prompts. */
  readonly served: ServedRead | undefined;
}

const MAX_PROBES = 10;
const PROBE_NAME = /^[A-Za-z_]\w{0,62}$/;
const TARGET = /^[a-z0-9_][a-z0-9_.-]{0,126}$/;

/** @throws CountersignError CONFIG_INVALID */
export function compileTools(options: McpOptions): ReadonlyMap<string, DeclaredTool> {
  const { name, tools, reads = [] } = options;
  const declared = new Map<string, McpToolOptions>(Object.entries(tools));
  for (const read of reads) {
    if (declared.has(read)) throw invalid('reads', `without ${read}, which tools declares`);
    declared.set(read, { actionType: 'READ' });
  }
  const served = servedReads(options);
  const taken = served.find(({ definition }) => declared.has(definition.name));
  if (taken !== undefined) throw invalid(`tools.${taken.definition.name}`, 'absent: the name is taken');
  if (declared.size + served.length === 0) throw invalid('tools', 'at least one tool');
  for (const [field, { compensate }] of declared) {
    if (compensate !== undefined && !declared.has(compensate.tool)) {
      throw invalid(`tools.${field}.compensate.tool`, `one of: ${[...declared.keys()].join(', ')}`);
    }
  }
  return new Map([
    ...[...declared].map(([tool, one]) => [tool, compileTool(tool, one, name)] as const),
    ...served.map((one) => [one.definition.name, servedTool(one, name)] as const),
  ]);
}

function compileTool(name: string, declared: McpToolOptions, tool: string): DeclaredTool {
  const field = `tools.${name}`;
  if (!NAME_PATTERN.test(name)) throw invalid(field, 'a name of letters, digits, ".", "_" and "-"');
  const { actionType = 'DELETE', ensures = [], changes = [], rows } = declared;
  const isRead = actionType === 'READ';
  const probes = Object.entries(declared.probes ?? {}).map(([key, probe]) => compileProbe(key, probe, field));
  if (probes.length > MAX_PROBES) throw invalid(`${field}.probes`, `at most ${MAX_PROBES} probes`);
  if (!isRead) checkVerifiable(declared, field);
  for (const pointer of [...changes, rows ?? '']) {
    if (!isPointer(pointer)) throw invalid(field, `JSON pointers such as /file/text, not ${pointer.slice(0, 80)}`);
  }
  const target = declared.target ?? name.toLowerCase();
  if (!TARGET.test(target)) throw invalid(`${field}.target`, 'a name in lower case: files');
  const idempotency = isRead ? 'native' : (declared.idempotency ?? 'none');
  const lookUp = declared.lookUp === undefined ? undefined : compileLookUp(declared.lookUp, `${field}.lookUp`);
  if (idempotency === 'lookup' && lookUp === undefined) {
    throw invalid(`${field}.lookUp`, 'given: idempotency is lookup');
  }
  const { arguments: schema, idempotencyKey: key } = declared;
  return {
    name,
    actionType,
    target: `${tool.toLowerCase()}.${target}`,
    narrowed: schema === undefined ? undefined : compileSchema(schema, `${field}.arguments`),
    rows: rows === undefined ? undefined : tokensOf(rows),
    probes,
    ensures: ensures.map((source, at) => compilePostcondition(source, `${field}.ensures[${at}]`)),
    changes,
    idempotency,
    key: key === undefined ? undefined : keyPlaceOf({ body: key.argument, format: key.format ?? 'plain' }),
    lookUp,
    settlesWithinMs: declared.settlesWithin === undefined ? 0 : within(declared.settlesWithin, field),
    compensate: declared.compensate,
    served: undefined,
  };
}

function servedTool(served: ServedRead, tool: string): DeclaredTool {
  return { ...compileTool(served.definition.name, { actionType: 'READ' }, tool), served };
}

/** Refuses a tool whose effect could not be verified, because success must mean verified. */
function checkVerifiable({ probes = {}, ensures = [], changes }: McpToolOptions, field: string): void {
  if (Object.keys(probes).length === 0) {
    throw invalid(`${field}.probes`, 'at least one read that shows what the tool changes (or actionType READ)');
  }
  if (ensures.length === 0) throw invalid(`${field}.ensures`, 'what must be true afterwards');
  if (changes === undefined) throw invalid(`${field}.changes`, 'JSON pointers to what may change');
}

function compileProbe(name: string, probe: McpProbe, tool: string): StateReading {
  const field = `${tool}.probes.${name}`;
  if (!PROBE_NAME.test(name)) throw invalid(field, 'a name of letters, digits and "_"');
  const reading = compileRead(probe, field);
  if (reading === undefined) throw invalid(field, 'a read of a tool or a resource');
  const { mustFind = false } = probe;
  return { ...reading, name, mustFind };
}

function compileLookUp(lookUp: McpLookUp, field: string): EffectLookUp {
  const reading = compileRead(lookUp, field);
  const { happened, finalAfterMs } = lookUp;
  if (reading === undefined && happened === undefined) {
    throw invalid(`${field}.happened`, 'given, where the look-up reads no tool and no resource');
  }
  if (finalAfterMs !== undefined && !(Number.isInteger(finalAfterMs) && finalAfterMs >= 0)) {
    throw invalid(`${field}.finalAfterMs`, 'a whole number of milliseconds');
  }
  const roots = reading === undefined ? ['input', 'post'] : ['input', 'result'];
  return {
    reading,
    happened: happened === undefined ? undefined : compilePostcondition(happened, `${field}.happened`, roots),
    finalAfterMs,
  };
}

function within(text: string, field: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined && ms <= MAX_WITHIN_MS) return ms;
  throw invalid(`${field}.settlesWithin`, 'a duration such as 30s or 2m, at most 10m');
}

/** The tools of the server that an operation uses: itself, and those that read for it. */
export function toolsOf({ name, probes, lookUp, served }: DeclaredTool): readonly string[] {
  if (served !== undefined) return [];
  const readings: readonly (DeclaredRead | undefined)[] = [...probes, lookUp?.reading];
  const read = readings.flatMap((one) => (one !== undefined && 'tool' in one.source ? [one.source.tool] : []));
  return [...new Set([name, ...read])];
}

/**
 * Refuses declarations that the server's own annotations contradict. They are believed where they ask for more care, and never where
 * they ask for less: a tool that says of itself that it only reads is still what the operator declares.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function checkAnnotations(operations: ReadonlyMap<string, DeclaredTool>, pinned: Definitions): void {
  for (const operation of operations.values()) {
    const [, ...readers] = toolsOf(operation);
    for (const reader of readers) {
      if (writes(pinned, reader))
        throw invalid(`tools.${operation.name}`, `probed by tools that read: ${reader} does not`);
    }
    if (operation.actionType === 'READ' && writes(pinned, operation.name)) {
      throw invalid(
        `tools.${operation.name}.actionType`,
        'another than READ: the server says that it does not only read',
      );
    }
    if (operation.idempotency === 'native' && operation.actionType !== 'READ' && operation.key === undefined) {
      const { idempotentHint } = annotationsOf(pinned, operation.name);
      if (idempotentHint === false) {
        throw invalid(
          `tools.${operation.name}.idempotency`,
          'none or lookup: the server says that it is not idempotent',
        );
      }
    }
  }
}

/** Whether a server says of a tool that it does not only read. */
function writes(pinned: Definitions, name: string): boolean {
  const { readOnlyHint, destructiveHint } = annotationsOf(pinned, name);
  return readOnlyHint === false || (destructiveHint === true && readOnlyHint !== true);
}

export function annotationsOf(pinned: Definitions, name: string): JsonObject {
  return pinned.get(name)?.annotations ?? {};
}

function invalid(field: string, expected: string): CountersignError {
  return configInvalid(field, expected, "the tool's config");
}
