/** Lists that come in pages: a probe sees all of them, and what is cut says so. */
import { afterEach, describe, expect, test } from 'vitest';
import type { Json } from '../../src/action/json.js';
import type { HttpOperation, Pages } from '../../src/tools/index.js';
import { act, expectCode, never } from './conformance.js';
import { execute, jsonService, toolOn, type JsonService, type Served } from './http-support.js';

const opened: { stop?(): Promise<void>; close?(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await (one.stop?.() ?? one.close?.());
});

const PER_PAGE = 2;

/** A list of numbers in pages of two, by page (Link) or by cursor (in the body). POST adds the next number. */
async function listing(length: number) {
  const items = Array.from({ length }, (_, index) => index + 1);
  const server: JsonService = await jsonService(({ method, url }: Served) => {
    if (method === 'POST') {
      items.push(items.length + 1);
      return { status: 201, body: { id: items.length } };
    }
    const from = Number(url.searchParams.get('from') ?? 0);
    const more = from + PER_PAGE < items.length;
    const next = `/items?kind=a&from=${from + PER_PAGE}`;
    return {
      headers: more ? { link: `</items>; rel="first", <${next}>; title="a, b"; rel="last next"` } : {},
      body: {
        data: items.slice(from, from + PER_PAGE),
        next: more ? next : null,
        cursor: more ? from + PER_PAGE : '',
      } as Json,
    };
  });
  opened.push(server);
  return server;
}

function tool({ url }: JsonService, pages?: Pages) {
  const items = { get: '/items?kind=a', at: '/data', ...(pages === undefined ? {} : { pages }) };
  const operations: Record<string, HttpOperation> = {
    list: { method: 'GET', url: '/items' },
    add: {
      method: 'POST',
      url: '/items',
      probes: { items },
      ensures: ['size(post.items) == size(pre.items) + 1', 'result.body.id in post.items'],
      changes: ['/items'],
    },
  };
  const made = toolOn(url, { operations });
  opened.push(made);
  return made;
}

const failing = (checks: readonly { ok: boolean; detail?: string }[]) => checks.filter(({ ok }) => !ok);

describe('a probe of a list in pages', () => {
  test.each<[string, Pages]>([
    ['by the Link header', { next: 'link' }],
    ["by the next page's URL in the body", { next: '/next' }],
    ['by a cursor in the body', { next: '/cursor', parameter: 'from' }],
  ])('sees all of it, %s', async (_how, pages) => {
    const server = await listing(7);
    const { pre, post, checks } = await act(tool(server, pages), { op: 'add' });
    expect(pre).toEqual({ items: [1, 2, 3, 4, 5, 6, 7] });
    expect(post).toEqual({ items: [1, 2, 3, 4, 5, 6, 7, 8] });
    expect(failing(checks)).toEqual([]);
    expect(server.seen.filter((one) => one.startsWith('GET')).every((one) => one.includes('kind=a'))).toBe(true);
  });

  test('that is cut says so in the state and to people, and what is not seen is no success', async () => {
    const server = await listing(7);
    const bounded = tool(server, { next: 'link', max: 2 });
    const { preview, pre, checks } = await act(bounded, { op: 'add' });
    expect(pre).toMatchObject({ items: [1, 2, 3, 4], items_truncated: { truncated: true, limit: '2 pages' } });
    expect(preview.warnings?.join()).toContain('The list items goes on after what was read of it');
    expect(failing(checks)).not.toEqual([]);
  });

  test('that has a next page although none is declared says so', async () => {
    const { pre } = await act(tool(await listing(3)), { op: 'add' });
    expect(pre).toMatchObject({
      items: [1, 2],
      items_truncated: { truncated: true, more: 'Declare pages for the probe.' },
    });
    const whole = await act(tool(await listing(1)), { op: 'add' });
    expect(whole.pre).toEqual({ items: [1] });
  });

  test.each([
    ['the page itself', '/items?kind=a', /read before/],
    ['another host', 'http://169.254.169.254/items', /not followed/],
    ['what is not there', '/gone', /not there/],
  ])('whose next page is %s is refused', async (_what, next, message) => {
    const server = await jsonService(({ url }) =>
      url.pathname === '/gone' ? { status: 404 } : { body: { data: [1], next } },
    );
    opened.push(server);
    const broken = tool(server, { next: '/next' });
    const captured = broken.capture(broken.input.parse({ op: 'add' }), {}, { signal: never() });
    expect((await expectCode(captured, 'TOOL_FAILED')).message).toMatch(message);
  });

  test.each<[Pages, RegExp]>([
    [{ next: 'next' }, /JSON pointer/],
    [{ next: 'link', parameter: 'page' }, /pages\.parameter/],
    [{ next: '/cursor', parameter: 'a b' }, /pages\.parameter/],
    [{ next: 'link', max: 101 }, /pages\.max/],
  ])('is refused as config with %o', async (pages, message) => {
    const server = await listing(1);
    expect(() => tool(server, pages)).toThrow(message);
  });
});

test('a read that is one page of several says so, and how to ask for the next', async () => {
  const server = await listing(3);
  const reader = tool(server);
  expect((await execute(reader, { op: 'list' })).result).toMatchObject({
    status: 200,
    truncated: true,
    limit: 'one page',
    more: 'Ask again with the query {"kind":"a","from":"2"}.',
  });
  const whole = tool(await listing(2));
  expect((await execute(whole, { op: 'list' })).result).not.toHaveProperty('truncated');
});

test('what a preview has read is not read again for the state before the effect', async () => {
  const server = await listing(1);
  const counting = tool(server);
  const input = counting.input.parse({ op: 'add' });
  const preview = await counting.preview(input, { signal: never() });
  const reads = server.seen.length;
  expect(await counting.capture(input, { preview }, { signal: never() })).toEqual({ items: [1] });
  expect(server.seen).toHaveLength(reads);
});
