/** `countersign replay`: what it says of histories that do not replay, and of files that are none. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../../src/cli/program.js';
import { CAUSES } from '../../src/replay/diagnosis.js';
import { replayHistories, type Replayed } from '../../src/replay/replay.js';
import { historyFiles } from '../../src/replay/sources.js';
import { buildIdOf, workflowBundlePath } from '../../src/worker/bundle.js';
import { cli, errorOf, folder, terminalFor, type Ended } from '../cli/support.js';
import { keepQuiet } from '../support/quiet.js';
import { ROOT } from '../support/root.js';

keepQuiet();

const HISTORIES = path.join(ROOT, 'test/histories');
const history = (name: string): string => path.join(HISTORIES, `${name}.json`);
const code = await readFile(await workflowBundlePath(), 'utf8');

interface Report {
  readonly build: string;
  readonly histories: number;
  readonly replayed: number;
  readonly byWorkflowType: Readonly<Record<string, number>>;
  readonly problems: readonly Replayed[];
}

function replay(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return cli(['replay', ...args, '--json'], { env });
}

/** The workflow code with one change in it, as a file. */
async function bundleWith(pattern: string | RegExp, replacement: string): Promise<string> {
  const changed = code.replace(pattern, replacement);
  expect(changed).not.toBe(code);
  const file = path.join(await folder(), 'changed.js');
  await writeFile(file, changed);
  return file;
}

/** Replays histories on changed code, and returns what is wrong with each. */
async function problemsOn(bundle: string, ...names: readonly string[]): Promise<Record<string, Replayed['problem']>> {
  return problemsOf(bundle, names.map(history));
}

async function problemsOf(bundle: string, files: readonly string[]): Promise<Record<string, Replayed['problem']>> {
  const problems: Record<string, Replayed['problem']> = {};
  await replayHistories(await historyFiles(files), {
    bundle,
    concurrency: 1,
    told: ({ source, problem }) => {
      if (problem !== undefined) problems[path.basename(source, '.json')] = problem;
    },
  });
  return problems;
}

/** A file of its own, made from a recorded history. */
async function fileOf(text: string, name = 'history.json'): Promise<string> {
  const file = path.join(await folder(), name);
  await writeFile(file, text);
  return file;
}

async function edited(name: string, edit: (text: string) => string): Promise<string> {
  const text = await readFile(history(name), 'utf8');
  const changed = edit(text);
  expect(changed).not.toBe(text);
  return fileOf(changed);
}

