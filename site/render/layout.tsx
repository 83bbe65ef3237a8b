/** What is around the text of every page: the way to the others, the search, and nothing that a strict policy would not allow. */
import { raw } from 'hono/html';
import type { Part } from '../navigation.js';
import { relativeUrl, type Page } from '../page.js';
import type { Heading, Rendered } from './markdown.js';

/** Scripts, styles and pictures of the site itself, and nothing else: nothing inline, nothing from elsewhere. */
export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";

export interface Listed {
  readonly title: string;
  readonly url: string;
}

export interface MenuPart {
  readonly title: Part['title'];
  readonly groups: readonly { readonly title?: string; readonly pages: readonly Listed[] }[];
}

export interface Surroundings {
  readonly menu: readonly MenuPart[];
  /** Those before and after it in the order of the navigation. */
  readonly before?: Listed | undefined;
  readonly after?: Listed | undefined;
}

export async function document(page: Page, { html, headings }: Rendered, around: Surroundings): Promise<string> {
  const at = (url: string): string => relativeUrl(page.url, url);
  const text = (
    <html lang="en" data-root={at('index.html').replace(/index\.html$/, '')}>
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content={POLICY} />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="description" content={page.description} />
        {page.isSource === true ? <meta name="robots" content="noindex" /> : null}
        <title>{page.url === 'index.html' ? 'Countersign' : `${page.title} · Countersign`}</title>
        <link rel="icon" href={at('assets/mark.svg')} type="image/svg+xml" />
        <link rel="stylesheet" href={at('assets/site.css')} />
        <script src={at('assets/theme.js')}></script>
        <script src={at('assets/site.js')} type="module"></script>
      </head>
      <body>
        <a class="skip" href="#content">
          Skip to the text
        </a>
        <header>
          <a class="home" href={at('index.html')}>
            <img src={at('assets/mark.svg')} alt="" width="24" height="24" /> Countersign
          </a>
          <button type="button" data-menu aria-expanded="false" aria-controls="menu">
            Menu
          </button>
          <search>
            <label class="unseen" for="query">
              Search
            </label>
            <input
              id="query"
              type="search"
              placeholder="Search  ( / )"
              autocomplete="off"
              spellcheck={false}
              role="combobox"
              aria-expanded="false"
              aria-controls="found"
              aria-autocomplete="list"
            />
            <div id="found" role="listbox" aria-label="Search results" hidden></div>
            <p class="unseen" role="status" data-said></p>
          </search>
          <button type="button" data-theme-switch aria-label="Switch between light and dark">
            ◐
          </button>
        </header>
        <div class="columns">
          <nav id="menu" aria-label="Pages">
            <Menu menu={around.menu} page={page} />
          </nav>
          <main id="content" tabindex={-1}>
            <article>{raw(html)}</article>
            <Neighbours around={around} page={page} />
          </main>
          <Contents headings={headings} />
        </div>
      </body>
    </html>
  );
  return `<!doctype html>\n${String(await text)}\n`;
}

function Menu({ menu, page }: { readonly menu: readonly MenuPart[]; readonly page: Page }) {
  return (
    <>
      {menu.map(({ title, groups }) => (
        <section>
          <h2>{title}</h2>
          {groups.map((group) => (
            <>
              {group.title === undefined ? null : <h3>{group.title}</h3>}
              <ul>
                {group.pages.map((one) => (
                  <li>
                    <MenuLink one={one} page={page} />
                  </li>
                ))}
              </ul>
            </>
          ))}
        </section>
      ))}
    </>
  );
}

function MenuLink({ one, page }: { readonly one: Listed; readonly page: Page }) {
  const href = relativeUrl(page.url, one.url);
  if (one.url !== page.url) return <a href={href}>{one.title}</a>;
  return (
    <a href={href} aria-current="page">
      {one.title}
    </a>
  );
}

/** What is on the page, where that is more than can be seen at once. */
function Contents({ headings }: { readonly headings: readonly Heading[] }) {
  const all = headings.filter(({ level }) => level === 2 || level === 3);
  const shown = all.length > 60 ? all.filter(({ level }) => level === 2) : all;
  if (shown.length < 2) return null;
  return (
    <nav class="contents" aria-label="On this page">
      <h2>On this page</h2>
      <ul>
        {shown.map(({ level, text, anchor }) => (
          <li class={`level-${level}`}>
            <a href={`#${anchor}`}>{text}</a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Neighbours({ around: { before, after }, page }: { readonly around: Surroundings; readonly page: Page }) {
  if (before === undefined && after === undefined) return null;
  return (
    <nav class="neighbours" aria-label="Before and after">
      {before === undefined ? null : (
        <a rel="prev" href={relativeUrl(page.url, before.url)}>
          ← {before.title}
        </a>
      )}
      {after === undefined ? null : (
        <a rel="next" href={relativeUrl(page.url, after.url)}>
          {after.title} →
        </a>
      )}
    </nav>
  );
}
