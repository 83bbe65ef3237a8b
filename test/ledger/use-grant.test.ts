import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AdmitRequest, Ledger, UseGrantRequest } from '../../src/ledger/index.js';
import {
  admission,
  grant,
  newTenant,
  proposal,
  recordOutcome,
  settlement,
  someoneWaitsForLock,
  startLedger,
  type TestLedger,
  times,
  useOf,
} from './support.js';

let at: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
});
afterAll(() => at.stop());

async function admitted(more: Partial<AdmitRequest> = {}): Promise<AdmitRequest> {
  const request = admission({ tenant: newTenant(), actionId: 'a-1' }, more);
  expect(await ledger.actions.admit(request)).toMatchObject({ kind: 'admitted' });
  return request;
}

describe('using a grant', () => {
  test('works once; the same activity is told that it used it before, any other that it is spent', async () => {
    const request = await admitted();
    expect(await ledger.grants.use(useOf(request, 'run/5'))).toMatchObject({ kind: 'first', otherUses: 0 });
    expect(await ledger.grants.use(useOf(request, 'run/5'))).toEqual({ kind: 'again', otherUses: 0 });
    expect(await ledger.grants.use(useOf(request, 'other/5'))).toEqual({
      kind: 'replayed',
      otherUses: 0,
      usedBy: 'run/5',
    });
  });

  test('where the system must be watched, it is refused while the radar does not look, and is not spent by trying', async () => {
    const tool = `watched-${newTenant()}`;
    const request = await admitted({ tool });
    const use = { ...useOf(request, 'run/5'), watchedWithinMs: 60_000 };
    const unwatched = { kind: 'unwatched', otherUses: 0 };
    expect(await ledger.grants.use(use)).toEqual(unwatched);
    const report = { source: tool, kind: 'postgres', reader: 'test', leaseMs: 60_000 };
    await ledger.radar.lease(report);
    expect(await ledger.grants.use(use)).toEqual(unwatched);
    await ledger.radar.record(tool, { reader: 'test', term: 1, system: 's', position: '0/1', memory: {}, alerts: [] });
    // It has looked, and has not said that it could.
    expect(await ledger.grants.use(use)).toEqual(unwatched);
    await ledger.radar.lease({ ...report, state: 'off', problem: 'it may not' });
    expect(await ledger.grants.use(use)).toEqual(unwatched);
    await ledger.radar.lease({ ...report, state: 'watching' });
    expect(await ledger.grants.use({ ...use, watchedWithinMs: 0 })).toEqual(unwatched);
    // A reader that has just begun leaves it as it was.
    await ledger.radar.lease(report);
    expect(await ledger.grants.use(use)).toMatchObject({ kind: 'first' });
    await ledger.radar.lease({ ...report, state: 'off', problem: 'it may not' });
    expect(await ledger.grants.use(use)).toEqual({ kind: 'again', otherUses: 0, unwatched: true });
  });

  test('an expired grant is refused by the time of the database, and is not spent by trying', async () => {
    const request = await admitted({ grant: grant(-1) });
    expect(await ledger.grants.use(useOf(request))).toEqual({ kind: 'expired', otherUses: 0 });
    const { rows } = await at.pool.query('select used_at from countersign.grants where jti = $1', [request.grant.jti]);
    expect(rows).toEqual([{ used_at: null }]);
  });

  test('a retry of the activity that used it in time is not told of an expiry since', async () => {
    const request = await admitted({ grant: grant(2) });
    expect(await ledger.grants.use(useOf(request))).toMatchObject({ kind: 'first' });
    await at.pool.query(
      'select pg_sleep(greatest(0, extract(epoch from expires_at - clock_timestamp())) + 0.01) from countersign.grants where jti = $1',
      [request.grant.jti],
    );
    expect(await ledger.grants.use(useOf(request))).toEqual({ kind: 'again', otherUses: 0 });
    expect(await ledger.grants.use(useOf(request, 'other'))).toMatchObject({ kind: 'replayed' });
  });

  test('a grant is unknown to any action, agent, tool or tenant but its own', async () => {
    const request = await admitted();
    const use = useOf(request);
    const elsewhere = { tenant: newTenant(), actionId: 'a-2', agent: 'agent-2', tool: 'other', jti: 'no-such-grant' };
    for (const [key, value] of Object.entries(elsewhere)) {
      expect(await ledger.grants.use({ ...use, [key]: value })).toEqual({ kind: 'unknown', otherUses: 0 });
    }
    expect(await ledger.grants.use(use)).toMatchObject({ kind: 'first', otherUses: 0 });
  });

  test('each grant of an action is told how many others were used', async () => {
    const first = await admitted();
    const [second, third] = [admission(first), admission(first)];
    await ledger.actions.admit(second);
    await ledger.actions.admit(third);
    expect(await ledger.grants.use(useOf(first, 'run-1'))).toMatchObject({ kind: 'first', otherUses: 0 });
    expect(await ledger.grants.use(useOf(second, 'run-2'))).toMatchObject({ kind: 'first', otherUses: 1 });
    expect(await ledger.grants.use(useOf(first, 'run-1'))).toEqual({ kind: 'again', otherUses: 1 });
    expect(await ledger.grants.use(useOf(third, 'run-3'))).toMatchObject({ kind: 'first', otherUses: 2 });
  });

  test('nothing of an ended action can be used, not by the activity that used it before either', async () => {
    const used = await admitted();
    const unused = admission(used);
    await ledger.actions.admit(unused);
    await ledger.grants.use(useOf(used));
    await recordOutcome(ledger, settlement(used));
    expect(await ledger.grants.use(useOf(used))).toEqual({ kind: 'ended', otherUses: 0 });
    expect(await ledger.grants.use(useOf(unused))).toEqual({ kind: 'ended', otherUses: 1 });
  });

  test('a grant whose row was deleted is refused', async () => {
    const request = await admitted();
    await at.pool.query('delete from countersign.grants where jti = $1', [request.grant.jti]);
    expect(await ledger.grants.use(useOf(request))).toEqual({ kind: 'unknown', otherUses: 0 });
  });
});

