/** The Temporal UI over encrypted histories, in a real browser: ciphertext by itself, and clear text through the gateway to whoever may read it. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTemporal, type TemporalServer } from '../../src/dev/temporal.js';
import { createPayloadKeys } from '../../src/privacy/payload-key-files.js';
import { launchBrowser } from '../support/browser.js';
import { startTestGateway, type TestGateway } from '../support/gateway.js';
import { until } from '../support/until.js';
import { ended, startStack, type Stack } from '../support/stack.js';

const NEEDLE = 'zx81needle';
let folder: string;
let temporal: TemporalServer;
let stack: Stack;
let gateway: TestGateway;
let browser: Browser;
/** One for all who look: what the UI consists of is loaded once. */
let window: BrowserContext;
let first: Awaited<ReturnType<typeof firstLook>>;
const logged: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-codec-ui-'));
  const keysFile = path.join(folder, 'payload-keys.json');
  await createPayloadKeys(keysFile, new Date());
  process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'] = keysFile;
  // Never the server that TEMPORAL_ADDRESS names: one of its own, with a UI.
  const { TEMPORAL_ADDRESS: _address, TEMPORAL_NAMESPACE: _namespace, ...env } = process.env;
  [temporal, browser] = await Promise.all([startTemporal({ env }), launchBrowser()]);
  window = await browser.newContext({ viewport: { width: 1440, height: 1000 } });
  stack = await startStack({
    temporalAddress: temporal.address,
    schema: `CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
      INSERT INTO customers VALUES (1, '${NEEDLE} before');`,
  });
  gateway = await startTestGateway(stack, {
    privacy: { codecServer: { origins: [`http://localhost:${uiPort()}`] } },
    env: { COUNTERSIGN_PAYLOAD_KEYS_FILE: keysFile },
    logger: pino({ level: 'info' }, { write: (line: string) => void logged.push(line) }),
    devPeople: [
      { id: 'vera', name: 'Vera', tenant: 'acme', roles: ['platform-auditor'] },
      { id: 'dana', name: 'Dana', tenant: 'acme', roles: ['dba'] },
    ],
  });
  const bot = await stack.agent();
  await ended(bot, {
    actionId: 'renamed',
    tool: 'shop-db',
    input: { op: 'update', table: 'customers', set: { name: `${NEEDLE} after` }, where: { id: 1 } },
    reasoning: `${NEEDLE} asked for it`,
  });
  first = await firstLook();
});
afterAll(async () => {
  delete process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'];
  await browser?.close();
  await gateway?.stop();
  await stack?.stop();
  await temporal?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** How the UI shows the encoding of what it cannot read: `binary/encrypted`, in base64. */
const CIPHERTEXT = Buffer.from('binary/encrypted').toString('base64');

const codecUrl = (): string => `${gateway.url}/codec`;
const uiPort = (): string => new URL(temporal.uiUrl ?? '').port;
const action = (host: string): string =>
  `http://${host}:${uiPort()}/namespaces/${stack.temporal.namespace}/workflows/acme%2Frenamed`;

/** What the UI keeps of its settings when somebody tells it where the codec server is. */
type Settings = { name: string; value: string }[];

/** How the codec server answers a page from now on. */
function answersTo(page: Page): ReadonlySet<string> {
  const answers = new Set<string>();
  page.on('response', (response) => {
    if (response.url().startsWith(codecUrl())) answers.add(String(response.status()));
  });
  page.on('requestfailed', (request) => {
    if (request.url().startsWith(codecUrl())) answers.add(request.failure()?.errorText ?? 'failed');
  });
  return answers;
}

/** What the UI shows by itself, and its settings when somebody names the codec server then: without credentials, and with them. */
async function firstLook() {
  const page = await window.newPage();
  const answers = answersTo(page);
  await page.goto(action('localhost'));
  await page.getByText(CIPHERTEXT).first().waitFor();
  const byItself = { shown: await page.locator('body').innerText(), answers: [...answers] };
  const open = () => page.locator('[data-testid^="data-encoder-status"]').first().click();
  const applied = async (holds: (one: Settings[number]) => boolean): Promise<Settings> => {
    await page.getByRole('button', { name: 'Apply' }).click();
    const kept = async () => (await window.storageState()).origins.flatMap((one) => one.localStorage);
    return until(kept, (settings) => settings.some(holds), { everyMs: 200 });
  };
  await open();
  await page.getByPlaceholder('Paste your endpoint here').fill(codecUrl());
  const unknown = await applied(({ value }) => value.includes(codecUrl()));
  await open();
  await page.getByText('Include cross-origin credentials').click();
  const known = await applied(({ name, value }) => name === 'includeCredentials' && value === 'true');
  await page.close();
  return { byItself, unknown, known };
}

interface Looking {
  /** Who is logged in at the gateway, by the name on its page. Default nobody. */
  readonly as?: 'Vera' | 'Dana';
  /** Of the UI. */
  readonly settings: Settings;
  /** Default: the one that the gateway's config names. */
  readonly host?: string;
  /** What stands on the page when it is whole. */
  readonly showing: string;
  /** What stands there no more when it is whole: each payload is decoded by itself. Default nothing. */
  readonly hiding?: string;
}

/** Looks at the action in the UI, as somebody whose browser knows these settings alone: what is on the page, and how the codec server answered it. */
async function look({ as, settings, host = 'localhost', showing, hiding }: Looking) {
  await window.clearCookies();
  const page = await window.newPage();
  try {
    // Of the same origin, and no page of it.
    await page.goto(new URL('/api/v1/settings', action(host)).href);
    const kept = Object.fromEntries(settings.map(({ name, value }) => [name, value]));
    await page.evaluate(`localStorage.clear(); Object.assign(localStorage, ${JSON.stringify(kept)})`);
    if (as !== undefined) {
      await page.goto(`${gateway.url}/dev-login`);
      await page.locator('form', { hasText: as }).getByRole('button').click();
      await page.waitForURL((url) => url.pathname !== '/dev-login');
    }
    const answers = answersTo(page);
    await page.goto(action(host));
    await page.getByText(showing).first().waitFor();
    await until(
      () => Promise.resolve(answers.size),
      (size) => size > 0,
    );
    const shown = await until(
      () => page.locator('body').innerText(),
      (text) => hiding === undefined || !text.includes(hiding),
    );
    return { shown, answers: [...answers] };
  } finally {
    await page.close();
  }
}

test('shows ciphertext by itself', () => {
  const { shown, answers } = first.byItself;
  expect(shown).not.toContain(NEEDLE);
  expect(answers).toEqual([]);
});

describe('with the gateway as its codec server', () => {
  test('shows everything to whoever may read it, and the log says to whom', async () => {
    const whole = { showing: `${NEEDLE} after`, hiding: CIPHERTEXT };
    const { shown, answers } = await look({ as: 'Vera', settings: first.known, ...whole });
    expect(answers).toEqual(['200']);
    expect(shown).toContain(`${NEEDLE} asked for it`);
    expect(shown).not.toContain(CIPHERTEXT);
    const lines = logged.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'codec server: decode', by: 'person acme/vera' }));
    expect(logged.join('')).not.toContain(NEEDLE);
  });

  test.each([
    ['nobody who is logged in', '401', () => ({ settings: first.known })],
    ['a person without the role', '403', () => ({ as: 'Dana' as const, settings: first.known })],
    [
      'whoever may, when it is not told to send credentials',
      '401',
      () => ({ as: 'Vera' as const, settings: first.unknown }),
    ],
    // Its cookie does not go there either, but nothing is asked at all: the browser asks first, and is not allowed to.
    [
      'whoever may, on another origin',
      'net::ERR_FAILED',
      () => ({ as: 'Vera' as const, settings: first.known, host: '127.0.0.1' }),
    ],
  ])('shows ciphertext to %s', async (_who, answer, looking) => {
    const { shown, answers } = await look({ ...looking(), showing: CIPHERTEXT });
    expect(answers).toEqual([answer]);
    expect(shown).not.toContain(NEEDLE);
  });
});
