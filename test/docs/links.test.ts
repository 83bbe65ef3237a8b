/** Every link between the documents leads to a file, and to a heading that is there. That the index names every page, test/site holds. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { anchorOf } from '../../site/anchors.js';
import { ROOT } from '../support/root.js';

const inDocs = await readdir(path.join(ROOT, 'docs'), { recursive: true });
const pages = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...inDocs.filter((file) => file.endsWith('.md')).map((file) => `docs/${file}`),
];

const read = (page: string): Promise<string> => readFile(path.join(ROOT, page), 'utf8');

/** Without code, in which brackets are no links. */
const prose = (text: string): string => text.replaceAll(/```[^]*?```|`[^`\n]*`/g, '');

async function anchorsOf(page: string): Promise<string[]> {
  const text = (await read(page)).replaceAll(/```[^]*?```/g, '');
  return [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => anchorOf(heading as string));
}

async function problemOf(page: string, link: string): Promise<string | undefined> {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? page : path.join(path.dirname(page), file);
  try {
    await stat(path.join(ROOT, target));
  } catch {
    return `${link}: there is no such file`;
  }
  if (anchor === undefined || (await anchorsOf(target)).includes(anchor)) return undefined;
  return `${link}: there is no such heading`;
}

test.each(pages)('%s links to what is there', async (page) => {
  const links = [...prose(await read(page)).matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link]) => link as string);
  const problems = await Promise.all(links.map((link) => problemOf(page, link)));
  expect(problems.filter((problem) => problem !== undefined)).toEqual([]);
});
