/** What differs between two policies, in words: everything that changes a decision or what people read, and nothing of how it is laid out. */
import { describe, expect, test } from 'vitest';
import { diffPolicies } from '../../src/policy/diff.js';
import type { Policy } from '../../src/policy/index.js';
import { scopeText } from '../../src/policy/scope-text.js';
import { policyFromText } from '../../src/testing/index.js';
import { PERMIT_ALL } from './facts.js';
import { STARTER_SCHEMA } from './input-example.js';

const from = (files: Readonly<Record<string, string>>): Policy =>
  policyFromText({ 'permit.cedar': PERMIT_ALL, ...files });
const differences = (one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>) =>
  diffPolicies(from(one), from(other)).differences;
/** The sentences on the rules of two texts. */
const onRules = (one: string, other: string) => {
  const found = differences({ 'a.cedar': one }, { 'a.cedar': other });
  expect(found.every(({ part }) => part === 'rule')).toBe(true);
  return found.map(({ what, name, sentences }) => ({ what, name, sentences }));
};
const forbid = (rest: string, annotations = '') => `@id("a") ${annotations} forbid (${rest};`;
const changed = (one: string, other: string) => {
  const [found, ...others] = onRules(one, other);
  expect(others).toEqual([]);
  expect(found).toMatchObject({ what: 'changed', name: 'a' });
  return found?.sentences;
};

