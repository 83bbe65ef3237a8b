/** Finds the starter bundle: it lies beside the sources, or beside `dist` in the package. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CountersignError } from '../action/errors.js';
import { loadBundle } from './folder.js';
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

/** The texts of the starter bundle by path, its tests among them. @throws CountersignError NOT_FOUND, POLICY_INVALID */
export async function starterFiles(): Promise<Readonly<Record<string, string>>> {
  return (await loadBundle(starterFolder())).files;
}
