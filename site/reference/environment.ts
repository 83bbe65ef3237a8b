/** Every environment variable that is read. */
import { VARIABLES } from '../../src/environment.js';
import { cell, code, table } from './table.js';

export function environmentVariables(): string {
  const rows = Object.entries(VARIABLES).map(([name, holds]) => [code(name), cell(holds)]);
  return [
    '# Environment variables',
    'Every variable that Countersign reads, in alphabetical order. An empty variable is an absent one. A secret can be in a file instead, which the variable with `_FILE` at its end names. [The config](config.md#environment) has their defaults.',
    table(
      ['variable', 'holds'],
      rows.toSorted(([a = ''], [b = '']) => a.localeCompare(b, 'en')),
    ),
  ].join('\n\n');
}
