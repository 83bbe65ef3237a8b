/** The index that the search reads in the browser: one entry for each section of each page. */
import MiniSearch from 'minisearch';
import { OPTIONS } from './assets/search-options.js';
import type { Page } from './page.js';
import type { Rendered } from './render/markdown.js';

const EXCERPT = 140;

export function searchIndex(pages: readonly { readonly page: Page; readonly rendered: Rendered }[]): string {
  const index = new MiniSearch(OPTIONS);
  const sections = pages
    .filter(({ page }) => page.isSource !== true)
    .flatMap(({ page, rendered }) =>
      rendered.sections.map(({ heading, text }) => ({
        url: heading.level === 1 ? page.url : `${page.url}#${heading.anchor}`,
        page: page.title,
        heading: heading.text,
        excerpt: excerptOf(text),
        text,
      })),
    );
  index.addAll(sections.map((section, id) => ({ id, ...section })));
  return JSON.stringify(index);
}

function excerptOf(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= EXCERPT ? line : `${line.slice(0, line.lastIndexOf(' ', EXCERPT))} …`;
}
