/** What a Python module declares, with its docstrings: read by Python's grammar, so that no Python is needed to build the site. */
import { parser } from '@lezer/python';

type SyntaxNode = ReturnType<typeof parser.parse>['topNode'];

export interface PythonDeclaration {
  readonly name: string;
  readonly doc: string;
  /** Without a body. */
  readonly head: string;
  /** Of a class: the lines of its public members, without bodies. */
  readonly members: readonly string[];
  /** Of a class: the names that it inherits from. */
  readonly bases: readonly string[];
}

/** The classes, functions and constants at the top of a module. */
export function pythonDeclarations(text: string): readonly PythonDeclaration[] {
  const declared: PythonDeclaration[] = [];
  for (let node = parser.parse(text).topNode.firstChild; node !== null; node = node.nextSibling) {
    const inner = undecorated(node);
    const name = inner.getChild('VariableName');
    if (name === null) continue;
    const of = { name: text.slice(name.from, name.to), doc: docOf(inner, text) };
    if (inner.name === 'ClassDefinition') declared.push({ ...of, ...classOf(node, inner, text) });
    else if (inner.name === 'FunctionDefinition') {
      declared.push({ ...of, head: functionHead(inner, text), members: [], bases: [] });
    } else if (inner.name === 'AssignStatement') {
      const head = text.slice(inner.from, inner.to);
      declared.push({ name: of.name, doc: docAfter(node, text), head, members: [], bases: [] });
    }
  }
  return declared;
}

function classOf(
  whole: SyntaxNode,
  definition: SyntaxNode,
  text: string,
): Pick<PythonDeclaration, 'head' | 'members' | 'bases'> {
  const body = definition.getChild('Body');
  const members: string[] = [];
  for (let node = body?.firstChild ?? null; node !== null; node = node.nextSibling) {
    members.push(...memberLines(node, text));
  }
  const lines = [...decoratorsOf(whole, text), `${headOf(definition, text)}:`];
  const bases = definition.getChild('ArgList')?.getChildren('VariableName') ?? [];
  return { head: lines.join('\n'), members, bases: bases.map(({ from, to }) => text.slice(from, to)) };
}

function memberLines(node: SyntaxNode, text: string): readonly string[] {
  const member = undecorated(node);
  const name = member.getChild('VariableName');
  if (name === null || text.slice(name.from, name.to).startsWith('_')) return [];
  if (member.name === 'FunctionDefinition') {
    const doc = docOf(member, text);
    const lines = [...decoratorsOf(node, text), functionHead(member, text)].map((line) => `    ${line}`);
    return doc === '' ? lines : [...lines, `        """${doc}"""`];
  }
  if (member.name !== 'AssignStatement') return [];
  const doc = docAfter(node, text);
  return [`    ${text.slice(member.from, member.to)}`, ...(doc === '' ? [] : [`    """${doc}"""`])];
}

function decoratorsOf(node: SyntaxNode, text: string): readonly string[] {
  return node.getChildren('Decorator').map(({ from, to }) => text.slice(from, to).trim());
}

function undecorated(node: SyntaxNode): SyntaxNode {
  if (node.name !== 'DecoratedStatement') return node;
  return node.getChild('ClassDefinition') ?? node.getChild('FunctionDefinition') ?? node;
}

/** Up to the colon before the body. */
function headOf(definition: SyntaxNode, text: string): string {
  return text.slice(definition.from, definition.getChild('Body')?.from ?? definition.to).trim();
}

function functionHead(definition: SyntaxNode, text: string): string {
  return `${headOf(definition, text)}: ...`;
}

function docOf(definition: SyntaxNode, text: string): string {
  const body = definition.getChild('Body');
  // The body begins with its colon.
  const first = body?.firstChild?.nextSibling ?? null;
  return first === null ? '' : stringIn(first, text);
}

/** The string after an attribute, which documents it. */
function docAfter(node: SyntaxNode, text: string): string {
  return node.nextSibling === null ? '' : stringIn(node.nextSibling, text);
}

function stringIn(statement: SyntaxNode, text: string): string {
  const string = statement.name === 'ExpressionStatement' ? statement.getChild('String') : null;
  if (string === null) return '';
  const lines = text
    .slice(string.from, string.to)
    .replace(/^"{3}|"{3}$/g, '')
    .split('\n');
  const doc = lines
    .map((line) => line.trim())
    .join('\n')
    .trim();
  return doc.replaceAll('``', '`');
}
