import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { newCedar, locationAt } from '../../src/policy/cedar.js';

const src = (path: string): string => JSON.stringify(new URL(`../../src/${path}`, import.meta.url).href);

/** Runs a module in a separate Node process and returns its output. @throws when the process dies */
async function run(program: string, ...flags: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...flags, '--import', 'tsx', '--input-type=module', '--eval', program],
    { cwd: new URL('../..', import.meta.url) },
  );
  return stdout.trim();
}

describe("V8's fault with inlined WebAssembly calls", () => {
  test('does not abort the process when code is deoptimized while Cedar runs', async () => {
    // `toJSON` runs during Cedar's call, and removes the optimized code to which that call returns.
    const program = `
      import { newCedar } from ${src('policy/cedar.ts')};
      const cedar = newCedar();
      const native = (name) => new Function('f', '%' + name + '(f)');
      const ask = (policy) => cedar.policyToJson(policy).type;
      const text = 'permit (principal, action, resource);';
      native('PrepareFunctionForOptimization')(ask);
      for (let i = 0; i < 200; i++) ask({ toJSON: () => text });
      native('OptimizeFunctionOnNextCall')(ask);
      ask({ toJSON: () => text });
      console.log(ask({ toJSON: () => { native('DeoptimizeFunction')(ask); return text; } }));`;
    expect(await run(program, '--allow-natives-syntax')).toBe('success');
  });
});

describe('instances of Cedar', () => {
  test('leave the one that everybody shares as it is', () => {
    const load = createRequire(import.meta.url);
    const shared: unknown = load('@cedar-policy/cedar-wasm/nodejs');
    const [one, other] = [newCedar(), newCedar()];
    expect(one).not.toBe(other);
    expect(one).not.toBe(shared);
    expect(load('@cedar-policy/cedar-wasm/nodejs')).toBe(shared);
    const path = load.resolve('@cedar-policy/cedar-wasm/nodejs');
    delete load.cache[path];
    newCedar();
    expect(load.cache[path]).toBeUndefined();
    expect(load('@cedar-policy/cedar-wasm/nodejs')).not.toBe(one);
  });

  test('share neither preparsed policies nor an overflowed stack', () => {
    const [broken, other] = [newCedar(), newCedar()];
    const policies = { staticPolicies: 'permit (principal, action, resource);' };
    expect(broken.preparsePolicySet('mine', policies)).toEqual({ type: 'success' });
    const deep = `permit (principal, action, resource) when { ${'('.repeat(20_000)}true${')'.repeat(20_000)} };`;
    expect(() => broken.policyToJson(deep)).toThrow(/./);
    expect(other.checkParsePolicySet(policies)).toEqual({ type: 'success' });
    const entity = { type: 'T', id: 'x' };
    const call = { principal: entity, action: entity, resource: entity, context: {}, entities: [] };
    expect(other.statefulIsAuthorized({ ...call, preparsedPolicySetId: 'mine' })).toMatchObject({ type: 'failure' });
  });

  test(
    'are garbage-collected: twelve policies in turn do not keep twelve instances',
    { timeout: 180_000 },
    async () => {
      const program = `
      import { setTimeout as turn } from 'node:timers/promises';
      import { policyFromText } from ${src('testing/index.ts')};
      const seen = [];
      for (let i = 0; i < 12; i++) {
        seen.push(new WeakRef(policyFromText({ 'a.cedar': '@id("p' + i + '") permit (principal, action, resource);' })));
        await turn(0);
        globalThis.gc();
      }
      console.log(seen.filter((policy) => policy.deref() !== undefined).length);`;
      expect(Number(await run(program, '--expose-gc'))).toBeLessThan(4);
    },
  );
});

test.each([
  [0, 1, 1],
  [2, 1, 3],
  [4, 1, 4],
  [5, 1, 5],
  [6, 2, 1],
  [7, 2, 2],
  [99, 2, 4],
])('%i bytes into a text with a letter of two bytes is line %i, column %i', (bytes, line, column) => {
  expect(locationAt('f', 'abéc\ndef', bytes)).toEqual({ file: 'f', line, column });
});
