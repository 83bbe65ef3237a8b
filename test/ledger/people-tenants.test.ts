/** No tenant ever sees a row of another: every way to ask the stores that people's pages read from, tried with the ids of somebody else. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Archive } from '../../src/ledger/archive/archive.js';
import { ApprovalRequests } from '../../src/ledger/approvals/approval-requests.js';
import { Deliveries } from '../../src/ledger/deliveries/deliveries.js';
import type { Ledger } from '../../src/ledger/index.js';
import { requestFor, token, waits, yes } from './approval-request-fixtures.js';
import { collect, newTenant, outcomeFor, recordOutcome, settlement, startLedger, type TestLedger } from './support.js';

let testLedger: TestLedger;
let ledger: Ledger;

beforeAll(async () => {
  testLedger = await startLedger();
  ledger = testLedger.ledger;
});
afterAll(() => testLedger.stop());

const SECRET = 'nobody-else-may-read-this';
/** An action of the other tenant, by a name that no id made at random can hold. */
const THIRD = 'their-third-action';
const delivery = {
  deliveryId: 'd-1',
  kind: 'asked',
  channel: SECRET,
  attempts: 1,
  status: 'delivered',
  detail: SECRET,
} as const;
const cursor = (...place: string[]): string => Buffer.from(JSON.stringify(place)).toString('base64url');

/** Each asks as `tenant` for what is another's. Whatever it writes, it writes as `tenant`. */
const WAYS: Readonly<Record<string, (tenant: string) => Promise<unknown>>> = {
  'ApprovalRequests.page': async (tenant) => [
    await ledger.approvalRequests.page({ tenant }),
    await ledger.approvalRequests.page({ tenant, cursor: cursor(new Date(0).toISOString(), '') }),
    await ledger.approvalRequests.page({ tenant, filter: { text: SECRET, roles: ['dba'], agent: SECRET } }),
  ],
  'ApprovalRequests.count': async (tenant) => {
    const { count, more } = await ledger.approvalRequests.count({ tenant });
    return count === 0 && !more ? undefined : SECRET;
  },
  'ApprovalRequests.find': (tenant) => ledger.approvalRequests.find(tenant, 'a-1'),
  'ApprovalRequests.close': async (tenant) =>
    (await ledger.approvalRequests.close({ tenant, actionId: 'a-1' })) ? SECRET : undefined,
  'ApprovalRequests.fingerprint': async (tenant) =>
    (await ledger.approvalRequests.fingerprint(tenant)) === '0' ? undefined : SECRET,
  'ApprovalRequests.recordDecision': async (tenant) => {
    const { waitedSeconds, priorApprovals } = await ledger.approvalRequests.recordDecision(
      yes({ tenant, actionId: THIRD, shownDigest: token() }, SECRET),
    );
    return waitedSeconds === 0 && priorApprovals === 0 ? undefined : SECRET;
  },
  'ApprovalRequests.secondsWaited': async (tenant) =>
    (await ledger.approvalRequests.secondsWaited(tenant, 'a-1')) === 0 ? undefined : SECRET,
  'ApprovalRequests.open': (tenant) => ledger.approvalRequests.open(requestFor({ tenant, actionId: 'a-1' })),
  'Archive.search': async (tenant) => [
    await ledger.archive.search({ tenant }),
    await ledger.archive.search({ tenant, text: SECRET }),
    await ledger.archive.search({ tenant, cursor: cursor('open', '2100-01-01T00:00:00.000Z', '~') }),
    await ledger.archive.search({ tenant, cursor: cursor('ended', '999999'), from: new Date(0), to: new Date() }),
  ],
  'Archive.action': async (tenant) => [
    await ledger.archive.action(tenant, 'a-1'),
    await ledger.archive.action(tenant, 'a-2'),
    await ledger.archive.action(tenant, 'mine'),
  ],
  'Archive.actionForPeople': async (tenant) => [
    await ledger.archive.actionForPeople(tenant, 'a-1'),
    await ledger.archive.actionForPeople(tenant, 'a-2'),
    await ledger.archive.actionForPeople(tenant, 'mine'),
  ],
  'Archive.dashboard': async (tenant) => {
    const seen = await ledger.archive.dashboard(tenant);
    // Its own action that ended, and the decision that it recorded without being asked.
    return seen.total === 1 && seen.waiting.count === 0 ? seen : SECRET;
  },
  'Archive.decided': (tenant) => collect(ledger.archive.decided({ tenant })),
  'Archive.ruleFigures': async (tenant) => {
    const seen = await ledger.archive.ruleFigures(tenant, new Date(0));
    // Its own action, which no rule decided.
    return seen.counted === 1 && seen.rules.length === 0 ? undefined : SECRET;
  },
  'Archive.overseenDecisions': async (tenant) => {
    const seen = await ledger.archive.overseenDecisions(tenant, new Date(0));
    // Its own decision, which nobody had asked for.
    return seen.decisions.length === 1 && seen.decisions[0]?.rules.length === 0 ? undefined : SECRET;
  },
  'Archive.bundlesInUse': async (tenant) =>
    (await ledger.archive.bundlesInUse(tenant)).length === 0 ? undefined : SECRET,
  'Archive.isOnlyTenant': async (tenant) => ((await ledger.archive.isOnlyTenant(tenant)) ? SECRET : undefined),
  'Deliveries.list': (tenant) => ledger.deliveries.list(tenant, 'a-1'),
  'Deliveries.record': (tenant) =>
    ledger.deliveries.record({ ...delivery, tenant, actionId: 'mine', channel: 'mail', detail: 'mine' }),
};

