/** People decide in a real browser what agents propose over HTTP; the shop's database says what came of it. */
import type { CDPSession, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { TENANT } from '../support/stack.js';
import { until } from '../support/until.js';
import { startWorld, type PersonName, type World } from './world.js';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world?.stop());
afterEach(() => world.closePages());

const PURGE = {
  tool: 'shop-db',
  input: { op: 'delete', table: 'sessions', where: { last_seen: { lt: '2025-05-01' } } },
};

let number = 0;
/** Of one order each, so that no test is in another's way. */
function cancelOrders(more: object = {}): { actionId: string; tool: string; input: object } {
  number++;
  return {
    actionId: `cancel-${number}`,
    tool: 'shop-db',
    input: { op: 'update', table: 'orders', set: { note: `round ${number}` }, where: { id: { lte: 1200 } } },
    ...more,
  };
}

async function asked(proposal: { actionId: string; tool: string; input: object; reasoning?: string }): Promise<string> {
  const { body } = await world.propose(proposal);
  expect(body).toMatchObject({ status: 'pending' });
  return proposal.actionId;
}

function open(who: PersonName, actionId: string): Promise<Page> {
  return world.logIn(who, { at: `/actions/${actionId}` });
}

function dialogOf(page: Page): Locator {
  return page.getByRole('dialog');
}

async function passkeyIn(page: Page): Promise<CDPSession> {
  const session = await page.context().newCDPSession(page);
  await session.send('WebAuthn.enable');
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return session;
}

/** One after the other, each on a page of their own. */
async function approved(actionId: string, ...people: PersonName[]): Promise<void> {
  for (const who of people) {
    const page = await open(who, actionId);
    await page.keyboard.press('a');
    await Promise.all([
      page.waitForResponse((response) => response.request().method() === 'POST'),
      page.keyboard.press('Enter'),
    ]);
  }
}

function outcomeOf(actionId: string) {
  return until(
    () => world.stack.ledger.actions.find(TENANT, actionId),
    (record) => record?.outcome !== undefined,
  ).then((record) => record?.outcome);
}

test('an agent proposes, a dba logs in, enrols a passkey, approves with it, and the effect is in the database', async () => {
  const actionId = 'reprice-teapot';
  await asked({
    actionId,
    tool: 'shop-db',
    reasoning: 'the supplier has raised its price',
    input: { op: 'update', table: 'products', set: { price_cents: 3200 }, where: { name: 'Teapot' } },
  });
  const page = await world.logIn('dora');
  await passkeyIn(page);
  await page.getByRole('link', { name: 'update 1 row of products: set price_cents' }).click();
  await page.getByText('the supplier has raised its price', { exact: true }).waitFor();
  expect(await page.getByRole('button', { name: 'Approve' }).isDisabled()).toBe(true);

  await page.getByRole('link', { name: 'Enrol one' }).click();
  await page.getByRole('button', { name: 'Enrol a passkey' }).click();
  await page.getByRole('button', { name: 'Retire' }).waitFor();

  await page.goto(`/actions/${actionId}`);
  const row = page.getByRole('row', { name: /2900/ });
  expect(await row.textContent()).toMatch(/was\s*2900.*becomes\s*3200/);
  await page.getByRole('button', { name: 'Approve with passkey' }).click();
  await dialogOf(page).getByRole('button', { name: 'Approve with your passkey' }).click();
  await page.getByText('Success: done and verified').waitFor();
  expect(await page.getByText('dora@example.com approved').textContent()).toContain('passkey');
  expect(await world.ask(`SELECT price_cents FROM products WHERE name = 'Teapot'`)).toBe(3200);
  const outcome = await outcomeOf(actionId);
  expect(outcome?.approvals).toMatchObject([{ approver: 'dora@example.com', auth: { method: 'oidc' } }]);
  expect(outcome?.approvals[0]?.passkey).toMatch(/^[\w-]{16,}$/);
});

