/** The workflow code as one bundle: made by the build; from source it is made once per content and kept. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');

/** In workflows/failure-converter.ts. */
const FAILURES = 'countersign-failures:';

/** Path of the bundle for `workflowBundle: { codePath }`. Building it from source takes a few seconds, once. */
export async function workflowBundlePath(): Promise<string> {
  const built = path.join(root, 'workflow-bundle.js');
  if (existsSync(built)) return built;
  const kept = path.join(root, 'node_modules/.cache/countersign', `workflows-${await sourceDigest()}.js`);
  if (!existsSync(kept)) await writeBundle(kept);
  return kept;
}

/**
 * The bundle's code. With `encodedFailures`, messages and stack traces of failures leave it where the codec encrypts them. That changes no
 * command, so both are one version.
 */
export async function workflowCode(bundle: string, encodedFailures: boolean): Promise<string> {
  const code = await readFile(bundle, 'utf8');
  if (!encodedFailures) return code;
  const parts = code.split(`${FAILURES}plain`);
  // Otherwise they would leave it in clear.
  if (parts.length !== 2) throw new Error(`${bundle} does not say once how failures leave it`);
  return parts.join(`${FAILURES}encoded`);
}

/** Names the workflow code that a bundle holds: `countersign-3f2a91bc`. Five events of every action carry it, so it is short. */
export async function buildIdOf(bundle: string): Promise<string> {
  const digest = createHash('sha256').update(await readFile(bundle));
  return `countersign-${digest.digest('hex').slice(0, 8)}`;
}

/** @public The build calls it, in what was built. */
export async function writeBundle(target: string): Promise<void> {
  const source = sourceOf('workflows/index');
  const interceptors = sourceOf('workflows/trace-context');
  // Loaded once and frozen, instead of anew for every workflow: workflow code keeps no state in its modules.
  const { code } = await bundleWorkflowCode({
    workflowsPath: source,
    workflowInterceptorModules: [interceptors],
    failureConverterPath: path.join(path.dirname(source), `failure-converter${path.extname(source)}`),
    preloadModules: [source, interceptors],
    logger: quiet,
  });
  await mkdir(path.dirname(target), { recursive: true });
  const partial = `${target}.${process.pid}`;
  await writeFile(partial, code);
  await rename(partial, target);
}

function sourceOf(module: string): string {
  const found = ['.ts', '.js'].map((ending) => path.join(root, `${module}${ending}`)).find((file) => existsSync(file));
  if (found === undefined) throw new Error(`no ${module} in ${root}`);
  return found;
}

/** What may end up in the bundle: a change of any of it makes another one. */
export const BUNDLED = ['workflows', 'src/action', 'src/temporal.ts'] as const;

/** Over everything that can end up in the bundle, and how it is made. */
async function sourceDigest(): Promise<string> {
  const hash = createHash('sha256');
  hash.update(await readFile(path.join(root, 'package-lock.json')).catch(() => ''));
  hash.update(await readFile(fileURLToPath(import.meta.url)));
  for (const place of BUNDLED) {
    const files = path.extname(place) === '' ? (await readdir(path.join(root, place))).sort() : [''];
    for (const file of files) hash.update(file).update(await readFile(path.join(root, place, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

const ignore = (): void => {};
const quiet = { log: ignore, trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore };
