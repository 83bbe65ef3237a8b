/** The text of policies and of schemas, as it is read: each policy with its place, what Cedar says is wrong with its place, and what actions match. */
import { describe, expect, test } from 'vitest';
import { ACTION_TYPES } from '../../src/action/decision.js';
import { locationAt, locationText, newCedar } from '../../src/policy/cedar.js';
import { withDeclaredTypes } from '../../src/policy/declared-types.js';
import { locate, locateIn, pushAll } from '../../src/policy/located-problems.js';
import { deeperThan, splitFile } from '../../src/policy/policy-source.js';
import type { BundleProblem } from '../../src/policy/problems.js';
import { matchedActions, readActions } from '../../src/policy/schema-actions.js';
import { STARTER_SCHEMA } from './input-example.js';

const cedar = newCedar();
const policy = (id: string) => `@id("${id}") permit (principal, action, resource);`;

function split(text: string) {
  const problems: BundleProblem[] = [];
  const sources = splitFile(cedar, 'a.cedar', text, problems);
  return { sources, problems };
}
const spots = (text: string) => split(text).sources.map(({ place, offset }) => `${locationText(place)} ${offset}`);

describe('a file of policies', () => {
  test('is split into them, each with its place in lines and characters, and in bytes', () => {
    const text = `// é\n${policy('a')}\n\n  ${policy('é')} // 👋\n\t${policy('c')}`;
    const { sources, problems } = split(text);
    expect(problems).toEqual([]);
    expect(sources.map((one) => one.text)).toEqual([policy('a'), policy('é'), policy('c')]);
    for (const { text: own, offset } of sources)
      expect(Buffer.from(text).subarray(offset).toString('utf8').startsWith(own)).toBe(true);
    expect(sources.map(({ place }) => locationText(place))).toEqual(['a.cedar:2:1', 'a.cedar:4:3', 'a.cedar:5:2']);
    expect(spots(`${policy('a')}${policy('b')} ${policy('c')}`)).toEqual([
      'a.cedar:1:1 0',
      'a.cedar:1:47 46',
      'a.cedar:1:94 93',
    ]);
    expect(spots(`/**/`.replace('/**/', '// ü ') + `\n${policy('a')}`)).toEqual(['a.cedar:2:1 7']);
  });

  test('keeps its order with more than ten of them', () => {
    const ids = Array.from({ length: 23 }, (_, i) => `p${i}`);
    expect(split(ids.map(policy).join('\n')).sources.map(({ text }) => text)).toEqual(ids.map(policy));
  });

  test('counts characters, not code units, in a line of several policies', () => {
    expect(spots(`${policy('👋')} ${policy('b')}`)).toEqual(['a.cedar:1:1 0', 'a.cedar:1:48 50']);
    expect(spots(`forbid (principal, action, resource) when {\n  context.rows > 1\n}; ${policy('b')}`)).toEqual([
      'a.cedar:1:1 0',
      'a.cedar:3:4 66',
    ]);
  });

  const nested = (brackets: number, before = '') =>
    `@id("deep") permit (principal, action, resource) when { ${before}${'('.repeat(brackets)}true${')'.repeat(brackets)} };`;

  test('may nest fifty brackets, and not one more', () => {
    // The brace around the condition is one of them.
    expect(split(nested(49)).problems).toEqual([]);
    expect(split(`// Above it.\n${nested(50)}`)).toEqual({
      sources: [],
      problems: [
        {
          at: { file: 'a.cedar', line: 1, column: 1 },
          message: 'a policy in it nests deeper than 50 brackets',
          fix: 'Leave out the brackets that change nothing, or split the policy into several.',
        },
      ],
    });
  });

  test('nests by the brackets that are open, whatever texts and comments hold and whatever was closed before', () => {
    const many = (bracket: string, condition: string) => nested(45, `${condition} // ${bracket.repeat(50)}\n && `);
    expect(split(many('(', `"${'(['.repeat(50)}" == "a"`)).problems).toEqual([]);
    expect(split(many('{', Array.from({ length: 60 }, () => '([true] == [true])').join(' && '))).problems).toEqual([]);
    expect(
      split(nested(50, `"a" == "a" && "${')'.repeat(20)}" == "b" && [true] == [true] // ${')'.repeat(20)}\n && `))
        .problems,
    ).toMatchObject([{ message: 'a policy in it nests deeper than 50 brackets' }]);
  });

  test('that has none has none', () => {
    expect(split('// nothing\n')).toEqual({ sources: [], problems: [] });
  });

  test('with a template is refused at its place', () => {
    const { sources, problems } = split(`${policy('é')}\n  permit (principal == ?principal, action, resource);`);
    expect(sources).toEqual([]);
    expect(problems).toEqual([
      {
        at: { file: 'a.cedar', line: 2, column: 3 },
        message: 'templates (?principal, ?resource) are not supported: nothing would link them',
        fix: 'Write the policy with a role or an entity in place of the slot.',
      },
    ]);
  });

  test('that does not parse is refused at each place that Cedar names', () => {
    const { sources, problems } = split(`${policy('a')}\npermit (principal, action resource);`);
    expect(sources).toEqual([]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({
      at: { file: 'a.cedar', line: 2, column: 27 },
      fix: expect.stringMatching(/\w/) as string,
    });
  });
});

describe('conditions nest', () => {
  const conditions = (condition: string) => {
    const parsed = cedar.policyToJson(`permit (principal, action, resource) when { ${condition} };`);
    if (parsed.type === 'failure') throw new Error(JSON.stringify(parsed.errors));
    return parsed.json.conditions;
  };
  /** The least limit that the condition is not deeper than. */
  const depth = (condition: string): number => {
    const found = conditions(condition);
    let limit = 0;
    while (deeperThan(found, limit)) limit++;
    return limit;
  };

  test('once for each operator, whatever it is', () => {
    const plain = depth('true');
    expect(depth('context.schemaChange && true') - plain).toBe(depth('context.schemaChange') - plain + 1);
    expect(depth('!true') - plain).toBe(1);
    expect(depth('!!!true') - plain).toBe(3);
    expect(depth('true && true && true') - plain).toBe(2);
    expect(depth('if true then true else true') - plain).toBe(1);
    expect(depth('if (if true then true else true) then true else true') - plain).toBe(2);
    expect(depth('if true then (if true then true else true) else true') - plain).toBe(2);
    expect(depth('if true then true else (if true then true else true)') - plain).toBe(2);
    expect(depth('[[[1]]] == [1]')).toBeGreaterThan(depth('[1] == [1]'));
    expect(depth('{a: {b: {c: 1}}} == {a: 1}')).toBeGreaterThan(depth('{a: 1} == {a: 1}'));
  });

  test('not at all in what is no object', () => {
    expect([deeperThan('text', 0), deeperThan(null, 0), deeperThan(undefined, 0), deeperThan([], 0)]).toEqual([
      false,
      false,
      false,
      false,
    ]);
    expect(deeperThan([[1]], 0)).toBe(true);
    expect(deeperThan([[1]], 1)).toBe(false);
  });
});

describe('what Cedar says is wrong', () => {
  const error = (more: object = {}) =>
    ({ message: 'm', severity: 'error', sourceLocations: [], related: [], ...more }) as unknown as Parameters<
      typeof locate
    >[0];
  const at = (start: number, label?: string) => ({
    sourceLocations: [{ start, end: start, ...(label === undefined ? {} : { label }) }],
  });

  test('has its place in the file, or the file where Cedar gives none', () => {
    expect(locate(error(at(4)), 'f', 'é\nab')).toEqual({
      at: { file: 'f', line: 2, column: 2 },
      message: 'm',
      fix: 'Correct the line named.',
    });
    expect(locate(error(), 'f', 'ab')).toEqual({ at: 'f', message: 'm', fix: 'Correct the line named.' });
    expect(locate(error({ sourceLocations: undefined }), 'f', 'ab').at).toBe('f');
  });

  test('has what was expected, and how to correct it, where Cedar says so', () => {
    expect(locate(error({ ...at(0, 'a text'), help: 'Write one.' }), 'f', 'ab')).toMatchObject({
      expected: 'a text',
      fix: 'Write one.',
    });
    expect(locate(error(at(0)), 'f', 'ab')).not.toHaveProperty('expected');
  });

  test('of one policy is counted from where it begins in its file', () => {
    const place = { file: 'f', line: 2, column: 1 };
    const text = 'first\nsecond';
    expect(locateIn({ place, offset: 6 }, error(at(3)), text).at).toEqual({ file: 'f', line: 2, column: 4 });
    expect(locateIn({ place, offset: 6 }, error(), text)).toEqual({
      at: place,
      message: 'm',
      fix: 'Correct the line named.',
    });
    expect(locateIn({ place, offset: 6 }, error({ sourceLocations: null }), text).at).toBe(place);
  });

  test('is told in its order', () => {
    const problems: BundleProblem[] = [];
    pushAll(problems, [error({ message: 'a' }), error({ message: 'b' })], (one) => locate(one, 'f', ''));
    expect(problems.map(({ message }) => message)).toEqual(['a', 'b']);
  });

  test('is at a line and a column', () => {
    expect(locationText(locationAt('f', 'a\nbc', 3))).toBe('f:2:2');
  });
});

describe('the actions of a schema', () => {
  const TYPES = '\ntype Limits = {};\ntype History = {};';
  const grouped = STARTER_SCHEMA.replace(
    /action READ, WRITE, DELETE, CALL_API appliesTo (\{[^}]*\};)/,
    `action All; action Change in [All]; action Seldom in [Other::Action::"Rare"];
     action READ in [All] appliesTo $1
     action WRITE in [Change] appliesTo $1
     action DELETE in [Change, Seldom] appliesTo $1
     action CALL_API appliesTo $1`,
  );
  const read = (schema: string) => {
    const problems: BundleProblem[] = [];
    return { ...readActions(cedar, `${schema}${TYPES}`, problems, 'schema.cedarschema'), problems };
  };
  const matched = (scope: string, schema = `${grouped}\nnamespace Other { action Rare; }`) => {
    const parsed = cedar.policyToJson(`permit (principal, ${scope}, resource);`);
    if (parsed.type === 'failure') throw new Error(JSON.stringify(parsed.errors));
    const { actions, problems } = read(schema);
    expect(problems).toEqual([]);
    return [...matchedActions(parsed.json.action, actions)].sort();
  };
  const own = (name: string) => `Countersign::Action::"${name}"`;

  test.each([
    ['action', ['CALL_API', 'DELETE', 'READ', 'WRITE']],
    [`action == ${own('READ')}`, ['READ']],
    [`action in ${own('READ')}`, ['READ']],
    [`action in ${own('Change')}`, ['DELETE', 'WRITE']],
    [`action in ${own('All')}`, ['DELETE', 'READ', 'WRITE']],
    [`action in ${own('Seldom')}`, ['DELETE']],
    ['action in Other::Action::"Rare"', ['DELETE']],
    [`action in [${own('Seldom')}, ${own('CALL_API')}]`, ['CALL_API', 'DELETE']],
    [`action == ${own('Nothing')}`, []],
    ['action == Action::"READ"', []],
  ])('%s can match %j', (scope, expected) => {
    expect(matched(scope)).toEqual(expected);
  });

  test('of a group outside of the namespace match too', () => {
    const outside = `action Root;\n${STARTER_SCHEMA.replace('CALL_API appliesTo', 'CALL_API in [Action::"Root"] appliesTo')}`;
    expect(matched('action in Action::"Root"', outside)).toEqual(['CALL_API', 'DELETE', 'READ', 'WRITE']);
  });

  test('of a group outside of the namespace match also what that group is in', () => {
    const outside = `action Top; action Root in [Action::"Top"];\n${STARTER_SCHEMA.replace('CALL_API appliesTo', 'CALL_API in [Action::"Root"] appliesTo')}`;
    expect(matched('action in Action::"Top"', outside)).toEqual(['CALL_API', 'DELETE', 'READ', 'WRITE']);
  });

  test('are found by themselves, by their groups, and by nothing else', () => {
    const { actions } = read(`${grouped}\nnamespace Other { action Rare; }`);
    const types = (name: string, type = 'Countersign::Action') => [
      ...(actions.get(JSON.stringify([type, name])) ?? []),
    ];
    expect(types('READ')).toEqual(['READ']);
    expect(types('Change')).toEqual(['WRITE', 'DELETE']);
    expect(types('Rare', 'Other::Action')).toEqual(['DELETE']);
    // A plain name may be one outside of the namespace as well.
    expect([...actions.keys()].sort()).toEqual(
      [
        ...['READ', 'WRITE', 'DELETE', 'CALL_API', 'All', 'Change', 'Seldom'].map((id) => ['Countersign::Action', id]),
        ...['All', 'Change', 'Seldom'].map((id) => ['Action', id]),
        ['Other::Action', 'Rare'],
      ]
        .map((names) => JSON.stringify(names))
        .sort(),
    );
  });

  test('of a group that is reached in two ways match once', () => {
    const twice = STARTER_SCHEMA.replace(
      /action READ, WRITE, DELETE, CALL_API appliesTo (\{[^}]*\};)/,
      `action Top; action Left in [Top]; action Right in [Top];
       action READ in [Left, Right] appliesTo $1
       action WRITE, DELETE, CALL_API appliesTo $1`,
    );
    expect(matched(`action in ${own('Top')}`, twice)).toEqual(['READ']);
  });

  test('have what their contexts declare of what may be left out', () => {
    const { optional } = read(STARTER_SCHEMA);
    expect([...(optional.get('edited') ?? [])].sort()).toEqual([...ACTION_TYPES].sort());
    const without = read(STARTER_SCHEMA.replace(/^ *edited: .*$/m, ''));
    expect(without.optional.get('edited')?.size).toBe(0);
    expect(without.optional.get('sources')?.size).toBe(4);
  });

  test('of a schema that does not parse are none, and the places are told', () => {
    const { actions, optional, problems } = read('namespace Countersign { entity Role }');
    expect([actions.size, optional.size]).toEqual([0, 0]);
    expect(problems[0]).toMatchObject({ at: { file: 'schema.cedarschema', line: 1, column: 37 } });
  });

  test('of a schema with a name that hides one of Cedar are told, with the place of that name', () => {
    const before = `${STARTER_SCHEMA}\nnamespace Other { entity `;
    const { problems, actions } = read(`${before}decimal; }`);
    expect(problems).toEqual([
      {
        at: locationAt('schema.cedarschema', before, Buffer.byteLength(before)),
        message:
          "The name `decimal` shadows a builtin Cedar name. You'll have to refer to the builtin as `__cedar::decimal`.",
        fix: 'Correct the line named.',
      },
    ]);
    expect(actions.size).toBeGreaterThan(0);
  });

  test('of a schema with what Cedar warns of are refused as well', () => {
    const { problems } = read(`${STARTER_SCHEMA}\ntype String = { a: Long };`);
    expect(problems.length).toBeGreaterThan(0);
  });
});

