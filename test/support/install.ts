/** A folder in which the packages are installed, as `npm install` would leave it: this package as it was compiled for the run, others by link. */
import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { inject } from 'vitest';
import { ENTRIES, INSTALLED } from '../../scripts/bundle-programs.js';
import { CONDITION } from '../../scripts/program.js';
import { ROOT } from './root.js';

export async function installInto(folder: string, others: readonly string[] = []): Promise<void> {
  const modules = path.join(folder, 'node_modules');
  const own = path.join(modules, 'countersign');
  await mkdir(own, { recursive: true });
  // Without one of its own, a folder within this project would belong to this package, and find its build.
  await writeFile(path.join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const manifest = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')) as { exports: object };
  await writeFile(path.join(own, 'package.json'), JSON.stringify({ ...manifest, exports: bundled(manifest.exports) }));
  await symlink(inject('compiledSources'), path.join(own, 'dist'));
  for (const name of others) {
    const link = path.join(modules, name);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(ROOT, 'node_modules', name), link);
  }
}

/** To the programs of the run, what they are bundled with; to everybody else, the modules. */
function bundled(entries: object): object {
  const both = ([name, entry]: [string, string | { readonly default: string }]) => {
    if (typeof entry === 'string' || !ENTRIES.some((one) => entry.default === `./dist/src/${one}.js`))
      return [name, entry];
    return [name, { [CONDITION]: entry.default.replace('./dist', `./dist/${INSTALLED}`), ...entry }];
  };
  return Object.fromEntries(Object.entries(entries).map(both));
}

/** The agents' package, compiled from its sources. */
export async function installClientInto(folder: string): Promise<void> {
  const [source, home] = [path.join(ROOT, 'clients/typescript'), path.join(folder, 'node_modules/countersign-client')];
  const sources = (await readdir(path.join(source, 'src'))).map((name) => path.join(source, 'src', name));
  await build({ entryPoints: sources, outdir: path.join(home, 'dist'), format: 'esm', logLevel: 'error' });
  await copyFile(path.join(source, 'package.json'), path.join(home, 'package.json'));
}
