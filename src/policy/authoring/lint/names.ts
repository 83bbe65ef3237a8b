/** Names in rules that nothing registered has: tools, operations, environments, kinds, targets, arguments. */
import type { Expr } from '@cedar-policy/cedar-wasm/nodejs';
import type { SourceLocation } from '../../cedar.js';
import { locationAt } from '../../cedar.js';
import type { Rule } from '../../rules.js';
import { scopeOf, TOOL_TYPE, uidOf } from '../../scope.js';
import { argumentKnown } from '../arguments.js';
import { entityOf, literalOf, operands, pathOf, textsOf, walk } from '../expression.js';
import { operationNames, type RegisteredTool } from '../registered.js';
import { finding, type Finding, type FindingCode } from './finding.js';
import { nearest } from './nearest.js';

/** A comparison of an attribute with texts, of which one must be right for it to mean anything. */
interface Mention {
  readonly path: string;
  readonly texts: readonly string[];
}

/** `files`: the texts of the bundle, for places within rules. */
export function unknownNames(
  rules: readonly Rule[],
  tools: readonly RegisteredTool[],
  files: Readonly<Record<string, string>>,
): readonly Finding[] {
  return rules.flatMap((rule) => new NameCheck(rule, tools, files).findings());
}

class NameCheck {
  readonly #rule: Rule;
  readonly #all: readonly RegisteredTool[];
  /** Those that its scope lets it be about. */
  readonly #tools: readonly RegisteredTool[];
  readonly #files: Readonly<Record<string, string>>;

  constructor(rule: Rule, tools: readonly RegisteredTool[], files: Readonly<Record<string, string>>) {
    const { tool } = scopeOf(rule.json);
    this.#rule = rule;
    this.#all = tools;
    this.#tools = tool === undefined ? tools : tools.filter(({ name }) => name === tool);
    this.#files = files;
  }

  findings(): readonly Finding[] {
    const mentions: Mention[] = [];
    const named = new Set<string>();
    const inputs = new Set<string>();
    const { resource, conditions } = this.#rule.json;
    if ('entity' in resource) addTool(named, uidOf(resource.entity));
    walk(conditions, (expr) => {
      const mention = mentionIn(expr);
      if (mention !== undefined) mentions.push(mention);
      const entity = entityOf(expr);
      if (entity !== undefined) addTool(named, entity);
      const input = inputPath(expr);
      if (input !== undefined) inputs.add(input);
    });
    return [
      ...[...named].flatMap((name) => this.#tool(name)),
      ...mentions.flatMap((mention) => this.#mention(mention)),
      ...[...inputs].sort().flatMap((path) => this.#argument(path)),
    ];
  }

  #tool(name: string): readonly Finding[] {
    if (this.#all.some((tool) => tool.name === name)) return [];
    return [
      this.#finding(
        'unknown-tool',
        name,
        `no tool is called ${name}`,
        this.#all.map((tool) => tool.name),
      ),
    ];
  }

  #mention({ path, texts }: Mention): readonly Finding[] {
    // Of a rule about an unknown tool, the tool's name is what is wrong.
    if (this.#tools.length === 0) return [];
    switch (path) {
      case 'context.operation':
        return this.#operations(texts);
      case 'context.environment':
      case 'resource.environment':
        return this.#texts(
          'unknown-environment',
          'environment',
          texts,
          this.#tools.map((tool) => tool.environment),
        );
      case 'context.targets':
      case 'context.reads':
        return this.#targets(texts);
      case 'resource.kind':
        return this.#texts(
          'unknown-kind',
          'kind',
          texts,
          this.#tools.map((tool) => tool.kind),
        );
      default:
        return [];
    }
  }

