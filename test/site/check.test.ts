/** What the build of the site refuses: each way in which pages can be wrong is found, and named. */
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { anchorOf, Anchors } from '../../site/anchors.js';
import { problemsOf } from '../../site/check.js';
import { pythonDeclarations } from '../../site/code/python.js';
import { Sources } from '../../site/code/exports.js';
import { drawn } from '../../site/diagram/draw.js';
import { readFlowchart } from '../../site/diagram/flowchart.js';
import { partsOf, readNavigation } from '../../site/navigation.js';
import type { Page } from '../../site/page.js';
import { rendered } from '../../site/render/markdown.js';

async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const made = await mkdtemp(path.join(os.tmpdir(), 'countersign-site-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(made, name)), { recursive: true });
    await writeFile(path.join(made, name), text);
  }
  return made;
}

const html = (body: string): string => `<h1 id="top">A page</h1>${body}`;

test.each([
  ['a page that is not there', '<a href="gone.html">x</a>', 'gone.html leads to nothing'],
  ['a heading that is not there', '<a href="b.html#gone">x</a>', 'b.html#gone names a heading that is not there'],
  ['an address that is none', '<a href="https://">x</a>', 'https:// is no address'],
  ['an address of a script', '<a href="javascript:alert(1)">x</a>', 'is no address'],
  ['a picture without words', '<img src="b.html">', 'has no alt'],
  ['an id twice', '<p id="top"></p>', 'two elements have the id top'],
  ['a second first heading', '<h1>Another</h1>', 'not exactly one heading of the first level'],
  ['a style of its own', '<p style="color: red"></p>', 'something inline'],
])('finds %s', async (_, body, problem) => {
  const folder = await folderOf({
    'index.html': html(`<a href="b.html#there">b</a>${body}`),
    'b.html': html('<h2 id="there"></h2>'),
  });
  const { problems } = await problemsOf(folder);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

test('finds a page that no other leads to', async () => {
  const folder = await folderOf({ 'index.html': html(''), 'alone.html': html('') });
  expect((await problemsOf(folder)).problems).toEqual(['alone.html: no page leads to it.']);
});

const INDEX = `# Documentation

## Tutorial

- [First](first.md): the first.

## How-to guides

## Reference

### Tools

- [Second](second.md): the second.

## Explanation
`;

test('reads the four parts with their groups, in their order', () => {
  const parts = partsOf(INDEX);
  expect(parts.map(({ title }) => title)).toEqual(['Tutorial', 'How-to guides', 'Reference', 'Explanation']);
  expect(parts[2]?.groups).toEqual([
    { title: 'Tools', entries: [{ title: 'Second', source: 'docs/second.md', description: 'the second.' }] },
  ]);
});

test.each([
  ['a page that no part names', { 'docs/third.md': '# Third' }, 'docs/third.md is in no part'],
  ['a page that is not there', { 'docs/second.md': undefined }, 'names docs/second.md, which is not there'],
  [
    'a page that is named twice',
    { 'docs/README.md': INDEX.replace('second.md', 'first.md') },
    'names docs/first.md twice',
  ],
  [
    'other parts',
    { 'docs/README.md': INDEX.replace('## Reference', '## Facts') },
    'has the parts Tutorial, How-to guides, Facts',
  ],
  ['an item without words', { 'docs/README.md': INDEX.replace(': the first.', '') }, '- [First](first.md)'],
])('refuses %s', async (_, change: Readonly<Record<string, string | undefined>>, problem) => {
  const files = { 'docs/README.md': INDEX, 'docs/first.md': '# First', 'docs/second.md': '# Second', ...change };
  const given = Object.fromEntries(
    Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  await expect(readNavigation(await folderOf(given))).rejects.toThrow(problem);
});

const page = (markdown: string): Page => ({
  url: 'a.html',
  title: 'A',
  description: 'A page.',
  source: 'docs/a.md',
  markdown,
});
const nothing = () => ({ pictures: new Set<string>(), sources: new Set<string>() });

test.each([
  ['code in a language that nothing highlights', '```cobol\nMOVE\n```', 'cobol'],
  ['a picture without words', '![](b.png)', 'shows b.png without words'],
  ['a diagram that is not understood', '```mermaid\nflowchart LR\n  a ==> b\n```', 'a ==> b'],
])('refuses %s', (_, markdown, problem) => {
  expect(() => rendered(page(markdown), os.tmpdir(), nothing())).toThrow(problem);
});

test('markup in Markdown is text, and links lead to pages, to shown files or to the web', () => {
  const wanted = nothing();
  const text = '# A\n\n<script>x</script> [b](b.md#c) [test](../test/x.test.ts) [web](https://example.com/)';
  const { html: made } = rendered(page(text), os.tmpdir(), wanted);
  expect(made).toContain('&lt;script&gt;');
  expect(made).toContain('href="b.html#c"');
  expect(made).toContain('href="source/test/x.test.ts.html"');
  expect(made).toContain('href="https://example.com/" rel="noreferrer"');
  expect([...wanted.sources]).toEqual(['test/x.test.ts']);
});

test('gives headings the anchors of GitHub, and the second of a name a number', () => {
  const anchors = new Anchors();
  expect(['`roles`', 'Roles', 'A b: c'].map((heading) => anchors.next(heading))).toEqual(['roles', 'roles-1', 'a-b-c']);
  expect(anchorOf('What counts?')).toBe('what-counts');
});

test('draws each node and arrow of a flowchart, and says them in words', () => {
  const chart = readFlowchart(
    'flowchart LR\n  subgraph out[Outside]\n    a([agent])\n  end\n  a -- "asks <b>" --> l[(ledger)] <--> w',
  );
  expect(chart.nodes.map(({ id, shape, group }) => [id, shape, group])).toEqual([
    ['a', 'stadium', 'out'],
    ['l', 'cylinder', undefined],
    ['w', 'box', undefined],
  ]);
  const svg = drawn(chart);
  expect(svg).toContain('aria-label="Diagram: agent to ledger (asks &lt;b&gt;); ledger to and from w."');
  expect(
    [svg.match(/class="node"/g), svg.match(/class="edge"/g), svg.match(/class="head"/g)].map((found) => found?.length),
  ).toEqual([3, 2, 3]);
});

test('shows a class of TypeScript without bodies and private members, through re-exports', async () => {
  const root = await folderOf({
    'index.ts': "export { A as B, type C } from './a.js';\n",
    'a.ts': `import type { C } from './c.js';
/** What A is. */
export class A {
  /** How many. */
  readonly count: number = 1;
  #secret = 2;
  async add(by = this.#amount(), { fast = true }: { fast?: boolean } = {}): Promise<number> { return by; }
  private hidden(): void {}
}
export type { C };
`,
    'c.ts': '/** What C is. */\nexport type C = string;\n',
  });
  expect(new Sources(root).exportsOf('index.ts')).toEqual([
    {
      name: 'B',
      kind: 'class',
      doc: 'What A is.',
      signature: `class A {
  /** How many. */
  readonly count: number;
  add(by?, { fast = true }: { fast?: boolean } = {}): Promise<number>;
}`,
    },
    { name: 'C', kind: 'type', doc: 'What C is.', signature: 'type C = string;' },
  ]);
});

test('shows a class of Python with its public members and their docstrings', () => {
  const [declared] = pythonDeclarations(
    '@frozen\nclass A(_Base):\n    """What A is."""\n\n    n: int\n    """How many."""\n\n    @property\n    def f(self) -> int:\n        """Gives it."""\n        return 1\n\n    def _g(self): ...\n',
  );
  expect(declared).toEqual({
    name: 'A',
    doc: 'What A is.',
    head: '@frozen\nclass A(_Base):',
    bases: ['_Base'],
    members: [
      '    n: int',
      '    """How many."""',
      '    @property',
      '    def f(self) -> int: ...',
      '        """Gives it."""',
    ],
  });
});
