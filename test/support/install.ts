/** A folder in which the packages are installed, as `npm install` would leave it: this package as it was compiled for the run, others by link. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { inject } from 'vitest';
import { ROOT } from './root.js';

export async function installInto(folder: string, others: readonly string[] = []): Promise<void> {
  const modules = path.join(folder, 'node_modules');
  const own = path.join(modules, 'countersign');
  await mkdir(own, { recursive: true });
  await writeFile(path.join(own, 'package.json'), await readFile(path.join(ROOT, 'package.json')));
  await symlink(inject('compiledSources'), path.join(own, 'dist'));
  for (const name of others) {
    const link = path.join(modules, name);
    await mkdir(path.dirname(link), { recursive: true });
    await symlink(path.join(ROOT, 'node_modules', name), link);
  }
}

/** The agents' package, from its sources: for programs that run under tsx. */
export async function installClientInto(folder: string): Promise<void> {
  const home = path.join(folder, 'node_modules/countersign-client');
  const manifest = await readFile(path.join(ROOT, 'clients/typescript/package.json'), 'utf8');
  await mkdir(home, { recursive: true });
  await writeFile(path.join(home, 'package.json'), manifest.replaceAll(/\.\/dist\/([\w-]+)\.js/g, './src/$1.ts'));
  await symlink(path.join(ROOT, 'clients/typescript/src'), path.join(home, 'src'));
}
