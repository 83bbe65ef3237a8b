/** Where the package is that a folder's commands and config will use. */
import { createRequire } from 'node:module';
import path from 'node:path';

export interface Installation {
  /** The absolute path of the command line's program. */
  readonly program: string;
  /** Whether the folder's config finds the package. */
  readonly installed: boolean;
}

export function installationFor(folder: string): Installation {
  const require = createRequire(import.meta.url);
  const { bin } = require('countersign/package.json') as { bin: { countersign: string } };
  const found = manifestFor(folder);
  // Where `npm install countersign` in the folder will put it.
  const home = found === undefined ? path.join(folder, 'node_modules/countersign') : path.dirname(found);
  return { program: path.resolve(home, bin.countersign), installed: found !== undefined };
}

function manifestFor(folder: string): string | undefined {
  try {
    return createRequire(path.join(folder, 'package.json')).resolve('countersign/package.json');
  } catch {
    return undefined;
  }
}
