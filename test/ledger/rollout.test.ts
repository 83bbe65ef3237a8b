/** The states of policies in the ledger: every change is recorded, at most one policy is active, and of two changes at once one is made. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digest, digestText, type Digest } from '../../src/action/json.js';
import type { OrderedPolicyChange } from '../../src/action/policy-rollout.js';
import type { ChangeRequest, Ledger } from '../../src/ledger/index.js';
import { startProxy } from './proxy.js';
import { startLedger, times, type TestLedger } from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

/** A bundle that no other test has; only its bytes matter here. */
async function published(): Promise<Digest> {
  const files = { 'a.cedar': `// ${randomUUID()}` };
  await ledger.content.putPolicy(digest(files), files);
  await ledger.rollout.publish({ digest: digest(files), by: 'ann', reason: 'a draft' });
  return digest(files);
}

async function order(
  kind: OrderedPolicyChange,
  policy: Digest,
  more: Partial<ChangeRequest> = {},
): Promise<ChangeRequest> {
  const { latest } = await ledger.rollout.placed();
  return {
    id: randomUUID(),
    seq: latest + 1,
    kind,
    digest: policy,
    by: 'ann',
    people: ['ann'],
    statements: ['signed by ann'],
    reason: `to ${kind}`,
    signed: 'signed by a worker',
    ...more,
  };
}

const change = async (kind: OrderedPolicyChange, policy: Digest) => ledger.rollout.change(await order(kind, policy));
const stateOf = async (policy: Digest) =>
  (await ledger.rollout.states()).find((stated) => stated.digest === policy)?.state;

