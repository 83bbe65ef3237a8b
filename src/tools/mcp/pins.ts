/** The file of accepted definitions: by the name of the Countersign tool, and below it by the name of the server's tool. */
import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { configInvalid } from '../../action/errors-config.js';
import { CountersignError } from '../../action/errors.js';
import { assertJson } from '../../action/json.js';
import { parseJson } from '../../action/parse.js';
import type { Definition, Definitions } from '../pinnable.js';
import { definitionDigest } from './definitions.js';

const object = z.record(z.string(), z.json());
const definitionSchema = z.strictObject({
  name: z.string(),
  title: z.string().optional(),
  description: z.string().optional(),
  inputSchema: object,
  outputSchema: object.optional(),
  annotations: object.optional(),
});
const fileSchema = z.record(
  z.string(),
  z.record(z.string(), z.strictObject({ digest: z.string(), definition: definitionSchema })),
);

type PinFile = Readonly<Record<string, Readonly<Record<string, { digest: string; definition: Definition }>>>>;

export function pinFileOf(pins: string | URL): string {
  return pins instanceof URL ? fileURLToPath(pins) : pins;
}

/** The accepted definitions of one tool. None where there is no file yet. @throws CountersignError CONFIG_INVALID */
export function readPins(file: string, tool: string): Definitions {
  const pinned = Object.values(readPinFile(file)[tool] ?? {});
  return new Map(pinned.map(({ definition }) => [definition.name, definition]));
}

/** Replaces the accepted definitions of one tool, and leaves those of others. */
export async function writePins(file: string, tool: string, definitions: Definitions): Promise<void> {
  const entries = [...definitions.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((definition) => [definition.name, { digest: definitionDigest(definition), definition }] as const);
  const all = { ...readPinFile(file), [tool]: Object.fromEntries(entries) };
  const sorted = Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1)));
  // In one step: a worker that starts meanwhile reads the old file or the new one.
  await writeFile(`${file}.new`, `${JSON.stringify(sorted, undefined, 2)}\n`);
  await rename(`${file}.new`, file);
}

function readPinFile(file: string): PinFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new CountersignError('CONFIG_INVALID', `The pins in ${file} cannot be read.`, {
      field: 'pins',
      cause: error,
    });
  }
  const value: unknown = parseJson(text, file);
  assertJson(value, file);
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) throw configInvalid('pins', 'a file that `countersign mcp pin` wrote', file);
  for (const [tool, pins] of Object.entries(parsed.data)) {
    for (const [name, { digest, definition }] of Object.entries(pins)) {
      // An edit by hand would pin what nobody looked at.
      if (name === definition.name && definitionDigest(definition as Definition) === digest) continue;
      throw configInvalid(`${tool}.${name}.digest`, 'the digest of the definition beside it', file);
    }
  }
  return parsed.data as PinFile;
}
