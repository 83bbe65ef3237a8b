/** What the radar found, over HTTP: who may see it, how it is filtered and paged, and whose note stays. */
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RadarAlert } from '../../src/action/radar.js';
import { startTestGateway, type Answer, type Sender, type TestGateway } from '../support/gateway.js';
import { recordRadarAlerts, unexplainedWrite } from '../support/radar-alerts.js';
import { startStack, type Stack } from '../support/stack.js';

let stack: Stack;
let gateway: TestGateway;
/** A platform operator, of a tenant like any other. */
let paula: Sender;
/** Everything that the ledger has, the latest first. */
let all: readonly RadarAlert[];

beforeAll(async () => {
  stack = await startStack({ schema: '' });
  gateway = await startTestGateway(stack);
  paula = await gateway.person({ id: 'paula', tenant: 'globex', roles: ['platform-operator'] });
  await recordRadarAlerts(stack.ledger);
  all = await stack.ledger.radarAlerts.list();
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});

const refusal = ({ status, body: { code, field } }: Answer): object => ({ status, code, field });
async function listed(query: string): Promise<readonly RadarAlert[]> {
  const { status, body } = await paula.get(`/v1/radar/alerts?${query}`);
  expect(status).toBe(200);
  return body['alerts'] as readonly RadarAlert[];
}

test('a platform operator reads every alert, as the ledger has it, whatever tenant they are of', async () => {
  expect(await listed('')).toEqual(all);
  expect(all).toHaveLength(5);
  const { body } = await paula.get('/v1/radar/sources');
  expect(body['sources']).toMatchObject([
    { source: 'orders-db', state: 'watching', watched: ['t'], open: 2 },
    { source: 'refunds-db', open: 3 },
  ]);
});

test.each([
  ['the tool', 'source=orders-db', ({ source }: RadarAlert) => source === 'orders-db'],
  ['the kind', 'kind=gap', ({ kind }: RadarAlert) => kind === 'gap'],
  ['both', 'kind=write&source=orders-db', ({ kind, source }: RadarAlert) => kind === 'write' && source === 'orders-db'],
  ['a tool that there is not', 'source=nowhere', () => false],
])('alerts are filtered by %s', async (_, query, fits) => {
  expect(await listed(query)).toEqual(all.filter(fits));
});

test('since is when an alert was recorded, and the time itself counts', async () => {
  const [latest, ...older] = all.map(({ foundAt }) => foundAt);
  const first = older.at(-1) ?? '';
  expect(await listed(`since=${first}`)).toEqual(all);
  expect(await listed(`since=${encodeURIComponent(first.replace('Z', '+00:00'))}`)).toEqual(all);
  const later = new Date(Date.parse(latest ?? '') + 1).toISOString();
  expect(await listed(`since=${later}`)).toEqual([]);
  // Those of refunds-db were recorded later than those of orders-db, each at a time of its own, and all happened at once.
  const second = all.findLast(({ source }) => source === 'refunds-db')?.foundAt ?? '';
  const sinceSecond = await listed(`since=${second}`);
  expect(sinceSecond.filter(({ source }) => source === 'refunds-db')).toHaveLength(3);
});

test('pages hold every alert once, also while more come in', async () => {
  const page = async (cursor: string): Promise<{ ids: readonly number[]; next: string | undefined }> => {
    const { body } = await paula.get(`/v1/radar/alerts?limit=2&source=refunds-db${cursor}`);
    const { alerts, next } = body as { alerts?: readonly RadarAlert[]; next?: string };
    return { ids: (alerts ?? []).map(({ id }) => id), next };
  };
  const first = await page('');
  await stack.ledger.radar.record('orders-db', {
    reader: 'test',
    term: 1,
    system: 'test',
    position: '0/9',
    memory: {},
    alerts: [unexplainedWrite('0/late')],
  });
  const second = await page(`&cursor=${first.next ?? ''}`);
  expect(second.next).toBeUndefined();
  const seen = [...first.ids, ...second.ids];
  expect(seen).toEqual(all.filter(({ source }) => source === 'refunds-db').map(({ id }) => id));
});

test.each([
  // Well-formed, and not one that a page ended with.
  ['cursor=abc', 409, 'cursor'],
  ['kind=none', 400, 'query.kind'],
  ['acknowledged=maybe', 400, 'query.acknowledged'],
  ['since=yesterday', 400, 'query.since'],
  ['limit=0', 400, 'query.limit'],
])('%s is refused', async (query, status, field) => {
  const answer = await paula.get(`/v1/radar/alerts?${query}`);
  expect(refusal(answer)).toMatchObject({ status, code: 'INVALID_INPUT', field });
});