describe('a rule', () => {
  test('that is laid out otherwise, with other comments, differs in nothing; the digests do', () => {
    const one = from({
      'a.cedar': forbid('principal, action, resource) when { context.rows > 1 && context.schemaChange }'),
    });
    const other = from({
      'b.cedar': `// other\n@id("a")\nforbid (\n principal,\n action,\n resource\n)\nwhen { // why\n context.rows > 1 &&\n  context.schemaChange\n};`,
    });
    expect(diffPolicies(one, other)).toEqual({ from: one.digest, to: other.digest, differences: [] });
    expect(one.digest).not.toBe(other.digest);
  });

  test('that was added or removed is told whole', () => {
    const rule = `@id("ask") @reason("r") @constraint("label, kind=big") @approval("dba|lead, quorum=2, ttl=4h; security, passkey") forbid (principal, action, resource) when { context.rows > 9 };`;
    const sentences = [
      'forbids any action by any agent on any tool, when { context.rows > 9 }; lifted by 2 of dba or lead within 4h and security within 1d, with a passkey; constraints label=true, kind=big',
    ];
    expect(differences({}, { 'a.cedar': rule })).toEqual([{ part: 'rule', what: 'added', name: 'ask', sentences }]);
    expect(differences({ 'a.cedar': rule }, {})).toEqual([{ part: 'rule', what: 'removed', name: 'ask', sentences }]);
    const permit = '@id("b") permit (principal, action, resource);';
    expect(differences({}, { 'a.cedar': permit })).toMatchObject([
      { what: 'added', sentences: ['permits any action by any agent on any tool'] },
    ]);
  });

  test('comes in the order of names, whatever the order of the files', () => {
    const rules = (...ids: string[]) =>
      ids.map((id) => `@id("${id}") permit (principal, action, resource);`).join('\n');
    expect(onRules(rules('z', 'c'), rules('m', 'b')).map(({ name, what }) => `${name} ${what}`)).toEqual([
      'b added',
      'c removed',
      'm added',
      'z removed',
    ]);
  });

  test('that forbids what it permitted says so', () => {
    expect(changed('@id("a") permit (principal, action, resource);', forbid('principal, action, resource)'))).toEqual([
      'was a permit, is a forbid',
    ]);
  });

  test.each([
    ['principal, action, resource)', 'any action by any agent on any tool'],
    ['principal == Countersign::Agent::"bot", action, resource)', 'any action by agent bot on any tool'],
    ['principal in Countersign::Role::"dba", action, resource)', 'any action by members of role dba on any tool'],
    ['principal is Countersign::Agent, action, resource)', 'any action by any Agent on any tool'],
    [
      'principal is Countersign::Agent in Countersign::Role::"dba", action, resource)',
      'any action by any Agent in role dba on any tool',
    ],
    ['principal, action == Countersign::Action::"READ", resource)', 'READ by any agent on any tool'],
    [
      'principal, action in [Countersign::Action::"READ", Countersign::Action::"WRITE"], resource)',
      'READ or WRITE by any agent on any tool',
    ],
    ['principal, action, resource == Countersign::Tool::"shop-db")', 'any action by any agent on tool shop-db'],
    [
      'principal, action, resource in Countersign::Tool::"shop-db")',
      'any action by any agent on members of tool shop-db',
    ],
    ['principal, action, resource is Countersign::Tool)', 'any action by any agent on any Tool'],
  ])('about (%s is told as: %s', (scope, text) => {
    const other = 'principal == Countersign::Agent::"nobody", action, resource)';
    expect(changed(forbid(other), forbid(scope))).toEqual([
      `its scope was any action by agent nobody on any tool, is ${text}`,
    ]);
  });

  test('whose condition is another is told with both, as they are written', () => {
    const on = (condition: string) => forbid(`principal, action, resource) ${condition}`);
    expect(changed(on(''), on('when { context.rows > 1 } unless { context.schemaChange }'))).toEqual([
      'its condition was nothing, is when { context.rows > 1 } unless { context.schemaChange }',
    ]);
    // A text may look like a comment, a condition, or the end of a text.
    const texts = on(
      `unless {\n  context.operation == "a//b) when { \\" ;" // not this ) when\n} ;`.replace(/ ;$/, ''),
    );
    expect(changed(on('when { context.rows > 1 }'), texts)).toEqual([
      'its condition was when { context.rows > 1 }, is unless { context.operation == "a//b) when { \\" ;" }',
    ]);
    expect(changed(on('when { context.rows > 1 }'), on('unless { context.rows > 1 }'))).toHaveLength(1);
  });

  test('whose condition follows its scope at once, or after lines, is told alike; comments are not, whatever they quote', () => {
    const on = (between: string, condition: string) => forbid(`principal, action, resource)${between}${condition}`);
    const told = ['its condition was nothing, is when { context.rows > 1 }'];
    for (const between of ['', ' ', '\n\n  ', ' // or "so"\n'])
      expect(changed(on('', ''), on(between, 'when { context.rows > 1 }'))).toEqual(told);
    expect(changed(on('', ''), on(' ', 'when { // as in "this"\n context.rows > 1 }'))).toEqual(told);
  });

  test('whose texts before its condition look like one is not cut there', () => {
    const named = (condition: string) =>
      `@id("a") @reason("(so) when it is x // y") forbid (principal, action, resource) ${condition};`;
    expect(changed(named('when { context.rows > 1 }'), named(''))).toEqual([
      'its condition was when { context.rows > 1 }, is nothing',
    ]);
  });

  test('that other people can lift, or nobody any more, says who', () => {
    const by = (approval: string) =>
      forbid('principal, action, resource)', `@reason("r") ${approval === '' ? '' : `@approval("${approval}")`}`);
    expect(changed(by('dba'), by('dba, passkey'))).toEqual([
      'who can lift it was dba within 1d, is dba within 1d, with a passkey',
    ]);
    expect(changed(by('dba, quorum=2'), by(''))).toEqual(['who can lift it was 2 of dba within 1d, is nobody can']);
    expect(changed(by(''), by('a|b; c'))).toEqual([
      'who can lift it was nobody can, is a or b within 1d and c within 1d',
    ]);
  });

  test('with another reason or other constraints says which they were', () => {
    const marked = (annotations: string) => forbid('principal, action, resource)', annotations);
    expect(changed(marked(''), marked('@reason("too \\"much\\"")'))).toEqual([
      'its reason was "", is "too \\"much\\""',
    ]);
    expect(changed(marked('@reason("r")'), marked(''))).toEqual(['its reason was "r", is ""']);
    expect(changed(marked('@constraint("a=1, b")'), marked(''))).toEqual([
      'its constraints were a=1, b=true, are nothing',
    ]);
    expect(changed(marked(''), marked('@constraint("a=1")'))).toEqual(['its constraints were nothing, are a=1']);
  });

  test('that changed in several ways says all of them, in the order of its parts', () => {
    expect(
      changed(
        '@id("a") permit (principal, action, resource);',
        '@id("a") @reason("r") @approval("dba") @constraint("x") forbid (principal, action == Countersign::Action::"READ", resource) when { context.schemaChange };',
      ),
    ).toEqual([
      'was a permit, is a forbid',
      'its scope was any action by any agent on any tool, is READ by any agent on any tool',
      'its condition was nothing, is when { context.schemaChange }',
      'who can lift it was nobody can, is dba within 1d',
      'its constraints were nothing, are x=true',
      'its reason was "", is "r"',
    ]);
  });
});

test.each<[Parameters<typeof scopeText>[0], string]>([
  [{}, 'any action by any agent on any tool'],
  [{ principal: { op: '==', entity: { type: 'Acme::Shop::Bot', id: 'b' } } }, 'any action by bot b on any tool'],
  [{ principal: { op: 'in', entity: { type: 'Team', id: 't' } } }, 'any action by members of team t on any tool'],
  [{ resource: { op: 'is', entity_type: 'Acme::Shop::Store' } }, 'any action by any agent on any Store'],
  [
    { resource: { op: '==', entity: { __entity: { type: 'Countersign::Tool', id: 'x' } } } },
    'any action by any agent on tool x',
  ],
  [{ principal: { op: '==', slot: '?principal' } }, 'any action by any agent on any tool'],
  [{ action: { op: 'in', entities: [] } }, 'any action by any agent on any tool'],
])('the scope %j is told as: %s', (scope, text) => {
  expect(scopeText(scope)).toBe(text);
});

