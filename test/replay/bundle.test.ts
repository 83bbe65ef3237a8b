/** All workflows of a worker share the modules of one bundle, so those must be without state, and known by their sources. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { BUNDLED, workflowBundlePath } from '../../src/worker/bundle.js';
import { ROOT } from '../support/root.js';

const code = await readFile(await workflowBundlePath(), 'utf8');
const [, map = ''] = /sourceMappingURL=data:application\/json;charset=utf-8;base64,([A-Za-z0-9+/=]+)/.exec(code) ?? [];
const { sources } = JSON.parse(Buffer.from(map, 'base64').toString()) as { sources: readonly string[] };
const own = sources
  .filter((source) => source.endsWith('.ts') && !source.includes('node_modules'))
  .map((source) => path.relative(ROOT, source));

/** A binding, or something bound, that a later line can change. */
const STATE =
  /^(?:export )?(?:(?:let|var) |const \w+(?:: (?!Readonly)[^=]+)? = (?:new (?:Map|Set|WeakMap|WeakSet)\b|\[\]|\{\}|\/.*\/[a-z]*[gy]))/m;

test('the workflow code is loaded once, before any workflow', () => {
  expect(code).toMatch(/preloadModules\(\) \{\s*__webpack_require__\([^)]*workflows\/index\.ts/);
});

test('whatever is in the bundle makes another bundle when it changes', () => {
  expect(own).toContain('workflows/trusted-action.ts');
  expect(own.filter((file) => !BUNDLED.some((place) => file === place || file.startsWith(`${place}/`)))).toEqual([]);
});

describe('a module keeps no state', () => {
  test.each(own)('%s', async (file) => {
    expect(await readFile(path.join(ROOT, file), 'utf8')).not.toMatch(STATE);
  });

  test.each([
    'let count = 0;',
    'export const seen = new Map<string, number>();',
    'const queue: string[] = [];',
    'const WORD = /a/g;',
  ])('%s would be found', (line) => {
    expect(`import { a } from './a.js';\n${line}\n`).toMatch(STATE);
  });
});

test("what workflows of one's own import is small, and brings nothing but Temporal's workflow API with it", async () => {
  const { metafile } = await build({
    entryPoints: [path.join(ROOT, 'src/workflow/index.ts')],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    packages: 'external',
  });
  const [output] = Object.values(metafile.outputs);
  expect(new Set(output?.imports.map((each) => each.path))).toEqual(
    new Set(['@temporalio/workflow', '@temporalio/common']),
  );
  expect(output?.bytes).toBeLessThan(32 * 1024);
});
