/** The pages as people use them: readable for everybody, on any screen; and what can be said on them besides yes and no. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ROOT, TENANT } from '../support/stack.js';
import { bundleFromFiles, loadBundle, starterFolder } from '../../src/policy/index.js';
import { CHANGE_KINDS } from '../../src/policy/backtest/index.js';
import { digestText, type Digest } from '../../src/action/json.js';
import { requirement, waits, yes } from '../ledger/approval-request-fixtures.js';
import { startWorld, type World } from './world.js';

const MARKUP = '<script>window.hacked = 1</script><img src=x onerror=window.hacked=2>\u202E';

let world: World;
let candidate: Digest;
beforeAll(async () => {
  world = await startWorld({ agents: ['cleaner', 'clerk'] });
  for (let id = 1001; id <= 1003; id++) {
    await world.propose({
      tool: 'shop-db',
      input: { op: 'update', table: 'orders', set: { status: 'shipped' }, where: { id } },
    });
  }
  await world.propose({
    actionId: 'waits',
    tool: 'shop-db',
    input: { op: 'update', table: 'orders', set: { note: 'late' }, where: { id: { lte: 1200 } } },
    reasoning: 'they are late',
    claims: { environment: 'staging' },
  });
  await world.propose({
    actionId: 'priced',
    tool: 'shop-db',
    input: { op: 'update', table: 'products', set: { stock: 1 }, where: { id: 1 } },
  });
  await world.propose({ actionId: 'lost', tool: 'journal', input: { line: 'a refund', lose: 'after' } });
  await world.propose({
    actionId: 'refused',
    tool: 'shop-db',
    input: { op: 'delete', table: 'users', where: { id: 1 } },
  });
  candidate = await inShadow(world);
});
afterAll(() => world?.stop());
afterEach(() => world.closePages());

/** A bundle that was published, shadows the folder's, was backtested, and decided otherwise, for two tenants. */
async function inShadow({ stack: { ledger, policies } }: World): Promise<Digest> {
  const odd = `@id("odd-rule") @reason("${MARKUP}") @approval("dba")
forbid (principal, action == Countersign::Action::"WRITE", resource) when { context.operation == "<b>" };`;
  const { digest, files } = bundleFromFiles({ ...(await loadBundle(starterFolder())).files, 'odd.cedar': odd });
  await ledger.content.putPolicy(digest, files);
  const by = `ann ${MARKUP}`;
  await ledger.rollout.publish({ digest, by, reason: MARKUP });
  const id = 'the-change';
  await ledger.rollout.change({
    id,
    seq: 2,
    kind: 'shadow',
    digest,
    by,
    people: [by],
    statements: ['signed'],
    reason: 'a week',
    signed: 'x',
  });
  const baseline = (await loadBundle(policies)).digest;
  const none = Object.fromEntries(CHANGE_KINDS.map((kind) => [kind, 0]));
  await ledger.rollout.addEvidence({
    candidate: digest,
    baseline,
    report: digestText('the report'),
    decisions: 420,
    by,
    signed: 'x',
    summary: {
      v: 1,
      decisions: 420,
      beforePolicy: 0,
      redecided: 420,
      same: 378,
      undecided: 0,
      exhausted: 0,
      changes: { ...none, 'newly-asked': 42 },
      amounts: { ...Object.fromEntries(CHANGE_KINDS.map((kind) => [kind, {}])), 'newly-asked': { EUR: 1234 } },
    },
  });
  const divergence = (tenant: string, actionId: string) => ({
    tenant,
    kind: 'effect' as const,
    tool: 'shop-db',
    agent: 'cleaner',
    count: 7,
    live: { effect: 'allow', rules: ['admin-user'] },
    shadow: { effect: 'require_approval', rules: ['odd-rule'] },
    examples: [{ actionId, liveReason: 'allowed', shadowReason: MARKUP }],
  });
  const divergences = [divergence(TENANT, 'refused'), divergence('globex', 'secret-of-globex')];
  await ledger.rollout.noteShadow({
    candidate: digest,
    baseline,
    evaluated: 500,
    diverged: 14,
    errors: 0,
    dropped: 0,
    totalMs: 40,
    maxMs: 2,
    divergences,
  });
  return digest;
}

interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
}

const PAGES: Readonly<Record<string, string>> = {
  inbox: '/',
  'an empty list': '/?q=there-is-no-such-thing',
  'what waits': '/actions/waits',
  'what needs a passkey': '/actions/priced',
  'what is unknown': '/actions/lost',
  'what was denied': '/actions/refused',
  history: '/history',
  dashboard: '/dashboard',
  policy: '/policy',
  'a policy in shadow': '/policy/shadow',
  'a playground': '/policy/playground?rule=protected-tables&action=refused',
  freezes: '/freezes',
  radar: '/radar',
  oversight: '/oversight',
  me: '/me',
  'an error': '/actions/there-is-none',
};

/** The colours are all that a scheme changes: of the second one nothing else is asked. */
const ASKED = {
  light: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
  dark: { type: 'rule', values: ['color-contrast', 'link-in-text-block'] },
};

type Violations = Readonly<Record<keyof typeof ASKED, readonly string[]>>;

async function violationsOn(page: Page): Promise<Violations> {
  const found: Record<keyof typeof ASKED, readonly string[]> = { light: [], dark: [] };
  for (const scheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    const options = JSON.stringify({ runOnly: ASKED[scheme], resultTypes: ['violations'] });
    const { violations } = await page.evaluate<AxeResults>(`axe.run(document, ${options})`);
    found[scheme] = violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
  }
  return found;
}

const PHONE = { width: 360, height: 740 };

describe('for everybody', () => {
  const violations: Record<string, Violations> = {};
  const widths: Record<string, number> = {};
  // Each page is visited once for all that is asked of it.
  beforeAll(async () => {
    const axe = await readFile(path.join(ROOT, 'node_modules/axe-core/axe.min.js'), 'utf8');
    const page = await world.logIn('otto', { colorScheme: 'light', reducedMotion: 'reduce', bypassCSP: true });
    const wide = page.viewportSize() ?? PHONE;
    for (const [name, at] of Object.entries(PAGES)) {
      await page.setViewportSize(PHONE);
      await page.goto(at);
      widths[name] = await page.evaluate<number>('document.documentElement.scrollWidth');
      await page.setViewportSize(wide);
      await page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true");
      await page.addScriptTag({ content: axe });
      violations[name] = await violationsOn(page);
    }
    await page.goto(PAGES['a playground'] ?? '');
    await page.getByLabel('The rule, in Cedar').fill('');
    await page.getByRole('button', { name: 'Decide' }).click();
    await page.getByRole('heading', { name: 'The decision before and after' }).waitFor();
    await page.addScriptTag({ content: axe });
    violations['a trial'] = await violationsOn(page);
    await page.goto('/actions/waits');
    await page.addScriptTag({ content: axe });
    await page.keyboard.press('d');
    violations['the dialog'] = await violationsOn(page);
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    violations['the keys'] = await violationsOn(page);
  });

  test.each(['light', 'dark'] as const)('no page is against WCAG 2.2 AA, as far as axe can tell, %s', (scheme) => {
    const found = Object.entries(violations).map(([name, of]) => [name, of[scheme]]);
    expect(found).toEqual(found.map(([name]) => [name, []]));
    expect(found).toHaveLength(Object.keys(PAGES).length + 3);
  });

  test('on a narrow screen nothing sticks out', () => {
    expect(widths).toEqual(Object.fromEntries(Object.keys(PAGES).map((name) => [name, PHONE.width])));
  });
});

test('on a narrow screen the decision is in reach', async () => {
  const page = await world.logIn('dora', { viewport: PHONE, at: '/actions/waits' });
  const box = await page.getByRole('button', { name: 'Approve' }).boundingBox();
  expect((box?.y ?? 1000) + (box?.height ?? 0)).toBeLessThanOrEqual(PHONE.height);
});

test('production is told by its word and its sign, not by its colour alone', async () => {
  const page = await world.logIn('dora');
  const badge = page.locator('#ask-waits .environment');
  expect(await badge.textContent()).toBe('production');
  expect(await badge.locator('svg').count()).toBe(1);
  expect(await page.locator('#unknown-lost .environment').textContent()).toBe('staging');
  expect(await page.locator('#unknown-lost .environment svg').count()).toBe(0);
});

