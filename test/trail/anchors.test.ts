/** Anchors in trouble: away, slow, full, or said to have what they have not. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkpointTrails } from '../../activities/checkpoint-trail.js';
import type { Ledger } from '../../src/ledger/index.js';
import { anchorFailed, type Anchor, type AnchoredCheckpoint } from '../../src/trail/anchors/anchor.js';
import { fileAnchor, gitAnchor } from '../../src/trail/index.js';
import { checkpointRound, type RoundReport } from '../../src/trail/round.js';
import type { Keyring } from '../../src/trust/index.js';
import { folder } from '../cli/support.js';
import { newTenant, startLedger, type TestLedger } from '../ledger/support.js';
import { newKeyring, settleAction } from './world.js';

const run = promisify(execFile);

let at: TestLedger;
let ledger: Ledger;
let keyring: Keyring;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
  keyring = await newKeyring();
});
afterAll(() => at?.stop());

/** An anchor that keeps what it is given, once `put` lets it. */
function anchor(name: string, put: (checkpoint: AnchoredCheckpoint) => Promise<void> = () => Promise.resolve()) {
  const kept: AnchoredCheckpoint[] = [];
  const made: Anchor = {
    name,
    async put(checkpoint) {
      await put(checkpoint);
      kept.push(checkpoint);
      return 'kept';
    },
  };
  return { ...made, kept };
}

const round = (anchors: readonly Anchor[], tenants: readonly string[], more: object = {}): Promise<RoundReport> =>
  checkpointRound({ ledger, keyring, anchors, tenants, signal: new AbortController().signal, ...more });

async function tenantsWithTrail(count: number): Promise<readonly string[]> {
  const tenants = Array.from({ length: count }, () => newTenant());
  for (const tenant of tenants) await settleAction(ledger, keyring, 'a-1', tenant);
  return tenants;
}

const signed = async (tenant: string): Promise<boolean> => (await ledger.trail.lastCheckpoint(tenant)) !== undefined;

test('a place that does not answer keeps no trail from being signed, and no other place from being told', async () => {
  const tenants = await tenantsWithTrail(3);
  let answer = (): void => {};
  const hangs = anchor('hangs', () => new Promise((resolve) => (answer = resolve)));
  const other = anchor('other');
  const begun = round([hangs, other], tenants);
  await expect.poll(() => other.kept.map(({ tenant }) => tenant).toSorted()).toEqual(tenants.toSorted());
  expect(await Promise.all(tenants.map(signed))).toEqual([true, true, true]);
  expect(hangs.kept).toEqual([]);
  const answering = setInterval(() => answer(), 1);
  expect(await begun).toMatchObject({ problems: [] });
  clearInterval(answering);
  expect(hangs.kept).toHaveLength(3);
});

test('a place that is away is waited for so long and no longer, and is told everything in the next rounds', async () => {
  const tenants = await tenantsWithTrail(6);
  let asked = 0;
  let away = true;
  const place = anchor('place', () => {
    asked++;
    if (away) throw anchorFailed('place', 'no answer');
    return Promise.resolve();
  });
  const { problems } = await round([place], tenants, { awayMs: 0 });
  expect(asked).toBe(1);
  expect(problems.map(({ error: { code } }) => code)).toEqual(Array.from({ length: 6 }, () => 'ANCHOR_FAILED'));
  expect(problems.filter(({ error: { message } }) => message.includes('waited for in vain'))).toHaveLength(5);
  away = false;
  expect(await round([place], tenants)).toMatchObject({ problems: [] });
  expect(place.kept.map(({ tenant }) => tenant).toSorted()).toEqual(tenants.toSorted());
  await round([place], tenants);
  expect(place.kept).toHaveLength(6);
});

test('whoever can write to the ledger cannot have it believed that a place has what was never put there', async () => {
  const [tenant = ''] = await tenantsWithTrail(1);
  await at.pool.query(`
    create function countersign.pretend() returns trigger language plpgsql as $$ begin
      insert into countersign.trail_anchors (tenant, size, anchor, detail) values (new.tenant, new.size, 'place', 'kept');
      return null;
    end $$;
    create trigger pretend after insert on countersign.trail_checkpoints for each row
      when (new.tenant = '${tenant}') execute function countersign.pretend();`);
  const place = anchor('place');
  try {
    expect(await round([place], [tenant])).toMatchObject({ checkpoints: [{ size: 1, made: true }], problems: [] });
    expect(place.kept).toMatchObject([{ tenant, size: 1 }]);
    await round([place], [tenant]);
    expect(place.kept).toHaveLength(1);
  } finally {
    await at.pool.query('drop function countersign.pretend() cascade');
  }
});

test('a worker is not taken for dead while an anchor takes its time', async () => {
  const [tenant = ''] = await tenantsWithTrail(1);
  const environment = new MockActivityEnvironment();
  const heard = () => new Promise<void>((resolve) => environment.once('heartbeat', () => resolve()));
  const slow = anchor('slow', ({ tenant: whose }) => (whose === tenant ? heard() : Promise.resolve()));
  await environment.run(() => checkpointTrails({ ledger, keyring, anchors: [slow] } as never));
  expect(slow.kept).toContainEqual(expect.objectContaining({ tenant }));
});

test('a line that a full disk has cut short stays a line of its own', async () => {
  const [tenant = ''] = await tenantsWithTrail(1);
  const [cwd, repository] = [await folder(), await folder()];
  await run('git', ['init', '--quiet', repository]);
  const files = [path.join(cwd, 'anchored.jsonl'), path.join(repository, `${tenant}.jsonl`)] as const;
  for (const file of files) await writeFile(file, '{"tenant":"acme","si');
  await round([fileAnchor({ path: files[0] }), gitAnchor({ repository })], [tenant]);
  for (const file of files) {
    const [cut, line = '', ...rest] = (await readFile(file, 'utf8')).split('\n');
    expect([cut, rest]).toEqual(['{"tenant":"acme","si', ['']]);
    expect(JSON.parse(line)).toMatchObject({ tenant, size: 1 });
  }
});

test('what is said of a push that failed names no password', async () => {
  const [tenant = ''] = await tenantsWithTrail(1);
  const repository = await folder();
  await run('git', ['init', '--quiet', repository]);
  const remote = 'http://robot:hunter2-hunter2@127.0.0.1:1/anchors.git';
  const { problems } = await round([gitAnchor({ repository, remote })], [tenant]);
  expect(problems).toMatchObject([{ tenant, error: { code: 'ANCHOR_FAILED' } }]);
  expect(problems[0]?.error.message).toMatch(/unable to access|could not connect/i);
  const { error } = problems[0] as RoundReport['problems'][number];
  expect(`${error.stack} ${JSON.stringify(error.cause)} ${String(error.cause)}`).not.toContain('hunter2');
});
