/** Where a link of a page leads on the site: to another page, to a picture, or to a file of the repository that is shown there. */
import path from 'node:path';
import { relativeUrl, urlOf, type Page } from '../page.js';

/** What the pages ask for besides themselves. */
export interface Wanted {
  /** Pictures, from the root of the repository. */
  readonly pictures: Set<string>;
  /** Files and folders of the repository. */
  readonly sources: Set<string>;
}

const PICTURE = /\.(?:png|svg)$/;

export function pictureUrl(source: string): string {
  return `pictures/${source.replace(/^docs\/(?:screenshots\/)?/, '')}`;
}

export function sourceUrl(source: string): string {
  return `source/${source}.html`;
}

/** A web address, or one within the page, stays as it is. */
export function linkOf(page: Page, href: string, wanted: Wanted): string {
  if (/^[a-z]+:/i.test(href) || href.startsWith('#')) return href;
  const [file = '', anchor] = href.split('#');
  const target = path.posix.join(path.posix.dirname(page.source), file).replace(/\/$/, '');
  return relativeUrl(page.url, urlFor(target, wanted)) + (anchor === undefined ? '' : `#${anchor}`);
}

function urlFor(target: string, wanted: Wanted): string {
  const page = urlOf(target);
  if (page !== undefined) return page;
  // A page that is made from the code has no file: it is named by where it is.
  if (target.startsWith('docs/') && target.endsWith('.html')) return target.slice('docs/'.length);
  if (PICTURE.test(target)) {
    wanted.pictures.add(target);
    return pictureUrl(target);
  }
  wanted.sources.add(target);
  return sourceUrl(target);
}
