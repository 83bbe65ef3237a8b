/** What is wrong in a bundle, to the letter: each problem with its place, and all of them in the order of the files; and what rules are read as. */
import { describe, expect, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import { bundleContents, BUNDLE_FILE_NAMES, bundleFromFiles, MAX_FILE_BYTES } from '../../src/policy/bundle.js';
import { loadBundle, starterFolder } from '../../src/policy/index.js';
import { problemsOf } from '../../src/policy/problems.js';
import { readRules } from '../../src/policy/rules.js';
import { starterFiles } from '../../src/policy/starter-files.js';
import { PERMIT_ALL } from './facts.js';
import { STARTER_SCHEMA } from './input-example.js';

const NONE = { limits: [], history: [] };
const ANY = '(principal, action, resource)';
const DEPTH_FIX = 'Split the policy into several, or compare with a set: ["a", "b"].contains(…).';
const at = (line: number, column: number, file = 'a.cedar') => ({ file, line, column });

function refusal(run: () => unknown): CountersignError {
  try {
    run();
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}
const problemsIn = (files: Readonly<Record<string, string>>, ids: Parameters<typeof readRules>[2] = NONE) =>
  problemsOf(refusal(() => readRules(files, STARTER_SCHEMA, ids)));
const problemsOfFiles = (files: Readonly<Record<string, unknown>>) =>
  problemsOf(refusal(() => bundleFromFiles(files as Readonly<Record<string, string>>)));

describe('a bundle', () => {
  const good = { 'schema.cedarschema': STARTER_SCHEMA, 'a.cedar': PERMIT_ALL };
  const fix = expect.stringMatching(/\w/) as string;

  test.each<[string, Record<string, unknown>, object]>([
    ['without policies', { 'schema.cedarschema': STARTER_SCHEMA }, { at: 'the folder', message: 'it has no policies' }],
    ['without a schema', { 'a.cedar': PERMIT_ALL }, { at: 'schema.cedarschema', message: 'it is missing' }],
    [
      'with a file of another kind',
      { ...good, 'b.txt': '' },
      { at: 'b.txt', message: 'it is no file of a policy bundle', expected: BUNDLE_FILE_NAMES },
    ],
    [
      'with what is no text',
      { ...good, 'b.cedar': 7 },
      { at: 'b.cedar', message: 'it is not text', expected: 'UTF-8 text without NUL' },
    ],
    [
      'with a NUL',
      { ...good, 'b.cedar': '// \u0000' },
      { at: 'b.cedar', message: 'it is not text', expected: 'UTF-8 text without NUL' },
    ],
    [
      'with a file that is too large in bytes',
      { ...good, 'b.cedar': `//${'é'.repeat(MAX_FILE_BYTES / 2)}` },
      { at: 'b.cedar', message: 'it is over 1 MiB', expected: 'at most 1 MiB a file' },
    ],
  ])('%s is refused for that alone', (_, files, problem) => {
    expect(problemsOfFiles(files)).toEqual([{ ...problem, fix }]);
  });

  test('may have files of a mebibyte', () => {
    const whole = `//${'x'.repeat(MAX_FILE_BYTES - 2)}`;
    expect(Object.keys(bundleFromFiles({ ...good, 'b.cedar': whole }).files)).toEqual([
      'a.cedar',
      'b.cedar',
      'schema.cedarschema',
    ]);
  });

  test('is refused for all that is wrong with its files, in the order of their names', () => {
    const files = { 'z.txt': '', 'limits.yaml': 'limits: 5\n', 'b.txt': '', 'history.yaml': 'history: 5\n' };
    expect(problemsOfFiles(files).map(({ at: where }) => (typeof where === 'string' ? where : where.file))).toEqual([
      'b.txt',
      'z.txt',
      'the folder',
      'schema.cedarschema',
      'limits.yaml',
      'history.yaml',
    ]);
  });

  test('has its limits and its facts of history under the ids that rules know them by', () => {
    const files = {
      ...good,
      'b.cedar': `@id("l") forbid ${ANY} when { context.limits has "few" && context.limits["few"].left < 1 };
@id("h") forbid ${ANY} when { context.history.tested.done < 1 };`,
      'limits.yaml': 'limits:\n  few: {kind: count, scope: agent, max: 5, window: 1d}\n',
      'history.yaml': 'history:\n  tested: {of: {tool: ci}, scope: tenant, within: 4h}\n',
    };
    const { limits, history, historyUses, rules } = bundleContents(bundleFromFiles(files));
    expect([limits.limits.map(({ id }) => id), history.facts.map(({ id }) => id)]).toEqual([['few'], ['tested']]);
    expect(rules.map(({ id }) => id)).toEqual(['permit-all', 'l', 'h']);
    expect([...historyUses]).toEqual([['h', [{ fact: 'tested', count: 'done', bound: 1, appliesWith: 'less' }]]]);
    const without = bundleContents(bundleFromFiles(good));
    expect([without.limits.limits, without.history.facts, [...without.historyUses]]).toEqual([[], [], []]);
    expect(problemsOfFiles({ ...files, 'limits.yaml': 'limits: {}\n' })[0]).toMatchObject({
      at: { file: 'b.cedar', line: 1 },
    });
  });

  test('has its schema read once for all policies that come with it, unless it has problems or the limits are others', () => {
    const read = (ids = NONE, schema = STARTER_SCHEMA) => readRules({ 'a.cedar': PERMIT_ALL }, schema, ids);
    const { inputs } = read();
    expect(readRules({ 'b.cedar': `${PERMIT_ALL}// other` }, STARTER_SCHEMA, NONE).inputs).toBe(inputs);
    const limited = readRules({ 'a.cedar': PERMIT_ALL }, STARTER_SCHEMA, { limits: ['few'], history: [] });
    expect(limited.inputs).not.toBe(inputs);
    expect([limited.schema.includes('few'), read().schema.includes('few')]).toEqual([true, false]);
    const broken = (): readonly unknown[] => problemsOf(refusal(() => read(NONE, `${STARTER_SCHEMA} nothing`)));
    expect(broken()).not.toEqual([]);
    expect(broken()).toEqual(broken());
  });

  test('of another process is read from its files, unless they have another digest than it says', () => {
    const { files, digest } = bundleFromFiles(good);
    expect(bundleContents({ files, digest }).rules.map(({ id }) => id)).toEqual(['permit-all']);
    const other = bundleFromFiles({ ...good, 'a.cedar': `${PERMIT_ALL}// other` }).digest;
    expect(refusal(() => bundleContents({ files, digest: other }))).toMatchObject({
      code: 'POLICY_INVALID',
      message: `The bundle's files have the digest ${digest}, not ${other}.`,
      field: 'bundle.digest',
      expected: digest,
    });
  });
});

describe('rules', () => {
  test('are read in the order of files and places, with what they say', () => {
    const { rules, schema } = readRules(
      {
        'b.cedar': `@id("b") permit ${ANY};`,
        'a.cedar': `// é\n@id("ask") @reason("{rows}") @approval("dba") @constraint("x=1") forbid (principal, action == Countersign::Action::"READ", resource) when { context.rows > 1 };\n@id("c") permit ${ANY};`,
      },
      STARTER_SCHEMA,
      NONE,
    );
    expect(schema).toContain('type Limits = {');
    expect(rules.map(({ id, effect, place, offset }) => [id, effect, place, offset])).toEqual([
      ['b', 'permit', at(1, 1, 'b.cedar'), 0],
      ['ask', 'forbid', at(2, 1), 6],
      ['c', 'permit', at(3, 1), 166],
    ]);
    expect(rules[1]).toMatchObject({
      reason: '{rows}',
      approvals: [{ roles: ['dba'], quorum: 1 }],
      constraints: [{ name: 'x', value: 1 }],
      actions: new Set(['READ']),
      json: { effect: 'forbid', conditions: [{ kind: 'when' }] },
    });
    expect(rules[0]).not.toHaveProperty('approvals');
    expect([...(rules[0]?.actions ?? [])].sort()).toEqual(['CALL_API', 'DELETE', 'READ', 'WRITE']);
  });

  test.each<[string, string, readonly object[]]>([
    [
      'that there are none of',
      '// none',
      [{ at: 'the folder', message: 'its files hold no policy', fix: 'Write at least one permit.' }],
    ],
    [
      'of one id',
      `@id("a") permit ${ANY};\n @id("a") permit ${ANY};`,
      [{ at: at(2, 2), message: '@id("a") is also at a.cedar:1:1', fix: 'Give each policy an id of its own.' }],
    ],
    [
      'with constraints of one name and several kinds, in permits',
      `@id("a") @constraint("x=1") permit ${ANY};\n@id("b") @constraint("x=y") permit ${ANY};\n@id("c") @constraint("x") permit ${ANY};`,
      [
        {
          at: at(2, 1),
          message: 'the constraint x is a string here and a number at a.cedar:1:1',
          fix: 'Give the constraint the same kind of value in every permit.',
        },
        {
          at: at(3, 1),
          message: 'the constraint x is a boolean here and a number at a.cedar:1:1',
          fix: 'Give the constraint the same kind of value in every permit.',
        },
      ],
    ],
    [
      'that nest too deeply to be evaluated',
      `@id("a") permit ${ANY} when { ${Array(60).fill('context.schemaChange').join(' && ')} };`,
      [{ at: at(1, 1), message: 'its condition nests deeper than 50 levels', fix: DEPTH_FIX }],
    ],
    [
      'that do not parse',
      'permit (principal',
      [
        {
          at: at(1, 18),
          message: expect.stringContaining('unexpected') as string,
          expected: expect.anything() as string,
          fix: expect.anything() as string,
        },
      ],
    ],
    [
      'with an id that is none, before what the schema lacks',
      `@id("a") permit ${ANY} when { context.row > 1 };\n@id("é") permit ${ANY};`,
      [
        expect.objectContaining({
          at: at(2, 1),
          message: expect.stringContaining('not a usable id') as string,
        }) as object,
      ],
    ],
  ])('%s are refused', (_, text, expected) => {
    expect(problemsIn({ 'a.cedar': text })).toEqual(expected);
  });

  test('with texts of one constraint in a forbid, and numbers in permits, are none of several kinds', () => {
    const text = `@id("a") @constraint("x=1") permit ${ANY};@id("b") @reason("r") @approval("dba") @constraint("x=y") forbid ${ANY};@id("c") @constraint("x=2") permit ${ANY};`;
    expect(readRules({ 'a.cedar': text }, STARTER_SCHEMA, NONE).rules).toHaveLength(3);
  });

  test('without an id are told of as that, and not as of one id', () => {
    const found = problemsIn({ 'a.cedar': `permit ${ANY};\npermit ${ANY};` });
    expect(found.map(({ at: where, message }) => [where, message.includes('no @id')])).toEqual([
      [at(1, 1), true],
      [at(2, 1), true],
    ]);
  });

  test('that Cedar refuses or warns of are told of at their places, in each file', () => {
    const found = problemsIn({
      'a.cedar': `// é\n@id("a") permit ${ANY} when { context.rows > 1 };`,
      'b.cedar': `\n  @id("b") permit ${ANY} when { context.row > 1 };\n@id("c") permit ${ANY}\nwhen { context.targets.contains("uѕers") };`,
    });
    expect(
      new Set(found.map(({ at: where }) => (typeof where === 'string' ? where : `${where.file}:${where.line}`))),
    ).toEqual(new Set(['b.cedar:2', 'b.cedar:4']));
    const [first] = found;
    expect(first).toMatchObject({ at: at(2, 56, 'b.cedar'), message: expect.stringContaining('`row`') as string });
  });

  test('of a schema that hides a name of Cedar are refused', () => {
    const hiding = STARTER_SCHEMA.replace('entity Role;', 'entity Role; entity String;');
    const found = problemsOf(refusal(() => readRules({ 'a.cedar': PERMIT_ALL }, hiding, NONE)));
    expect(found).toMatchObject([
      { at: { file: 'schema.cedarschema' }, message: expect.stringContaining('`String` shadows') as string },
    ]);
  });

  test('that read history otherwise than by comparing its counts are refused, where it is declared', () => {
    const text = `@id("a") permit ${ANY} when { context.history.tested.done > context.history.tested.possible };`;
    expect(problemsIn({ 'a.cedar': text }, { limits: [], history: ['tested'] })).toMatchObject([
      { at: at(1, 1), message: 'a compares a count of context.history with something else than a number' },
    ]);
    expect(problemsIn({ 'a.cedar': text })[0]?.message).toContain('tested');
    // Of a policy without history, a rule may use the whole context.
    const whole = `@id("a") permit ${ANY} when { [context].contains(context) };`;
    expect(problemsIn({ 'a.cedar': whole }, { limits: [], history: ['tested'] })[0]?.message).toContain('as a whole');
    expect(readRules({ 'a.cedar': whole }, STARTER_SCHEMA, NONE).rules).toHaveLength(1);
  });
});

describe('the starter bundle', () => {
  test('is beside the sources, with its tests', async () => {
    const files = await starterFiles();
    expect(files).toEqual((await loadBundle(starterFolder())).files);
    expect(Object.keys(files)).toContain('schema.cedarschema');
    expect(files['schema.cedarschema']).toBe(STARTER_SCHEMA);
  });
});

describe('rules without end', () => {
  test('that nest too deeply for Cedar are refused, with what it failed of', () => {
    const text = `@id("a") permit ${ANY} when { ${'if context.schemaChange then true else '.repeat(1000)}false };`;
    const error = refusal(() => readRules({ 'a.cedar': text }, STARTER_SCHEMA, NONE));
    expect(problemsOf(error)).toEqual([
      {
        at: 'a.cedar',
        message: expect.stringMatching(/^Cedar failed on it \(.+\): it nests too deeply$/) as string,
        fix: DEPTH_FIX,
      },
    ]);
    expect(error.cause).toBeInstanceOf(Error);
  });
});
