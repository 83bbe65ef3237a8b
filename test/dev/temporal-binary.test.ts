/** Where the Temporal CLI comes from. The programs are real scripts in folders of their own; no network is used. */
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findTemporal } from '../../src/dev/temporal-binary.js';
import { TEMPORAL_VERSION } from '../../src/dev/temporal-install.js';

const GOOD = 'temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)';

let root: string;
let said: string[];
const log = (message: string): void => void said.push(message);

beforeEach(async () => {
  root = await realpath(await mkdtemp(path.join(tmpdir(), 'temporal-binary-test-')));
  said = [];
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function script(file: string, body: string): Promise<string> {
  const full = path.join(root, file);
  await mkdir(path.dirname(full), { recursive: true });
  await writeFile(full, `#!/bin/sh\n${body}\n`);
  await chmod(full, 0o755);
  return full;
}

const temporal = (file: string, version = GOOD): Promise<string> => script(file, `echo '${version}'`);
const cached = `cache/bin/temporal-${TEMPORAL_VERSION}`;

/** With a proxy that refuses: the SDK's download fails at once, with or without a network. */
function environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const proxy = 'http://127.0.0.1:1';
  return {
    PATH: [path.join(root, 'path1'), path.join(root, 'path2'), '/usr/bin', '/bin'].join(path.delimiter),
    COUNTERSIGN_CACHE: path.join(root, 'cache'),
    HTTPS_PROXY: proxy,
    https_proxy: proxy,
    ...more,
  };
}

/** A compiler that writes the given CLI to GOBIN and notes each run. */
const go = (
  body = `printf '#!/bin/sh\\necho "${GOOD}"\\n' > "$GOBIN/temporal"; chmod 755 "$GOBIN/temporal"`,
): Promise<string> => script('path1/go', `echo "$@" >> ${path.join(root, 'go-runs')}\n${body}`);
const goRuns = async (): Promise<string[]> =>
  (await readFile(path.join(root, 'go-runs'), 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');

describe('the order', () => {
  test('TEMPORAL_CLI_PATH comes before PATH', async () => {
    const named = await temporal('elsewhere/my-temporal');
    await temporal('path1/temporal');
    const found = await findTemporal({ env: environment({ TEMPORAL_CLI_PATH: named }), log });
    expect(found).toEqual({ path: named, version: GOOD, source: 'TEMPORAL_CLI_PATH' });
  });

  test('PATH comes before the cache, and its first folder before the second', async () => {
    const first = await temporal('path1/temporal');
    await temporal('path2/temporal');
    await temporal(cached);
    expect(await findTemporal({ env: environment(), log })).toEqual({ path: first, version: GOOD, source: 'PATH' });
  });

  test('the cache comes before download and build', async () => {
    const file = await temporal(cached);
    await go();
    expect(await findTemporal({ env: environment(), log })).toEqual({ path: file, version: GOOD, source: 'cache' });
    expect(await goRuns()).toEqual([]);
  });

  test('the download comes before the build; what is built stays in the cache', async () => {
    await go();
    const file = path.join(root, cached);
    expect(await findTemporal({ env: environment(), log })).toEqual({ path: file, version: GOOD, source: 'build' });
    expect(said.map((line) => line.split(' ').slice(0, 4).join(' '))).toEqual([
      'Downloading the Temporal CLI',
      'The Temporal CLI could',
      'Building the Temporal CLI',
    ]);
    expect(await goRuns()).toEqual([`install github.com/temporalio/cli/cmd/temporal@v${TEMPORAL_VERSION}`]);
    expect(await findTemporal({ env: environment(), log })).toEqual({ path: file, version: GOOD, source: 'cache' });
    expect(await readdir(path.join(root, 'cache/bin'))).toEqual([`temporal-${TEMPORAL_VERSION}`]);
  });

  test.each([
    ['COUNTERSIGN_CACHE', { COUNTERSIGN_CACHE: 'one', XDG_CACHE_HOME: 'two', HOME: 'three' }, 'one/bin'],
    ['XDG_CACHE_HOME', { COUNTERSIGN_CACHE: '', XDG_CACHE_HOME: 'two', HOME: 'three' }, 'two/countersign/bin'],
    ['HOME', { COUNTERSIGN_CACHE: '', XDG_CACHE_HOME: '', HOME: 'three' }, 'three/.cache/countersign/bin'],
  ])('the cache is where %s says', async (_, folders, expected) => {
    const file = await temporal(`${expected}/temporal-${TEMPORAL_VERSION}`);
    const absolute = Object.entries(folders).map(([name, value]) => [name, value === '' ? '' : path.join(root, value)]);
    const found = await findTemporal({ env: environment(Object.fromEntries(absolute) as NodeJS.ProcessEnv), log });
    expect(found).toMatchObject({ path: file, source: 'cache' });
  });
});

describe('a binary that does not work', () => {
  test.each([
    ['crashes', 'echo broken >&2; exit 3', 'it does not run'],
    ['is another program of that name', 'echo "temporal 2.0, the time tracker"', 'it is not the Temporal CLI'],
    ['is too old', `echo 'temporal version 1.1.0 (Server 1.25.0, UI 2.30.0)'`, 'its server 1.25 is older than 1.28'],
  ])('on PATH, because it %s, is left aside with the reason', async (_, body, reason) => {
    await script('path1/temporal', body);
    const file = await temporal(cached);
    expect(await findTemporal({ env: environment(), log })).toMatchObject({ path: file, source: 'cache' });
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(reason);
  });

  test('in TEMPORAL_CLI_PATH is an error, never replaced by another', async () => {
    await temporal('path1/temporal');
    const named = path.join(root, 'not-there');
    await expect(findTemporal({ env: environment({ TEMPORAL_CLI_PATH: named }), log })).rejects.toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      field: 'TEMPORAL_CLI_PATH',
      message: expect.stringContaining(named) as string,
    });
  });

  test('in the cache is built anew', async () => {
    await script(cached, 'exit 1');
    await go();
    expect(await findTemporal({ env: environment(), log })).toMatchObject({ version: GOOD, source: 'build' });
  });
});

describe('nothing to be found', () => {
  test('says what to install, and what was tried', async () => {
    const error = await findTemporal({ env: environment(), log }).catch((error: unknown) => error);
    expect(error).toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      message: expect.stringContaining('download') as string,
    });
    const { fix } = error as { fix: string };
    expect(fix).toContain('https://docs.temporal.io/cli');
    expect(fix).toContain('TEMPORAL_ADDRESS');
    expect(fix).toContain('https://go.dev/dl');
  });

  test('quotes the compiler when the build fails, and leaves nothing behind', async () => {
    await go('echo "note: module requires go 1.99" >&2; touch "$GOBIN/half"; exit 1');
    const error = await findTemporal({ env: environment(), log }).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' });
    expect((error as Error).message).toContain('note: module requires go 1.99');
    expect(await readdir(path.join(root, 'cache/bin'))).toEqual([]);
  });

  test('a build that succeeds without a usable binary does not reach the cache', async () => {
    await go('printf "#!/bin/sh\\nexit 1\\n" > "$GOBIN/temporal"; chmod 755 "$GOBIN/temporal"');
    await expect(findTemporal({ env: environment(), log })).rejects.toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' });
    expect(await readdir(path.join(root, 'cache/bin'))).toEqual([]);
  });
});

