/** Which public names have no docstring where their reader needs one. */
import type { ClassElement, ParamPattern, TSSignature, TSType } from 'oxc-parser';
import type { Declared, Sources } from '../../site/code/exports.js';
import type { Module } from '../../site/code/module.js';

/**
 * What an entry point exports and leaves unsaid, as `file: Name.member`. A docstring is needed by
 *
 * - each exported declaration;
 * - each method, and each member that may be left out, because it has a default or is not always there;
 * - each member and each parameter that is a number, because it has a unit.
 *
 * A parameter that may be left out, or is a number, is named in the docstring of its function. A docstring that says no more than the name is none.
 */
export function undocumentedIn(sources: Sources, entry: string): readonly string[] {
  return sources.exportsOf(entry).flatMap(({ name }) => {
    const found = sources.find(entry, name);
    return found === undefined ? [] : new Reader(sources).read(name, found);
  });
}

/** Whether a docstring says more than the words of the name below it. */
function saysMore(doc: string, name: string): boolean {
  const known = new Set([...wordsOf(name), 'a', 'an', 'and', 'of', 'the']);
  return wordsOf(doc).some((word) => !known.has(word));
}

function wordsOf(text: string): readonly string[] {
  const apart = text.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').toLowerCase();
  return apart.split(/[^a-z0-9]+/).filter((word) => word !== '');
}

/** What has the members of its first argument. */
const DERIVED = new Set(['Omit', 'Partial', 'Pick', 'Readonly', 'Required']);

/** Made from the gateway's document, in which a reference has no description of its own: what it leads to has one. */
const WITHOUT_WORDS_ON_REFERENCES = 'clients/typescript/src/api.ts';

type Method = { readonly params: readonly ParamPattern[] };

class Reader {
  readonly #sources: Sources;
  readonly #missing: string[] = [];

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  read(name: string, declared: Declared): readonly string[] {
    const { module, declaration, start } = declared;
    const doc = module.docAt(start);
    if (!saysMore(doc, name)) this.#note(module, name);
    if (declaration.type === 'FunctionDeclaration') this.#parameters(module, name, declaration, doc);
    this.#declared(name, declared);
    return this.#missing;
  }

  #declared(name: string, { module, declaration }: Declared): void {
    if (declaration.type === 'TSTypeAliasDeclaration') return this.#type(module, name, declaration.typeAnnotation);
    if (declaration.type === 'ClassDeclaration') {
      for (const member of declaration.body.body) this.#element(module, name, member);
    }
    if (declaration.type !== 'TSInterfaceDeclaration') return;
    for (const member of declaration.body.body) this.#signature(module, name, member);
    for (const { expression, typeArguments } of declaration.extends) {
      const parent = expression.type === 'Identifier' ? expression.name : '';
      this.#members(module, name, parent, typeArguments?.params[0]);
    }
  }

  #signature(module: Module, owner: string, member: TSSignature): void {
    if (member.type !== 'TSPropertySignature' && member.type !== 'TSMethodSignature') return;
    const name = `${owner}.${module.text(member.key)}`;
    const doc = module.docAt(member.start);
    if (member.type === 'TSMethodSignature') {
      if (!saysMore(doc, module.text(member.key))) this.#note(module, name);
      return this.#parameters(module, name, member, doc);
    }
    const type = member.typeAnnotation?.typeAnnotation;
    const isLedOn = module.file === WITHOUT_WORDS_ON_REFERENCES && type?.type === 'TSTypeReference';
    const isNeeded = (member.optional && !isLedOn) || isNumber(type);
    if (isNeeded && !saysMore(doc, module.text(member.key))) this.#note(module, name);
    if (type !== undefined) this.#type(module, name, type);
  }

  #element(module: Module, owner: string, member: ClassElement): void {
    if (member.type !== 'MethodDefinition' && member.type !== 'PropertyDefinition') return;
    if (member.key.type === 'PrivateIdentifier' || member.accessibility === 'private' || member.override) return;
    const key = module.text(member.key);
    const doc = module.docAt(member.start);
    if (member.type === 'MethodDefinition') {
      if (member.kind !== 'constructor' && !saysMore(doc, key)) this.#note(module, `${owner}.${key}`);
      this.#parameters(module, `${owner}.${key}`, member.value, doc);
    }
    if (member.type !== 'PropertyDefinition') return;
    if (isNumber(member.typeAnnotation?.typeAnnotation) && !saysMore(doc, key)) this.#note(module, `${owner}.${key}`);
  }

  #parameters(module: Module, owner: string, { params }: Method, doc: string): void {
    const words = new Set(doc.split(/\W+/));
    for (const parameter of params) {
      const pattern = parameter.type === 'AssignmentPattern' ? parameter.left : parameter;
      if (pattern.type !== 'Identifier' && pattern.type !== 'ObjectPattern') continue;
      const type = pattern.typeAnnotation?.typeAnnotation;
      if (type?.type === 'TSTypeLiteral') {
        for (const member of type.members) {
          if (member.type !== 'TSPropertySignature' || words.has(module.text(member.key))) continue;
          this.#signature(module, owner, member);
        }
      } else if (pattern.type === 'Identifier' && type?.type !== 'TSTypeReference') {
        // Its type says that it is never so, which is of a variable.
        const canBeLeftOut = pattern !== parameter || (pattern.optional as boolean | undefined) === true;
        if ((canBeLeftOut || isNumber(type)) && !words.has(pattern.name))
          this.#note(module, `${owner}(${pattern.name})`);
      }
    }
  }

  /** @param isOwn what it leads to are members of the owner itself */
  #type(module: Module, owner: string, type: TSType, isOwn = false): void {
    switch (type.type) {
      case 'TSTypeLiteral':
        for (const member of type.members) this.#signature(module, owner, member);
        break;
      case 'TSTypeOperator':
      case 'TSParenthesizedType':
        this.#type(module, owner, type.typeAnnotation, isOwn);
        break;
      case 'TSArrayType':
        this.#type(module, owner, type.elementType);
        break;
      case 'TSUnionType':
      case 'TSIntersectionType':
        for (const one of type.types) this.#type(module, owner, one, isOwn);
        break;
      case 'TSTypeReference': {
        const { typeName, typeArguments } = type;
        const name = typeName.type === 'Identifier' ? typeName.name : '';
        if (isOwn || DERIVED.has(name)) this.#members(module, owner, name, typeArguments?.params[0]);
        if (!DERIVED.has(name)) for (const one of typeArguments?.params ?? []) this.#type(module, owner, one);
        break;
      }
      default:
    }
  }

  /** Those that the owner has from a type, whether that is exported or not: to the reader they are the owner's. */
  #members(module: Module, owner: string, name: string, of: TSType | undefined): void {
    if (DERIVED.has(name)) {
      if (of !== undefined) this.#type(module, owner, of, true);
      return;
    }
    const found = this.#sources.find(module.file, name);
    if (found !== undefined) this.#declared(name, found);
  }

  #note(module: Module, name: string): void {
    this.#missing.push(`${module.file}: ${name}`);
  }
}

/** A number itself, or a list or choice of them. */
function isNumber(type: TSType | undefined): boolean {
  switch (type?.type) {
    case 'TSNumberKeyword':
      return true;
    case 'TSTypeOperator':
    case 'TSParenthesizedType':
      return isNumber(type.typeAnnotation);
    case 'TSArrayType':
      return isNumber(type.elementType);
    case 'TSUnionType':
      return type.types.some((one) => isNumber(one));
    default:
      return false;
  }
}
