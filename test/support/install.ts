/** A folder in which the packages are installed, as `npm install` would leave it: this package as it was compiled for the run, others by link. */
import { copyFile, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { inject } from 'vitest';
import { ROOT } from './root.js';

export async function installInto(folder: string, others: readonly string[] = []): Promise<void> {
  const modules = path.join(folder, 'node_modules');
  const own = path.join(modules, 'countersign');
  await mkdir(own, { recursive: true });
  // Without one of its own, a folder within this project would belong to this package, and find its build.
  await writeFile(path.join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  await copyFile(path.join(ROOT, 'package.json'), path.join(own, 'package.json'));
  await symlink(inject('compiledSources'), path.join(own, 'dist'));
  for (const name of others) {
    const link = path.join(modules, name);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(ROOT, 'node_modules', name), link);
  }
}

/** The agents' package, compiled from its sources. */
export async function installClientInto(folder: string): Promise<void> {
  const [source, home] = [path.join(ROOT, 'clients/typescript'), path.join(folder, 'node_modules/countersign-client')];
  const sources = (await readdir(path.join(source, 'src'))).map((name) => path.join(source, 'src', name));
  await build({ entryPoints: sources, outdir: path.join(home, 'dist'), format: 'esm', logLevel: 'error' });
  await copyFile(path.join(source, 'package.json'), path.join(home, 'package.json'));
}
