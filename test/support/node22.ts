/** Programs of others that ask for Node 22, which the npm package `node` brings: installed into the cache folder, every one pinned. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../src/dev/temporal-binary.js';

const NODE = 'node@22.23.3';

export interface Node22 {
  /** The executable. */
  readonly node: string;
  readonly modules: string;
}

/** @param packages with their versions */
export async function node22With(name: string, packages: readonly string[]): Promise<Node22> {
  const all = [...packages, NODE];
  const folder = path.join(cacheFolder(process.env), `${name}-${all.join('-').replaceAll(/[^\w.-]/g, '-')}`);
  // What is installed is run by the Node that is installed beside it.
  const options = ['--engine-strict=false', '--no-save', '--no-audit', '--no-fund', '--prefix', folder];
  await promisify(execFile)('npm', ['install', ...options, ...all], { timeout: 550_000 });
  const modules = path.join(folder, 'node_modules');
  return { node: path.join(modules, '.bin/node'), modules };
}