test('the chosen theme stays chosen, against the preference of the system', async () => {
  const page = await world.logIn('dora', { colorScheme: 'light' });
  const paper = (): Promise<string> => page.evaluate('getComputedStyle(document.body).backgroundColor');
  const light = await paper();
  await page.getByRole('button', { name: 'Switch between light and dark' }).click();
  const dark = await paper();
  expect(dark).not.toBe(light);
  await page.goto('/history');
  expect(await paper()).toBe(dark);
});

test('the first stop of the keyboard leads past the navigation', async () => {
  const page = await world.logIn('dora');
  await page.keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.textContent.trim()')).toBe('Skip to the content');
  await page.keyboard.press('Enter');
  expect(await page.evaluate('document.activeElement.id')).toBe('main');
});

test('static files are named by what they hold, and may be kept for good', async () => {
  const { request } = await world.context();
  const inbox = await (await world.logIn('dora')).content();
  const [css] = /\/assets\/[\w-]{16}\/inbox\.css/.exec(inbox) ?? [];
  const answer = await request.get(css as string);
  expect(answer.headers()).toMatchObject({
    'cache-control': 'public, max-age=31536000, immutable',
    'content-type': 'text/css; charset=utf-8',
  });
  const { etag } = answer.headers();
  const again = await request.get(css as string, { headers: { 'if-none-match': `W/${etag}` } });
  expect(again.status()).toBe(304);
  expect((await request.get('/assets/0000000000000000/inbox.css')).status()).toBe(404);
});

test("another tenant's action looks like none, and is on no list", async () => {
  const page = await world.logIn('gina');
  for (const id of ['waits', 'lost', 'there-is-none']) {
    expect((await page.goto(`/actions/${id}`))?.status()).toBe(404);
    expect(await page.textContent('main')).toContain(`There is no action ${id} of tenant globex.`);
  }
  for (const at of ['/', '/history', '/dashboard?days=7', '/freezes', '/radar', '/oversight', '/me']) {
    await page.goto(at);
    expect(await page.textContent('main')).not.toMatch(/shop-db|journal|cleaner|late/);
  }
});

test('a page that was left open says when its session has ended', async () => {
  const page = await world.logIn('vera', { anew: true });
  await page.locator('html[data-live=on]').waitFor();
  await page.context().clearCookies();
  await world.propose({
    tool: 'shop-db',
    input: { op: 'update', table: 'users', set: { name: 'Late' }, where: { id: 7 } },
  });
  await page.getByText('Your session has ended').waitFor();
  expect(await page.getByRole('link', { name: 'Log in again' }).isVisible()).toBe(true);
});

describe('lists', () => {
  test('are filtered by what people look for', async () => {
    const page = await world.logIn('dora');
    await page.keyboard.press('/');
    await page.keyboard.type('priced');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/?q=priced*');
    expect(await page.locator('ol.asks').first().locator('li').count()).toBe(1);
    await page.goto('/?mine=1');
    expect(await page.locator('#ask-waits').count()).toBe(1);
    const lena = await world.logIn('lena', { at: '/?mine=1' });
    expect(await lena.locator('#ask-waits').count()).toBe(0);
    expect(await lena.locator('#ask-priced').count()).toBe(1);
  });

  test('lead from page to page, each action on one of them', async () => {
    const ids = Array.from({ length: 55 }, (_, index) => `many-${index}`);
    const { ledger } = world.stack;
    await Promise.all(ids.map((actionId) => waits(ledger, { tenant: TENANT, actionId }, { agent: 'clerk' })));
    const page = await world.logIn('dora', { at: '/?agent=clerk' });
    const seen = (): Promise<string[]> =>
      page.evaluate("[...document.querySelectorAll('li[id^=ask-many]')].map(({ id }) => id)");
    const first = await seen();
    expect(first).toHaveLength(50);
    await page.getByRole('link', { name: 'Next page' }).click();
    await page.waitForURL('**/*after=*');
    expect([...first, ...(await seen())].toSorted()).toEqual(ids.map((id) => `ask-${id}`).toSorted());
    await Promise.all(ids.map((actionId) => ledger.approvalRequests.close({ tenant: TENANT, actionId })));
  });

  test('of the history lead to the page of an action, with its checks, times and receipt', async () => {
    const page = await world.logIn('dora', { at: '/history?status=success' });
    await page.getByRole('link', { name: 'update 1 row of orders: set status' }).first().click();
    await page.getByText('Success: done and verified').waitFor();
    const text = await page.textContent('main');
    for (const part of ['frame.rows', 'Duration of each step', 'Captured before', '#', 'unpaid', 'shipped']) {
      expect(text).toContain(part);
    }
    const link = await page.getByRole('link', { name: 'workflow history' }).getAttribute('href');
    expect(link).toContain(`/namespaces/${world.stack.temporal.namespace}/workflows/${TENANT}%2F`);
  });
});