describe('a bundle', () => {
  test('is published once, whoever publishes it again, and only when it is kept', async () => {
    const policy = await published();
    const again = await times(5, () => ledger.rollout.publish({ digest: policy, by: 'bob', reason: 'again' }));
    expect(again.map(({ made, policy: { state } }) => [made, state])).toEqual(again.map(() => [false, 'draft']));
    expect(await ledger.rollout.history({ digest: policy })).toMatchObject([
      { kind: 'publish', by: 'ann', people: [] },
    ]);
    await expect(
      ledger.rollout.publish({ digest: digestText('nobody keeps it'), by: 'ann', reason: 'x' }),
    ).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  test('goes from draft to shadow to active to retired and back, with who, why and when of each change', async () => {
    const [one, two] = [await published(), await published()];
    await change('shadow', one);
    expect(await stateOf(one)).toBe('shadow');
    await change('promote', one);
    await change('shadow', two);
    const evidence = digestText('report');
    const promotion = await order('promote', two, { people: ['ann', 'bob'], statements: ['a', 'b'], evidence });
    expect(await ledger.rollout.change(promotion)).toMatchObject({ kind: 'promote', replaced: one, evidence });
    expect([await stateOf(one), await stateOf(two)]).toEqual(['retired', 'active']);
    await change('rollback', one);
    expect([await stateOf(one), await stateOf(two)]).toEqual(['active', 'retired']);
    const history = await ledger.rollout.history({ digest: two });
    expect(history.map(({ kind, people }) => [kind, people])).toEqual([
      ['rollback', ['ann']],
      ['promote', ['ann', 'bob']],
      ['shadow', ['ann']],
      ['publish', []],
    ]);
    expect(history.every(({ at: when }) => Math.abs(Date.parse(when) - Date.now()) < 60_000)).toBe(true);
  });

  test('that takes the place of another in shadow retires that one', async () => {
    const [one, two] = [await published(), await published()];
    await change('shadow', one);
    expect(await change('shadow', two)).toMatchObject({ replaced: one });
    expect([await stateOf(one), await stateOf(two)]).toEqual(['retired', 'shadow']);
  });

  test.each([
    ['retire', 'active', 'a draft, or the policy that shadows'],
    ['shadow', 'active', 'a draft or a retired policy'],
    ['rollback', 'draft', 'a policy that was active before, and is not now'],
  ] as const)('is not the object of %s when it is %s', async (kind, state, expected) => {
    const policy = await published();
    if (state === 'active') await change('promote', policy);
    await expect(change(kind, policy)).rejects.toMatchObject({ code: 'POLICY_CONFLICT', expected });
    expect(await stateOf(policy)).toBe(state);
  });
});

describe('of changes at once', () => {
  test('that were signed for one number, one is made, and the others are told that they came late', async () => {
    const policies = await times(8, () => published());
    const orders = await Promise.all(policies.map((policy) => order('promote', policy)));
    const made = (await Promise.all(orders.map((one) => ledger.rollout.change(one)))).filter(
      (one) => one !== undefined,
    );
    expect(made).toHaveLength(1);
    const active = (await ledger.rollout.states()).filter(({ state }) => state === 'active');
    expect(active.map(({ digest: which }) => which)).toEqual([made[0]?.digest]);
  });

  test('with one id, all are the same change', async () => {
    const promotion = await order('promote', await published());
    const made = await times(5, () => ledger.rollout.change(promotion));
    expect(new Set(made.map((one) => one?.seq))).toEqual(new Set([promotion.seq]));
  });

  test('the numbers have no gap', async () => {
    const history = await ledger.rollout.history({ limit: 1000 });
    expect(history.map(({ seq }) => seq)).toEqual(history.map((_, index) => history.length - index));
  });
});

test('a promotion whose answer is lost was made once, and is found when it is asked for again', async () => {
  const proxy = await startProxy(at.url);
  const far = await at.another({ url: proxy.url });
  const promotion = await order('promote', await published());
  await far.rollout.placed();
  proxy.loseReplyTo('SELECT');
  expect(await far.rollout.change(promotion)).toMatchObject({ seq: promotion.seq, digest: promotion.digest });
  expect(proxy.cuts).toBe(1);
  expect((await ledger.rollout.history({ digest: promotion.digest })).map(({ kind }) => kind)).toEqual([
    'promote',
    'publish',
  ]);
  await far.close();
  await proxy.close();
});

describe('whoever writes to the tables', () => {
  test('makes no second policy active or shadow, and removes or rewrites no change', async () => {
    const [one, two] = [await published(), await published()];
    await change('promote', one);
    const refused = (text: string) => expect(at.pool.query(text)).rejects.toMatchObject({ code: expect.any(String) });
    await refused(`update countersign.policy_states set state = 'active', seq = 999999 where digest = '${two}'`);
    await refused(`update countersign.policy_changes set reason = 'else'`);
    await refused(`delete from countersign.policy_changes`);
    await refused(`delete from countersign.policy_states where digest = '${one}'`);
    expect([await stateOf(one), await stateOf(two)]).toEqual(['active', 'draft']);
  });
});

describe('evidence', () => {
  test('is found by candidate and baseline, the latest first, and kept once', async () => {
    const [candidate, baseline] = [digestText('candidate'), digestText('baseline')];
    const found = (report: string) => ({
      candidate,
      baseline,
      report: digestText(report),
      decisions: 2000,
      summary: { changed: 3 },
      by: 'ann',
      signed: 'x',
    });
    for (const report of ['one', 'two', 'one']) await ledger.rollout.addEvidence(found(report));
    expect((await ledger.rollout.evidence(candidate, baseline)).map(({ report }) => report)).toEqual([
      digestText('two'),
      digestText('one'),
    ]);
    expect(await ledger.rollout.evidence(baseline, candidate)).toEqual([]);
    await expect(
      ledger.rollout.addEvidence({ ...found('huge'), summary: { text: 'x'.repeat(20_000) } }),
    ).rejects.toMatchObject({ code: 'INVALID_INPUT', field: 'evidence.summary' });
  });
});

test('approvals count one for each person, for the activation they were about', async () => {
  const candidate = await published();
  const approval = (person: string, activeSince = 7) => ({
    id: randomUUID(),
    candidate,
    activeSince,
    tenant: 'acme',
    person,
    credentials: ['c'],
    statement: `signed by ${person}`,
  });
  for (const one of [approval('ann'), approval('ANN'), approval('bob'), approval('eve', 6)]) {
    await ledger.rollout.approve(one);
  }
  const counted = await ledger.rollout.approvals({ candidate, activeSince: 7 });
  expect(counted.map(({ person }) => person)).toEqual(['ann', 'bob']);
  expect(await ledger.rollout.approvals({ candidate, activeSince: 7, evidence: digestText('e') })).toEqual([]);
});

test('a worker is listed with what it last said, until it stops; one that is silent is marked', async () => {
  const report = { worker: 'w-1', taskQueue: 'q', source: 'ledger' } as const;
  await ledger.rollout.report({ ...report, problem: 'x\u0000y' });
  await ledger.rollout.report({ ...report, active: digestText('p') });
  await ledger.rollout.report({ ...report, worker: 'w-2' });
  await at.pool.query(
    `update countersign.policy_workers set seen_at = now() - interval '1 minute' where worker = 'w-2'`,
  );
  expect(await ledger.rollout.workers()).toMatchObject([
    { worker: 'w-1', active: digestText('p'), silent: false },
    { worker: 'w-2', silent: true },
  ]);
  await ledger.rollout.forget('w-1');
  expect((await ledger.rollout.workers()).map(({ worker }) => worker)).toEqual(['w-2']);
});
