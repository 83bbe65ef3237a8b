/** Markdown as HTML that needs no style and no script of its own: anchors, code, tables, pictures and diagrams. */
import path from 'node:path';
import MarkdownIt, { type Token } from 'markdown-it';
import { Anchors } from '../anchors.js';
import { drawn } from '../diagram/draw.js';
import { readFlowchart } from '../diagram/flowchart.js';
import { SiteError } from '../failure.js';
import type { Page } from '../page.js';
import { escaped, highlighted } from './highlight.js';
import { sizeOfPng } from './image-size.js';
import { linkOf, type Wanted } from './links.js';

export interface Heading {
  readonly level: number;
  readonly text: string;
  readonly anchor: string;
}

/** What is under one heading, as the search knows it. */
export interface Section {
  readonly heading: Heading;
  readonly text: string;
}

export interface Rendered {
  readonly html: string;
  readonly headings: readonly Heading[];
  readonly sections: readonly Section[];
}

/** @throws SiteError for code in a language that nothing highlights, a picture without words, or a diagram that is not understood */
export function rendered(page: Page, root: string, wanted: Wanted): Rendered {
  const markdown = new MarkdownIt({ html: false, linkify: false });
  const headings: Heading[] = [];
  const anchors = new Anchors();
  const { rules } = markdown.renderer;

  rules['heading_open'] = (tokens, at) => {
    const token = tokens[at] as Token;
    const text = plainText(tokens[at + 1]);
    const anchor = anchors.next(text);
    headings.push({ level: Number(token.tag.slice(1)), text, anchor });
    return `<div class="heading"><${token.tag} id="${anchor}">`;
  };
  rules['heading_close'] = (tokens, at) => {
    const { tag } = tokens[at] as Token;
    const { anchor = '', text = '' } = headings.at(-1) ?? {};
    const link = `<a class="anchor" href="#${anchor}" aria-label="${escaped(`Link to: ${text}`)}">#</a>`;
    return `</${tag}>${tag === 'h1' ? '' : link}</div>\n`;
  };
  rules['fence'] = (tokens, at) => {
    const { info, content } = tokens[at] as Token;
    return block(page, info.trim(), content);
  };
  rules['code_block'] = (tokens, at) => block(page, '', tokens[at]?.content ?? '');
  rules['table_open'] = () => '<div class="table" tabindex="0"><table>\n';
  rules['table_close'] = () => '</table></div>\n';
  for (const cell of ['th_open', 'td_open'] as const) {
    rules[cell] = (tokens, at) => {
      const token = tokens[at] as Token;
      const right = String(token.attrGet('style') ?? '').includes('right') ? ' class="right"' : '';
      return `<${token.tag}${token.tag === 'th' ? ' scope="col"' : ''}${right}>`;
    };
  }
  rules['link_open'] = (tokens, at) => {
    const href = linkOf(page, String(tokens[at]?.attrGet('href') ?? ''), wanted);
    return `<a href="${escaped(href)}"${/^https?:/.test(href) ? ' rel="noreferrer"' : ''}>`;
  };
  rules['image'] = (tokens, at) => picture(page, root, tokens[at] as Token, wanted);

  const tokens = markdown.parse(page.markdown, {});
  const html = markdown.renderer.render(tokens, markdown.options, {});
  return { html, headings, sections: sectionsOf(tokens, headings) };
}

/** The info of a fence is a language, and after it the name of a file. */
function block(page: Page, info: string, code: string): string {
  const [language = '', ...name] = info.split(/\s+/);
  if (language === 'mermaid') return `<div class="chart" tabindex="0">${drawn(readFlowchart(code))}</div>\n`;
  const html = highlighted(code, language);
  if (html === undefined) {
    throw new SiteError(
      [`${page.source} has code in "${language}", which nothing highlights.`],
      'Name a language that site/render/highlight.ts knows, or "text".',
    );
  }
  const caption = name.length === 0 ? '' : `<figcaption>${escaped(name.join(' '))}</figcaption>`;
  return `<figure class="code">${caption}<pre tabindex="0"><code>${html}</code></pre></figure>\n`;
}

function picture(page: Page, root: string, token: Token, wanted: Wanted): string {
  const [href, alt] = [String(token.attrGet('src') ?? ''), token.content];
  if (alt.trim() === '') {
    throw new SiteError([`${page.source} shows ${href} without words for it.`], 'Say what is to be seen: ![…](…).');
  }
  const file = path.posix.join(path.posix.dirname(page.source), href);
  const src = linkOf(page, href, wanted);
  const size = sizeOfPng(path.join(root, file));
  const sized = size === undefined ? '' : ` width="${size.width}" height="${size.height}"`;
  return `<a class="picture" href="${escaped(src)}"><img src="${escaped(src)}" alt="${escaped(alt)}"${sized} loading="lazy"></a>`;
}

function plainText(token: Token | undefined): string {
  return (token?.children ?? []).map(({ type, content }) => (type === 'softbreak' ? ' ' : content)).join('');
}

/** All that is written, by the heading above it. */
function sectionsOf(tokens: readonly Token[], headings: readonly Heading[]): readonly Section[] {
  const texts: string[][] = headings.map(() => []);
  let current = -1;
  for (const [at, token] of tokens.entries()) {
    if (token.type === 'heading_open') current++;
    const isHeading = tokens[at - 1]?.type === 'heading_open';
    if (isHeading || current < 0) continue;
    if (token.type === 'inline') texts[current]?.push(plainText(token));
    else if (token.type === 'fence' || token.type === 'code_block') texts[current]?.push(token.content);
  }
  return headings.map((heading, n) => ({ heading, text: (texts[n] ?? []).join('\n') }));
}