test('a no with its reason reaches the agent, and nothing is done', async () => {
  const actionId = await asked({ actionId: 'purge-1', ...PURGE });
  const page = await open('dora', actionId);
  await page.getByRole('button', { name: 'Deny' }).click();
  await dialogOf(page).getByRole('textbox').fill('not before the audit');
  await dialogOf(page).getByRole('button', { name: 'Deny' }).click();
  await page.getByText('Denied: nothing was done').waitFor();
  expect(await world.ask('SELECT count(*)::int FROM sessions')).toBe(5200);
  const outcome = await outcomeOf(actionId);
  expect(outcome).toMatchObject({ status: 'denied', error: { code: 'APPROVAL_DENIED' } });
  expect(outcome?.reason).toContain('not before the audit');
});

test('a no without a reason is not sent', async () => {
  const actionId = await asked(cancelOrders());
  const page = await open('dora', actionId);
  await page.getByRole('button', { name: 'Deny' }).click();
  await dialogOf(page).getByRole('button', { name: 'Deny' }).click();
  expect(await dialogOf(page).isVisible()).toBe(true);
  expect(await world.stack.ledger.actions.find(TENANT, actionId)).toMatchObject({ status: 'open' });
});

test('who asks for changes sees the changed proposal, linked with the first', async () => {
  const first = await asked(cancelOrders());
  const page = await open('dora', first);
  await page.getByRole('button', { name: 'Ask for changes' }).click();
  await dialogOf(page).getByRole('textbox').fill('only those of this year');
  await dialogOf(page).getByRole('button', { name: 'Ask for changes' }).click();
  await page.getByText('Changes were requested: nothing was done').waitFor();
  expect(await outcomeOf(first)).toMatchObject({ error: { code: 'CHANGES_REQUESTED' } });

  const second = await asked(cancelOrders({ revises: first }));
  await page.goto(`/actions/${second}`);
  await page.getByRole('link', { name: first }).click();
  await page.getByRole('link', { name: second }).waitFor();
});

test('who changes the input sees what the changed action would do, and approves that', async () => {
  const first = await asked(cancelOrders());
  const page = await open('dora', first);
  await page.getByText('Change it yourself').click();
  const input = page.getByLabel('Input, as JSON');
  const change = JSON.parse(await input.inputValue()) as { where: object };
  await input.fill('{"op": ');
  await page.getByRole('button', { name: 'Propose the change' }).click();
  await page.getByRole('alert').waitFor();
  expect(await input.inputValue()).toBe('{"op": ');

  await input.fill(JSON.stringify({ ...change, where: { id: { lte: 1150 } } }));
  await page.getByLabel('Reason (optional').fill('not that many');
  await page.getByRole('button', { name: 'Propose the change' }).click();
  await page.waitForURL(/actions\/edit/);
  await page.getByText('as changed by dora').waitFor();
  expect(await outcomeOf(first)).toMatchObject({ error: { code: 'CHANGES_REQUESTED' } });
  await page.getByRole('button', { name: 'Approve' }).click();
  await dialogOf(page).getByRole('button', { name: 'Approve' }).click();
  await page.getByText('Success: done and verified').waitFor();
  await page.getByRole('link', { name: first }).click();
  await page.getByText('Changed: done as another action').waitFor();
});

