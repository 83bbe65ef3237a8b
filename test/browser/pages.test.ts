/** The pages as people use them: readable for everybody, on any screen; and what can be said on them besides yes and no. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ROOT, TENANT } from '../support/stack.js';
import { startWorld, type World } from './world.js';

let world: World;
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
});
afterAll(() => world?.stop());
afterEach(async () => {
  for (const context of world.browser.contexts()) await context.close();
});

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
  freezes: '/freezes',
  me: '/me',
  'an error': '/actions/there-is-none',
};

async function violationsOn(page: Page): Promise<readonly string[]> {
  const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const results = await page.evaluate<AxeResults>(`axe.run(document, { runOnly: ${JSON.stringify(rules)} })`);
  return results.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

describe.each(['light', 'dark'] as const)('for everybody, %s', (colorScheme) => {
  test('no page is against WCAG 2.2 AA, as far as axe can tell', async () => {
    const axe = await readFile(path.join(ROOT, 'node_modules/axe-core/axe.min.js'), 'utf8');
    const page = await world.logIn('otto', { colorScheme, bypassCSP: true });
    const found: Record<string, readonly string[]> = {};
    for (const [name, at] of Object.entries(PAGES)) {
      await page.goto(at);
      for (const summary of await page.locator('summary').all()) await summary.click();
      await page.addScriptTag({ content: axe });
      found[name] = await violationsOn(page);
    }
    await page.goto('/actions/waits');
    await page.addScriptTag({ content: axe });
    await page.keyboard.press('d');
    found['the dialog'] = await violationsOn(page);
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    found['the keys'] = await violationsOn(page);
    expect(found).toEqual(Object.fromEntries(Object.keys(found).map((name) => [name, []])));
    expect(Object.keys(found)).toHaveLength(Object.keys(PAGES).length + 2);
  });
});

const PHONE: BrowserContextOptions = { viewport: { width: 360, height: 740 } };

test('on a narrow screen nothing sticks out, and the decision is in reach', async () => {
  const page = await world.logIn('dora', PHONE);
  for (const at of Object.values(PAGES)) {
    await page.goto(at);
    expect([at, await page.evaluate<number>('document.documentElement.scrollWidth')]).toEqual([at, 360]);
  }
  await page.goto('/actions/waits');
  const box = await page.getByRole('button', { name: 'Approve' }).boundingBox();
  expect((box?.y ?? 1000) + (box?.height ?? 0)).toBeLessThanOrEqual(740);
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
  const page = await (await world.context()).newPage();
  const inbox = await (await world.logIn('dora')).content();
  const [css] = /\/assets\/[\w-]{16}\/inbox\.css/.exec(inbox) ?? [];
  const answer = await page.request.get(css as string);
  expect(answer.headers()).toMatchObject({
    'cache-control': 'public, max-age=31536000, immutable',
    'content-type': 'text/css; charset=utf-8',
  });
  const { etag } = answer.headers();
  const again = await page.request.get(css as string, { headers: { 'if-none-match': `W/${etag}` } });
  expect(again.status()).toBe(304);
  expect((await page.request.get('/assets/0000000000000000/inbox.css')).status()).toBe(404);
});

test("another tenant's action looks like none, and is on no list", async () => {
  const page = await world.logIn('gina');
  for (const id of ['waits', 'lost', 'there-is-none']) {
    expect((await page.goto(`/actions/${id}`))?.status()).toBe(404);
    expect(await page.textContent('main')).toContain(`There is no action ${id} of tenant globex.`);
  }
  for (const at of ['/', '/history', '/dashboard?days=7', '/freezes', '/me']) {
    await page.goto(at);
    expect(await page.textContent('main')).not.toMatch(/shop-db|journal|cleaner|late/);
  }
});

test('a page that was left open says when its session has ended', async () => {
  const page = await world.logIn('vera');
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
    const lena = await world.logIn('lena');
    await lena.goto('/?mine=1');
    expect(await lena.locator('#ask-waits').count()).toBe(0);
    expect(await lena.locator('#ask-priced').count()).toBe(1);
  });

  test('lead from page to page, each action on one of them', async () => {
    const ids = Array.from({ length: 55 }, (_, index) => `many-${index}`);
    await Promise.all(
      ids.map((actionId) =>
        world.propose(
          {
            actionId,
            tool: 'shop-db',
            input: { op: 'update', table: 'users', set: { name: actionId }, where: { id: 5 } },
          },
          { agent: 'clerk' },
        ),
      ),
    );
    const page = await world.logIn('dora');
    await page.goto('/?agent=clerk');
    const seen = async (): Promise<string[]> =>
      Promise.all(
        (await page.locator('li[id^=ask-many]').all()).map(async (row) => (await row.getAttribute('id')) ?? ''),
      );
    const first = await seen();
    expect(first).toHaveLength(50);
    await page.getByRole('link', { name: 'Next page' }).click();
    await page.waitForURL('**/*after=*');
    expect([...first, ...(await seen())].toSorted()).toEqual(ids.map((id) => `ask-${id}`).toSorted());
  });

  test('of the history lead to the page of an action, with its checks, times and receipt', async () => {
    const page = await world.logIn('dora');
    await page.goto('/history?status=success');
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
  const page = await world.logIn('otto');
  await page.goto('/freezes');
  await page.getByRole('combobox', { name: 'What' }).selectOption('agent');
  await page.getByLabel('Name').fill('clerk');
  await page.getByLabel('Reason', { exact: true }).fill('it behaves oddly');
  await page.getByRole('button', { name: 'Freeze' }).click();
  await page.getByText('agent clerk').waitFor();
  const order = { tool: 'shop-db', input: { op: 'update', table: 'orders', set: { note: 'x' }, where: { id: 1050 } } };
  expect((await world.propose(order, { agent: 'clerk' })).body).toMatchObject({ error: { code: 'FROZEN' } });

  const dba = await world.logIn('dora');
  await dba.goto('/freezes');
  await dba.getByText('none of your roles may freeze').waitFor();

  await page.getByText('Lift', { exact: true }).click();
  await page.getByLabel('Reason for lifting').fill('it was a false alarm');
  await page.getByRole('button', { name: 'Lift the freeze' }).click();
  await page.getByText('Nothing is frozen').waitFor();
  expect((await world.propose(order, { agent: 'clerk' })).body).toMatchObject({ status: 'success' });
});

