/** Builds the packages. The client: JavaScript and types by tsc. The runtime: JavaScript and types by tsc, the pages' static files and the SQL of the tables, then the workflow code as one bundle, so that a worker starts without bundling. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const dist = path.join(root, 'dist');

const compile = (project) =>
  execFileSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-p', path.join(root, project)], {
    stdio: 'inherit',
  });

for (const folder of [dist, path.join(root, 'clients/typescript/dist')])
  rmSync(folder, { recursive: true, force: true });
compile('tsconfig.build.json');
compile('clients/typescript/tsconfig.json');
const beside = [
  'src/gateway/inbox/static',
  // What `countersign setup` runs.
  ...readdirSync(path.join(root, 'src'), { recursive: true })
    .filter((file) => file.endsWith('.sql'))
    .map((file) => path.join('src', file)),
  // What Temporal's SDK loads by its path.
  'src/privacy/failure-converter.cjs',
];
for (const each of beside) cpSync(path.join(root, each), path.join(dist, each), { recursive: true });
const { writeBundle } = await import(pathToFileURL(path.join(dist, 'src/worker/bundle.js')).href);
await writeBundle(path.join(dist, 'workflow-bundle.js'));
chmodSync(path.join(dist, 'src/cli/main.js'), 0o755);
console.log('build: dist/, dist/workflow-bundle.js and clients/typescript/dist/');
