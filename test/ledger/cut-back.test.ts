/** A ledger that was cut back says that an earlier policy is active, with a good signature: what keeps a worker that starts then from believing it? */
import { randomUUID } from 'node:crypto';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/action/json.js';
import { digestText } from '../../src/action/json.js';
import { Closing } from '../../src/closing.js';
import { policyReceiptId } from '../../src/ledger/index.js';
import { bundleFromFiles, loadBundle, starterFolder } from '../../src/policy/index.js';
import {
  generateKeyringFile,
  hashReceipt,
  parseKeyring,
  signPolicyChange,
  signReceipt,
  type Keyring,
} from '../../src/trust/index.js';
import { openPolicy, type WorkerPolicy } from '../../src/worker/policy-source.js';
import { until } from '../support/until.js';
import { newTenant, startLedger, type TestLedger } from './support.js';

let starter: Readonly<Record<string, string>>;
let keyring: Keyring;
let foreign: Keyring;
let at: TestLedger;
let closing: Closing;
/** Of the receipts of a test. */
let tenant: string;
let older: Digest;
let newer: Digest;

beforeAll(async () => {
  starter = (await loadBundle(starterFolder())).files;
  keyring = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'keys');
  foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
  at = await startLedger();
});
afterAll(() => at?.stop());

beforeEach(async () => {
  closing = new Closing();
  tenant = newTenant();
  older = await promoted();
  newer = await promoted();
});
afterEach(async () => {
  await closing.close();
  await tampering('truncate countersign.policy_workers');
});

/** A worker's policy, with what the worker says of it. */
async function worker(): Promise<WorkerPolicy> {
  const logger = pino({ level: 'silent' });
  const options = {
    config: { policies: { from: 'ledger' } },
    taskQueue: 'q',
    production: false,
    pollMs: 3_600_000,
  } as const;
  return openPolicy({ ...options, ledger: at.ledger, keyring, logger }, closing);
}

async function published(): Promise<Digest> {
  const { digest, files } = bundleFromFiles({ ...starter, 'more.cedar': `// ${randomUUID()}` });
  await at.ledger.content.putPolicy(digest, files);
  await at.ledger.rollout.publish({ digest, by: 'ann', reason: 'a draft' });
  return digest;
}

/** As a worker carries a promotion out: the change, and then its receipt. */
async function promoted(above = 0): Promise<Digest> {
  const digest = await published();
  const { latest } = await at.ledger.rollout.placed();
  const seq = Math.max(latest, above) + 1;
  const statements = [digestText('signed by ann')];
  const signed = await signPolicyChange(keyring, { seq, kind: 'promote', digest, statements, iat: 1 });
  const id = randomUUID();
  const change = {
    id,
    seq,
    kind: 'promote',
    digest,
    by: 'ann',
    people: ['ann'],
    statements,
    reason: 'x',
    signed,
  } as const;
  expect(await at.ledger.rollout.change(change)).toMatchObject({ seq, digest });
  const claims = {
    v: 1,
    tenant,
    actionId: policyReceiptId(seq, id),
    proposalDigest: digest,
    status: 'success',
    reason: 'promoted',
    tool: 'countersign.promote_policy',
    approvals: [],
    outcomeDigest: digest,
    iat: 1,
  } as const;
  await at.ledger.receipts.append({
    tenant,
    actionId: claims.actionId,
    sign: async (link) => {
      const jws = await signReceipt(keyring, { ...claims, ...link });
      return { jws, hash: hashReceipt(jws) };
    },
  });
  return digest;
}

/** As a superuser could: past the triggers. */
async function tampering(body: string): Promise<void> {
  const client = await at.pool.connect();
  try {
    await client.query(`set session_replication_role = replica; ${body}; reset session_replication_role`);
  } finally {
    client.release();
  }
}

const STATES = () => `
  update countersign.policy_states set state = 'retired' where state = 'active';
  update countersign.policy_states set state = 'active',
    seq = (select max(seq) from countersign.policy_changes where digest = '${older}' and kind = 'promote') where digest = '${older}'`;
const HISTORY = () => `${STATES()};
  delete from countersign.policy_states where digest = '${newer}';
  delete from countersign.policy_changes where seq > (select seq from countersign.policy_states where state = 'active')`;
const RECEIPTS = `delete from countersign.receipts where action_id like 'command/policy.%'`;