test('no way to ask is left out here', () => {
  const all = [ApprovalRequests, Archive, Deliveries].flatMap((store) =>
    Object.getOwnPropertyNames(store.prototype)
      // The operator's look-up over all tenants, which no page of a tenant shows.
      .filter((name) => !['constructor', 'tenantsOf'].includes(name))
      .map((name) => `${store.name}.${name}`),
  );
  expect(Object.keys(WAYS).sort()).toEqual(all.sort());
});

test("another tenant's rows never come back, nor change, whatever is asked", async () => {
  const [theirs, ours] = [newTenant(), newTenant()];
  const ask = await waits(
    ledger,
    { tenant: theirs, actionId: 'a-1' },
    { agent: SECRET, summary: SECRET, reason: SECRET },
  );
  await ledger.approvalRequests.recordDecision(yes(ask, SECRET));
  await ledger.deliveries.record({ ...delivery, tenant: theirs, actionId: 'a-1' });
  const ended = { tenant: theirs, actionId: 'a-2' };
  await recordOutcome(ledger, settlement(ended, { outcome: outcomeFor(ended, { reason: SECRET }) }));
  await waits(ledger, { tenant: theirs, actionId: THIRD }, { revises: 'mine', reason: SECRET, summary: SECRET });
  await recordOutcome(ledger, settlement({ tenant: ours, actionId: 'mine' }));

  const seen = async (): Promise<string> =>
    JSON.stringify([
      await ledger.approvalRequests.page({ tenant: theirs }),
      await ledger.approvalRequests.fingerprint(theirs),
      await ledger.archive.search({ tenant: theirs }),
      await ledger.archive.action(theirs, 'a-1'),
      await ledger.archive.action(theirs, 'a-2'),
    ]);
  const before = await seen();
  expect(before).toContain(SECRET);
  const leaks: string[] = [];
  for (const [name, ask] of Object.entries(WAYS)) {
    const answer = JSON.stringify(await ask(ours)) ?? '';
    if ([SECRET, theirs, THIRD].some((text) => answer.includes(text))) leaks.push(name);
  }
  expect(leaks).toEqual([]);
  expect(await seen()).toBe(before);
});
