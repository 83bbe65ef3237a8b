/** A declaration as its user sees it: without bodies, private members and what values are computed from. */
import type { Class, ClassElement, ExportNamedDeclaration, MethodDefinition, PropertyDefinition } from 'oxc-parser';
import type { Module } from './module.js';

export type Declaration = NonNullable<ExportNamedDeclaration['declaration']>;

export function signatureOf(module: Module, declaration: Declaration, name: string): string {
  switch (declaration.type) {
    case 'FunctionDeclaration': {
      const end = declaration.body?.start ?? declaration.end;
      return `${tidy(module.text({ start: declaration.start, end }))};`;
    }
    case 'ClassDeclaration':
      return classSignature(module, declaration);
    case 'VariableDeclaration': {
      const one = declaration.declarations.find(({ id }) => id.type === 'Identifier' && id.name === name);
      const isTyped = one !== undefined && 'typeAnnotation' in one.id && one.id.typeAnnotation !== null;
      const isShort = one?.init !== null && one !== undefined && one.end - one.start < 160;
      return `const ${isTyped ? module.text(one.id) : isShort ? module.text(one) : name};`;
    }
    default:
      return tidy(module.text(declaration));
  }
}

function classSignature(module: Module, { start, body }: Class): string {
  const head = tidy(module.text({ start, end: body.start }));
  const members = body.body.flatMap((member) => memberSignature(module, member));
  return members.length === 0 ? `${head} {}` : `${head} {\n${members.join('\n')}\n}`;
}

function memberSignature(module: Module, member: ClassElement): readonly string[] {
  if (member.type !== 'MethodDefinition' && member.type !== 'PropertyDefinition') return [];
  const isPrivate = member.key.type === 'PrivateIdentifier' || member.accessibility === 'private';
  if (isPrivate || ('override' in member && member.override)) return [];
  const end = endOf(member);
  const doc = module.docAt(member.start);
  const text = tidy(module.text({ start: member.start, end })).replace(/\s*=$/, '');
  const comment = doc === '' ? [] : [`  /** ${doc.replaceAll('\n', ' ').replaceAll('**', '')} */`];
  return [...comment, `  ${text.replace(/;$/, '')};`];
}

/** Where its body or its value begins. */
function endOf(member: MethodDefinition | PropertyDefinition): number {
  if (member.type === 'MethodDefinition') return member.value.body?.start ?? member.end;
  if (member.type !== 'PropertyDefinition') return member.end;
  return member.typeAnnotation?.end ?? member.value?.start ?? member.end;
}

/** A default that is worked out inside is none that a caller can see. */
function tidy(text: string): string {
  return text
    .trim()
    .replaceAll(/ = this\.#\w+\([^)]*\)/g, '?')
    .replace(/^(static )?async /, '$1');
}