test('a standing approval is given, seen, used and withdrawn', async () => {
  const page = await world.logIn('dora');
  await page.goto('/me');
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
  const page = await world.logIn('dora');
  await page.goto('/me');
  await page.getByText('Delegate a role').click();
  await page.getByLabel('To whom').fill('lena@example.com');
  await page.locator('form[action="/me/role-delegations"]').getByLabel('Reason').fill('I am away');
  await page.getByRole('button', { name: 'Delegate the role' }).click();
  await page.getByText('lena@example.com is dba for dora@example.com').waitFor();

  const lena = await world.logIn('lena');
  await lena.goto('/actions/waits');
  expect(await lena.getByRole('button', { name: 'Approve' }).isEnabled()).toBe(true);

  await page.getByText('End', { exact: true }).click();
  await page.locator('form[action$="/end"]').getByLabel('Reason').fill('I am back');
  await page.getByRole('button', { name: 'End the delegation' }).click();
  await page.getByText('lena@example.com is dba').waitFor({ state: 'detached' });
  await lena.reload();
  await lena.getByText('You may look, but not decide.').waitFor();
});

test('whoever logs out sees nothing any more', async () => {
  const page = await world.logIn('vera');
  await page.goto('/me');
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('heading', { name: 'You are logged out' }).waitFor();
  // At the identity provider they are still logged in, so the browser itself would soon be back.
  const answer = await page.request.get('/history', { maxRedirects: 0, headers: { accept: 'text/html' } });
  expect([answer.status(), answer.headers()['location']]).toEqual([303, '/login?return_to=%2Fhistory']);
});

test('the dashboard says by numbers what its bars show', async () => {
  const page = await world.logIn('dora');
  await page.goto('/dashboard?days=7');
  await page.getByText('The same as a table').click();
  const today = new Date().toISOString().slice(0, 10);
  const row = await page.getByRole('row', { name: today }).textContent();
  expect(row).toMatch(/^\d{4}-\d\d-\d\d\d+/);
  expect(await page.getByRole('list', { name: 'Tools by actions' }).textContent()).toContain('shop-db');
});