describe('two at once', () => {
  test('build it once; the other waits and says for whom', async () => {
    // The build goes on until somebody has said that they wait for it.
    const waiting = path.join(root, 'somebody-waits');
    await go(
      `until [ -e ${waiting} ]; do sleep 0.05; done; printf '#!/bin/sh\\necho "${GOOD}"\\n' > "$GOBIN/temporal"; chmod 755 "$GOBIN/temporal"`,
    );
    const noting = (message: string): void => {
      log(message);
      if (message.includes('waiting for it')) void writeFile(waiting, '');
    };
    const both = await Promise.all([
      findTemporal({ env: environment(), log: noting }),
      findTemporal({ env: environment(), log: noting }),
    ]);
    expect(both.map((found) => found.version)).toEqual([GOOD, GOOD]);
    expect(await goRuns()).toHaveLength(1);
    expect(said.some((line) => line.includes(`Process ${process.pid} is getting the Temporal CLI`))).toBe(true);
  });

  test('a lock that a killed process left does not block', async () => {
    await go();
    const lock = path.join(root, `${cached}.lock`);
    await mkdir(path.dirname(lock), { recursive: true });
    // No process can have this pid: it is above the kernel's limit.
    await writeFile(lock, String(2 ** 22 + 1));
    expect(await findTemporal({ env: environment(), log })).toMatchObject({ source: 'build' });
    expect(await readdir(path.dirname(lock))).toEqual([`temporal-${TEMPORAL_VERSION}`]);
  });
});
