/** The input of a tool as commands take it: as JSON, from a file or from stdin. */
import type { JsonObject } from '../action/json.js';
import type { Terminal } from './terminal.js';
import { usageError } from './usage-error.js';

export interface InputOptions {
  readonly input?: string;
  readonly inputFile?: string;
}

export async function inputOf(
  { input, inputFile }: InputOptions,
  { stdin }: Pick<Terminal, 'stdin'>,
): Promise<JsonObject> {
  if ((input === undefined) === (inputFile === undefined)) {
    throw usageError(input === undefined ? 'No input was given.' : 'Two inputs were given.', {
      field: '--input',
      expected: 'one of --input JSON, --input - (stdin) or --input-file FILE',
    });
  }
  const { parseJson } = await import('../action/parse.js');
  const source = input === undefined || input === '-' ? (inputFile ?? '-') : undefined;
  const text = source === undefined ? (input as string) : await read(source, stdin);
  const value = parseJson(text, source === undefined ? '--input' : source === '-' ? 'stdin' : source);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw usageError('The input is not a JSON object.', {
    field: '--input',
    expected: 'a JSON object, such as {"op": "select"}',
  });
}

async function read(source: string, stdin: Terminal['stdin']): Promise<string> {
  const { readFile } = await import('node:fs/promises');
  try {
    if (source !== '-') return await readFile(source, 'utf8');
    const { text } = await import('node:stream/consumers');
    return await text(stdin);
  } catch {
    throw usageError(`${source} cannot be read.`, { field: '--input-file', expected: 'a readable file' });
  }
}
