/** The system's Chromium, found or (as root on Debian) installed, for tests that need a real browser. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { chromium, type Browser } from 'playwright-core';

/** The first is the same engine without a browser's own windows, which are most of what Chromium costs when nobody looks. */
const NAMES = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** It asks nobody for anything: no updates, no sync, no first run. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** @throws Error that says what to install */
export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: await chromiumPath(), args: ARGUMENTS });
}

/** CHROMIUM_PATH, else the first of its names on PATH; else it is installed where that can be done. */
async function chromiumPath(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const given = env['CHROMIUM_PATH'];
  if (given !== undefined && given !== '') return given;
  const found = await onPath(env);
  if (found !== undefined) return found;
  if (process.getuid?.() === 0 && (await exists('/usr/bin/apt-get'))) {
    await installed();
    const now = await onPath(env);
    if (now !== undefined) return now;
  }
  throw new Error(
    'There is no Chromium. Install it (Debian: apt-get install chromium), or set CHROMIUM_PATH to a Chromium or Chrome.',
  );
}

async function onPath(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const name of NAMES) {
    for (const folder of (env['PATH'] ?? '').split(path.delimiter)) {
      const file = path.join(folder, name);
      if (folder !== '' && (await exists(file))) return file;
    }
  }
  return undefined;
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function installed(): Promise<void> {
  process.stderr.write('no Chromium was found: it is installed now\n');
  await run('apt-get', ['update']);
  const install = ['install', '-y', '--no-install-recommends'];
  await run('apt-get', [...install, 'chromium-headless-shell']).catch(() => run('apt-get', [...install, 'chromium']));
}

/** Its progress is seen. */
async function run(command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0)
    throw new Error(`${command} ${args[0]} failed (${code}); install Chromium yourself, or set CHROMIUM_PATH`);
}