describe('races', () => {
  test('of fifty that use one grant at once, exactly one is first and the others learn who', async () => {
    const clients = await times(4, () => at.another());
    for (let round = 0; round < 5; round++) {
      const request = await admitted();
      const uses = await times(50, (index) =>
        (clients[index % clients.length] as Ledger).grants.use(useOf(request, `run-${index}`)),
      );
      const winners = uses.flatMap((use, index) => (use.kind === 'first' ? [index] : []));
      expect(winners).toHaveLength(1);
      expect(uses.filter((use) => use.kind === 'replayed')).toEqual(
        Array.from({ length: 49 }, () => ({ kind: 'replayed', otherUses: 0, usedBy: `run-${winners[0]}` })),
      );
    }
  });

  test('grants of one action used at once count each other: no two see the same number', async () => {
    const first = await admitted();
    const requests = [first, ...Array.from({ length: 19 }, () => admission(first))];
    await Promise.all(requests.slice(1).map((request) => ledger.actions.admit(request)));
    const uses = await Promise.all(requests.map((request, index) => ledger.grants.use(useOf(request, `run-${index}`))));
    const seen = uses.map((use) => (use.kind === 'first' ? use.otherUses : -1)).sort((a, b) => a - b);
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  test('a use that waits while the action is being settled finds it ended', async () => {
    const request = await admitted();
    const settler = await at.pool.connect();
    // The settling transaction of another worker, stopped before its commit.
    await settler.query('begin');
    await settler.query('select 1 from countersign.actions where tenant = $1 for update', [request.tenant]);
    const use = ledger.grants.use(useOf(request));
    await someoneWaitsForLock(at.pool);
    await settler.query(
      `with r as (
         insert into countersign.receipts (tenant, seq, hash, jws, action_id)
         values ($1, 1, 'sha256:' || encode(sha256('j'), 'hex'), 'j', 'a-1') returning seq, hash)
       update countersign.actions set status = 'failed', outcome = '{}', receipt_seq = r.seq, receipt_hash = r.hash, ended_at = now()
       from r where tenant = $1`,
      [request.tenant],
    );
    await settler.query('commit');
    settler.release();
    expect(await use).toEqual({ kind: 'ended', otherUses: 0 });
    const { rows } = await at.pool.query('select used_at from countersign.grants where jti = $1', [request.grant.jti]);
    expect(rows).toEqual([{ used_at: null }]);
  });

  test('hundreds of actions admitted, used and settled at once neither block nor mix', async () => {
    const tenants = [newTenant(), newTenant(), newTenant()];
    const ends = await times(150, async (index) => {
      const request = admission({ tenant: tenants[index % 3] as string, actionId: `a-${index}` });
      await ledger.actions.admit(request);
      const use = await ledger.grants.use(useOf(request));
      const settled = await recordOutcome(ledger, settlement(request));
      return { use, digest: settled.outcome.proposalDigest, recorded: settled.recorded };
    });
    expect(ends).toEqual(
      ends.map((_, index) => ({
        use: {
          kind: 'first',
          otherUses: 0,
          usedAt: expect.any(Number),
          sent: { sends: 1, sendingMs: expect.any(Number), sinceFirstMs: expect.any(Number) },
        },
        digest: proposal(`a-${index}`),
        recorded: false,
      })),
    );
    for (const tenant of tenants) expect((await ledger.receipts.head(tenant)).seq).toBe(50);
  });
});

describe('the sends of an action', () => {
  const sentBy = (use: Awaited<ReturnType<Ledger['grants']['use']>>) => (use.kind === 'first' ? use.sent.sends : 0);

  test('are counted over its grants, a repeated use of one counts nothing, and one that was not made is taken back', async () => {
    const request = await admitted();
    const { tenant, actionId } = request;
    const renewed = { ...request, grant: grant() };
    expect(sentBy(await ledger.grants.use(useOf(request, 'run/5')))).toBe(1);
    expect(await ledger.grants.use(useOf(request, 'run/5'))).toEqual({ kind: 'again', otherUses: 0 });
    expect(await ledger.grants.countSend(useOf(request, 'run/5'))).toMatchObject({ sends: 2 });
    await ledger.grants.discountSend(tenant, actionId);
    await ledger.actions.admit(renewed);
    expect(sentBy(await ledger.grants.use(useOf(renewed, 'run/6')))).toBe(2);
    const counts = await times(10, async () => countOf(await ledger.grants.countSend(useOf(renewed, 'run/6'))).sends);
    expect(counts.toSorted((a, b) => a - b)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test('are timed from the first of a stretch; a later one begins a new stretch and forgets no send', async () => {
    const request = await admitted();
    await ledger.grants.use(useOf(request));
    await at.pool.query('select pg_sleep(0.05)');
    const same = countOf(await ledger.grants.countSend({ ...useOf(request), stretchMs: 60_000 }));
    expect(same.sendingMs).toBeGreaterThanOrEqual(50);
    await at.pool.query('select pg_sleep(0.02)');
    const anew = countOf(await ledger.grants.countSend({ ...useOf(request), stretchMs: 10 }));
    expect(anew).toMatchObject({ sends: 3 });
    expect(anew.sendingMs).toBeLessThan(70);
    expect(anew.sinceFirstMs).toBeGreaterThanOrEqual(70);
  });

  test('of an action that has ended are not counted any more', async () => {
    const request = await admitted();
    await ledger.grants.use(useOf(request));
    await recordOutcome(ledger, settlement(request));
    expect(await ledger.grants.countSend(useOf(request))).toBe('ended');
    expect(await ledger.grants.sendRefused(useOf(request))).toBe('ended');
  });
});

describe('of the attempts of the activity that used a grant', () => {
  const attempts = (request: AdmitRequest) =>
    [1, 2, 3].map((attempt) => ({ ...useOf(request, 'run/5'), attempt })) as [
      UseGrantRequest,
      UseGrantRequest,
      UseGrantRequest,
    ];

  test('the last one alone may send; an earlier one is overtaken, whatever it tries, and counts nothing', async () => {
    const [first, second, third] = attempts(await admitted());
    expect(await ledger.grants.use(first)).toMatchObject({ kind: 'first' });
    expect(await ledger.grants.sendRefused(first)).toBeUndefined();
    // The server may skip one: it died on its way.
    expect(await ledger.grants.use(third)).toEqual({ kind: 'again', otherUses: 0 });
    for (const late of [first, second]) {
      expect(await ledger.grants.use(late)).toEqual({ kind: 'overtaken', otherUses: 0 });
      expect(await ledger.grants.sendRefused(late)).toBe('overtaken');
      expect(await ledger.grants.countSend(late)).toBe('overtaken');
      expect(await ledger.grants.return(late)).toBe(false);
    }
    expect(await ledger.grants.sendRefused(third)).toBeUndefined();
    expect(countOf(await ledger.grants.countSend(third)).sends).toBe(2);
    expect(await ledger.grants.use(third)).toEqual({ kind: 'again', otherUses: 0 });
  });

  test('the first to come may be a later one, and then an earlier one is none', async () => {
    const [first, second] = attempts(await admitted());
    expect(await ledger.grants.use(second)).toMatchObject({ kind: 'first' });
    expect(await ledger.grants.use(first)).toEqual({ kind: 'overtaken', otherUses: 0 });
  });

  test('of a send and the attempt that overtakes it at once, one is first', async () => {
    const answers = await times(20, async () => {
      const [first, second] = attempts(await admitted());
      await ledger.grants.use(first);
      const [sent, use] = await Promise.all([ledger.grants.countSend(first), ledger.grants.use(second)]);
      expect(use).toEqual({ kind: 'again', otherUses: 0 });
      const { sends } = countOf(await ledger.grants.countSend(second));
      return sent === 'overtaken' ? sends === 2 : sends === 3;
    });
    expect(answers).toEqual(answers.map(() => true));
  });

  test('none may send any more under the other grants of an action that one takes over', async () => {
    const request = await admitted();
    const next = admission(request);
    await ledger.actions.admit(next);
    const [before, now] = [useOf(request, 'run-1/5'), useOf(next, 'run-2/5')];
    await ledger.grants.use(before);
    expect(await ledger.grants.use(now)).toMatchObject({ kind: 'first', otherUses: 1 });
    await ledger.grants.stopOthers(now);
    expect(await ledger.grants.sendRefused(before)).toBe('overtaken');
    expect(await ledger.grants.sendRefused(now)).toBeUndefined();
  });

  test('none may send under a grant that was returned', async () => {
    const [first] = attempts(await admitted());
    await ledger.grants.use(first);
    expect(await ledger.grants.return(first)).toBe(true);
    expect(await ledger.grants.sendRefused(first)).toBe('returned');
    expect(await ledger.grants.countSend(first)).toBe('returned');
  });
});

/** A send that must have been counted. */
function countOf(answer: Awaited<ReturnType<Ledger['grants']['countSend']>>) {
  if (typeof answer === 'string') throw new Error(answer);
  return answer;
}
