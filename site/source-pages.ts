/** Pages that show a file or a folder of the repository, so that what the documents link to is on the site too. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { SiteError } from './failure.js';
import { urlOf, type Page } from './page.js';
import { highlighted } from './render/highlight.js';
import { sourceUrl } from './render/links.js';

/** Bytes. What is longer is data, not something to read. */
const LONGEST = 150_000;

/** @throws SiteError for what is not there */
export async function sourcePage(root: string, source: string): Promise<Page> {
  const found = await stat(path.join(root, source)).catch(() => undefined);
  if (found === undefined) {
    throw new SiteError([`A page links to ${source}, which is not there.`], 'Correct the link.');
  }
  const of = { url: sourceUrl(source), title: source, isSource: true };
  if (found.isDirectory()) {
    const description = `The folder ${source} of the repository.`;
    const markdown = `# ${source}/\n\n${await listed(root, source)}\n`;
    return { ...of, description, markdown, source: `${source}/.` };
  }
  const markdown = `# ${source}\n\n${fenced(await readFile(path.join(root, source), 'utf8'), source)}`;
  return { ...of, description: `The file ${source} of the repository.`, markdown, source };
}

async function listed(root: string, folder: string): Promise<string> {
  const entries = await readdir(path.join(root, folder), { withFileTypes: true });
  const shown = entries.filter(({ name }) => !/^(?:\.|node_modules$|dist$|__pycache__$)/.test(name));
  const lines = shown.map(async (entry) => {
    const { size } = await stat(path.join(root, folder, entry.name));
    const name = `${entry.name}${entry.isDirectory() ? '/' : ''}`;
    const isLinked = entry.isDirectory() || (size <= LONGEST && urlOf(`${folder}/${entry.name}`) === undefined);
    return isLinked ? `- [${name}](${entry.name})` : `- ${name}`;
  });
  return (await Promise.all(lines)).toSorted().join('\n');
}

function fenced(code: string, source: string): string {
  const extension = path.extname(source).slice(1);
  const language = highlighted('', extension) === undefined ? 'text' : extension;
  const fence = '`'.repeat(3 + Math.max(0, ...[...code.matchAll(/`+/g)].map(([ticks]) => ticks.length)));
  return `${fence}${language}\n${code.endsWith('\n') ? code : `${code}\n`}${fence}\n`;
}
