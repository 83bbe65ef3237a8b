/** What the site holds, in which order: docs/README.md declares the four parts and their pages, and nothing is left out of it. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { SiteError } from './failure.js';

export const INDEX = 'docs/README.md';
export const DECISIONS = 'docs/decisions';
/** The headings of the index that are parts, in their order. */
const PARTS = ['Tutorial', 'How-to guides', 'Reference', 'Explanation'] as const;
export type PartName = (typeof PARTS)[number];

export interface Entry {
  readonly title: string;
  /** Of the page, or of a folder of pages; from the root of the repository. */
  readonly source: string;
  readonly description: string;
}

export interface Group {
  /** Absent where the part has pages before its first group. */
  readonly title?: string;
  readonly entries: readonly Entry[];
}

export interface Part {
  readonly title: PartName;
  readonly groups: readonly Group[];
}

const ITEM = /^- \[(?<title>.+?)\]\((?<link>[^)]+)\): (?<description>.+)$/;

/** @throws SiteError for an index that does not have the four parts, or an item that is no link with a description */
export function partsOf(index: string): readonly Part[] {
  const sections = index.split(/^## /m).slice(1);
  const titles = sections.map((section) => section.slice(0, section.indexOf('\n')).trim());
  if (titles.join('\n') !== PARTS.join('\n')) {
    throw new SiteError([`${INDEX} has the parts ${titles.join(', ')}.`], `It needs exactly ${PARTS.join(', ')}.`);
  }
  return sections.map((section, n) => ({ title: PARTS[n] as PartName, groups: groupsOf(section) }));
}

function groupsOf(section: string): readonly Group[] {
  const [first = '', ...others] = section.split(/^### /m);
  const groups = [
    { entries: entriesOf(first) },
    ...others.map((text) => ({ title: text.slice(0, text.indexOf('\n')).trim(), entries: entriesOf(text) })),
  ];
  return groups.filter(({ entries }) => entries.length > 0);
}

function entriesOf(text: string): readonly Entry[] {
  const items = text.split('\n').filter((line) => line.startsWith('- '));
  return items.map((line) => {
    const { title, link, description } = ITEM.exec(line)?.groups ?? {};
    if (title === undefined || link === undefined || description === undefined) {
      throw new SiteError([`${INDEX}: ${line}`], 'An item is a link to a page, a colon, and what is on it.');
    }
    return { title, source: path.posix.join(path.posix.dirname(INDEX), link), description };
  });
}

/**
 * The index of the repository in `root`, held against the pages that are there: each page of docs/ is named once, and no other.
 *
 * @throws SiteError
 */
export async function readNavigation(root: string): Promise<readonly Part[]> {
  const parts = partsOf(await readFile(path.join(root, INDEX), 'utf8'));
  const named = parts.flatMap(({ groups }) => groups.flatMap(({ entries }) => entries.map(({ source }) => source)));
  const there = (await readdir(path.join(root, 'docs'), { recursive: true }))
    .map((file) => `docs/${file}`)
    .filter((file) => file.endsWith('.md') && file !== INDEX && !file.startsWith(`${DECISIONS}/`));
  const problems = [
    ...there.filter((page) => !named.includes(page)).map((page) => `${page} is in no part of ${INDEX}.`),
    ...named.filter((page, n) => named.indexOf(page) < n).map((page) => `${INDEX} names ${page} twice.`),
    ...named
      .filter((page) => page.startsWith('docs/') && page !== DECISIONS && !there.includes(page))
      .map((page) => `${INDEX} names ${page}, which is not there.`),
  ];
  if (problems.length > 0) throw new SiteError(problems, `Correct ${INDEX}: it is the navigation of the site.`);
  return parts;
}
