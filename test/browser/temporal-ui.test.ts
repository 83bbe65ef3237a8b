/** The Temporal UI over encrypted histories, in a real browser: ciphertext by itself, and clear text through the gateway to whoever may read it. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import type { Browser } from 'playwright-core';
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
const logged: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-codec-ui-'));
  const keysFile = path.join(folder, 'payload-keys.json');
  await createPayloadKeys(keysFile, new Date());
  process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'] = keysFile;
  // Never the server that TEMPORAL_ADDRESS names: one of its own, with a UI.
  const { TEMPORAL_ADDRESS: _address, TEMPORAL_NAMESPACE: _namespace, ...env } = process.env;
  [temporal, browser] = await Promise.all([startTemporal({ env }), launchBrowser()]);
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

async function settingsWith({ credentials }: { readonly credentials: boolean }): Promise<Settings> {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1000 } });
  await page.goto(action('localhost'));
  await page.getByText(CIPHERTEXT).first().waitFor();
  await page.locator('[data-testid^="data-encoder-status"]').first().click();
  await page.getByPlaceholder('Paste your endpoint here').fill(codecUrl());
  if (credentials) await page.getByText('Include cross-origin credentials').click();
  await page.getByRole('button', { name: 'Apply' }).click();
  const kept = async (): Promise<Settings> =>
    (await page.context().storageState()).origins.flatMap((one) => one.localStorage);
  const settings = await until(kept, (all) => all.some(({ value }) => value.includes(codecUrl())), { everyMs: 200 });
  await page.close();
  return settings;
}

interface Looking {
  /** Who is logged in at the gateway, by the name on its page. Default nobody. */
  readonly as?: 'Vera' | 'Dana';
  /** Of the UI. Default: as it is by itself. */
  readonly settings?: Settings;
  /** Default: the one that the gateway's config names. */
  readonly host?: string;
  /** What stands on the page when it is whole. */
  readonly showing: string;
  /** What stands there no more when it is whole: each payload is decoded by itself. Default nothing. */
  readonly hiding?: string;
}

/** Looks at the action in the UI, in a browser of its own: what is on the page, and how the codec server answered it. */
async function look({ as, settings = [], host = 'localhost', showing, hiding }: Looking) {
  const origins = [{ origin: new URL(action(host)).origin, localStorage: settings }];
  const context = await browser.newContext({
    viewport: { width: 1440, height: 1000 },
    storageState: { cookies: [], origins },
  });
  try {
    const page = await context.newPage();
    if (as !== undefined) {
      await page.goto(`${gateway.url}/dev-login`);
      await page.locator('form', { hasText: as }).getByRole('button').click();
      await page.waitForURL((url) => url.pathname !== '/dev-login');
    }
    const answers = new Set<string>();
    page.on('response', (response) => {
      if (response.url().startsWith(codecUrl())) answers.add(String(response.status()));
    });
    page.on('requestfailed', (request) => {
      if (request.url().startsWith(codecUrl())) answers.add(request.failure()?.errorText ?? 'failed');
    });
    await page.goto(action(host));
    await page.getByText(showing).first().waitFor();
    if (settings.length > 0)
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
    await context.close();
  }
}

test('shows ciphertext by itself', async () => {
  const { shown, answers } = await look({ showing: CIPHERTEXT });
  expect(shown).not.toContain(NEEDLE);
  expect(answers).toEqual([]);
});

describe('with the gateway as its codec server', () => {
  let known: Settings;
  let unknown: Settings;
  beforeAll(async () => {
    [known, unknown] = await Promise.all([settingsWith({ credentials: true }), settingsWith({ credentials: false })]);
  });

  test('shows everything to whoever may read it, and the log says to whom', async () => {
    const whole = { showing: `${NEEDLE} after`, hiding: CIPHERTEXT };
    const { shown, answers } = await look({ as: 'Vera', settings: known, ...whole });
    expect(answers).toEqual(['200']);
    expect(shown).toContain(`${NEEDLE} asked for it`);
    expect(shown).not.toContain(CIPHERTEXT);
    const lines = logged.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'codec server: decode', by: 'person acme/vera' }));
    expect(logged.join('')).not.toContain(NEEDLE);
  });

  test.each([
    ['nobody who is logged in', '401', () => ({ settings: known })],
    ['a person without the role', '403', () => ({ as: 'Dana' as const, settings: known })],
    ['whoever may, when it is not told to send credentials', '401', () => ({ as: 'Vera' as const, settings: unknown })],
    // Its cookie does not go there either, but nothing is asked at all: the browser asks first, and is not allowed to.
    [
      'whoever may, on another origin',
      'net::ERR_FAILED',
      () => ({ as: 'Vera' as const, settings: known, host: '127.0.0.1' }),
    ],
  ])('shows ciphertext to %s', async (_who, answer, looking) => {
    const { shown, answers } = await look({ ...looking(), showing: CIPHERTEXT });
    expect(answers).toEqual([answer]);
    expect(shown).not.toContain(NEEDLE);
  });
});
