/** What the packages export to TypeScript, by entry point, with what the sources say of it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Exported, Sources } from '../code/exports.js';

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string | { readonly types?: string }>>;
}

/** @param folder of the package, from the root */
export async function entriesOf(root: string, folder: string): Promise<readonly { name: string; file: string }[]> {
  const text = await readFile(path.join(root, folder, 'package.json'), 'utf8');
  const { name, exports } = JSON.parse(text) as Manifest;
  return Object.entries(exports).flatMap(([subpath, target]) => {
    if (typeof target === 'string' || target.types === undefined) return [];
    const source = target.types.replace(/^\.\/dist\//, folder === '.' ? '' : 'src/').replace(/\.d\.ts$/, '.ts');
    return [{ name: name + subpath.slice(1), file: path.posix.join(folder, source) }];
  });
}

/** One page for each package. */
export async function typescriptApi(sources: Sources, folder: string): Promise<string> {
  const entries = await entriesOf(sources.root, folder);
  const sections = entries.map(({ name, file }) => {
    const { body } = sources.module(file);
    const about = sources.module(file).docAt(body[0]?.start ?? 0);
    const text = about.replace(/^`[^`]+`: /, '').trim();
    return [`## ${name}`, `${text.charAt(0).toUpperCase()}${text.slice(1)}`, ...sources.exportsOf(file).map(described)];
  });
  const name = entries[0]?.name ?? '';
  return [
    `# TypeScript: ${name}`,
    `What \`${name}\` exports, by entry point: ${entries.map((entry) => `\`${entry.name}\``).join(', ')}.`,
    ...sections.flat(),
  ].join('\n\n');
}

function described({ name, kind, doc, signature }: Exported): string {
  const text = doc === '' ? [] : [doc];
  return [`### ${name}`, `*${kind}*`, ...text, `\`\`\`ts\n${signature}\n\`\`\``].join('\n\n');
}