test('the keyboard alone is enough: from the list to the signature', async () => {
  const actionId = await asked(cancelOrders());
  const page = await world.logIn('dora');
  await page.locator(`#ask-${actionId}`).waitFor();
  const rows = await page.locator('[data-row]').all();
  const links = await Promise.all(rows.map((row) => row.getAttribute('href')));
  for (let press = 0; press <= links.indexOf(`/actions/${actionId}`); press++) await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/actions/${actionId}`);
  await page.keyboard.press('a');
  expect(await dialogOf(page).textContent()).toContain('Approve this action?');
  await page.keyboard.press('Escape');
  expect(await dialogOf(page).isVisible()).toBe(false);
  await page.keyboard.press('a');
  await page.keyboard.press('Enter');
  await page.getByText('Success: done and verified').waitFor();
  expect(await world.ask('SELECT note FROM orders WHERE id = 1001')).toBe(`round ${number}`);
});

test('a letter typed into a field decides nothing', async () => {
  const page = await open('dora', await asked(cancelOrders()));
  await page.keyboard.press('d');
  await dialogOf(page).getByRole('textbox').pressSequentially('and a ? c / j');
  expect(await dialogOf(page).getByRole('textbox').inputValue()).toBe('and a ? c / j');
  expect(await dialogOf(page).textContent()).toContain('Deny this action?');
});

test('from the list a key leads to what is shown first, and asks there', async () => {
  const actionId = await asked(cancelOrders());
  const page = await world.logIn('dora');
  await page.locator(`#ask-${actionId} [data-row]`).focus();
  await page.keyboard.press('d');
  await page.waitForURL(`**/actions/${actionId}`);
  expect(await dialogOf(page).textContent()).toContain('Deny this action?');
  expect(await world.stack.ledger.actions.find(TENANT, actionId)).toMatchObject({ status: 'open' });
});

test('a link in a message leads through the login to the question, and decides nothing', async () => {
  const actionId = await asked(cancelOrders());
  const page = await world.logIn('dora', { at: `/actions/${actionId}?verdict=approve`, anew: true });
  await page.waitForURL(`**/actions/${actionId}`);
  expect(await dialogOf(page).textContent()).toContain('Approve this action?');
  expect(await world.stack.ledger.actions.find(TENANT, actionId)).toMatchObject({ status: 'open' });
});

test('a key or a click that was meant for the page which opened the link does not answer the question', async () => {
  const actionId = await asked(cancelOrders());
  const page = await world.logIn('dora', { at: `/actions/${actionId}?verdict=approve` });
  await page.waitForURL(`**/actions/${actionId}`);
  const dialog = dialogOf(page);
  const confirm = dialog.getByRole('button', { name: 'Approve' });
  await dialog.waitFor();
  expect(await page.evaluate('document.activeElement.name')).toBe('reason');
  await page.keyboard.press('Enter');
  // It is behind another window, which a click closes.
  await page.evaluate("dispatchEvent(new Event('blur'))");
  expect(await confirm.isDisabled()).toBe(true);
  expect(await world.stack.ledger.actions.find(TENANT, actionId)).toMatchObject({ status: 'open' });
  // Somebody who looks at it can answer.
  await page.evaluate("dispatchEvent(new Event('focus'))");
  await confirm.click();
  await until(
    () => world.stack.ledger.actions.find(TENANT, actionId),
    (action) => action?.status === 'success',
  );
});

test('the list follows what happens, and the focus stays where it was', async () => {
  const first = await asked(cancelOrders());
  const page = await world.logIn('dora');
  await page.locator('html[data-live=on]').waitFor();
  await page.locator(`#ask-${first} [data-row]`).focus();
  const second = await asked(cancelOrders());
  await page.locator(`#ask-${second}`).waitFor();
  expect(await page.evaluate('document.activeElement.getAttribute("href")')).toBe(`/actions/${first}`);
  expect(await page.getByRole('status').textContent()).toMatch(/more actions? waits?|changed/);

  const other = await open('otto', second);
  await other.getByRole('button', { name: 'Deny' }).click();
  await dialogOf(other).getByRole('textbox').fill('no');
  await dialogOf(other).getByRole('button', { name: 'Deny' }).click();
  await page.locator(`#ask-${second}`).waitFor({ state: 'detached' });
  expect(await page.evaluate('document.activeElement.getAttribute("href")')).toBe(`/actions/${first}`);
});

