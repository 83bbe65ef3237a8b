/** What `countersign_client` exports to Python, with its docstrings. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { pythonDeclarations, type PythonDeclaration } from '../code/python.js';
import { SiteError } from '../failure.js';

const PACKAGE = 'clients/python/src/countersign_client';
/** Each has tools for one framework, under a name of its own. */
const NOT_AN_ADAPTER = /^(?:_|client|errors|for_model|guard|models|types)/;

export async function pythonClient(root: string): Promise<string> {
  const folder = path.join(root, PACKAGE);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.py')).toSorted();
  const texts = new Map(
    await Promise.all(
      files.map(async (name) => [name.slice(0, -3), await readFile(path.join(folder, name), 'utf8')] as const),
    ),
  );
  const declared = new Map([...texts].map(([name, text]) => [name, pythonDeclarations(text)]));
  const all = [...declared.values()].flat();
  const exported = exportsOf(texts.get('__init__') ?? '').map((name) => {
    const found = all.find((one) => one.name === name);
    if (found === undefined) {
      throw new SiteError([`${PACKAGE} exports ${name}, which no module of it declares.`], 'Correct __all__.');
    }
    return found;
  });
  const inherited = ({ bases }: PythonDeclaration): readonly string[] =>
    bases
      .filter((base) => base.startsWith('_'))
      .flatMap((base) => {
        const found = all.find(({ name }) => name === base);
        return found === undefined ? [] : [...inherited(found), ...found.members];
      });
  const described = (one: PythonDeclaration): string => {
    const lines = [one.head, ...inherited(one), ...one.members].join('\n');
    return [`### ${one.name}`, ...(one.doc === '' ? [] : [one.doc]), `\`\`\`python\n${lines}\n\`\`\``].join('\n\n');
  };
  const adapters = [...declared].filter(([name]) => !NOT_AN_ADAPTER.test(name));
  return [
    '# Python: countersign-client',
    'What `countersign_client` exports, and below it the adapters for agent frameworks, each a module of its own. [Clients for agents](clients.md#python) explains them.',
    '## countersign_client',
    ...exported.map(described),
    ...adapters.flatMap(([name, declarations]) => [
      `## countersign_client.${name}`,
      ...declarations.filter((one) => isPublic(one)).map(described),
    ]),
  ].join('\n\n');
}

/** The names in `__all__`. */
function exportsOf(text: string): readonly string[] {
  const list = /^__all__ = \[(.*?)\]/ms.exec(text)?.[1] ?? '';
  return [...list.matchAll(/"(\w+)"/g)].map(([, name]) => name as string);
}

function isPublic({ name, head }: PythonDeclaration): boolean {
  return !name.startsWith('_') && /^(?:@|class|def|async def)/.test(head);
}
