/** Every recorded history replays on today's workflow code. What is told of those that do not is in command.test.ts. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Json } from '../../src/action/json.js';
import { parseScrubRules } from '../../src/decisions/scrub-rules.js';
import { scrubHistory } from '../../src/decisions/scrub-history.js';
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
  'batch',
  'batch-refused',
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
  'edit-cancelled',
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

test('the workflow types are those of the code, and the short ones are pinned', async () => {
  const index = await readFile(path.join(ROOT, 'workflows/index.ts'), 'utf8');
  const exported = [...(/^export \{([^}]*)\}/m.exec(index)?.[1] ?? '').matchAll(/\w+/g)].map(([name]) => name);
  expect(new Set(exported)).toEqual(new Set(Object.keys(WORKFLOWS)));
  const pinned = [...index.matchAll(/^setWorkflowOptions\(pinned, (\w+)\);/gm)].map(([, name]) => name);
  const short = Object.entries(WORKFLOWS).flatMap(([name, behavior]) => (behavior === 'PINNED' ? [name] : []));
  expect(new Set(pinned)).toEqual(new Set(short));
});
