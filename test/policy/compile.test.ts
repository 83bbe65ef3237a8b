/** Compiled policies: what the context of a decision has, what rules read of history, and what happens where Cedar gives no decision. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Facts } from '../../src/action/decision.js';
import type { JsonObject } from '../../src/action/json.js';
import { bundleFromFiles, compilePolicy, evaluate, type Policy } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';
import { policyOn, STARTER_SCHEMA } from './input-example.js';

const HISTORY =
  '  tested: { of: { tool: ci }, scope: tenant, within: 4h }\n  refunded: { of: { tool: pay }, scope: tenant, within: 4h }\n';
const reads = (id: string, scope: string, condition: string) =>
  `@id("${id}") forbid (principal${scope}, action, resource) when { ${condition} };\n`;
const RULES =
  reads('a', '', 'context.history.tested.done < 1 && context.rows > 1000') +
  reads(
    'b',
    ' in Countersign::Role::"intern"',
    'context.history.tested.done < 1 && context.history.refunded.possible > 2 && context.rows > 1000',
  ) +
  '@id("plain") forbid (principal, action, resource == Countersign::Tool::"nothing");';

describe('what rules read of history', () => {
  let policy: Policy;
  beforeAll(() => {
    policy = policyFromText({ 'all.cedar': PERMIT_ALL, 'rules.cedar': RULES, 'history.yaml': `history:\n${HISTORY}` });
  });
  const ids = (uses: ReturnType<Policy['historyUses']>) =>
    uses.map(({ fact, count, bound }) => `${fact} ${count} ${bound}`);

  test('are the comparisons of the rules that can apply to the action, for the agent and each above it, once', () => {
    const intern = { ...factsOf().agent, id: 'root', roles: ['intern'] };
    const facts = { ...factsOf(), ...policy.nothingBefore() };
    expect(ids(policy.historyUses(facts))).toEqual(['tested done 1']);
    const below = { ...facts, agent: { ...facts.agent, via: ['root'] }, above: [intern] };
    expect(ids(policy.historyUses(below))).toEqual(['tested done 1', 'tested done 1', 'refunded possible 2']);
    expect(ids(policy.historyUses({ ...facts, agent: intern, above: [intern] }))).toHaveLength(3);
  });

  test('are all comparisons, each once', () => {
    expect(ids(policy.historyBounds as never)).toEqual(['tested done 1', 'refunded possible 2']);
    expect(ids(policy.historyUsesOf('b'))).toEqual(['tested done 1', 'refunded possible 2']);
    expect(policy.historyUsesOf('plain')).toEqual([]);
    expect(policy.historyUsesOf('none')).toEqual([]);
  });

  test('are nothing where no fact is declared or none is read, without a look at the facts', () => {
    const none = policyFromText({ 'all.cedar': PERMIT_ALL });
    expect(none.historyUses(undefined as unknown as Facts)).toEqual([]);
    expect(none.nothingBefore()).toEqual({});
    expect(Object.keys(policy.nothingBefore())).toEqual(['history']);
    expect(policy.nothingBefore().history?.map(({ fact, done }) => [fact, done])).toEqual([
      ['tested', 0],
      ['refunded', 0],
    ]);
  });
});

describe('the context of a decision', () => {
  const context = (facts: Partial<Facts>, schema = STARTER_SCHEMA) =>
    policyFromText({ 'schema.cedarschema': schema, 'a.cedar': PERMIT_ALL }).request({ ...factsOf(), ...facts }).context;

  test('says what the schema declares: whether it undoes another, was edited, and what led to it', () => {
    expect(context({})).toMatchObject({
      compensates: false,
      edited: false,
      sources: [],
      untrustedSources: [],
      limits: {},
      history: {},
    });
    const from = [
      { source: 'prompt', trust: 'trusted' },
      { source: 'mail', trust: 'untrusted' },
    ] as const;
    expect(context({ from, editedBy: 'ann', compensates: { actionId: 'a' } as never })).toMatchObject({
      compensates: true,
      edited: true,
      sources: ['prompt', 'mail'],
      untrustedSources: ['mail'],
    });
  });

  test('says nothing that the schema does not declare for the action', () => {
    const without = STARTER_SCHEMA.replaceAll(
      /^ *(compensates|edited|sources|untrustedSources|limits|history): .*\n/gm,
      '',
    );
    expect(Object.keys(context({}, without)).sort()).toEqual(
      ['environment', 'now', 'operation', 'reads', 'roles', 'rows', 'schemaChange', 'targets'].sort(),
    );
    const some = STARTER_SCHEMA.replaceAll(/^ *(compensates|sources|untrustedSources|limits|history): .*\n/gm, '');
    expect(context({ editedBy: 'ann' }, some)).toMatchObject({ edited: true });
    expect(context({}, some)).not.toHaveProperty('sources');
  });

  test('has of an input what the schema declares, for the actions for which it does, and nothing without one', () => {
    const policy = policyOn('amount?: Long');
    expect(policy.declaredInput('WRITE', { amount: 5, more: 1 })).toEqual({ amount: 5 });
    expect(policy.request({ ...factsOf(), input: { amount: 5 } }).context).toMatchObject({ input: { amount: 5 } });
    expect(policy.request(factsOf()).context).not.toHaveProperty('input');
    expect(() => policy.checkInput({ ...factsOf(), input: { amount: 'x' } })).toThrow(/amount/);
    expect(() => policy.checkInput({ ...factsOf(), input: { amount: 5 } })).not.toThrow();
    const none = policyFromText({ 'a.cedar': PERMIT_ALL });
    expect(none.declaredInput('WRITE', { amount: 5 })).toBeUndefined();
    expect(none.request({ ...factsOf(), input: { amount: 5 } }).context).not.toHaveProperty('input');
  });
});

describe('Cedar', () => {
  const SOFT = '@id("soft") @reason("r") @approval("dba") forbid (principal, action, resource);';

  test('is asked of all policies of a slice, of all but the soft ones, or of those that are named', () => {
    const policy = policyFromText({ 'a.cedar': PERMIT_ALL + SOFT });
    const request = policy.request(factsOf());
    const of = (response: ReturnType<Policy['ask']>) => [response.decision, response.diagnostics.reason];
    expect(of(policy.ask(request, 'all'))).toEqual(['deny', ['soft']]);
    expect(of(policy.ask(request, 'without-soft'))).toEqual(['allow', ['permit-all']]);
    expect(of(policy.askOf(request, [policy.rule('soft')]))).toEqual(['deny', ['soft']]);
    expect(of(policy.askOf(request, []))).toEqual(['deny', []]);
  });

  test('that gives no decision, because facts do not fit the schema, is an error that says what to do', () => {
    const policy = policyFromText({ 'a.cedar': PERMIT_ALL });
    const request = policy.request(factsOf());
    const wrong = { ...request, context: { ...request.context, rows: 'many' } };
    expect(() => policy.ask(wrong, 'all')).toThrow(
      expect.objectContaining({ code: 'POLICY_ERROR', fix: "Make the bundle's schema and the facts agree." }) as Error,
    );
    expect(() => policy.ask(wrong, 'all')).toThrow(/is not valid for/);
    expect(policy.ask(request, 'all').decision).toBe('allow');
  });

  test('that throws is replaced, and the next decision is right', () => {
    const policy = policyFromText({ 'a.cedar': PERMIT_ALL });
    const request = policy.request(factsOf());
    const failing = {
      toJSON: () => {
        throw new Error('It cannot be read.');
      },
    };
    expect(() => policy.ask({ ...request, entities: failing as never }, 'all')).toThrow(/unwrap_throw/);
    expect(policy.ask(request, 'all').decision).toBe('allow');
  });

  test('names only policies of the bundle', () => {
    const policy = policyFromText({ 'a.cedar': PERMIT_ALL });
    expect(policy.rule('permit-all').effect).toBe('permit');
    expect(() => policy.rule('other')).toThrow(expect.objectContaining({ code: 'INTERNAL' }) as Error);
  });
});

describe('a schema that does not describe the facts is refused when it is loaded', () => {
  const load =
    (schema: string, files = {}) =>
    () =>
      compilePolicy(bundleFromFiles({ 'schema.cedarschema': schema, 'a.cedar': PERMIT_ALL, ...files }));
  const own = (...actions: string[]) =>
    STARTER_SCHEMA.replace('action READ, WRITE, DELETE, CALL_API appliesTo', `action ${actions.join(', ')} appliesTo`);

  test.each(['READ', 'WRITE', 'DELETE', 'CALL_API'])('of %s', (type) => {
    const others = ['READ', 'WRITE', 'DELETE', 'CALL_API'].filter((one) => one !== type);
    const refused = expect.objectContaining({
      code: 'POLICY_INVALID',
      field: 'schema.cedarschema',
      message: expect.stringContaining(`it does not describe the facts of a ${type}: `) as string,
      expected: expect.stringContaining("starter bundle's schema") as string,
      fix: 'Compare the file with the one in the starter bundle.',
      cause: expect.any(Error) as Error,
    }) as Error;
    expect(load(own(...others))).toThrow(refused);
  });

  test('of an agent with an owner, of one without, and of limits and history that are declared', () => {
    expect(load(STARTER_SCHEMA.replace('owner?: String', 'owner: String'))).toThrow(/owner/);
    expect(load(STARTER_SCHEMA.replace(/^ *owner\?.*$/m, ''))).toThrow(/owner/);
    const narrow = STARTER_SCHEMA.replace('limits: Limits', 'limits: { few?: Long }');
    const limits = { 'limits.yaml': 'limits:\n  few: {kind: count, scope: agent, max: 5, window: 1d}\n' };
    expect(load(narrow, limits)).toThrow(/few/);
    expect(load(narrow)).not.toThrow();
    const history = { 'history.yaml': `history:\n${HISTORY}` };
    expect(
      load(STARTER_SCHEMA.replace('history: History', 'history: { tested: Long, refunded: Long }'), history),
    ).toThrow(/tested|history/);
  });

  test('of an input: a sample of all that it declares fits', () => {
    const policy = policyOn('amount?: Long, tags?: Set<String>, place?: { city?: String }, flag?: Bool');
    const of = (input: JsonObject) => evaluate(policy, { ...factsOf(), input });
    expect(of({ amount: 1, tags: ['x'], place: { city: 'x' }, flag: true }).effect).toBe('allow');
    expect(of({ amount: 'x' })).toMatchObject({ effect: 'deny', code: 'POLICY_ERROR' });
  });
});

test('a bundle is compiled once, and again only where it was forgotten', () => {
  const { bundle } = policyFromText({ 'a.cedar': PERMIT_ALL });
  expect(compilePolicy(bundle)).toBe(compilePolicy({ ...bundle }));
  expect(() => compilePolicy({ files: { ...bundle.files, 'b.cedar': PERMIT_ALL }, digest: bundle.digest })).toThrow(
    /permit-all|digest/,
  );
});
