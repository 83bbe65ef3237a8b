/** What a TypeScript entry point exports, found through its re-exports, with the declaration and what is said of it. */
import type { ImportDeclaration } from 'oxc-parser';
import { Module } from './module.js';
import { signatureOf, type Declaration } from './signature.js';

export interface Declared {
  readonly module: Module;
  readonly declaration: Declaration;
  /** Where the statement begins: before `export`. */
  readonly start: number;
}

export interface Exported {
  readonly name: string;
  readonly kind: 'class' | 'function' | 'type' | 'value';
  readonly doc: string;
  readonly signature: string;
}

export class Sources {
  readonly #modules = new Map<string, Module>();

  /** Of the repository. */
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  module(file: string): Module {
    const found = this.#modules.get(file) ?? new Module(this.root, file);
    this.#modules.set(file, found);
    return found;
  }

  /** By name, in the order of the alphabet. */
  exportsOf(file: string): readonly Exported[] {
    const names = [...this.#namesOf(file)].toSorted((a, b) => a.localeCompare(b, 'en'));
    return names.flatMap((name) => {
      const found = this.find(file, name);
      return found === undefined ? [] : [exported(name, found)];
    });
  }

  /** Whatever a module declares or passes on under a name; undefined for what comes from a package. */
  find(file: string, name: string): Declared | undefined {
    const module = this.module(file);
    for (const statement of module.body) {
      if (statement.type === 'ExportNamedDeclaration') {
        if (statement.declaration !== null) {
          const { declaration, start } = statement;
          if (namesOf(declaration).includes(name)) return { module, declaration, start };
          continue;
        }
        const passed = statement.specifiers.find(({ exported: as }) => nameOf(as) === name);
        if (passed === undefined) continue;
        const from = statement.source === null ? file : module.resolve(statement.source.value);
        const local = nameOf(passed.local);
        if (statement.source === null) return this.#local(module, local);
        return from === undefined ? undefined : this.find(from, local);
      }
      if (statement.type !== 'ExportAllDeclaration') continue;
      const from = module.resolve(statement.source.value);
      const found = from === undefined ? undefined : this.find(from, name);
      if (found !== undefined) return found;
    }
    return this.#local(module, name);
  }

  #local(module: Module, name: string): Declared | undefined {
    for (const statement of module.body) {
      if (statement.type === 'ImportDeclaration') {
        const found = this.#imported(module, statement, name);
        if (found !== undefined) return found;
      } else if ('declare' in statement || statement.type === 'ClassDeclaration') {
        const declaration = statement as Declaration;
        if (namesOf(declaration).includes(name)) return { module, declaration, start: statement.start };
      }
    }
    return undefined;
  }

  #imported(module: Module, { specifiers, source }: ImportDeclaration, name: string): Declared | undefined {
    const one = specifiers.find(({ local }) => local.name === name);
    const from = module.resolve(source.value);
    if (one === undefined || from === undefined || one.type !== 'ImportSpecifier') return undefined;
    return this.find(from, nameOf(one.imported));
  }

  #namesOf(file: string): ReadonlySet<string> {
    const module = this.module(file);
    const names = new Set<string>();
    for (const statement of module.body) {
      if (statement.type === 'ExportNamedDeclaration') {
        for (const { exported: as } of statement.specifiers) names.add(nameOf(as));
        if (statement.declaration !== null) for (const name of namesOf(statement.declaration)) names.add(name);
      } else if (statement.type === 'ExportAllDeclaration') {
        const from = module.resolve(statement.source.value);
        if (from !== undefined) for (const name of this.#namesOf(from)) names.add(name);
      }
    }
    return names;
  }
}

function nameOf(name: { readonly type: string; readonly name?: string; readonly value?: string }): string {
  return name.name ?? name.value ?? '';
}

function namesOf(declaration: Declaration): readonly string[] {
  if (declaration.type === 'VariableDeclaration') {
    return declaration.declarations.flatMap(({ id }) => (id.type === 'Identifier' ? [id.name] : []));
  }
  const { id } = declaration as { readonly id?: { readonly name?: string } | null };
  return id?.name === undefined ? [] : [id.name];
}

function exported(name: string, { module, declaration, start }: Declared): Exported {
  const kinds = { ClassDeclaration: 'class', FunctionDeclaration: 'function', VariableDeclaration: 'value' } as const;
  return {
    name,
    kind: kinds[declaration.type as keyof typeof kinds] ?? 'type',
    doc: module.docAt(start),
    signature: signatureOf(module, declaration, name),
  };
}
