/** One page of the site, and where it is. */
import path from 'node:path';

export interface Page {
  /** Relative to the root of the site: `getting-started/http.html`. */
  readonly url: string;
  readonly title: string;
  /** One line for lists and search engines. */
  readonly description: string;
  readonly markdown: string;
  /** The file it is written in, from the root of the repository; links in it are relative to this. */
  readonly source: string;
  /** Whether it shows a file of the repository: it is in no list, and the search does not know it. */
  readonly isSource?: boolean;
}

/** The pages that are written outside docs/. */
const OUTSIDE: Readonly<Record<string, string>> = {
  'README.md': 'index.html',
  'CHANGELOG.md': 'changelog.html',
  'CONTRIBUTING.md': 'contributing.html',
  'SECURITY.md': 'security.html',
  'clients/typescript/README.md': 'clients/typescript.html',
  'clients/python/README.md': 'clients/python.html',
};

/** Where a Markdown file of the repository is on the site; undefined for one that is not on it. */
export function urlOf(source: string): string | undefined {
  if (Object.hasOwn(OUTSIDE, source)) return OUTSIDE[source];
  if (source === 'docs/README.md') return 'contents.html';
  if (source === 'docs/decisions') return 'decisions/index.html';
  return /^docs\/.+\.md$/.test(source) ? `${source.slice('docs/'.length, -'.md'.length)}.html` : undefined;
}

/** From one page of the site to another, so that it can be served from below any path. */
export function relativeUrl(from: string, to: string): string {
  return path.posix.relative(path.posix.dirname(from), to) || path.posix.basename(to);
}

/** The text of the first heading. */
export function titleOf(markdown: string): string | undefined {
  return /^# (.+)$/m.exec(markdown)?.[1]?.trim();
}