describe('the policy', () => {
  const inert = async (page: Page): Promise<void> => {
    expect(await page.evaluate('[window.hacked, window.violations]')).toEqual([undefined, []]);
    expect(await page.locator('main script, main [onerror]').count()).toBe(0);
    expect(await page.textContent('main')).not.toContain('\u202E');
  };

  test('in force is told with its rules, how often each decided, and its workers', async () => {
    const page = await world.logIn('dora', { at: '/policy' });
    const { digest } = await loadBundle(world.stack.policies);
    const text = await page.textContent('main');
    for (const part of [digest, '1 worker has it from a folder', 'shadow', MARKUP.slice(0, 34)]) {
      expect(text).toContain(part);
    }
    expect(await page.locator('#rule-protected-tables .times').textContent()).toBe('decided 1: 1 denied');
    expect(await page.locator('#rule-schema-changes .times').textContent()).toContain('decided nothing in 30 days');
    await inert(page);
    await page.getByRole('link', { name: 'decided 1' }).first().click();
    await page.waitForURL('**/history?policy=protected-tables');
    expect(await page.getByRole('row').count()).toBe(2);
  });

  test('that would come is compared in words, with what its backtest and its shadow found', async () => {
    const page = await world.logIn('dora', { at: '/policy' });
    await page.getByRole('link', { name: 'What differs' }).click();
    await page.getByText('rule odd-rule is added').waitFor();
    expect(await page.locator('.differences').textContent()).toContain('rule stock-by-passkey is removed');
    expect(await page.getByRole('row', { name: 'Newly needing approval' }).textContent()).toContain('421234 EUR');
    await inert(page);
    await page.goto('/policy/shadow');
    expect(await page.locator('main').textContent()).toContain('7 decisions of your tenant');
    await inert(page);
    await page.getByRole('link', { name: 'refused' }).click();
    await page.waitForURL('**/actions/refused');
  });

  test("shows a person of another tenant the rules, and nothing of others' actions", async () => {
    const page = await world.logIn('gina', { at: '/policy' });
    expect(await page.locator('#rule-protected-tables .times').textContent()).toContain('decided nothing');
    await page.goto('/policy/shadow');
    const text = (await page.textContent('main')) ?? '';
    expect(text).toContain('secret-of-globex');
    expect(text).toContain('actions of several tenants');
    expect(text).not.toMatch(/1234|420|refused|14 otherwise/);
    expect((await page.goto('/policy/playground?action=refused'))?.status()).toBe(404);
    const mine = await world.logIn('dora', { at: '/policy/shadow' });
    expect(await mine.textContent('main')).not.toContain('secret-of-globex');
    expect((await mine.goto(`/policy/bundles/sha256:${'0'.repeat(64)}`))?.status()).toBe(404);
  });

  test('is tried without a script: a recorded action under a changed rule, and a pasted proposal', async () => {
    const page = await world.logIn('dora', { javaScriptEnabled: false, at: '/policy' });
    await page.getByRole('link', { name: 'Try a change of protected-tables' }).click();
    await page.getByLabel('Id of a recorded action').fill('refused');
    await page.getByRole('button', { name: 'Take these' }).click();
    const rule = page.getByLabel('The rule, in Cedar');
    const written = await rule.inputValue();
    expect(written).toMatch(/^@id\("protected-tables"\)/);
    await rule.fill(written.replace('@constraint', '@approval("lead")\n@constraint'));
    await page.getByRole('button', { name: 'Decide' }).click();
    await page.getByText('It would be ask people instead of deny').waitFor();
    await rule.fill(written.replace('context.targets', 'context.nothing'));
    await page.getByRole('button', { name: 'Decide' }).click();
    expect(await page.locator('#refusal').textContent()).toMatch(/protected-tables\.cedar:\d+:\d+: .*nothing/);
    expect(await rule.inputValue()).toContain('context.nothing');
    await page.goto('/policy/playground');
    await page.getByRole('button', { name: 'Decide' }).click();
    await page.getByText('It would be ask people instead of allow').waitFor();
    await page.getByLabel('A proposal with its context').fill('{\n"proposal": ,\n}');
    await page.getByRole('button', { name: 'Decide' }).click();
    expect(await page.locator('#refusal').textContent()).toContain('line 2');
  });

  test('is tried on its limits, as they were recorded and as they are now, and told what would change it', async () => {
    const purge = { tool: 'staging-db', input: { op: 'delete', table: 'sessions', where: { id: { gt: 5197 } } } };
    expect((await world.propose(purge)).body).toMatchObject({ status: 'success' });
    const page = await world.logIn('dora', { at: '/policy/playground?rule=protected-tables&action=refused' });
    await page.getByRole('button', { name: 'Decide' }).click();
    const figures = page.locator('#trial-limits + p + dl');
    expect(await figures.textContent()).toBe('as recordedrows-deleted: 20000 of 20000 rows left');
    const changed = page.getByRole('heading', { name: 'With your change' }).locator('..');
    expect(await changed.textContent()).toContain('allow, if its target is one that no rule names');
    await page.getByLabel('Time and figures of limits').selectOption('now');
    await page.getByLabel('The rule, in Cedar').fill('');
    await page.getByRole('button', { name: 'Decide' }).click();
    await page.getByText('It would be allow instead of deny').waitFor();
    expect(await figures.textContent()).toBe('as it is nowrows-deleted: 19997 of 20000 rows left');
    expect(await page.getByLabel('Time and figures of limits').inputValue()).toBe('now');
    await inert(page);
  });

  test('is tried with hostile texts, which stay texts, and by nobody but the page itself', async () => {
    const page = await world.logIn('dora', { at: '/policy/playground?rule=protected-tables&action=refused' });
    const hostile = `@id("protected-tables") @reason("${MARKUP}</textarea>{targets}") forbid (principal, action, resource);`;
    await page.getByLabel('The rule, in Cedar').fill(hostile);
    await page.getByRole('button', { name: 'Decide' }).click();
    await page.getByText('The decision is the same, on other terms').waitFor();
    expect(await page.locator('.trial').textContent()).toContain(MARKUP.slice(0, 34));
    expect(await page.evaluate('[window.hacked, window.violations]')).toEqual([undefined, []]);
    const form = { digest: candidate, text: '', action: 'refused' };
    const forged = await page.request.post('/policy/playground', { form, headers: { accept: 'text/html' } });
    expect(forged.status()).toBe(403);
    expect(await forged.text()).toContain('CSRF');
  });
});

