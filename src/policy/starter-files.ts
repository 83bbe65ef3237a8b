/** The content of the starter bundle, to be copied. Apart from where it lies, which is known without reading it. */
import { loadBundle } from './folder.js';
import { starterFolder } from './starter.js';

/** The texts of the starter bundle by path, its tests among them. @throws CountersignError NOT_FOUND, POLICY_INVALID */
export async function starterFiles(): Promise<Readonly<Record<string, string>>> {
  return (await loadBundle(starterFolder())).files;
}
