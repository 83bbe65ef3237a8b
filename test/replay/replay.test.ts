/** Every recorded history replays on today's workflow code, and a nondeterministic change is caught. */
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { bundleWorkflowCode, Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../../src/action/json.js';
import { parseScrubRules } from '../../src/decisions/scrub-rules.js';
import { scrubHistory } from '../../src/decisions/scrub-history.js';
import { workflowBundlePath } from '../../src/worker/bundle.js';
import { keepQuiet } from '../support/quiet.js';
import { ROOT } from '../support/root.js';

keepQuiet();

const folder = path.join(ROOT, 'test/histories');
const names = (await readdir(folder))
  .filter((name) => name.endsWith('.json'))
  .map((name) => path.basename(name, '.json'));

async function history(name: string): Promise<unknown> {
  return JSON.parse(await readFile(path.join(folder, `${name}.json`), 'utf8'));
}

interface History {
  readonly events: readonly { readonly workflowExecutionStartedEventAttributes?: { readonly workflowId?: string } }[];
}

/** A workflow may make other ids of its own. */
function idIn(recorded: unknown): string | undefined {
  return (recorded as History).events[0]?.workflowExecutionStartedEventAttributes?.workflowId;
}

/** Every way an action can go has a history; a path that is new must be recorded (`npm run histories`). */
const PATHS = [
  'allowed',
  'approval-denied',
  'approval-expired',
  'cancelled-executing',
  'cancelled-pending',
  'cancelled-queued',
  'changes-requested',
  'compensated',
  'compensation',
  'compensation-accepted',
  'compensation-retried',
  'denied',
  'dry-run',
  'dry-run-elsewhere',
  'edit',
  'edited',
  'effect-found',
  'escalated',
  'failed',
  'frozen-executing',
  'ledger-away',
  'limit-lifted',
  'limited',
  'long-expectation',
  'mismatch',
  'notification',
  'other-task-queue',
  'queued',
  'queued-in-vain',
  'read',
  'reconcile',
  'recorded',
  'recorded-outcome',
  'resolution',
  'restated',
  'saga',
  'saga-asking',
  'saga-cancelled',
  'saga-compensated',
  'saga-step-asking',
  'saga-unknown',
  'stale-then-approved',
  'signed-command',
  'signed-command-refused',
  'tool-down',
  'two-roles',
  'unsent',
  'unverified',
];

test('there is a history of every path', () => {
  expect(names).toEqual(expect.arrayContaining(PATHS));
});

describe('today’s workflow code replays', () => {
  test.each(names)('%s', async (name) => {
    const codePath = await workflowBundlePath();
    const recorded = await history(name);
    const replayed = Worker.runReplayHistory({ workflowBundle: { codePath } }, recorded, idIn(recorded) ?? name);
    await expect(replayed).resolves.toBeUndefined();
  });
});

describe('scrubbed of what rules name, a history', () => {
  const rules = parseScrubRules(
    'salt: sixteen characters at least\nrules: [{column: id, do: pseudonym}, {column: approver, do: pseudonym}, {column: sample, do: remove}]',
    'scrub.yaml',
  );

  test.each(['allowed', 'two-roles', 'compensated'])('%s holds none of it, and replays', async (name) => {
    const recorded = await history(name);
    const scrubbed = scrubHistory(recorded as Json, rules);
    const words = ({ data }: { data: string }): string => Buffer.from(data, 'base64').toString();
    const payloads = (value: unknown): string =>
      [...JSON.stringify(value).matchAll(/"data":"([^"]*)"/g)].map(([, data = '']) => words({ data })).join('\n');
    expect(payloads(recorded)).toContain('agent-1');
    expect(payloads(scrubbed)).not.toMatch(/agent-1|"sample"/);
    const codePath = await workflowBundlePath();
    const replayed = Worker.runReplayHistory({ workflowBundle: { codePath } }, scrubbed, idIn(recorded) ?? name);
    await expect(replayed).resolves.toBeUndefined();
  });
});

describe('a change that is not deterministic', () => {
  let copy: string;

  beforeAll(async () => {
    copy = await mkdtemp(path.join(os.tmpdir(), 'countersign-replay-'));
    for (const part of ['workflows', 'src', 'activities', 'package.json']) {
      await cp(path.join(ROOT, part), path.join(copy, part), { recursive: true });
    }
    await symlink(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
  });
  afterAll(() => rm(copy, { recursive: true, force: true }));

  test('is caught by a recorded history', async () => {
    const file = path.join(copy, 'workflows/trusted-action.ts');
    const text = await readFile(file, 'utf8');
    const changed = `import { sleep as dawdle } from '@temporalio/workflow';\n${text}`.replace(
      'await run(action)',
      'await dawdle(1).then(() => run(action))',
    );
    expect(changed).toContain('dawdle(1)');
    await writeFile(file, changed);
    const ignore = (): void => {};
    const workflowBundle = await bundleWorkflowCode({
      workflowsPath: path.join(copy, 'workflows/index.ts'),
      logger: { log: ignore, trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore },
    });
    await expect(Worker.runReplayHistory({ workflowBundle }, await history('allowed'), 'allowed')).rejects.toThrow(
      DeterminismViolationError,
    );
  });
});