  #operations(texts: readonly string[]): readonly Finding[] {
    const known = this.#tools.map(operationNames);
    if (known.includes(undefined)) return [];
    return this.#texts(
      'unknown-operation',
      'operation',
      texts,
      known.flatMap((names = []) => names),
      'each',
    );
  }

  /** What some tool may touch without saying so beforehand, any rule may speak of. */
  #targets(texts: readonly string[]): readonly Finding[] {
    const known = this.#tools.map(({ targets }) => targets);
    if (known.includes(undefined)) return [];
    const all = known.flatMap((names = []) => names);
    return this.#texts('unknown-target', 'target', texts, all, 'each');
  }

  /** Of operations each must be known. A list of environments or kinds is for more places than this one. */
  #texts(
    code: FindingCode,
    what: string,
    texts: readonly string[],
    known: readonly string[],
    need: 'each' | 'single' = 'single',
  ): readonly Finding[] {
    const unknown = texts.filter((text) => !known.includes(text));
    if (need === 'single' && texts.length > 1) return [];
    return unknown.map((text) =>
      this.#finding(code, text, `no ${what} is called ${text} in ${this.#names()}`, [...new Set(known)].sort()),
    );
  }

  #argument(path: string): readonly Finding[] {
    const described = this.#tools.map(({ operations }) => operations);
    if (this.#tools.length === 0 || described.includes(undefined)) return [];
    const operations = described.flatMap((one = []) => one);
    if (operations.some((operation) => argumentKnown(operation, path.split('.')))) return [];
    const name = path.slice(path.lastIndexOf('.') + 1);
    return [this.#finding('unknown-argument', name, `no operation of ${this.#names()} takes ${path}`, [])];
  }

  #names(): string {
    return this.#tools.map(({ name }) => name).join(', ');
  }

  #finding(code: FindingCode, text: string, message: string, known: readonly string[]): Finding {
    const guess = nearest(text, known);
    const meant = guess === undefined ? '' : `Did you mean ${guess}? `;
    const of = known.length === 0 ? 'Correct the name.' : `Correct the name; known are ${known.join(', ')}.`;
    return finding(code, { at: this.#placeOf(text), id: this.#rule.id, message, fix: `${meant}${of}` });
  }

  /** Where the rule first has the name; the rule itself where it is written in another way. */
  #placeOf(text: string): SourceLocation {
    const { text: written, offset, place } = this.#rule;
    const quoted = written.indexOf(JSON.stringify(text));
    const at = quoted < 0 ? written.search(new RegExp(`\\b${escaped(text)}\\b`)) : quoted;
    if (at < 0) return place;
    const bytes = offset + Buffer.byteLength(written.slice(0, at), 'utf8');
    return locationAt(place.file, this.#files[place.file] ?? '', bytes);
  }
}

function addTool(named: Set<string>, { type, id }: { readonly type: string; readonly id: string }): void {
  if (type === TOOL_TYPE) named.add(id);
}

function mentionIn(expr: Expr): Mention | undefined {
  const equal = operands(expr, '==') ?? operands(expr, '!=');
  if (equal !== undefined) {
    const path = pathOf(equal.left) ?? pathOf(equal.right);
    const text = literalOf(equal.right) ?? literalOf(equal.left);
    return path === undefined || typeof text !== 'string' ? undefined : { path, texts: [text] };
  }
  const listed = operands(expr, 'contains');
  const among = listed ?? operands(expr, 'containsAny') ?? operands(expr, 'containsAll');
  const sought = among && (textsOf(among.right) ?? [literalOf(among.right)]);
  const of = among && pathOf(among.left);
  if (of !== undefined && sought?.every((text) => typeof text === 'string') === true)
    return { path: of, texts: sought };
  if (listed === undefined) return undefined;
  const [path, texts] = [pathOf(listed.right), textsOf(listed.left)];
  return path === undefined || texts === undefined ? undefined : { path, texts };
}

/** `body.amount` of `context.input.body.amount` or `context has input.body.amount`. */
function inputPath(expr: Expr): string | undefined {
  const has = (expr as { readonly has?: { readonly left: Expr; readonly attr: string | readonly string[] } }).has;
  const base = has === undefined ? undefined : pathOf(has.left);
  const path = base === undefined || has === undefined ? pathOf(expr) : [base, has.attr].flat().join('.');
  return path?.startsWith('context.input.') === true ? path.slice('context.input.'.length) : undefined;
}

function escaped(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
}
