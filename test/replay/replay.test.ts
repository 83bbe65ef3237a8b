/** Every recorded history replays on today's workflow code. What is told of those that do not is in command.test.ts. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { replayHistories, type Replayed } from '../../src/replay/replay.js';
import { historyFiles } from '../../src/replay/sources.js';
import { WORKFLOWS } from '../../src/temporal.js';
import { workflowBundlePath } from '../../src/worker/bundle.js';
import { keepQuiet } from '../support/quiet.js';
import { ROOT } from '../support/root.js';

keepQuiet();

const folder = path.join(ROOT, 'test/histories');
const names = (await readdir(folder))
  .filter((name) => name.endsWith('.json'))
  .map((name) => path.basename(name, '.json'));

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
  const results = new Map<string, Replayed>();

  beforeAll(async () => {
    await replayHistories(await historyFiles([folder]), {
      bundle: await workflowBundlePath(),
      concurrency: 2,
      told: (result) => results.set(path.basename(result.source, '.json'), result),
    });
  });

  test.each(names)('%s', (name) => {
    expect(results.get(name)).toEqual(expect.objectContaining({ workflowType: expect.any(String) as string }));
    expect(results.get(name)?.problem).toBeUndefined();
  });

  test('and nothing else was replayed', () => {
    expect(new Set(results.keys())).toEqual(new Set(names));
  });
});

test('the workflow types are those of the code, and the short ones are pinned', async () => {
  const index = await readFile(path.join(ROOT, 'workflows/index.ts'), 'utf8');
  const exported = [...(/^export \{([^}]*)\}/m.exec(index)?.[1] ?? '').matchAll(/\w+/g)].map(([name]) => name);
  expect(new Set(exported)).toEqual(new Set(Object.keys(WORKFLOWS)));
  const pinned = [...index.matchAll(/^setWorkflowOptions\(pinned, (\w+)\);/gm)].map(([, name]) => name);
  const short = Object.entries(WORKFLOWS).flatMap(([name, behavior]) => (behavior === 'PINNED' ? [name] : []));
  expect(new Set(pinned)).toEqual(new Set(short));
});