test('whoever has found out whether it happened says so, and it is settled', async () => {
  const page = await world.logIn('otto');
  await page.locator('#unknown-lost [data-row]').click();
  await page.getByLabel('How do you know?').fill('the line is in the journal');
  await page.getByRole('button', { name: 'It happened' }).click();
  await page.getByText('otto@example.com says that it happened').waitFor();
  expect((await world.stack.ledger.actions.find(TENANT, 'lost'))?.outcome?.resolution).toMatchObject({
    verdict: 'happened',
    evidence: 'the line is in the journal',
  });
  await page.goto('/');
  expect(await page.locator('#unknown-lost').count()).toBe(0);
});

test('an operator freezes an agent and lets it go on; a dba may only look', async () => {
  const page = await world.logIn('otto', { at: '/freezes' });
  await page.getByRole('combobox', { name: 'What' }).selectOption('agent');
  await page.getByLabel('Name').fill('clerk');
  await page.getByLabel('Reason', { exact: true }).fill('it behaves oddly');
  await page.getByRole('button', { name: 'Freeze' }).click();
  await page.getByText('agent clerk').waitFor();
  const order = { tool: 'shop-db', input: { op: 'update', table: 'orders', set: { note: 'x' }, where: { id: 1050 } } };
  expect((await world.propose(order, { agent: 'clerk' })).body).toMatchObject({ error: { code: 'FROZEN' } });

  const dba = await world.logIn('dora', { at: '/freezes' });
  await dba.getByText('none of your roles may freeze').waitFor();

  await page.getByText('Lift', { exact: true }).click();
  await page.getByLabel('Reason for lifting').fill('it was a false alarm');
  await page.getByRole('button', { name: 'Lift the freeze' }).click();
  await page.getByText('Nothing is frozen').waitFor();
  expect((await world.propose(order, { agent: 'clerk' })).body).toMatchObject({ status: 'success' });
});

