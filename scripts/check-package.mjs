/** Installs the packed package into a fresh project and uses it there: every entry imports, types resolve, internals do not, the CLI runs. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const project = mkdtempSync(path.join(os.tmpdir(), 'countersign-package-'));
const run = (command, args, options = {}) =>
  execFileSync(command, args, { cwd: project, encoding: 'utf8', ...options });

try {
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', project], { cwd: root });
  const tarball = readdirSync(project).find((name) => name.endsWith('.tgz'));
  writeFileSync(path.join(project, 'package.json'), '{"name":"fresh","private":true,"type":"module"}');
  console.log(`check-package: installing ${tarball} into a fresh project`);
  run('npm', ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', `./${tarball}`], {
    stdio: 'inherit',
  });

  writeFileSync(
    path.join(project, 'use.mjs'),
    `import { Countersign, CountersignError, ERROR_CODES } from 'countersign';
import { defineConfig, postgres, startWorker } from 'countersign/worker';
import { enforce } from 'countersign/policy';
import * as tools from 'countersign/tools';
import { startGateway } from 'countersign/gateway';
import { aTool, anAgent, loadStarterPolicy } from 'countersign/testing';
for (const value of [Countersign, CountersignError, defineConfig, postgres, startGateway, startWorker, enforce, tools.postgres]) {
  if (typeof value !== 'function') throw new Error('an export is missing');
}
const decision = enforce(
  { actionId: 'a', tool: 'shop-db', input: { table: 'users' } },
  { policy: await loadStarterPolicy(), agent: anAgent({ roles: ['admin_user'] }), tool: aTool(), actionType: 'DELETE' },
);
if (decision.effect !== 'deny' || ERROR_CODES.POLICY_DENIED === undefined) throw new Error('the starter bundle is not in the package');
const closed = await import('countersign/dist/src/trust/index.js').then(() => false, (error) => error.code === 'ERR_PACKAGE_PATH_NOT_EXPORTED');
if (!closed) throw new Error('internals can be imported');
`,
  );
  run(process.execPath, ['use.mjs'], { stdio: 'inherit' });

  writeFileSync(
    path.join(project, 'use.ts'),
    `import { Countersign, type Outcome } from 'countersign';
export async function run(): Promise<Outcome> {
  const cs = await Countersign.connect();
  const answer = await cs.perform({ tool: 'shop-db', input: {} });
  // @ts-expect-error an action that waits for people has no result yet
  answer.result;
  return answer.status === 'pending' ? answer.outcome() : answer;
}
`,
  );
  const tsc = path.join(root, 'node_modules/typescript/bin/tsc');
  const types = path.join(root, 'node_modules/@types');
  const flags = `--noEmit --strict --target es2023 --module nodenext --skipLibCheck --types node --typeRoots ${types}`;
  run(process.execPath, [tsc, ...flags.split(' '), 'use.ts'], { stdio: 'inherit' });

  const help = run(path.join(project, 'node_modules/.bin/countersign'), ['--help']);
  if (!help.includes('receipts')) throw new Error('the command line does not run');
  console.log('check-package: a fresh project installs, imports, type-checks and runs it');
} finally {
  rmSync(project, { recursive: true, force: true });
}
