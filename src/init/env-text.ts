/** Files of environment variables, as `node --env-file` reads them. */
import { parseEnv } from 'node:util';
import { CountersignError } from '../action/errors.js';

const QUOTES = ["'", '"', '`'];

/** @throws CountersignError USAGE for a value that the format cannot carry */
export function envText(remark: string, variables: Readonly<Record<string, string>>): string {
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${quoted(name, value)}\n`);
  return `# ${remark}\n${lines.join('')}`;
}

/** In the first quotes that give the value back. */
function quoted(name: string, value: string): string {
  const written = QUOTES.map((quote) => `${quote}${value}${quote}`).find((text) => readBack(`A=${text}\n`) === value);
  if (written !== undefined) return written;
  throw new CountersignError('USAGE', `The value of ${name} cannot be written into a file of environment variables.`, {
    field: name,
    expected: 'one line that does not hold all of the quotes \', " and `',
    fix: 'Percent-encode the quotes in the address: %27, %22 and %60.',
  });
}

function readBack(text: string): string | undefined {
  return parseEnv(text)['A'];
}