describe('the types that are made from other files', () => {
  const add = (schema: string, limits: string[] = [], history: string[] = []) =>
    withDeclaredTypes(cedar, schema, { limits, history });
  const fits = (schema: string) => cedar.schemaToJson(schema).type === 'success';

  test('are added where a schema uses them and does not declare them, and nothing else is changed', () => {
    const whole = add(STARTER_SCHEMA, ['few'], ['tested']);
    expect(whole.startsWith(`${STARTER_SCHEMA}\n`)).toBe(true);
    expect(whole).toContain('"few"?: {');
    expect(whole).toContain('"tested": {');
    expect(fits(whole)).toBe(true);
    const neither = STARTER_SCHEMA.replaceAll(/.*(Limits|History).*\n/g, '');
    expect(add(neither, ['few'], ['tested'])).toBe(neither);
    const own = `${STARTER_SCHEMA}\ntype Limits = { mine?: Long };\ntype History = {};`;
    expect(add(own, ['few'])).toBe(own);
  });

  test('are added one by one, where a schema declares the other itself', () => {
    const ownLimits = `${STARTER_SCHEMA}\ntype Limits = { mine?: Long };`;
    const added = add(ownLimits, ['few'], ['tested']);
    expect(fits(added)).toBe(true);
    expect(added).toContain('"tested": {');
    expect(added).not.toContain('"few"');
    const ownHistory = `${STARTER_SCHEMA}\ntype History = { mine?: Long };`;
    expect(add(ownHistory, ['few'], ['tested'])).toContain('"few"?: {');
    expect(add(ownHistory, ['few'], ['tested'])).not.toContain('"tested"');
    const historyOnly = STARTER_SCHEMA.replaceAll(/.*Limits.*\n/g, '');
    expect(add(historyOnly, ['few'], ['tested'])).toBe(
      `${historyOnly}\ntype History = {\n  "tested": { done: Long, possible: Long },\n};\n`,
    );
    const limitsOnly = STARTER_SCHEMA.replaceAll(/.*History.*\n/g, '');
    expect(add(limitsOnly, [], ['tested'])).toBe(`${limitsOnly}\ntype Limits = {\n};\n`);
    expect(add(limitsOnly, ['few'], ['tested'])).not.toContain('"tested"');
  });

  test('are all that is added to a schema that is wrong in something else', () => {
    const broken = (unused: RegExp) => STARTER_SCHEMA.replace('rows: Long', 'rows: Lung').replaceAll(unused, '');
    const [history, limits] = [broken(/.*Limits.*\n/g), broken(/.*History.*\n/g)];
    expect(add(history, ['few'], [])).toBe(`${history}\ntype History = {\n};\n`);
    expect(add(limits, [], ['tested'])).toBe(`${limits}\ntype Limits = {\n};\n`);
  });

  test('do not hide what is wrong with the rest of the schema', () => {
    const broken = STARTER_SCHEMA.replace('rows: Long', 'rows: Lung');
    const neither = broken.replaceAll(/.*(Limits|History).*\n/g, '');
    expect(add(neither, ['few'], ['tested'])).toBe(neither);
    expect(add(broken, ['few']).startsWith(broken)).toBe(true);
    expect(fits(add(broken))).toBe(false);
  });
});
