/** Builds the site: every page of docs/, the pages made from the code, what they link to, the search, and nothing that is not checked. */
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { problemsOf } from './check.js';
import { SiteError } from './failure.js';
import { DECISIONS, INDEX, readNavigation, type Part } from './navigation.js';
import { titleOf, urlOf, type Page } from './page.js';
import { generatedPages } from './reference/index.js';
import { document, type Listed, type MenuPart } from './render/layout.js';
import { pictureUrl, type Wanted } from './render/links.js';
import { rendered, type Rendered } from './render/markdown.js';
import { searchIndex } from './search-index.js';
import { sourcePage } from './source-pages.js';

export interface Built {
  /** Without those that show files of the repository. */
  readonly pages: number;
  readonly sources: number;
  readonly pictures: number;
  readonly links: number;
}

export interface BuildOptions {
  /** Of the repository. */
  readonly root: string;
  /** Where the site goes; what is there is removed. */
  readonly out: string;
  readonly say?: (what: string) => void;
}

/** The part that pages made from the code are in. */
const OF_CODE = { part: 'Reference', group: 'From the code' } as const;

/** @throws SiteError with everything that is wrong with the pages */
export async function buildSite({ root, out, say = () => {} }: BuildOptions): Promise<Built> {
  const parts = await readNavigation(root);
  say('reading the code for the reference');
  const generated = await generatedPages(root);
  const written = await writtenPages(root, parts, generated);
  const menu = menuOf(parts, written, generated);
  say(`rendering ${written.length + generated.length} pages`);
  const wanted: Wanted = { pictures: new Set(), sources: new Set() };
  const all = [...written, ...generated].map((page) => ({ page, rendered: rendered(page, root, wanted) }));
  const sources = await shownSources(root, wanted);

  await rm(out, { recursive: true, force: true });
  const order = menu.flatMap(({ groups }) => groups.flatMap(({ pages }) => pages));
  for (const { page, rendered: text } of [...all, ...sources]) {
    const at = order.findIndex(({ url }) => url === page.url);
    const around = at < 0 ? { menu } : { menu, before: order[at - 1], after: order[at + 1] };
    await put(path.join(out, page.url), await document(page, text, around));
  }
  await put(path.join(out, 'search.json'), searchIndex(all));
  for (const picture of wanted.pictures) {
    const to = path.join(out, pictureUrl(picture));
    await mkdir(path.dirname(to), { recursive: true });
    await copyFile(path.join(root, picture), to);
  }
  await copyAssets(root, path.join(out, 'assets'));

  say('checking links, anchors and pictures');
  const { problems, links } = await problemsOf(out);
  if (problems.length > 0) throw new SiteError(problems, 'Correct the pages that these stand on.');
  return { pages: all.length, sources: sources.length, pictures: wanted.pictures.size, links };
}

async function put(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** Those that are files: the README, the index, what it names, and the decisions. */
async function writtenPages(
  root: string,
  parts: readonly Part[],
  generated: readonly Page[],
): Promise<readonly Page[]> {
  const entries = parts.flatMap(({ groups }) => groups.flatMap(({ entries }) => entries));
  const decisions = (await readdir(path.join(root, DECISIONS))).toSorted();
  const files = [
    { source: 'README.md', description: 'What Countersign is, how it works, and how to try it.' },
    { source: INDEX, description: 'All pages, in the order in which they are read.' },
    ...entries.filter(({ source }) => source !== DECISIONS),
    ...decisions.map((name) => ({ source: `${DECISIONS}/${name}`, description: 'A decision that was hard to make.' })),
  ];
  const pages = files.map(async ({ source, description }) => {
    const text = await readFile(path.join(root, source), 'utf8');
    const markdown = source === INDEX ? withGenerated(text, generated) : text;
    return { ...placed(source), title: titleOf(text) ?? source, description, markdown, source };
  });
  const list = decisions.map(async (name) => {
    const title = titleOf(await readFile(path.join(root, DECISIONS, name), 'utf8')) ?? name;
    return `- [${title}](${name})`;
  });
  const markdown = `# Decisions\n\nWhy Countersign is built as it is: one short record for each decision that was hard to make.\n\n${(await Promise.all(list)).join('\n')}\n`;
  const index = { ...placed(DECISIONS), title: 'Decisions', description: 'Decisions that were hard to make.' };
  return [...(await Promise.all(pages)), { ...index, markdown, source: `${DECISIONS}/index` }];
}

/** @throws SiteError for a page that has no place on the site */
function placed(source: string): Pick<Page, 'url'> {
  const url = urlOf(source);
  if (url === undefined) throw new SiteError([`${INDEX} names ${source}.`], 'Give it a place in site/page.ts.');
  return { url };
}

/** The index knows the pages that are made when the site is. */
function withGenerated(index: string, generated: readonly Page[]): string {
  const lines = generated.map(({ title, url, description }) => `- [${title}](${url}): ${description}.`);
  return index.replace(
    new RegExp(`^## ${OF_CODE.part}\n`, 'm'),
    (heading) => `${heading}\n### ${OF_CODE.group}\n\n${lines.join('\n')}\n\n### Written\n`,
  );
}

function menuOf(parts: readonly Part[], written: readonly Page[], generated: readonly Page[]): readonly MenuPart[] {
  const listed = ({ title, url }: Page): Listed => ({ title, url });
  return parts.map(({ title, groups }) => ({
    title,
    groups: [
      ...groups.map((group) => ({
        ...(group.title === undefined ? {} : { title: group.title }),
        pages: group.entries.map(({ title: name, source }) => {
          const page = written.find(({ url }) => url === urlOf(source));
          return { title: name, url: page?.url ?? '' };
        }),
      })),
      ...(title === OF_CODE.part ? [{ title: OF_CODE.group, pages: generated.map(listed) }] : []),
    ],
  }));
}

/** Files that pages link to, and what these link to in turn: a folder links to its files. */
async function shownSources(root: string, wanted: Wanted): Promise<readonly { page: Page; rendered: Rendered }[]> {
  const shown = new Map<string, { page: Page; rendered: Rendered }>();
  for (const source of wanted.sources) {
    // A set that grows while it is gone through is gone through to its end.
    const page = await sourcePage(root, source);
    shown.set(source, { page, rendered: rendered(page, root, wanted) });
  }
  return [...shown.values()];
}

async function copyAssets(root: string, to: string): Promise<void> {
  const from = fileURLToPath(new URL('assets', import.meta.url));
  const names = (await readdir(from)).filter((name) => !name.endsWith('.d.ts'));
  await mkdir(to, { recursive: true });
  for (const name of names) await copyFile(path.join(from, name), path.join(to, name));
  await copyFile(path.join(root, 'src/gateway/inbox/static/mark.svg'), path.join(to, 'mark.svg'));
  const search = await readFile(fileURLToPath(import.meta.resolve('minisearch')), 'utf8');
  await writeFile(path.join(to, 'minisearch.js'), search.replace(/^\/\/# sourceMappingURL=.*$/m, ''));
}