test('a platform operator acknowledges what the radar found, whatever its names are; others may not see it', async () => {
  const { radar, radarAlerts } = world.stack.ledger;
  const report = { source: 'watched-db', kind: 'postgres', reader: 'test', leaseMs: 60_000 } as const;
  await radar.lease({
    ...report,
    state: 'watching',
    watched: ['public.orders'],
    unseen: ['public.keyless: it has no key'],
  });
  const changes = [{ table: 'public.<b>orders</b>', operation: 'update', rows: 3 }];
  const found = {
    kind: 'write',
    reason: 'no_effect',
    at: '2026-05-01T12:00:00Z',
    changes,
    transaction: '771',
  } as const;
  const writers = [{ user: 'app', application: '<img src=x>' }];
  await radar.record('watched-db', {
    reader: 'test',
    term: 1,
    system: 'test',
    position: '0/1',
    memory: {},
    alerts: [
      { ...found, position: '0/1', detail: 'update of 3 rows of public.<b>orders</b>: no action made it.', writers },
    ],
  });
  const page = await world.logIn('paula', { at: '/radar' });
  const text = await page.textContent('main');
  expect(text).toContain('update of 3 rows of public.<b>orders</b>: no action made it.');
  expect(text).toContain('by app (<img src=x>), transaction 771');
  expect(text).toContain('public.keyless: it has no key');
  await page.getByText('Acknowledge', { exact: true }).first().click();
  await page.getByLabel('What it was').fill('the nightly import');
  await page.getByRole('button', { name: 'Acknowledge' }).click();
  await page.getByText('Nothing is unexplained').waitFor();
  expect(await radarAlerts.list()).toMatchObject([{ acknowledged: { note: 'the nightly import' } }]);
  const operator = await world.logIn('otto', { at: '/radar' });
  await operator.getByText('None of your roles').waitFor();
  expect(await operator.textContent('main')).not.toContain('watched-db');
});

test('an operator sees how everybody decides, whatever their names are; a dba sees their own figures alone', async () => {
  const { ledger } = world.stack;
  const policy = `odd ${MARKUP}`;
  const requirements = [requirement({ policy })];
  for (let n = 0; n < 20; n++) {
    const ask = await waits(ledger, { tenant: TENANT, actionId: `overseen-${n}` }, { requirements });
    await ledger.approvalRequests.recordDecision(yes(ask, `hasty ${MARKUP}@example.com`));
    if (n < 2) await ledger.approvalRequests.recordDecision(yes(ask, 'dora@example.com', { verdict: 'deny' }));
    await ledger.approvalRequests.close({ tenant: TENANT, actionId: `overseen-${n}` });
  }
  const page = await world.logIn('otto');
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Oversight' }).click();
  await page.getByRole('heading', { level: 1, name: 'Oversight' }).waitFor();
  await page.getByRole('navigation', { name: 'Period' }).getByRole('link', { name: '7 days' }).click();
  await page.waitForURL('**/oversight?days=7');
  const findings = await page.locator('#findings').textContent();
  expect(findings).toMatch(/The approver hasty <script>.*said yes to all of 20/);
  expect(findings).toContain('under 5 seconds');
  const approvers = page.getByRole('region', { name: 'Decisions by approver' });
  expect(await approvers.getByRole('row', { name: /^dora@example\.com/ }).textContent()).toMatch(/20 %/);
  expect(await approvers.getByRole('row', { name: /^hasty/ }).textContent()).toMatch(/worth a look20100 %/);
  const rules = page.getByRole('region', { name: 'Decisions by rule' });
  expect(await rules.textContent()).toContain('odd <script>window.hacked = 1</script>');
  expect(await page.locator('main script, main img').count()).toBe(0);
  expect(await page.evaluate('window.hacked')).toBeUndefined();

  const dba = await world.logIn('dora');
  expect(await dba.getByRole('navigation', { name: 'Pages' }).textContent()).not.toContain('Oversight');
  await dba.goto('/me');
  await dba.getByRole('link', { name: 'How you decide' }).click();
  await dba.getByText('These are your own figures').waitFor();
  const own = (await dba.textContent('main')) ?? '';
  expect(own).not.toContain('hasty');
  expect(own).toMatch(/Decisions2/);
});

