/** Proposals that the operator wrote, for tools whose inputs cannot be made up: tried before those that are. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { configInvalid } from '../action/errors-config.js';
import { assertJson, type Json, type JsonObject } from '../action/json.js';
import { readYaml } from '../action/parse.js';
import type { Candidate } from './candidates/candidate.js';

const proposalsSchema = z.array(
  z.strictObject({
    tool: z.string(),
    input: z.record(z.string(), z.unknown()),
    /** Whether it only reads. Default false. */
    reads: z.boolean().optional(),
  }),
);

/** By the tool's name. `{n}` in a text is another number each time. @throws CountersignError CONFIG_INVALID, INVALID_YAML */
export async function readProposals(file: string): Promise<ReadonlyMap<string, readonly Candidate[]>> {
  const text = await readFile(file, 'utf8').catch(() => {
    throw configInvalid('--proposals', 'a file that can be read', 'the command');
  });
  const parsed = proposalsSchema.safeParse(readYaml(text, file));
  if (!parsed.success) {
    const at = parsed.error.issues[0]?.path.join('.') ?? '';
    throw configInvalid(`--proposals ${at}`, 'a list of { tool, input }', file);
  }
  const byTool = new Map<string, Candidate[]>();
  for (const [index, { tool, input, reads = false }] of parsed.data.entries()) {
    assertJson(input, `${file}[${index}].input`);
    const candidate: Candidate = {
      tool,
      what: `proposal ${index + 1} of ${file}`,
      actionType: reads ? 'READ' : 'CALL_API',
      input: (n) => numbered(input, n) as JsonObject,
    };
    byTool.set(tool, [...(byTool.get(tool) ?? []), candidate]);
  }
  return byTool;
}

function numbered(value: Json, n: number): Json {
  if (typeof value === 'string') return value.replaceAll('{n}', String(n));
  if (Array.isArray(value)) return value.map((item: Json) => numbered(item, n));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, numbered(item, n)]));
}