function refusal(policy: WorkerPolicy): { code: string; fix: string } {
  try {
    return { code: 'none', fix: policy.current().digest };
  } catch (error) {
    return error as { code: string; fix: string };
  }
}

describe('a worker that starts then', () => {
  test('refuses an earlier policy where the history itself shows a later one', async () => {
    const { latest } = await at.ledger.rollout.placed();
    await tampering(STATES());
    const { code, fix } = refusal(await worker());
    expect(code).toBe('POLICY_UNAVAILABLE');
    expect(fix).toContain(`but there was change ${latest}, as `);
    expect(fix).toContain('promote it: that change gets a number above all that were made');
  });

  test('refuses it where receipts tell of a change that the history does not have', async () => {
    const { latest } = await at.ledger.rollout.placed();
    await tampering(HISTORY());
    const { code, fix } = refusal(await worker());
    expect([code, fix]).toEqual([
      'POLICY_UNAVAILABLE',
      expect.stringMatching(`change ${latest}, as receipt \\d+ of ${tenant} shows`),
    ]);
  });

  test('refuses it where only another worker still shows the change', async () => {
    const running = await worker();
    const { latest } = await at.ledger.rollout.placed();
    await until(
      () => at.ledger.rollout.workers(),
      ([one]) => one?.active === newer,
    );
    await tampering(`${HISTORY()}; ${RECEIPTS}`);
    const { code, fix } = refusal(await worker());
    expect([code, fix]).toEqual([
      'POLICY_UNAVAILABLE',
      expect.stringMatching(`change ${latest}, as worker .+/\\d+/.+ shows`),
    ]);
    // Whoever ran it goes on.
    expect(await running.reload()).toMatchObject({ ok: false, error: { code: 'POLICY_INVALID' } });
    expect(running.current().digest).toBe(newer);
  });

  test('believes what nothing contradicts: a whole ledger that was restored while no worker ran', async () => {
    await tampering(`${HISTORY()}; ${RECEIPTS}`);
    expect(refusal(await worker())).toEqual({ code: 'none', fix: older });
  });

  test('is not stopped by what somebody made up', async () => {
    const { latest } = await at.ledger.rollout.placed();
    const claims = { kind: 'promote', digest: older, statements: [digestText('x')], iat: 1 } as const;
    const made = [
      { seq: latest + 5, signed: 'nothing' },
      { seq: latest + 4, signed: await signPolicyChange(foreign, { ...claims, seq: latest + 4 }) },
      // Signed for another place, or for no activation.
      { seq: latest + 3, signed: await signPolicyChange(keyring, { ...claims, seq: latest }) },
      { seq: latest + 2, signed: await signPolicyChange(keyring, { ...claims, kind: 'shadow', seq: latest + 2 }) },
    ];
    for (const [index, one] of made.entries()) {
      await at.ledger.rollout.report({ worker: `made-up-${index}`, taskQueue: 'q', source: 'ledger', latest: one });
    }
    expect(refusal(await worker())).toEqual({ code: 'none', fix: newer });
  });
});

test('a worker that has believed it denies everything as soon as another one shows a later change', async () => {
  await worker();
  await until(
    () => at.ledger.rollout.workers(),
    ([one]) => one?.active === newer,
  );
  const { rows } = await at.pool.query<{ seq: string; signed: string }>(
    'select change as seq, signed from countersign.policy_workers',
  );
  await closing.close();
  await tampering(`${HISTORY()}; ${RECEIPTS}`);
  const fresh = await worker();
  expect(refusal(fresh)).toEqual({ code: 'none', fix: older });
  const latest = { seq: Number(rows[0]?.seq), signed: rows[0]?.signed ?? '' };
  await at.ledger.rollout.report({ worker: 'late', taskQueue: 'q', source: 'ledger', active: newer, latest });
  expect(await fresh.reload()).toMatchObject({ ok: false, error: { code: 'POLICY_INVALID' } });
  expect(refusal(fresh).code).toBe('POLICY_UNAVAILABLE');
});

test('a promotion above all that were made is followed by every worker, whatever each believed', async () => {
  const running = await worker();
  await tampering(HISTORY());
  const fresh = await worker();
  expect(refusal(fresh).code).toBe('POLICY_UNAVAILABLE');
  const right = await promoted(fresh.latestChange?.());
  for (const one of [running, fresh]) {
    expect(await one.reload()).toMatchObject({ ok: true });
    expect(one.current().digest).toBe(right);
  }
});
