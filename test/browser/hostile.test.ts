/** Whatever agents and rows hold is text on the pages: it runs nothing, leads nowhere and hides nothing. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startWorld, type World } from './world.js';

const MARKUP = `<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"><svg onload="window.hacked = 3">`;
const QUOTES = `" onmouseover="window.hacked = 4" '></textarea></template></dialog><style>body{display:none}</style>`;
const LINK = `<a href="javascript:window.hacked = 5">javascript:window.hacked = 5</a>`;
const BIDI = 'pay \u202Eevil\u202C now\u200B\u2066x\u2069';
const REASONING = `${MARKUP}\n${QUOTES}\n${LINK}\n${BIDI}\n${'x'.repeat(15_000)}`;
const LONG = `${MARKUP}${BIDI}${'long '.repeat(20_000)}`;

let world: World;
let page: Page;
const problems: string[] = [];

beforeAll(async () => {
  world = await startWorld();
  await world.stack.shop.query(
    `ALTER TABLE users ADD COLUMN "<img src=x onerror=window.hacked=6>" text DEFAULT '<script>window.hacked = 7</script>'`,
  );
  await world.stack.shop.query(`UPDATE users SET email = $1 WHERE id = 2`, [
    `javascript:window.hacked=8//\u202E${MARKUP}`,
  ]);
  page = await world.logIn('dora');
  page.on('dialog', (dialog) => {
    problems.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('pageerror', (error) => problems.push(`an error: ${error.message}`));
});
afterAll(() => world?.stop());

async function stillInert(at: string): Promise<void> {
  await page.goto(at);
  expect([at, await page.evaluate('window.hacked')]).toEqual([at, undefined]);
  expect([at, await page.evaluate('window.violations')]).toEqual([at, []]);
  expect([at, await page.locator('a[href^="javascript:"], [onerror], [onload], [onmouseover]').count()]).toEqual([
    at,
    0,
  ]);
  expect(problems).toEqual([]);
}

test('a proposal full of markup, hidden characters and 100 KB of text is text', async () => {
  const { body } = await world.propose({
    actionId: 'hostile',
    tool: 'shop-db',
    input: { op: 'update', table: 'users', set: { name: LONG }, where: { id: { lte: 3 } } },
    reasoning: REASONING,
    expectedOutcome: MARKUP,
    claims: { [MARKUP.slice(0, 60)]: QUOTES, environment: BIDI },
    from: [MARKUP, QUOTES, BIDI].map((source) => ({ source: source.slice(0, 256), trust: 'untrusted' })),
  });
  expect(body).toMatchObject({ status: 'pending' });
  for (const at of ['/', '/actions/hostile', '/history', '/dashboard']) await stillInert(at);

  await page.goto('/actions/hostile');
  const words = page.locator('.words').first();
  expect(await words.textContent()).toContain('<script>window.hacked = 1</script>');
  expect(await words.locator('script, img, svg, a, style').count()).toBe(0);
  const odd = await page.locator('.words').first().locator('.folded > .block .odd').allTextContents();
  expect(odd).toEqual(['U+202E', 'U+202C', 'U+200B', 'U+2066', 'U+2069']);
  // Long, and folded: it does not push what decides off the page.
  expect(await page.getByText('Show all 15,').first().isVisible()).toBe(true);
  expect(await page.getByRole('button', { name: 'Approve' }).isVisible()).toBe(true);
  expect(await page.evaluate<number>('document.documentElement.scrollHeight')).toBeLessThan(6000);
  expect(await page.getByRole('columnheader', { name: '<img src=x onerror=window.hacked=6>' }).count()).toBe(1);
});

test('the end of a long statement, a padding and a name that mixes scripts are seen before a yes', async () => {
  await world.stack.shop.query('CREATE TABLE "p\u0430youts" (id int PRIMARY KEY, note text)');
  await world.stack.shop.query('INSERT INTO "p\u0430youts" SELECT i, $1 FROM generate_series(1, 150) i', ['paid']);
  const long = 'x'.repeat(4900);
  const padding = '\u3000'.repeat(3000);
  for (const [actionId, sql] of [
    ['long-tail', `UPDATE "p\u0430youts" SET note = 'sent' WHERE note = '${long}' OR true`],
    ['padded', `UPDATE "p\u0430youts" SET note = 'sent' WHERE id = 1 /*${padding}*/ OR true`],
  ] as const) {
    const { body } = await world.propose({ actionId, tool: 'shop-db', input: { op: 'sql', sql } });
    expect([actionId, body['status'], body['reason']]).toEqual([actionId, 'pending', expect.any(String)]);
    await page.goto(`/actions/${actionId}`);
    // Folded or squeezed, and the end is in sight.
    const statement = page.locator('h3:has-text("The statement") + *');
    await statement.getByText('OR true').first().waitFor();
    expect(await statement.textContent()).toMatch(/pU\+0430youts/);
    await page.keyboard.press('a');
    const dialog = page.getByRole('dialog');
    const warnings = await dialog.locator('.warnings').textContent();
    expect(warnings).toContain('mixes scripts');
    expect(warnings).toMatch(actionId === 'padded' ? /3000 blank characters/ : /it ends in: .*OR true/);
    await page.keyboard.press('Escape');
    // The whole can be reached, whatever is folded.
    await page.getByText('Everything that a decision here is bound to').click();
    expect(
      await page.locator('details', { hasText: 'Everything that a decision here is bound to' }).textContent(),
    ).toContain('OR true');
  }
  await page.goto('/');
  expect(await page.getByRole('main').textContent()).toContain('pU+0430youts');
});

test('what is typed into an address or a form comes back as text', async () => {
  const query = encodeURIComponent(`"><script>window.hacked = 9</script>${BIDI}`);
  for (const at of [
    `/?q=${query}`,
    `/history?q=${query}&agent=${query}`,
    `/history?status=${query}`,
    `/actions/${query}`,
  ]) {
    await stillInert(at);
  }
  await page.goto('/actions/hostile');
  await page.keyboard.press('d');
  await page.getByRole('dialog').getByRole('textbox').fill(`${MARKUP}${QUOTES}`);
  await page.getByRole('dialog').getByRole('button', { name: 'Deny' }).click();
  await page.getByText('Denied: nothing was done').waitFor();
  await stillInert('/actions/hostile');
  await stillInert('/history');
  expect(await page.textContent('main')).toContain('<script>window.hacked = 1</script>');
});

test('no script or style runs that is not a file of the gateway', async () => {
  await page.goto('/');
  await page.evaluate(`
    (() => {
      const script = document.createElement('script');
      script.textContent = 'window.hacked = 10';
      document.body.append(script);
      const button = document.createElement('button');
      button.setAttribute('onclick', 'window.hacked = 11');
      document.body.append(button);
      button.click();
      const style = document.createElement('style');
      style.textContent = 'body { outline: 7px solid red }';
      document.head.append(style);
    })()
  `);
  expect(await page.evaluate('window.hacked')).toBeUndefined();
  expect(await page.evaluate('getComputedStyle(document.body).outlineWidth')).not.toBe('7px');
  expect(await page.evaluate('window.violations.length')).toBeGreaterThanOrEqual(3);
});