describe('a limit', () => {
  const limits = (text: string) => ({ 'limits.yaml': `limits:\n${text}` });
  const FEW = '  few: {kind: count, scope: agent, max: 5, window: 1d}\n';

  test('that was added or removed is told in a sentence, with when it applies', () => {
    const sentence = '5 actions in 1d for each agent; at the limit: deny';
    expect(differences({}, limits(FEW))).toEqual([
      { part: 'limit', what: 'added', name: 'few', sentences: [sentence] },
    ]);
    const some = '  some: {kind: count, scope: agent, max: 5, window: 1d, when: actionType == "WRITE"}\n';
    expect(differences(limits(FEW + some), limits(FEW))).toEqual([
      { part: 'limit', what: 'removed', name: 'some', sentences: [`${sentence}, when actionType == "WRITE"`] },
    ]);
  });

  test('that changed says each field that did, in the order of their names', () => {
    const other = '  few: {max: 3, kind: count, scope: agent, window: 1d, atLimit: queue for 5m}\n';
    expect(differences(limits(FEW), limits(other))).toEqual([
      {
        part: 'limit',
        what: 'changed',
        name: 'few',
        sentences: ['its atLimit was absent, is "queue for 5m"', 'its max was 5, is 3'],
      },
    ]);
    expect(
      differences(limits(FEW), limits('  few:\n    window: 1d\n    max: 5\n    scope: agent\n    kind: count\n')),
    ).toEqual([]);
  });
});

describe('a fact of history', () => {
  const history = (text: string) => ({ 'history.yaml': `history:\n${text}` });
  const TESTED = '  tested: {of: {tool: ci}, scope: tenant, same: input.commit, within: 4h}\n';

  test('that was added, removed or changed is told', () => {
    const [added] = differences({}, history(TESTED));
    expect(added).toMatchObject({ part: 'history', what: 'added', name: 'tested' });
    expect(added?.sentences).toEqual([expect.stringContaining('tool ci')]);
    expect(differences(history(TESTED), {})).toEqual([{ ...added, what: 'removed' }]);
    expect(differences(history(TESTED), history(TESTED.replace('4h', '5h')))).toEqual([
      { part: 'history', what: 'changed', name: 'tested', sentences: ['its within was "4h", is "5h"'] },
    ]);
  });
});

describe('what the schema declares', () => {
  const schema = (change: (text: string) => string) => ({ 'schema.cedarschema': change(STARTER_SCHEMA) });
  const against = (change: (text: string) => string) => differences({}, schema(change));

  test('is told by attribute: those of records within, sets, optional ones', () => {
    const own = (text: string) =>
      text.replace(
        'type Facts = {',
        'type Facts = {\n amount?: Long, tags?: Set<String>, place?: { city: String, owner?: Agent },',
      );
    const added = against(own);
    expect(added).toEqual([
      { part: 'schema', what: 'added', name: 'Countersign::Facts.amount', sentences: ['Long, optional'] },
      { part: 'schema', what: 'added', name: 'Countersign::Facts.place', sentences: ['a record, optional'] },
      { part: 'schema', what: 'added', name: 'Countersign::Facts.place.city', sentences: ['String'] },
      { part: 'schema', what: 'added', name: 'Countersign::Facts.place.owner', sentences: ['Agent, optional'] },
      { part: 'schema', what: 'added', name: 'Countersign::Facts.tags', sentences: ['a set of String, optional'] },
    ]);
    expect(differences(schema(own), {})).toEqual(added.map((one) => ({ ...one, what: 'removed' })));
    expect(
      differences(
        schema(own),
        schema((text) => own(text).replace('amount?: Long', 'amount?: Set<Long>')),
      ),
    ).toEqual([
      {
        part: 'schema',
        what: 'changed',
        name: 'Countersign::Facts.amount',
        sentences: ['was Long, optional, is a set of Long, optional'],
      },
    ]);
  });

  test('is told by entity, and by action', () => {
    expect(
      against((text) => text.replace('entity Role;', 'entity Team;\n entity Role in [Team] { size?: Long };')),
    ).toEqual([
      {
        part: 'schema',
        what: 'changed',
        name: 'Countersign::Role',
        sentences: ['was an entity, is an entity in Team'],
      },
      { part: 'schema', what: 'added', name: 'Countersign::Role.size', sentences: ['Long, optional'] },
      { part: 'schema', what: 'added', name: 'Countersign::Team', sentences: ['an entity'] },
    ]);
    const groups = against((text) =>
      text
        .replace('action READ,', 'action Change;\n action READ,')
        .replace('CALL_API appliesTo', 'CALL_API in [Change] appliesTo'),
    );
    expect(groups.map(({ what, name }) => `${name} ${what}`)).toContain('Countersign::Action::Change added');
    expect(groups.find(({ name }) => name === 'Countersign::Action::CALL_API')?.sentences[0]).toMatch(
      /^was an action for .*, is an action for .*Change/,
    );
  });

  test('outside of a namespace is told by its plain name', () => {
    expect(against((text) => `entity Place;\n${text}`)).toEqual([
      { part: 'schema', what: 'added', name: 'Place', sentences: ['an entity'] },
    ]);
  });

  test('of limits and history is not told twice: they are told by themselves', () => {
    const limits = 'limits:\n  few: {kind: count, scope: agent, max: 5, window: 1d}\n';
    expect(differences({}, { 'limits.yaml': limits }).map(({ part }) => part)).toEqual(['limit']);
  });
});
