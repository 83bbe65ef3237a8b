/** Checks a built site as a reader's browser would meet it: links, anchors, pictures, ids, what its policy forbids, and pages that nothing leads to. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

interface Read {
  readonly ids: readonly string[];
  readonly links: readonly string[];
  readonly html: string;
}

export interface Checked {
  readonly problems: readonly string[];
  /** How many were followed. */
  readonly links: number;
}

/** Our own pages escape every quotation mark of a text, so this finds attributes alone. */
const LINK = /<[a-z]+[^>]*? (?:href|src)="([^"]*)"/g;
const ID = / id="([^"]*)"/g;

/** @param folder of the site */
export async function problemsOf(folder: string): Promise<Checked> {
  const files = new Set(await readdir(folder, { recursive: true }));
  const pages = new Map<string, Read>();
  for (const file of files) {
    if (file.endsWith('.html')) pages.set(file, readPage(await readFile(path.join(folder, file), 'utf8')));
  }
  const problems = [...pages].flatMap(([url, page]) => [
    ...page.links.flatMap((link) => linkProblem(url, link, pages, files)),
    ...ownProblems(page).map((problem) => `${url}: ${problem}`),
  ]);
  const reached = reachedFrom('index.html', pages);
  const orphans = [...pages.keys()].filter((url) => !reached.has(url)).map((url) => `${url}: no page leads to it.`);
  return {
    problems: [...new Set([...problems, ...orphans])],
    links: [...pages.values()].reduce((sum, { links }) => sum + links.length, 0),
  };
}

function readPage(html: string): Read {
  const text = (pattern: RegExp): readonly string[] =>
    [...html.matchAll(pattern)].map(([, value = '']) => value.replaceAll('&amp;', '&').replaceAll('&quot;', '"'));
  return { ids: text(ID), links: text(LINK), html };
}

function linkProblem(
  from: string,
  link: string,
  pages: ReadonlyMap<string, Read>,
  files: ReadonlySet<string>,
): readonly string[] {
  if (/^[a-z]+:/i.test(link)) {
    return isWebAddress(link) ? [] : [`${from}: ${link} is no address that a browser may be sent to.`];
  }
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? from : path.posix.join(path.posix.dirname(from), file);
  if (!files.has(target)) return [`${from}: ${link} leads to nothing.`];
  if (anchor === undefined || pages.get(target)?.ids.includes(decodeURIComponent(anchor)) === true) return [];
  return [`${from}: ${link} names a heading that is not there.`];
}

/** Nobody is asked whether it answers: that is not for a build to know. */
function isWebAddress(link: string): boolean {
  if (link.startsWith('mailto:')) return /^mailto:[^@\s]+@[^@\s]+$/.test(link);
  if (!URL.canParse(link) || /[\s<>"]/.test(link)) return false;
  const { protocol, hostname } = new URL(link);
  return (protocol === 'https:' || protocol === 'http:') && (hostname.includes('.') || hostname === 'localhost');
}

function ownProblems({ ids, html }: Read): readonly string[] {
  const twice = ids.filter((id, n) => ids.indexOf(id) < n);
  const wordless = [...html.matchAll(/<img (?![^>]*\balt=")[^>]*>/g)].map(([tag]) => `${tag} has no alt.`);
  return [
    ...twice.map((id) => `two elements have the id ${id}.`),
    ...wordless,
    ...((html.match(/<h1[ >]/g) ?? []).length === 1 ? [] : ['it has not exactly one heading of the first level.']),
    ...(/ style="| on[a-z]+="|<style|<script>/.test(html)
      ? ['it has something inline, which its policy forbids.']
      : []),
  ];
}

function reachedFrom(start: string, pages: ReadonlyMap<string, Read>): ReadonlySet<string> {
  const reached = new Set([start]);
  for (const url of reached) {
    for (const link of pages.get(url)?.links ?? []) {
      const [file = ''] = link.split('#');
      const target = path.posix.join(path.posix.dirname(url), file);
      if (pages.has(target)) reached.add(target);
    }
  }
  return reached;
}