test('the first note stays, in the list and in the trail, under the name of who is logged in', async () => {
  const [alert] = all;
  const at = `/v1/radar/alerts/${alert?.id}/acknowledge`;
  const before = Date.now();
  const first = await paula.post(at, { note: 'the nightly import,\ndeclared since' });
  const acknowledged = { by: 'paula', tenant: 'globex', note: 'the nightly import,\ndeclared since' };
  expect([first.status, first.body]).toMatchObject([200, { ...alert, acknowledged }]);
  const noted = (first.body as unknown as RadarAlert).acknowledged;
  expect(Math.abs(Date.parse(noted?.at ?? '') - before)).toBeLessThan(60_000);
  // What she said was signed for her, and has a receipt.
  expect(await stack.receipts()).toMatchObject([
    { tenant: 'globex', tool: 'countersign.acknowledge_alerts', approvals: [noted?.command] },
  ]);

  const peer = await gateway.person({ id: 'pete', tenant: 'acme', roles: ['platform-operator'] });
  const again = await peer.post(at, { note: 'another' });
  expect([again.status, again.body]).toEqual([200, first.body]);
  expect((await listed('acknowledged=true')).map(({ id }) => id)).toEqual([alert?.id]);
  expect((await listed('acknowledged=false')).map(({ id }) => id)).not.toContain(alert?.id);
  const trail = await stack.database.rows({
    name: 'noted',
    query: sql`SELECT subject FROM countersign.trail WHERE tenant = '*' AND kind = 'radar_acknowledged'`,
  });
  expect(trail).toEqual([{ subject: String(alert?.id) }]);
});

test('a note of as many characters as may be is kept whole', async () => {
  const note = '😀'.repeat(2000);
  const id = all.at(-1)?.id;
  expect((await paula.post(`/v1/radar/alerts/${id}/acknowledge`, { note })).body).toMatchObject({
    acknowledged: { note },
  });
});

test.each([
  ['an alert that there is not', '999999', { note: 'x' }, { status: 404, code: 'NOT_FOUND', field: 'id' }],
  ['no number', '0', { note: 'x' }, { status: 400, code: 'INVALID_INPUT', field: 'path.id' }],
  ['an empty note', '1', { note: '' }, { status: 400, code: 'INVALID_INPUT', field: 'body.note' }],
  ['somebody else’s name', '1', { note: 'x', by: 'bob' }, { status: 400, code: 'INVALID_INPUT' }],
])('%s is acknowledged by nobody', async (_, id, json, refused) => {
  expect(refusal(await paula.post(`/v1/radar/alerts/${id}/acknowledge`, json))).toMatchObject(refused);
});

test('nobody else sees or acknowledges anything: no agent, no other role, no other tenant, no page of another site', async () => {
  const open = (await listed('acknowledged=false'))[0]?.id;
  const { cookie = '' } = paula.headers;
  const strangers: readonly (readonly [who: string, sender: Sender, read: object, write: object])[] = [
    ['nobody', gateway.nobody, { status: 401 }, { status: 401 }],
    ['an agent', await gateway.agent({ roles: ['platform-operator'] }), { code: 'FORBIDDEN' }, { code: 'FORBIDDEN' }],
    [
      'an operator of the same tenant',
      await gateway.person({ id: 'otto', tenant: 'globex', roles: ['operator', 'dba'] }),
      { status: 403, code: 'ROLE_REQUIRED', field: 'roles' },
      { status: 403, code: 'ROLE_REQUIRED', field: 'roles' },
    ],
    [
      'an operator of another tenant',
      await gateway.person({ id: 'dana', tenant: 'acme', roles: ['operator'] }),
      { status: 403, code: 'ROLE_REQUIRED' },
      { status: 403, code: 'ROLE_REQUIRED' },
    ],
    ['a person without a role', await gateway.person({ id: 'vera', roles: [] }), { status: 403 }, { status: 403 }],
    ['whoever has no token of the session', gateway.sender({ cookie }), { status: 200 }, { code: 'CSRF' }],
  ];
  for (const [who, sender, read, acknowledging] of strangers) {
    for (const path of ['/v1/radar/alerts', '/v1/radar/sources']) {
      const answer = await sender.get(path);
      expect(refusal(answer), `${who} ${path}`).toMatchObject(read);
      expect(answer.status === 200 || !answer.text.includes('orders'), `${who} ${path}`).toBe(true);
    }
    const answer = await sender.post(`/v1/radar/alerts/${open}/acknowledge`, { note: 'nothing to see' });
    expect(refusal(answer), `for ${who}`).toMatchObject(acknowledging);
  }
  expect((await listed('acknowledged=false')).map(({ id }) => id)).toContain(open);
});

test('the roles are those of the config', async () => {
  const other = await startTestGateway(stack, { roles: { unfreezeAll: ['watch'] } });
  try {
    expect((await (await other.person({ roles: ['watch'] })).get('/v1/radar/alerts')).status).toBe(200);
    const paula = await other.person({ id: 'paula', roles: ['platform-operator'] });
    expect(refusal(await paula.get('/v1/radar/alerts'))).toMatchObject({ code: 'ROLE_REQUIRED' });
  } finally {
    await other.stop();
  }
});

test('machines are told how many systems are watched, and how many are not', async () => {
  const states = { source: 'blind-db', kind: 'postgres', reader: 'test', leaseMs: 60_000 };
  await stack.ledger.radar.lease({ ...states, state: 'off', problem: 'no answer' });
  // Figures are of one look for a moment.
  await expect
    .poll(async () => (await gateway.nobody.get('/metrics')).text)
    .toContain('countersign_radar_sources{state="off"} 1');
});
