/** A backtest as text, Markdown and a page: what agents named something can do nothing but be read. */
import { expect, test } from 'vitest';
import { backtest } from '../../src/policy/backtest/index.js';
import { backtestHtml } from '../../src/presentation/backtest/html.js';
import { backtestMarkdown } from '../../src/presentation/backtest/markdown.js';
import { backtestText } from '../../src/presentation/backtest/text.js';
import { policyFromText } from '../../src/testing/index.js';
import { PERMIT_ALL } from '../policy/facts.js';
import { recorded } from '../policy/backtest/recording.js';

const EVIL = '\u001b[31m</code><script>alert(1)</script>`|[x](http://evil) \u202e';
const before = policyFromText({ 'a.cedar': PERMIT_ALL });
const candidate = policyFromText({
  'a.cedar': '@id("none") permit (principal, action, resource) when { context.rows > 5 };',
});
const records = recorded(before, [
  { id: 'a', at: 0, agent: { id: EVIL }, tool: { name: EVIL } },
  { id: 'b', at: 90_000, preview: { rows: 9 } },
]);
const report = backtest(records, { candidate, recordedUnder: [before.bundle] });

test('a page has its charts, and no markup but its own', () => {
  const page = backtestHtml(report);
  expect(page).toContain('aria-label="Newly denied: 1; As before, on other terms: 1"');
  expect(page).toContain('Decisions by day from 2025-01-01 to 2025-01-02');
  for (const text of ['\u001b', '\u202e', 'src=', 'href=']) expect(page).not.toContain(text);
  const tags = new Set([...page.matchAll(/<([a-z0-9]+)/g)].map(([, tag]) => tag));
  expect(['script', 'img', 'a', 'iframe', 'link', 'form'].filter((tag) => tags.has(tag))).toEqual([]);
});

test('Markdown and text hold no control character, and code spans stay closed', () => {
  for (const text of [backtestMarkdown(report), backtestText(report)]) {
    expect(text).toContain('Of 2 decisions, 2 were decided again: 0 stay as they are and 2 change.');
    for (const evil of ['\u001b', '\u202e']) expect(text).not.toContain(evil);
  }
  const rows = backtestMarkdown(report)
    .split('\n')
    .filter((line) => line.includes('script'));
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) {
    // Outside of code spans nothing of it is left.
    expect(row.replaceAll(/`[^`]*`/g, '')).not.toMatch(/script|\[x\]/);
  }
});
