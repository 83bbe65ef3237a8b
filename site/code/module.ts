/** One TypeScript module, parsed: what it declares, what it exports and from where, and what is said of it. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseSync, type Comment, type Directive, type Statement } from 'oxc-parser';
import { SiteError } from '../failure.js';

type Node = Directive | Statement;

export class Module {
  readonly #root: string;
  readonly #text: string;
  readonly #comments: readonly Comment[];
  readonly body: readonly Node[];

  /** From the root of the repository. */
  readonly file: string;

  constructor(root: string, file: string) {
    this.file = file;
    this.#root = root;
    this.#text = readFileSync(path.join(root, file), 'utf8');
    const { program, comments, errors } = parseSync(file, this.#text);
    if (errors.length > 0) throw new SiteError([`${file}: ${errors[0]?.message}`], 'It has to be TypeScript.');
    this.#comments = comments;
    this.body = program.body;
  }

  text({ start, end }: { readonly start: number; readonly end: number }): string {
    return this.#text.slice(start, end);
  }

  /** What stands in the comment right before, as Markdown; empty where there is none. */
  docAt(start: number): string {
    const before = this.#comments.findLast(({ end }) => end <= start);
    const isDoc = before?.type === 'Block' && before.value.startsWith('*');
    if (!isDoc || this.#text.slice(before.end, start).trim() !== '') return '';
    return before.value
      .slice(1)
      .split('\n')
      .map((line) => line.replace(/^\s*\* ?/, '').trimEnd())
      .join('\n')
      .replaceAll(/\{@link (\S+?)\}/g, '`$1`')
      .replaceAll(/(^|\s)@(throws|param|returns) (?:CountersignError )?/g, (_, space: string, tag: string) => {
        return `${space}**${{ throws: 'Throws', param: 'Parameter', returns: 'Returns' }[tag]}:** `;
      })
      .trim();
  }

  /** The file that an import names, from the root of the repository; undefined for a package. */
  resolve(specifier: string): string | undefined {
    if (!specifier.startsWith('.')) return undefined;
    const target = path.join(path.dirname(this.file), specifier).replace(/\.js$/, '.ts');
    return path.relative(this.#root, path.join(this.#root, target));
  }
}