describe('a change of the code is reported with its event, its step and the likely cause', () => {
  test('two steps change places', async () => {
    const swapped = await bundleWith(/(const enforced = await [^;]+;)(\s*)(const pre = await [^;]+;)/, '$3$2$1');
    const expected = {
      code: 'NONDETERMINISTIC',
      cause: 'activities_reordered',
      event: { id: 7, type: 'MarkerRecorded' },
      step: 'enforce',
      message: expect.stringContaining('asks for the local activity capturePreState') as string,
      fix: expect.stringContaining('patched()') as string,
    };
    // A saga's own code is what it was.
    expect(await problemsOn(swapped, 'allowed', 'two-roles', 'saga')).toMatchObject({
      allowed: expected,
      'two-roles': expected,
    });
  });

  test('a step is left out', async () => {
    const without = await bundleWith(/const pre = await [^;]+;/, 'const pre = undefined;');
    expect(await problemsOn(without, 'allowed')).toMatchObject({
      allowed: { cause: 'activity_removed', event: { id: 8 }, step: 'capturePreState' },
    });
  });

  test('an activity is renamed, once or wherever it comes', async () => {
    const [step, check] = [
      await bundleWith("one('enforce'", "one('decide'"),
      await bundleWith(/\.checkApproval\(/g, '.checkDecision('),
    ];
    expect(await problemsOn(step, 'allowed')).toMatchObject({
      allowed: { cause: 'activity_renamed', event: { id: 7 }, step: 'enforce' },
    });
    expect(await problemsOn(check, 'allowed', 'two-roles')).toEqual({
      'two-roles': expect.objectContaining({
        cause: 'activity_renamed',
        event: { id: 17, type: 'ActivityTaskScheduled' },
        step: 'checkApproval',
      }) as object,
    });
  });

  test('an activity is added', async () => {
    const asked = await bundleWith(
      "capturePreState: one('capturePreState'",
      "capturePreState: twice('capturePreState'",
    );
    const file = path.join(await folder(), 'twice.js');
    await writeFile(
      file,
      (await readFile(asked, 'utf8')).replace(
        /(function one\(name, startToCloseTimeout, retry\) \{)/,
        "function twice(name, ...rest) { return async (input) => { await one('measure', ...rest)(input); return one(name, ...rest)(input); }; }\n$1",
      ),
    );
    expect(await problemsOn(file, 'allowed')).toMatchObject({
      allowed: { cause: 'activity_added', event: { id: 8 }, step: 'capturePreState' },
    });
  });

  test('a timer is added, and one is taken away', async () => {
    const added = await bundleWith(
      'await run(action)',
      'await new Promise((resolve) => setTimeout(resolve, 5)).then(() => run(action))',
    );
    expect(await problemsOn(added, 'allowed')).toMatchObject({
      allowed: { cause: 'timer_added', event: { id: 6 }, step: 'propose' },
    });
    const without = await bundleWith(/(condition\)\(over), Math\.max\(1, at - Date\.now\(\)\)\)/, '$1)');
    expect(await problemsOn(without, 'allowed', 'two-roles')).toMatchObject({
      'two-roles': { cause: 'timer_removed', event: { id: 11, type: 'TimerStarted' }, step: 'requestApproval' },
    });
  });

  test('a patch is not asked about any more', async () => {
    const file = await edited('allowed', withPatch);
    expect(await problemsOf(await workflowBundlePath(), [file])).toMatchObject({
      history: { cause: 'patch_removed', event: { id: 6, type: 'MarkerRecorded' } },
    });
    const asking = await bundleWith(
      'await run(action)',
      'await ((0,_temporalio_workflow__WEBPACK_IMPORTED_MODULE_0__.patched)("asks-first"), run(action))',
    );
    expect(await problemsOf(asking, [file])).toEqual({});
  });

  test('a workflow type is gone', async () => {
    const gone = await bundleWith(
      /(harmony export \*\/ {3})trustedAction: \(\) => \(\/\* reexport safe/,
      '$1formerAction: () => (/* reexport safe',
    );
    expect(await problemsOn(gone, 'allowed', 'reconcile')).toEqual({
      allowed: expect.objectContaining({
        code: 'NONDETERMINISTIC',
        cause: 'workflow_type_removed',
        event: expect.objectContaining({ id: 1 }) as object,
      }) as object,
    });
  });

  test('in words, on the command line', async () => {
    const renamed = await bundleWith("one('enforce'", "one('decide'");
    const { code: exit, stdout } = await cli(['replay', history('allowed'), history('saga'), '--bundle', renamed]);
    expect(exit).toBe(1);
    expect(stdout).toContain('✗ acme/allowed  trustedAction, NONDETERMINISTIC, activity_renamed');
    expect(stdout).toContain('  where     event 7 (MarkerRecorded), step enforce\n');
    expect(stdout).toContain(`1 of 2 histories replay on this workflow code (${await buildIdOf(renamed)})`);
  });
});

/** The history of a workflow that asked whether it is patched before anything else: what comes after it has later numbers. */
function withPatch(text: string): string {
  const { events } = JSON.parse(text) as { events: Record<string, unknown>[] };
  const later = JSON.parse(JSON.stringify(events), (key, value: unknown) =>
    /eventId$/i.test(key) && Number(value) > 5 ? String(Number(value) + 2) : value,
  ) as typeof events;
  const patched = Buffer.from(JSON.stringify({ id: 'asks-first', deprecated: false })).toString('base64');
  const json = { metadata: { encoding: Buffer.from('json/plain').toString('base64') } };
  const names = Buffer.from(JSON.stringify(['asks-first'])).toString('base64');
  const [marker, attribute] = [
    {
      eventType: 'EVENT_TYPE_MARKER_RECORDED',
      markerRecordedEventAttributes: {
        markerName: 'core_patch',
        details: { 'patch-data': { payloads: [{ ...json, data: patched }] } },
        workflowTaskCompletedEventId: '4',
      },
    },
    {
      eventType: 'EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES',
      upsertWorkflowSearchAttributesEventAttributes: {
        workflowTaskCompletedEventId: '4',
        searchAttributes: { indexedFields: { TemporalChangeVersion: { ...json, data: names } } },
      },
    },
  ];
  const eventTime = events[4]?.['eventTime'];
  const inserted = [marker, attribute].map((event, index) => ({ eventId: String(6 + index), eventTime, ...event }));
  return JSON.stringify({ events: [...later.slice(0, 5), ...inserted, ...later.slice(5)] });
}

describe('what cannot be replayed is told by its file', () => {
  const DAMAGED: Readonly<Record<string, readonly [edit: (text: string) => string, why: RegExp]>> = {
    cut: [(text) => text.slice(0, 5000), /it is not JSON/],
    'never-json': [() => 'history', /it is not JSON/],
    'no-history': [() => '{"status":"ok"}', /it has no events/],
    beheaded: [(text) => withoutEvent(text, 1), /where event 1 should be there is the event 2/],
    hole: [(text) => withoutEvent(text, 9), /where event 9 should be there is the event 10/],
    nothing: [
      (text) => text.replace('{"eventId":"9"', '7,{"eventId":"9"'),
      /where event 9 should be there is an entry that is no event/,
    ],
    bare: [(text) => text.replace('activityTaskScheduledEventAttributes', 'x'), /Missing attributes/],
    'no-kind': [
      (text) => text.replace('EVENT_TYPE_ACTIVITY_TASK_SCHEDULED', 'EVENT_TYPE_NONE'),
      /event 10 is of no known type/,
    ],
    'no-start': [
      (text) => text.replace('workflowExecutionStartedEventAttributes', 'workflowTaskStartedEventAttributes'),
      /does not begin with the start of a workflow/,
    ],
  };

  test('files that are damaged and a history of somebody else, beside one that is neither', async () => {
    const root = await folder();
    const text = await readFile(history('allowed'), 'utf8');
    const theirs = text
      .replaceAll('trustedAction', 'shipOrder')
      .replaceAll(/countersign-\w{8}/g, 'shop-1.2.3')
      .replaceAll(/"Countersign(\w+)"/g, '"Shop$1"');
    await writeFile(path.join(root, 'theirs.json'), theirs);
    for (const [name, [edit]] of Object.entries(DAMAGED)) await writeFile(path.join(root, `${name}.json`), edit(text));
    await writeFile(path.join(root, 'whole.json'), text);
    const ended = await replay([root]);
    const { problems, histories, replayed } = ended.json() as Report;
    expect([ended.code, histories, replayed]).toEqual([2, Object.keys(DAMAGED).length + 2, 1]);
    expect(problems.find(({ source }) => path.basename(source) === 'theirs.json')).toMatchObject({
      workflowType: 'shipOrder',
      problem: { code: 'HISTORY_INVALID', message: expect.stringContaining('no worker of Countersign') as string },
    });
    const told = Object.fromEntries(problems.map(({ source, problem }) => [path.basename(source, '.json'), problem]));
    for (const [name, [, why]] of Object.entries(DAMAGED)) {
      expect([name, told[name]]).toMatchObject([name, { code: 'HISTORY_INVALID' }]);
      expect(told[name]?.message).toMatch(why);
      expect(told[name]?.fix).toMatch(/^Record /);
    }
  });

  test('a history that has not ended yet replays as far as it goes', async () => {
    const file = await edited('two-roles', (text) => {
      const { events } = JSON.parse(text) as { events: readonly object[] };
      return JSON.stringify({ events: events.slice(0, 12) });
    });
    expect(await problemsOf(await workflowBundlePath(), [file])).toEqual({});
  });

  test('paths that lead nowhere, a folder without histories, and no path at all', async () => {
    const empty = await folder();
    await expect(historyFiles(['/does/not/exist'])).rejects.toMatchObject({ code: 'NOT_FOUND' });
    for (const [args, expected] of [
      [[empty], 'NOT_FOUND'],
      [[history('allowed'), '--bundle', '/does/not/exist.js'], 'USAGE'],
    ] as const) {
      const ended = await replay(args);
      expect([ended.code, errorOf(ended).code]).toEqual([2, expected]);
    }
    // Told before anything of its process is set up.
    const terminal = terminalFor({});
    await runCommand(['replay', '--json'], terminal);
    terminal.stdout.end();
    expect(JSON.parse(await text(terminal.stdout))).toMatchObject({ error: { code: 'USAGE' } });
    expect(terminal.exitCode).toBe(2);
  });
});

test('with files alone nothing is connected to, and folders are read however deep', async () => {
  let connections = 0;
  const server = net.createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  const env = {
    TEMPORAL_ADDRESS: address,
    COUNTERSIGN_LEDGER_URL: `postgres://nobody@${address}/none`,
    COUNTERSIGN_GATEWAY_URL: `http://${address}`,
  };
  const root = await folder();
  await mkdir(path.join(root, 'a/b'), { recursive: true });
  for (const [name, place] of [
    ['allowed', 'a/b/one.json'],
    ['saga', 'two.json'],
  ] as const) {
    await writeFile(path.join(root, place), await readFile(history(name)));
  }
  const ended = await replay([root, '--concurrency', '2'], env);
  expect(ended.code).toBe(0);
  expect(ended.json()).toEqual({
    build: await buildIdOf(await workflowBundlePath()),
    histories: 2,
    replayed: 2,
    byWorkflowType: { saga: 1, trustedAction: 1 },
    problems: [],
  });
  expect(connections).toBe(0);
});
function withoutEvent(text: string, id: number): string {
  const { events } = JSON.parse(text) as { events: readonly { eventId: string }[] };
  return JSON.stringify({ events: events.filter(({ eventId }) => eventId !== String(id)) });
}

test('docs/replay.md lists every cause, and no other', async () => {
  const page = await readFile(path.join(ROOT, 'docs/replay.md'), 'utf8');
  const listed = [...page.matchAll(/^\| `([a-z_]+)` /gm)].map(([, cause]) => cause);
  expect(new Set(listed)).toEqual(new Set(Object.keys(CAUSES)));
});
