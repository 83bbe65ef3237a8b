/** Finds the starter bundle: it lies beside the sources, or beside `dist` in the package. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CountersignError } from '../action/errors.js';
import { SCHEMA_FILE } from './rules.js';

/** The absolute path of `policies/starter`. @throws CountersignError NOT_FOUND when the installation lacks it */
export function starterFolder(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; folder !== dirname(folder); folder = dirname(folder)) {
    const starter = join(folder, 'policies', 'starter');
    if (existsSync(join(starter, SCHEMA_FILE))) return starter;
    // The search ends at the root of the package.
    if (existsSync(join(folder, 'package.json'))) break;
  }
  throw new CountersignError('NOT_FOUND', `The starter policies are not beside ${start}.`, {
    field: 'policies/starter',
    fix: 'Install the package again.',
  });
}