test('a standing approval is given, seen, used and withdrawn', async () => {
  const page = await world.logIn('dora', { at: '/me' });
  await page.getByText('Give a standing approval').click();
  await page.getByLabel('Agent').fill('cleaner');
  await page.getByLabel('Tool').fill('shop-db');
  await page.getByLabel('Actions in total').fill('3');
  await page.locator('form[action="/me/standing"]').getByLabel('Reason').fill('the clean-up of this morning');
  await page.getByRole('button', { name: 'Give the approval' }).click();
  await page.getByText('0 of 3 actions used').waitFor();
  const { body } = await world.propose({
    actionId: 'covered',
    tool: 'shop-db',
    input: { op: 'update', table: 'orders', set: { note: 'swept' }, where: { id: { lte: 1200 } } },
  });
  expect(body).toMatchObject({ status: 'success' });
  await page.goto('/actions/covered');
  await page.getByText('gave a standing approval').waitFor();
  await page.goto('/me');
  await page.getByText('1 of 3 actions used').waitFor();
  await page.getByText('Withdraw', { exact: true }).click();
  await page.locator('form[action$="/withdraw"]').getByLabel('Reason').fill('it is done');
  await page.getByRole('button', { name: 'Withdraw it' }).click();
  await page.getByText('of 3 actions used').waitFor({ state: 'detached' });
});

test('whoever is delegated by somebody decides in their place, until it ends', async () => {
  const page = await world.logIn('dora', { at: '/me' });
  await page.getByText('Delegate a role').click();
  await page.getByLabel('To whom').fill('lena@example.com');
  await page.locator('form[action="/me/role-delegations"]').getByLabel('Reason').fill('I am away');
  await page.getByRole('button', { name: 'Delegate the role' }).click();
  await page.getByText('lena@example.com is dba for dora@example.com').waitFor();

  const lena = await world.logIn('lena', { at: '/actions/waits' });
  expect(await lena.getByRole('button', { name: 'Approve' }).isEnabled()).toBe(true);

  await page.getByText('End', { exact: true }).click();
  await page.locator('form[action$="/end"]').getByLabel('Reason').fill('I am back');
  await page.getByRole('button', { name: 'End the delegation' }).click();
  await page.getByText('lena@example.com is dba').waitFor({ state: 'detached' });
  await lena.reload();
  await lena.getByText('You may look, but not decide.').waitFor();
});

test('whoever logs out sees nothing any more', async () => {
  const page = await world.logIn('vera', { at: '/me', anew: true });
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('heading', { name: 'You are logged out' }).waitFor();
  // At the identity provider they are still logged in, so the browser itself would soon be back.
  const answer = await page.request.get('/history', { maxRedirects: 0, headers: { accept: 'text/html' } });
  expect([answer.status(), answer.headers()['location']]).toEqual([303, '/login?return_to=%2Fhistory']);
});

test('the dashboard says by numbers what its bars show', async () => {
  const page = await world.logIn('dora', { at: '/dashboard?days=7' });
  await page.getByText('The same as a table').click();
  const today = new Date().toISOString().slice(0, 10);
  const row = await page.getByRole('row', { name: today }).textContent();
  expect(row).toMatch(/^\d{4}-\d\d-\d\d\d+/);
  expect(await page.getByRole('list', { name: 'Tools by actions' }).textContent()).toContain('shop-db');
});