describe('when what is shown changes meanwhile', () => {
  const rename = (actionId: string) => ({
    actionId,
    tool: 'shop-db',
    input: { op: 'update', table: 'users', set: { email: `${actionId}@example.com` }, where: { id: { lte: 3 } } },
  });

  test('an open page says so, and nothing can be signed on it before the person has looked again', async () => {
    const actionId = await asked(rename('mails-1'));
    const page = await open('lena', actionId);
    await page.locator('html[data-live=on]').waitFor();
    await page.keyboard.press('a');
    await world.stack.shop.query(`UPDATE users SET name = 'Changed' WHERE id = 2`);
    await approved(actionId, 'dora', 'otto');

    await page.getByText('The action has changed since you looked').waitFor();
    expect(await dialogOf(page).isVisible()).toBe(false);
    expect(await page.getByRole('button', { name: 'Approve' }).isDisabled()).toBe(true);
    await page.getByText('Changed', { exact: true }).waitFor();
    await page.keyboard.press('a');
    expect(await dialogOf(page).isVisible()).toBe(false);
    await page.getByRole('button', { name: 'I have reviewed the change' }).click();
    expect(await page.getByRole('button', { name: 'Approve' }).isEnabled()).toBe(true);
  });

  test('a decision on what was shown before is refused, with what is shown now', async () => {
    const actionId = await asked(rename('mails-2'));
    const page = await world.logIn('lena', { javaScriptEnabled: false, at: `/actions/${actionId}` });
    await world.stack.shop.query(`UPDATE users SET name = 'Anew' WHERE id = 2`);
    await approved(actionId, 'dora', 'otto');
    await until(
      () => world.stack.ledger.approvalRequests.find(TENANT, actionId),
      (ask) => JSON.stringify(ask?.shown).includes('Anew'),
    );
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.request().method() === 'POST'),
      page.getByRole('button', { name: 'Approve' }).click(),
    ]);
    expect(answer.status()).toBe(409);
    await page.getByText('The action has changed since you looked').waitFor();
    await page.getByText('Anew', { exact: true }).waitFor();
    expect(await world.stack.ledger.actions.find(TENANT, actionId)).toMatchObject({ status: 'open' });
  });
});

describe('without JavaScript', () => {
  test('a person can approve', async () => {
    const actionId = await asked(cancelOrders());
    const page = await world.logIn('dora', { javaScriptEnabled: false, at: `/actions/${actionId}` });
    await page.getByRole('button', { name: 'Approve' }).click();
    await until(
      async () => {
        await page.goto(`/actions/${actionId}`);
        return page.textContent('main');
      },
      (text) => text?.includes('Success: done and verified') === true,
    );
    expect(await world.ask('SELECT note FROM orders WHERE id = 1001')).toBe(`round ${number}`);
  });

  test('a no without a reason comes back, and says what is missing', async () => {
    const actionId = await asked(cancelOrders());
    const page = await world.logIn('dora', { javaScriptEnabled: false, at: `/actions/${actionId}` });
    await page.getByRole('button', { name: 'Deny' }).click();
    await page.getByText('a reason is needed to deny').waitFor();
    expect(await world.stack.ledger.actions.find(TENANT, actionId)).toMatchObject({ status: 'open' });
  });
});

test('who has no role for it may look, and is told whom it needs', async () => {
  const actionId = await asked(cancelOrders());
  for (const who of ['vera', 'lena'] as const) {
    const page = await open(who, actionId);
    await page.getByText('You may look, but not decide.').waitFor();
    expect(await page.getByText('This needs dba.').isVisible()).toBe(true);
    expect(await page.getByRole('button', { name: 'Approve' }).count()).toBe(0);
  }
});

test('two people are needed: after the first yes the page says who is still missing', async () => {
  const actionId = await asked({
    actionId: 'mails-3',
    tool: 'shop-db',
    input: { op: 'update', table: 'users', set: { email: 'x@example.com' }, where: { id: 9 } },
  });
  const page = await open('dora', actionId);
  await page.keyboard.press('a');
  await page.keyboard.press('Enter');
  await page.getByText('1 of 2 dba or lead').waitFor();
  expect(await page.getByText('You have already approved').isVisible()).toBe(true);
  const other = await open('lena', actionId);
  await other.keyboard.press('a');
  await other.keyboard.press('Enter');
  await other.getByText('Success: done and verified').waitFor();
  // Hers follows by itself.
  await page.getByText('Success: done and verified').waitFor();
  expect(await world.ask('SELECT email FROM users WHERE id = 9')).toBe('x@example.com');
});
