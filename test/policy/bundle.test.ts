import { getValidRequestEnvsPolicy } from '@cedar-policy/cedar-wasm/nodejs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ACTION_TYPES } from '../../src/action/decision.js';
import { CountersignError } from '../../src/action/errors.js';
import { digest } from '../../src/action/json.js';
import { bundleFromFiles, compilePolicy, evaluate, loadBundle, starterFolder } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';

const starter = await loadBundle(starterFolder());
const schema = starter.files['schema.cedarschema'] ?? '';

function refusal(run: () => unknown): CountersignError {
  try {
    run();
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

const one = (text: string, files: Readonly<Record<string, string>> = {}) =>
  refusal(() => bundleFromFiles({ 'schema.cedarschema': schema, 'a.cedar': text, ...files }));

describe('a policy is refused, with its file, line and column, when', () => {
  const anywhere = 'permit (principal, action, resource)';
  test.each<[string, string, string, RegExp]>([
    [
      'it does not parse',
      '// é\n@id("a") permit (principal, action, resource) when { context.rows > };',
      'a.cedar:2:69',
      /unexpected token/,
    ],
    [
      'it names what the schema lacks',
      `@id("ok") ${anywhere};\n\n  @id("a") ${anywhere}\n  when { context.row > 1 };`,
      'a.cedar:4:10',
      /`row` in context/,
    ],
    ['it compares what cannot be equal', `@id("a") ${anywhere} when { context.rows == "1" };`, 'a.cedar:1:', /./],
    ['it can never apply', `// é ü\n@id("a") ${anywhere} when { false };`, 'a.cedar:2:1', /impossible/],
    [
      'it names an action that does not exist',
      '@id("a") permit (principal, action == Countersign::Action::"PURGE", resource);',
      'a.cedar:1:',
      /PURGE/,
    ],
    [
      'a name only looks like another',
      `@id("a") ${anywhere} when { context.targets.contains("uѕers") };`,
      'a.cedar:1:',
      /mixed scripts/,
    ],
    [
      'a name hides its direction',
      `@id("a") ${anywhere} when { context.targets.contains("u\u202esers") };`,
      'a.cedar:1:',
      /BIDI/,
    ],
    [
      'it is a template',
      `@id("ok") ${anywhere};\n@id("a") permit (principal == ?principal, action, resource);`,
      'a.cedar:2:1',
      /template/,
    ],
    ['it has no @id', `// first\n${anywhere};`, 'a.cedar:2:1', /no @id/],
    ['its @id is not plain', `@id("Protected Tables") ${anywhere};`, 'a.cedar:1:1', /not a usable id/],
    ['its @id is empty', `@id ${anywhere};`, 'a.cedar:1:1', /not a usable id/],
    ['its @id is taken', `@id("a") ${anywhere};\n@id("a") ${anywhere};`, 'a.cedar:2:1', /also at a\.cedar:1:1/],
    [
      'an annotation is misspelt',
      `@id("a") @aproval("dba") @reason("r") forbid (principal, action, resource);`,
      'a.cedar:1:1',
      /@aproval/,
    ],
    [
      'a permit asks for approval',
      `@id("a") @approval("dba") @reason("r") ${anywhere};`,
      'a.cedar:1:1',
      /permit cannot ask/,
    ],
    [
      'people would be asked without a reason',
      '@id("a") @approval("dba") forbid (principal, action, resource);',
      'a.cedar:1:1',
      /without a @reason/,
    ],
    [
      'its reason has an unknown placeholder',
      `@id("a") @reason("{row} rows") ${anywhere};`,
      'a.cedar:1:1',
      /\{row\} is not one of/,
    ],
    [
      'its reason reaches for an inherited name',
      `@id("a") @reason("{constructor}") ${anywhere};`,
      'a.cedar:1:1',
      /\{constructor\}/,
    ],
    ['its reason is empty', `@id("a") @reason(" ") ${anywhere};`, 'a.cedar:1:1', /empty/],
  ])('%s', (_, text, at, message) => {
    const error = one(text);
    expect(error.code).toBe('POLICY_INVALID');
    expect(error.field).toContain(at);
    expect(error.message).toContain(at);
    expect(error.message).toMatch(message);
    expect(error.fix).toMatch(/\w/);
  });

  test('several are wrong: all are named, and the fields are those of the first', () => {
    const error = one(
      '@id("a") @reasn("x") permit (principal, action, resource);\npermit (principal, action, resource);',
    );
    expect(error.field).toBe('a.cedar:1:1');
    expect(error.message).toMatch(/a\.cedar:1:1: .*@reasn.*; a\.cedar:2:1: .*no @id/);
  });

  test('places are right in a later file and after many policies, comments and multi-byte letters', () => {
    const many = Array.from(
      { length: 25 },
      (_, i) => `// ünï ${i} permit (principal, action, resource);\n@id("p${i}") permit (principal, action, resource);`,
    );
    const error = one(PERMIT_ALL, {
      'b.cedar': `${many.join('\n')}\n\n   @id("é") permit (principal, action, resource);`,
    });
    expect(error.field).toBe('b.cedar:52:4');
  });
});

test('a constraint that is a number in one permit and a text in another cannot be merged, and is refused', () => {
  const error = one(
    '@id("a") @constraint("maxRows=5") permit (principal, action, resource);\n@id("b") @constraint("maxRows=few") permit (principal, action, resource);',
  );
  expect(error.message).toMatch(/a\.cedar:2:1: the constraint maxRows is a string here and a number at a\.cedar:1:1/);
});

describe('a schema is refused when', () => {
  test.each([
    ['it does not parse', 'namespace Countersign { entity Role }', 'schema.cedarschema:1:37'],
    ['an action type is missing', schema.replace('DELETE, CALL_API', 'DELETE'), 'CALL_API'],
    ['a fact is missing', schema.replace(/^\s*rows: Long.*$/m, ''), 'schema.cedarschema'],
    ['a fact has another type', schema.replace('rows: Long', 'rows: String'), 'schema.cedarschema'],
    [
      'it demands what nobody gives',
      schema.replace('tenant: String,', 'tenant: String, department: String,'),
      'department',
    ],
    ['the owner cannot be given', schema.replace(/^\s*owner\?.*$/m, ''), 'owner'],
  ])('%s', (_, text, named) => {
    const error = refusal(() => compilePolicy(bundleFromFiles({ 'schema.cedarschema': text, 'a.cedar': PERMIT_ALL })));
    expect(error.code).toBe('POLICY_INVALID');
    expect(error.message).toContain(named);
  });

  test('but action groups and optional attributes of its own are accepted', () => {
    const own = schema
      .replace('action READ,', 'action Change; action Everything;\n  action READ,')
      .replace('CALL_API appliesTo', 'CALL_API in [Change, Everything] appliesTo')
      .replace('rows: Long', 'amount?: Long, rows: Long');
    const policy = policyFromText({
      'schema.cedarschema': own,
      'a.cedar':
        '@id("a") permit (principal, action in Countersign::Action::"Change", resource) unless { context has amount };',
    });
    expect(evaluate(policy, factsOf()).effect).toBe('allow');
  });
});

describe('slices', () => {
  const grouped = schema.replace(
    /action READ, WRITE, DELETE, CALL_API appliesTo (\{[^}]*\};)/,
    `action All;
     action Change in [All];
     action Seldom;
     action READ in [All] appliesTo $1
     action WRITE in [Change] appliesTo $1
     action DELETE in [Change, Seldom] appliesTo $1
     action CALL_API appliesTo $1`,
  );

  test.each([
    'action',
    ...['READ', 'WRITE', 'DELETE', 'CALL_API', 'All', 'Change', 'Seldom'].map(
      (name) => `action in Countersign::Action::"${name}"`,
    ),
    ...ACTION_TYPES.map((name) => `action == Countersign::Action::"${name}"`),
    'action in [Countersign::Action::"Seldom", Countersign::Action::"READ"]',
    'action in [Countersign::Action::"Change", Countersign::Action::"All"]',
  ])('contain every policy that Cedar could apply: %s', (scope) => {
    const text = `@id("a") permit (principal, ${scope}, resource);`;
    const policy = policyFromText({ 'schema.cedarschema': grouped, 'a.cedar': text });
    const envs = getValidRequestEnvsPolicy(text, `${grouped}\ntype Limits = {};\ntype History = {};`);
    if (envs.type === 'failure') throw new Error(envs.error);
    const expected = envs.actions.map((action) => action.replace(/^Countersign::Action::"(.*)"$/, '$1')).sort();
    expect(
      ACTION_TYPES.filter((type) => policy.slice(policy.request(factsOf({ actionType: type }))).length === 1).sort(),
    ).toEqual(expected);
    for (const actionType of ACTION_TYPES) {
      expect(evaluate(policy, factsOf({ actionType })).effect).toBe(expected.includes(actionType) ? 'allow' : 'deny');
    }
  });
});

test('a forbid on a group of actions outside of the namespace is evaluated: Cedar would apply it', () => {
  const outside = `action Root;\n${schema.replace('CALL_API appliesTo', 'CALL_API in [Action::"Root"] appliesTo')}`;
  const policy = policyFromText({
    'schema.cedarschema': outside,
    'a.cedar': `${PERMIT_ALL}@id("never") forbid (principal, action in Action::"Root", resource);`,
  });
  expect(evaluate(policy, factsOf())).toMatchObject({ effect: 'deny', policies: ['never'] });
});

describe('the digest', () => {
  const files = { ...starter.files, 'limits.yaml': 'limits: {}\n', 'tests/t.yaml': 'b: 2\n' };

  test('is over the canonical files: neither their order nor CRLF changes it', () => {
    const entries = Object.entries(files);
    fc.assert(
      fc.property(fc.shuffledSubarray(entries, { minLength: entries.length }), fc.boolean(), (shuffled, crlf) => {
        const given = shuffled.map(([name, text]) => [name, crlf ? text.replaceAll('\n', '\r\n') : text]);
        expect(bundleFromFiles(Object.fromEntries(given)).digest).toBe(digest(files));
      }),
      { numRuns: 10 },
    );
  });

  test.each(Object.keys(files))('changes with a comment in %s', (name) => {
    const comment = name.endsWith('.yaml') ? '# more\n' : '// more\n';
    const changed = { ...files, [name]: `${files[name as keyof typeof files] ?? ''}${comment}` };
    expect(bundleFromFiles(changed).digest).not.toBe(digest(files));
  });

  test('that does not belong to the files is refused', () => {
    const forged = { files: { ...starter.files, 'a.cedar': PERMIT_ALL }, digest: starter.digest };
    expect(refusal(() => compilePolicy(forged))).toMatchObject({ code: 'POLICY_INVALID', field: 'bundle.digest' });
  });

  test('stays the same when the ledger stores and returns the files', () => {
    const stored = JSON.parse(JSON.stringify(starter.files)) as Record<string, string>;
    const policy = compilePolicy(bundleFromFiles(stored));
    expect(policy.digest).toBe(starter.digest);
    expect(evaluate(policy, factsOf({ agent: { roles: ['admin_user'] } })).effect).toBe('allow');
  });

  test('that comes back, after another, names the policy that was compiled', () => {
    const first = compilePolicy(bundleFromFiles(files));
    const other = compilePolicy(bundleFromFiles({ ...files, 'a.cedar': PERMIT_ALL }));
    expect(compilePolicy(bundleFromFiles({ ...files }))).toBe(first);
    expect(other).not.toBe(first);
  });
});

describe('a bundle from files is refused for', () => {
  test.each<[string, Record<string, unknown>, string]>([
    ['no files', {}, 'the folder'],
    ['no policies', { 'schema.cedarschema': schema }, 'the folder'],
    [
      'policies that are all comments',
      { 'schema.cedarschema': schema, 'a.cedar': '// permit (principal, action, resource);' },
      'the folder',
    ],
    ['no schema', { 'a.cedar': PERMIT_ALL }, 'schema.cedarschema'],
    ['a path out of it', { ...starter.files, '../b.cedar': PERMIT_ALL }, '../b.cedar'],
    ['a file it does not know', { ...starter.files, 'limit.yaml': '' }, 'limit.yaml'],
    ['a policy that would be overlooked', { ...starter.files, 'B.CEDAR': PERMIT_ALL }, 'B.CEDAR'],
    ['a policy in a folder', { ...starter.files, 'more/b.cedar': PERMIT_ALL }, 'more/b.cedar'],
    ['a file over 1 MiB', { ...starter.files, 'b.cedar': `//${'x'.repeat(1024 * 1024)}` }, 'b.cedar'],
    ['a lone surrogate', { ...starter.files, 'b.cedar': '// \ud800' }, 'b.cedar'],
    ['what is not text', { ...starter.files, 'b.cedar': 7 }, 'b.cedar'],
  ])('%s', (_, files, field) => {
    expect(refusal(() => bundleFromFiles(files as Record<string, string>))).toMatchObject({
      code: 'POLICY_INVALID',
      field,
    });
  });
});
