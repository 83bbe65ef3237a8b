/** The documentation site as it is built from this checkout: whole, consistent with the code, and readable in a browser under its own policy. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { z } from 'zod';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildSite, type Built } from '../../site/build.js';
import { Sources } from '../../site/code/exports.js';
import { configOptions } from '../../site/reference/config.js';
import { GENERATED } from '../../site/reference/index.js';
import { serveSite, type Served } from '../../site/serve.js';
import { createProgram } from '../../src/cli/program.js';
import { configSchema } from '../../src/config/config.js';
import { scratch } from '../docs/support.js';
import { launchBrowser } from '../support/browser.js';
import { ROOT } from '../support/root.js';

let folder: string;
let built: Built;
beforeAll(async () => {
  folder = await scratch('site');
  built = await buildSite({ root: ROOT, out: path.join(folder, 'site') });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const read = (url: string): Promise<string> => readFile(path.join(folder, 'site', url), 'utf8');

test('is built without a problem, and each of its links leads somewhere', () => {
  expect(built.pages).toBeGreaterThan(80);
  expect(built.links).toBeGreaterThan(5000);
});

describe('the reference says what the code does', () => {
  test('every command of the command line has its help', async () => {
    const page = await read('reference/cli.html');
    const names = createProgram().commands.flatMap((command) => [
      command.name(),
      ...command.commands.map((inner) => `${command.name()} ${inner.name()}`),
    ]);
    expect(names.length).toBeGreaterThan(40);
    for (const name of names.filter((each) => each !== 'help')) {
      expect(page).toContain(`Usage: countersign ${name} `);
    }
  });

  test('every key that the schema of the config knows is listed, as required where it is', () => {
    const listed = new Map(configOptions(new Sources(ROOT)).map(({ key, required }) => [key, required]));
    const known = keysOf(z.toJSONSchema(configSchema, { unrepresentable: 'any', io: 'input' }) as Schema, '');
    expect(known.length).toBeGreaterThan(80);
    expect(known.filter(([key]) => !listed.has(key))).toEqual([]);
    const atTheTop = known.filter(([key]) => !key.includes('.'));
    expect(atTheTop.map(([key]) => [key, listed.get(key)])).toEqual(atTheTop);
  });

  test.each(GENERATED)('$title is in the index and in the navigation of each page', async ({ url, title }) => {
    expect(await read('contents.html')).toContain(`<a href="${url}">${title}</a>`);
    expect(await read('limits.html')).toContain(`<a href="${url}">${title}</a>`);
  });
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema | false;
}

/** Each with whether it is required. */
function keysOf(schema: Schema, prefix: string): readonly (readonly [string, boolean])[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => [
    [prefix + name, schema.required?.includes(name) === true] as const,
    ...keysOf(inner, `${prefix}${name}.`),
  ]);
  const items = schema.items === undefined ? [] : keysOf(schema.items, `${prefix.slice(0, -1)}[].`);
  const named =
    typeof schema.additionalProperties === 'object' ? keysOf(schema.additionalProperties, `${prefix}*.`) : [];
  return [...own, ...items, ...named, ...(schema.anyOf ?? []).flatMap((one) => keysOf(one, prefix))];
}

describe('in a browser, below a path of somebody else', () => {
  let served: Served;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];

  beforeAll(async () => {
    [served, browser] = await Promise.all([serveSite(path.join(folder, 'site'), 0, '/docs/'), launchBrowser()]);
    page = await (await browser.newContext({ viewport: { width: 1300, height: 900 } })).newPage();
    // What the policy refuses, and files that are not there, are told here.
    page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
  });
  afterAll(async () => {
    await browser?.close();
    await served?.close();
  });

  /** Pictures and tables; code and diagrams; what is made from the code. */
  test.each([
    ['temporal-ui.html', 'light'],
    ['architecture.html', 'dark'],
    ['reference/metrics.html', 'light'],
  ] as const)('%s can be used by everybody, in %s', async (url, colorScheme) => {
    await page.emulateMedia({ colorScheme });
    const answer = await page.goto(served.url + url);
    expect(answer?.headers()['content-security-policy']).toMatch(/script-src 'self'; style-src 'self';/);
    expect(await violationsOn(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test('finds a section by a word, from the keyboard alone', async () => {
    await page.goto(`${served.url}reference/metrics.html`);
    await page.keyboard.press('/');
    await page.keyboard.type('escalate');
    await page.locator('#found a').first().waitFor();
    expect(await violationsOn(page, 'search')).toEqual([]);
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/docs\/approvals\.html(?:#|$)/);
    expect(complaints).toEqual([]);
  });

  test('keeps the theme that was chosen, and fits on a phone, where the menu opens', async () => {
    await page.emulateMedia({ colorScheme: 'light' });
    await page.goto(`${served.url}architecture.html`);
    await page.getByRole('button', { name: 'Switch between light and dark' }).click();
    await page.setViewportSize({ width: 360, height: 740 });
    await page.goto(`${served.url}threat-model.html`);
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
    const menu = page.getByRole('navigation', { name: 'Pages' });
    expect(await menu.isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Menu' }).click();
    await menu.getByRole('link', { name: 'Glossary' }).click();
    await page.waitForURL(/glossary\.html$/);
    expect(complaints).toEqual([]);
  });
});

interface AxeResults {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
}

/** @param within the part of the page that is looked at, by its selector */
async function violationsOn(page: Page, within = 'html'): Promise<readonly string[]> {
  const axe = await readFile(path.join(ROOT, 'node_modules/axe-core/axe.min.js'), 'utf8');
  const { violations } = await page.evaluate<AxeResults>(
    `(() => { ${axe}; return axe.run(${JSON.stringify(within)}); })()`,
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`);
}
