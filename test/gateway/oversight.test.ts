/** How people decide, over HTTP: everybody's figures for those with the role, their own for everybody else, and nothing for agents. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OversightReport } from '../../src/action-records/oversight-report.js';
import { requirement, waits, yes } from '../ledger/approval-request-fixtures.js';
import { cli } from '../cli/support.js';
import { startTestGateway, type Sender, type TestGateway } from '../support/gateway.js';
import { startStack, type Stack } from '../support/stack.js';

const HOSTILE = '<img src=x onerror=alert(1)>\u202E';

let stack: Stack;
let gateway: TestGateway;
let olga: Sender;
let dan: Sender;

beforeAll(async () => {
  stack = await startStack({ schema: 'CREATE TABLE nothing (id int PRIMARY KEY)', worker: false });
  gateway = await startTestGateway(stack);
  olga = await gateway.person({ id: 'olga', roles: ['operator'] });
  dan = await gateway.person({ id: 'Dan', roles: ['dba'] });
  const { approvalRequests } = stack.ledger;
  const decide = async (tenant: string, n: number, person: string, more: object = {}): Promise<void> => {
    const requirements = [requirement({ policy: `rule of ${person}` })];
    const ask = await waits(stack.ledger, { tenant, actionId: `${person}-${n}` }, { requirements });
    await approvalRequests.recordDecision(yes(ask, person, more));
  };
  for (let n = 0; n < 20; n++) await decide('acme', n, `hasty ${HOSTILE}`);
  for (let n = 0; n < 3; n++) await decide('acme', n, 'DAN', { verdict: n === 0 ? 'deny' : 'approve' });
  await decide('globex', 0, 'secret-of-globex');
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
});

async function reported(by: Sender, query = ''): Promise<OversightReport> {
  const { status, body } = await by.get(`/v1/oversight${query}`);
  expect(status).toBe(200);
  return body as unknown as OversightReport;
}

describe('the figures', () => {
  test('of everybody are for people with the role, and the same that the command line gives', async () => {
    const seen = await reported(olga, '?days=7');
    expect(seen).toMatchObject({ tenant: 'acme', whose: 'everybody', more: false, total: { decisions: 23 } });
    expect(seen.approvers.map(({ decisions, findings }) => [decisions, findings])).toEqual([
      [20, ['always_yes', 'fast']],
      [3, []],
    ]);
    expect(Date.parse(seen.to) - Date.parse(seen.from)).toBe(7 * 86_400_000);
    const { json } = await cli(['oversight', '--tenant', 'acme', '--since', '7d', '--json'], {
      env: { COUNTERSIGN_LEDGER_URL: stack.ledgerUrl },
    });
    const { baselineFrom: _b, from: _f, to: _t, ...told } = json() as OversightReport;
    const { baselineFrom: _b2, from: _f2, to: _t2, ...same } = seen;
    expect(same).toEqual(told);
  });

  test('of one’s own decisions are for everybody else, however their id is written', async () => {
    const answer = await dan.get('/v1/oversight');
    const seen = answer.body as unknown as OversightReport;
    expect(seen).toMatchObject({ whose: 'own', total: { decisions: 3, approved: 2 } });
    expect(seen.approvers.map(({ name }) => name)).toEqual(['dan']);
    expect(seen.rules.map(({ name }) => name)).toEqual(['rule of DAN']);
    const page = await dan.get('/oversight');
    for (const text of [answer.text, page.text]) expect(text).not.toMatch(/hasty|globex/);
    expect(page.text).toContain('These are your own figures');
  });

  test('are of one tenant, and of no time before', async () => {
    const gil = await gateway.person({ id: 'gil', tenant: 'globex', roles: ['operator'] });
    const theirs = await gil.get('/v1/oversight');
    expect((theirs.body as unknown as OversightReport).approvers.map(({ name }) => name)).toEqual(['secret-of-globex']);
    for (const path of ['/v1/oversight', '/oversight']) {
      expect((await gil.get(path)).text).not.toMatch(/hasty|dan\b/);
      expect((await olga.get(path)).text).not.toContain('globex');
    }
    const nobody = await gateway.person({ id: 'nia', tenant: 'initech', roles: ['operator'] });
    expect(await reported(nobody)).toMatchObject({ total: { decisions: 0 }, approvers: [] });
    expect((await nobody.get('/oversight')).text).toContain('Nobody decided anything');
  });

  test('are for nobody who is no person', async () => {
    expect((await (await gateway.agent()).get('/v1/oversight')).status).toBe(403);
    expect((await gateway.nobody.get('/v1/oversight')).status).toBe(401);
  });

  test.each(['0', '3661', '-1', '1.5', 'a while', '07'])('of %j days are refused', async (days) => {
    const { status, body } = await olga.get(`/v1/oversight?days=${encodeURIComponent(days)}`);
    expect([status, body]).toMatchObject([400, { code: 'INVALID_INPUT', field: 'query.days' }]);
  });
});

test('who sees everybody’s is configured, on the page, in the navigation and over the API', async () => {
  const other = await startTestGateway(stack, { roles: { oversight: ['auditor'] } });
  try {
    const audra = await other.person({ id: 'audra', roles: ['auditor'] });
    const operator = await other.person({ id: 'olga', roles: ['operator'] });
    expect(await reported(audra)).toMatchObject({ whose: 'everybody' });
    expect(await reported(operator)).toMatchObject({ whose: 'own', total: { decisions: 0 } });
    const entry = 'href="/oversight"';
    expect((await audra.get('/')).text).toContain(entry);
    expect((await operator.get('/')).text).not.toContain(entry);
    expect((await audra.get('/nothing-here', { headers: { accept: 'text/html' } })).text).toContain(entry);
    expect((await operator.get('/oversight')).text).toContain('auditor');
  } finally {
    await other.stop();
  }
});

test('names are text on the page', async () => {
  const { text } = await olga.get('/oversight');
  expect(text).toContain('hasty &lt;img src=x onerror=alert(1)&gt;');
  expect(text).not.toContain('<img src=x');
  expect(text).not.toContain('\u202E');
});
