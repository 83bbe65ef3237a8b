/** Reads a YAML file of a bundle, limits.yaml by default, as a document: its values, and the line and column of each. */
import {
  CST,
  isAlias,
  isMap,
  isScalar,
  Lexer,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type Scalar,
} from 'yaml';
import type { SourceLocation } from '../cedar.js';
import type { BundleProblem } from '../problems.js';
import { LIMITS_FILE } from './limit.js';

/** The deepest nesting. The file needs only a few levels, and the parser overflows its stack at thousands. */
const MAX_NESTING = 64;

export interface YamlFile {
  readonly value: unknown;
  /** The place of the value at a path, or of its key when it has no value, or of the nearest parent when it does not exist. */
  at(path: readonly PropertyKey[]): SourceLocation;
  /** The place of the key at a path. */
  atKey(path: readonly PropertyKey[]): SourceLocation;
  /** The place of a character of the text at a path, or of the whole text when folding or escapes make counting impossible. */
  within(
    path: readonly PropertyKey[],
    text: string,
    offset: number,
  ): { readonly place: SourceLocation; readonly exact: boolean };
}

/** Parses the text. Returns undefined, with the reasons in `problems`, when it is not plain YAML. */
export function readYaml(text: string, problems: BundleProblem[], file: string = LIMITS_FILE): YamlFile | undefined {
  if (nestsTooDeeply(text)) {
    problems.push({ at: file, message: 'it nests too deeply', fix: 'Write it flatter.' });
    return undefined;
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    stringKeys: true,
    uniqueKeys: true,
    version: '1.2',
  });
  const placeOf = (offset: number): SourceLocation => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  const before = problems.length;
  for (const { message, pos, code } of [...document.errors, ...document.warnings]) {
    const duplicate = code === 'DUPLICATE_KEY';
    problems.push({
      at: placeOf(pos[0]),
      message: duplicate ? 'a key is there twice' : `it is not YAML: ${message.slice(0, 200)}`,
      expected: duplicate ? 'each key once' : 'YAML 1.2',
      fix: duplicate ? 'Remove one of the two.' : 'Correct the line named.',
    });
  }
  visit(document, {
    Pair: (_, { key }) => {
      // In JavaScript this name has a special meaning and libraries leave it out, so a limit would be missing without notice.
      if (!isScalar(key) || key.value !== '__proto__') return undefined;
      const at = placeOf(key.range?.[0] ?? 0);
      problems.push({ at, message: 'a key is "__proto__"', expected: 'another key', fix: 'Rename it.' });
      return visit.SKIP;
    },
    Node: (_, node) => {
      const what = sharing(node);
      if (what === undefined) return undefined;
      const at = placeOf(node.range?.[0] ?? 0);
      problems.push({
        at,
        message: `it has ${what}`,
        expected: 'plain values',
        fix: 'Write the value itself, in full.',
      });
      return visit.SKIP;
    },
  });
  return problems.length > before ? undefined : new Reader(text, document, placeOf);
}

/** Refuses anchors and aliases: a few lines of them can expand to gigabytes, and an aliased value has no line of its own. */
function sharing(node: Node): string | undefined {
  if (isAlias(node)) return 'an alias';
  if ('anchor' in node && node.anchor !== undefined) return 'an anchor';
  return node.tag === undefined ? undefined : 'a tag';
}

const INDICATORS: ReadonlySet<string> = new Set(['seq-item-ind', 'explicit-key-ind', 'map-value-ind']);

/**
 * Whether the text could nest too deeply for the parser, which ends the process when its stack overflows. Determined by the tokens alone:
 * open brackets, and how far a line begins from the margin with how many indicators on it, since each level takes one of them.
 */
function nestsTooDeeply(text: string): boolean {
  let brackets = 0;
  let levels = 0;
  let lineBegins = true;
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    if (type === 'flow-map-start' || type === 'flow-seq-start') brackets++;
    else if (type === 'flow-map-end' || type === 'flow-seq-end') brackets--;
    else if (type === 'newline') levels = 0;
    else if (type === 'space' && lineBegins && brackets <= 0) levels = token.length;
    else if (type !== null && INDICATORS.has(type)) levels++;
    if (brackets > MAX_NESTING || levels > MAX_NESTING) return true;
    lineBegins = type === 'newline';
  }
  return false;
}

class Reader implements YamlFile {
  readonly value: unknown;
  readonly #text: string;
  readonly #document: Document.Parsed;
  readonly #placeOf: (offset: number) => SourceLocation;

  constructor(text: string, document: Document.Parsed, placeOf: (offset: number) => SourceLocation) {
    this.value = document.toJS();
    this.#text = text;
    this.#document = document;
    this.#placeOf = placeOf;
  }

  at(path: readonly PropertyKey[]): SourceLocation {
    const node = this.#node(path);
    if (path.length === 0) return this.#placeOf(node?.range?.[0] ?? 0);
    if (node?.range === undefined || node.range === null || (isScalar(node) && node.value === null)) {
      return this.atKey(path);
    }
    return this.#placeOf(node.range[0]);
  }

  atKey(path: readonly PropertyKey[]): SourceLocation {
    if (path.length === 0) return this.at(path);
    const parent = this.#node(path.slice(0, -1));
    const pair = isMap(parent) ? parent.items.find(({ key }) => isScalar(key) && key.value === path.at(-1)) : undefined;
    const offset = (pair?.key as Scalar | undefined)?.range?.[0];
    return offset === undefined ? this.atKey(path.slice(0, -1)) : this.#placeOf(offset);
  }

  within(path: readonly PropertyKey[], text: string, offset: number): { place: SourceLocation; exact: boolean } {
    const node = this.#node(path);
    const start = node?.range?.[0];
    if (start === undefined) return { place: this.at(path), exact: false };
    const literal = isScalar(node) && node.type === 'BLOCK_LITERAL';
    const found = literal ? this.#inBlock(start, text, offset) : this.#inLine(start, text, offset);
    return found === undefined ? { place: this.#placeOf(start), exact: false } : { place: found, exact: true };
  }

  #node(path: readonly PropertyKey[]): Node | undefined {
    if (path.length === 0) return this.#document.contents ?? undefined;
    return this.#document.getIn(path, true) as Node | undefined;
  }

  #inLine(start: number, text: string, offset: number): SourceLocation | undefined {
    const first = start + (/["']/.test(this.#text[start] ?? '') ? 1 : 0);
    return this.#text.startsWith(text, first) ? this.#placeOf(first + offset) : undefined;
  }

  #inBlock(start: number, text: string, offset: number): SourceLocation | undefined {
    const before = text.slice(0, offset).split('\n');
    const line = text.split('\n')[before.length - 1] ?? '';
    const written = this.#text.slice(start).split('\n')[before.length];
    if (written?.endsWith(line) !== true) return undefined;
    const column = written.length - line.length + (before.at(-1) ?? '').length + 1;
    const { file, line: first } = this.#placeOf(start);
    return { file, line: first + before.length, column };
  }
}
