/** The members of an interface of options, with those inside of them, as one flat list of keys. */
import type { TSSignature, TSType } from 'oxc-parser';
import type { Declared, Sources } from './exports.js';
import type { Module } from './module.js';

export interface Option {
  /** `gateway.session.idleSeconds`; `[]` after what is a list, `.*` for any name. */
  readonly key: string;
  readonly required: boolean;
  /** As the source says it. */
  readonly type: string;
  readonly doc: string;
}

/** Beyond it, a type is no option of an operator's any more. */
const DEEPEST = 5;
/** What is left as it is called: an object of ours or of a library, not something that is written down. */
const OPAQUE = new Set(['Tool', 'Channel', 'Anchor', 'ZodType', 'Date', 'Promise', 'Buffer', 'AbortSignal', 'Json']);

/** @param name of an interface that `file` declares or imports */
export function optionsOf(sources: Sources, file: string, name: string, prefix = ''): readonly Option[] {
  const found = sources.find(file, name);
  return found === undefined ? [] : new Options(sources).of(found, prefix, 0);
}

class Options {
  readonly #sources: Sources;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  of({ module, declaration }: Declared, prefix: string, depth: number): readonly Option[] {
    if (depth > DEEPEST) return [];
    if (declaration.type === 'TSTypeAliasDeclaration') {
      return this.#within(module, declaration.typeAnnotation, prefix, depth);
    }
    if (declaration.type !== 'TSInterfaceDeclaration') return [];
    const inherited = declaration.extends.flatMap(({ expression }) => {
      const parent = expression.type === 'Identifier' ? this.#sources.find(module.file, expression.name) : undefined;
      return parent === undefined ? [] : this.of(parent, prefix, depth + 1);
    });
    return [...declaration.body.body.flatMap((member) => this.#member(module, member, prefix, depth)), ...inherited];
  }

  #member(module: Module, member: TSSignature, prefix: string, depth: number): readonly Option[] {
    if (member.type !== 'TSPropertySignature' || member.key.type !== 'Identifier') return [];
    const type = member.typeAnnotation?.typeAnnotation;
    if (type === undefined) return [];
    const key = prefix + member.key.name;
    const text = module.text(type).replaceAll(/\s+/g, ' ').replaceAll('readonly ', '');
    const doc = module.docAt(member.start).replaceAll(/\s+/g, ' ');
    const inner = this.#within(module, type, `${key}.`, depth);
    const isSpelt = inner.length > 0 && text.startsWith('{');
    return [{ key, required: !member.optional, type: isSpelt ? 'object' : text, doc }, ...inner];
  }

  /** What can be said inside a value of the type. */
  #within(module: Module, type: TSType, prefix: string, depth: number): readonly Option[] {
    switch (type.type) {
      case 'TSTypeLiteral':
        return type.members.flatMap((member) => this.#member(module, member, prefix, depth + 1));
      case 'TSTypeOperator':
        return this.#within(module, type.typeAnnotation, prefix, depth);
      case 'TSArrayType':
        return this.#within(module, type.elementType, `${prefix.slice(0, -1)}[].`, depth);
      case 'TSUnionType':
        return unique(type.types.flatMap((one) => this.#within(module, one, prefix, depth)));
      case 'TSParenthesizedType':
        return this.#within(module, type.typeAnnotation, prefix, depth);
      case 'TSTypeReference': {
        const name = type.typeName.type === 'Identifier' ? type.typeName.name : '';
        const [first, second] = type.typeArguments?.params ?? [];
        if (name === 'Partial' && first !== undefined) {
          return this.#within(module, first, prefix, depth).map((option) => ({ ...option, required: false }));
        }
        if (name === 'Readonly' && first !== undefined) return this.#within(module, first, prefix, depth);
        if (name === 'Record' && second !== undefined) return this.#within(module, second, `${prefix}*.`, depth);
        if (OPAQUE.has(name)) return [];
        const found = this.#sources.find(module.file, name);
        return found === undefined ? [] : this.of(found, prefix, depth + 1);
      }
      default:
        return [];
    }
  }
}

function unique(options: readonly Option[]): readonly Option[] {
  return options.filter(({ key }, n) => options.findIndex((other) => other.key === key) === n);
}
