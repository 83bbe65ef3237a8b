/** Where the package is that a folder's commands and config will use. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Installation {
  /** The absolute path of the command line's program. */
  readonly program: string;
  /** Whether the folder's config finds the package. */
  readonly installed: boolean;
}

export function installationFor(folder: string): Installation {
  try {
    const manifest = createRequire(path.join(folder, 'package.json')).resolve('countersign/package.json');
    const { bin } = createRequire(import.meta.url)(manifest) as { bin: { countersign: string } };
    return { program: path.resolve(path.dirname(manifest), bin.countersign), installed: true };
  } catch {
    return { program: fileURLToPath(new URL('../cli/main.js', import.meta.url)), installed: false };
  }
}
