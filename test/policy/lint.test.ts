/** What lint finds, each in a bundle made to have it; and that it finds nothing where nothing is wrong. */
import { describe, expect, test } from 'vitest';
import type { OperationDescription } from '../../src/action/catalogue.js';
import { FINDINGS } from '../../src/policy/authoring/lint/finding.js';
import { lint, type LintKnowledge } from '../../src/policy/authoring/lint/lint.js';
import type { RegisteredTool } from '../../src/policy/authoring/registered.js';
import { bundleFromFiles, loadBundle, starterFolder } from '../../src/policy/index.js';
import { postgres } from '../../src/tools/index.js';
import { registeredTools } from '../../src/policy/authoring/registered.js';
import { STARTER_SCHEMA } from './input-example.js';

const SCHEMA = STARTER_SCHEMA.replace(
  'type Facts = {',
  'type Input = { op?: String, body?: { amount?: Long, amuont?: Long } };\n  type Facts = {\n    input?: Input,',
);

const refund: OperationDescription = {
  operation: 'refund',
  description: 'Refunds an order.',
  actionType: 'CALL_API',
  idempotent: false,
  fixed: { op: 'refund' },
  arguments: {
    type: 'object',
    properties: {
      body: { type: 'object', properties: { amount: { type: ['integer', 'null'] } }, additionalProperties: false },
    },
    required: ['body'],
    additionalProperties: false,
  },
};

const payments: RegisteredTool = {
  name: 'payments',
  kind: 'http',
  environment: 'production',
  operations: [refund],
};

const shop: RegisteredTool = { name: 'shop-db', kind: 'postgres', environment: 'production' };
const TOOLS = [payments, shop];

async function lintText(text: string, knowledge: LintKnowledge = {}, files: Record<string, string> = {}) {
  const all = { 'schema.cedarschema': SCHEMA, 'rules.cedar': text, ...files };
  return await lint(() => Promise.resolve(bundleFromFiles(all)), knowledge);
}

async function codes(text: string, knowledge: LintKnowledge = {}, files: Record<string, string> = {}) {
  const { findings } = await lintText(text, knowledge, files);
  return findings.map(({ code, id }) => (id === undefined ? code : `${code} ${id}`));
}

const PERMIT = '@id("all") permit (principal in Countersign::Role::"admin", action, resource);\n';

describe('what a worker refuses', () => {
  test('is found whole, however much it is, each with its line and column', async () => {
    const rules = Array.from(
      { length: 7 },
      (_, i) => `@id("r${i}")\npermit (principal, action, resource) when { context.nothing };`,
    );
    const { findings } = await lintText(rules.join('\n'));
    expect(findings.map(({ code, severity, at }) => ({ code, severity, at }))).toEqual(
      rules.map((_, i) => ({
        code: 'invalid',
        severity: 'error',
        at: { file: 'rules.cedar', line: 2 * i + 2, column: 45 },
      })),
    );
  });

  test('in limits.yaml is found in it', async () => {
    const { findings } = await lintText(PERMIT, {}, { 'limits.yaml': 'limits:\n  a:\n    kind: bugdet\n' });
    expect(findings).toMatchObject([{ code: 'invalid', at: { file: 'limits.yaml', line: 3, column: 11 } }]);
  });

  test('keeps nothing else from being told as what it is: an unreadable folder is no finding', async () => {
    await expect(lint(() => Promise.reject(new Error('the disk is gone')))).rejects.toThrow('the disk is gone');
  });
});

describe('a rule that never matches', () => {
  test.each([
    ['a number over and under its bounds', 'context.rows > 10 && context.rows < 11'],
    ['a bound written the other way round', '10 < context.rows && context.rows <= 10'],
    ['two texts at once', 'context.operation == "a" && context.operation == "b"'],
    ['a number and a bound', 'context.rows == 5 && context.rows >= 6'],
  ])('%s', async (_, condition) => {
    expect(await codes(`${PERMIT}@id("never") forbid (principal, action, resource) when { ${condition} };`)).toEqual([
      'never-matches never',
    ]);
  });

  test.each(['context.rows > 10 && context.rows < 12', 'context.rows > 10 || context.rows < 5'])(
    'is not one that can: %s',
    async (condition) => {
      expect(await codes(`${PERMIT}@id("can") forbid (principal, action, resource) when { ${condition} };`)).toEqual(
        [],
      );
    },
  );

  test('an unless counts as its negation', async () => {
    const rule =
      '@id("never") forbid (principal, action, resource) when { context.rows > 10 } unless { context.rows > 5 || context.compensates };';
    expect(await codes(PERMIT + rule)).toEqual([]);
    expect(
      await codes(
        `${PERMIT}@id("x") forbid (principal, action, resource) when { context.schemaChange } unless { context.schemaChange };`,
      ),
    ).toEqual([]);
  });

  test('with the registered tools, by environment, kind and operation together', async () => {
    const rule = (condition: string) =>
      `${PERMIT}@id("rule") forbid (principal, action, resource) when { ${condition} };`;
    expect(await codes(rule('resource.kind == "http" && context.operation == "refund"'), { tools: TOOLS })).toEqual([]);
    expect(
      await codes(
        rule('resource.environment == "production" && resource.kind == "postgres" && context.operation == "x"'),
        {
          tools: [payments],
        },
      ),
    ).toContain('unknown-operation rule');
    expect(
      await codes(
        '@id("w") forbid (principal, action == Countersign::Action::"WRITE", resource == Countersign::Tool::"payments");',
        {
          tools: TOOLS,
        },
      ),
    ).toEqual(['unmatched w']);
  });
});

describe('names', () => {
  test('of tools, operations and arguments that nothing registered has, with their places', async () => {
    const { findings } = await lintText(
      `@id("a") permit (principal in Countersign::Role::"r", action, resource == Countersign::Tool::"paymnets");
@id("b")
permit (principal in Countersign::Role::"r", action, resource == Countersign::Tool::"payments")
when { context.operation == "refnud" };
@id("c")
permit (principal in Countersign::Role::"r", action, resource == Countersign::Tool::"payments")
when { context has input.body.amuont && context.input.body.amuont < 5 };
@id("d")
permit (principal in Countersign::Role::"r", action, resource)
when { resource.environment == "prod" && resource.kind == "htpp" };`,
      { tools: TOOLS },
    );
    expect(findings.map(({ code, id, at }) => [code, id, at])).toEqual([
      ['unknown-tool', 'a', { file: 'rules.cedar', line: 1, column: 94 }],
      ['unknown-operation', 'b', { file: 'rules.cedar', line: 4, column: 29 }],
      ['unknown-argument', 'c', { file: 'rules.cedar', line: 7, column: 31 }],
      ['unknown-environment', 'd', { file: 'rules.cedar', line: 10, column: 32 }],
      ['unknown-kind', 'd', { file: 'rules.cedar', line: 10, column: 59 }],
    ]);
  });

  test('of targets that nothing registered can touch, with what was probably meant', async () => {
    const orders = postgres({
      name: 'orders-db',
      environment: 'production',
      url: 'postgres://app@127.0.0.1/shop',
      tables: ['Orders', 'public.refunds', 'sales.returns'],
      sideEffectTables: ['audit'],
    });
    const tools = registeredTools([orders]);
    const rules = `@id("a") @reason("x")
forbid (principal, action, resource) when { context.targets.contains("order") };
@id("b") @reason("x")
forbid (principal, action, resource)
when { context.targets.containsAny(["orders", "refunds", "retruns"]) || context.reads.containsAll(["audit", "sales.returns"]) };
@id("c") @reason("x")
forbid (principal, action, resource == Countersign::Tool::"orders-db") when { context.reads.contains("passwords") };
`;
    const unknown = async (known: typeof tools) =>
      (await lintText(PERMIT + rules, { tools: known })).findings.filter(({ code }) => code === 'unknown-target');
    const names = 'orders, refunds, sales.returns, audit';
    const all = 'audit, orders, refunds, sales.returns';
    expect(tools[0]?.targets?.join(', ')).toBe(names);
    expect(await unknown(tools)).toMatchObject([
      {
        id: 'a',
        at: { file: 'rules.cedar', line: 3, column: 70 },
        message: 'no target is called order in orders-db',
        fix: `Did you mean orders? Correct the name; known are ${all}.`,
      },
      { id: 'b', at: { line: 6 }, message: 'no target is called retruns in orders-db' },
      { id: 'c', at: { line: 8 }, fix: `Correct the name; known are ${all}.` },
    ]);
    // A tool that covers a whole schema can touch anything: only the rule that is not about it is told.
    const whole = registeredTools([
      orders,
      postgres({ name: 'all-db', environment: 'production', url: 'postgres://app@127.0.0.1/shop' }),
    ]);
    expect((await unknown(whole)).map(({ id }) => id)).toEqual(['c']);
    await orders.close();
  });

  test('of a list of environments one known is enough, of operations each must be', async () => {
    const rule = (condition: string) =>
      `@id("r") permit (principal in Countersign::Role::"r", action, resource) when { ${condition} };`;
    expect(await codes(rule('["prod", "production"].contains(resource.environment)'), { tools: [payments] })).toEqual(
      [],
    );
    expect(await codes(rule('["refund", "refnud"].contains(context.operation)'), { tools: [payments] })).toEqual([
      'unknown-operation r',
    ]);
  });

  test('that a real tool has are known, those of raw SQL and of what undoes an action too', async () => {
    const tool = postgres({ name: 'shop-db', environment: 'test', url: 'postgres://nobody@127.0.0.1:1/none' });
    const tools = registeredTools([tool]);
    await tool.close();
    const rule = (condition: string) =>
      `@id("r") permit (principal in Countersign::Role::"r", action, resource) when { ${condition} };`;
    expect(await codes(rule('["update", "sql.delete", "restore"].contains(context.operation)'), { tools })).toEqual([]);
    expect(await codes(rule('context.operation == "updat"'), { tools })).toEqual(['unknown-operation r']);
  });
});

describe('rules that others make pointless', () => {
  const forbid = '@id("no") forbid (principal, action == Countersign::Action::"DELETE", resource)';
  const permit =
    '@id("yes") permit (principal in Countersign::Role::"r", action == Countersign::Action::"DELETE", resource)';

  test('a permit under an unconditional final forbid is shadowed, one under a soft forbid is not', async () => {
    expect(await codes(`${forbid};\n${permit};`)).toEqual(['shadowed yes']);
    expect(await codes(`@reason("ask") @approval("dba") ${forbid};\n${permit};`)).toEqual([]);
  });

  test('a soft forbid under a final one is never asked about', async () => {
    const soft =
      '@id("soft") @reason("ask") @approval("dba") forbid (principal, action == Countersign::Action::"DELETE", resource) when { context.rows > 5 };';
    expect(await codes(`${forbid};\n${soft}`)).toEqual(['shadowed soft']);
  });

  test('a forbid of fewer actions, of another tool or with another condition shadows nothing', async () => {
    const wide = permit.replace('action == Countersign::Action::"DELETE"', 'action');
    expect(await codes(`${forbid};\n${wide};`)).toEqual([]);
    expect(await codes(`${forbid.replace('resource)', 'resource == Countersign::Tool::"x")')};\n${permit};`)).toEqual(
      [],
    );
    expect(await codes(`${forbid} when { context.rows > 5 };\n${permit} when { context.rows > 6 };`)).toEqual([]);
  });

  test('a permit that a forbid with no more conditions always overrules is a contradiction', async () => {
    const [a, b] = ['context.rows > 5', 'context.schemaChange'];
    expect(await codes(`${forbid} when { ${a} };\n${permit} when { ${b} && ${a} };`)).toEqual(['contradiction yes']);
    expect(await codes(`${forbid} when { ${b} && ${a} };\n${permit} when { ${a} };`)).toEqual([]);
  });

  test('the same rule twice is a duplicate, whatever the order of its conditions', async () => {
    const again = permit.replace('yes', 'again');
    expect(
      await codes(
        `${permit} when { context.rows > 5 && context.schemaChange };\n${again} when { context.schemaChange } when { context.rows > 5 };`,
      ),
    ).toEqual(['duplicate again']);
    expect(await codes(`@constraint("maxRows=1")\n${permit};\n${again};`)).toEqual([]);
  });
});

describe('production that is open to everyone', () => {
  test.each([
    ['no principal', 'permit (principal, action, resource)', ['production-open p']],
    ['only deletes', 'permit (principal, action == Countersign::Action::"DELETE", resource)', ['production-open p']],
    [
      'a lack of a role',
      'permit (principal, action, resource) unless { principal in Countersign::Role::"r" }',
      ['production-open p'],
    ],
    ['some rows', 'permit (principal, action, resource) when { context.rows < 5 }', ['production-open-in-part p']],
    [
      'a tenant',
      'permit (principal, action, resource) when { principal.tenant == "acme" }',
      ['production-open-in-part p'],
    ],
    ['reads alone', 'permit (principal, action == Countersign::Action::"READ", resource)', []],
    ['a role', 'permit (principal in Countersign::Role::"r", action, resource)', []],
    ['a role in the context', 'permit (principal, action, resource) when { context.roles.contains("r") }', []],
    ['one agent', 'permit (principal == Countersign::Agent::"bot", action, resource)', []],
    ['other environments', 'permit (principal, action, resource) when { resource.environment == "test" }', []],
  ])('%s', async (_, rule, expected) => {
    expect(await codes(`@id("p") ${rule};`)).toEqual(expected);
  });

  test('is not open where a forbid certainly stands against it', async () => {
    const permit = '@id("p") permit (principal, action, resource);';
    const forbid = '@id("f") forbid (principal, action, resource) when { resource.environment == "production" };';
    expect(await codes(`${permit}\n${forbid}`)).toEqual([]);
    const other = [{ ...shop, environment: 'live' }];
    expect(await codes(`${permit}\n${forbid}`, { tools: other })).toContain('production-open p');
  });
});

describe('roles', () => {
  test('that nobody has: of people an error, of agents a warning', async () => {
    const text = `@id("p") permit (principal in Countersign::Role::"clerk", action, resource);
@id("f") @reason("ask") @approval("dab|lead; dba") forbid (principal, action, resource) when { context.rows > 5 };`;
    expect(await codes(text, { peoplesRoles: ['dba'], agentRoles: ['clerc'] })).toEqual([
      'unknown-role p',
      'nobody-approves f',
    ]);
    expect(await codes(text, { peoplesRoles: ['dba', 'lead'], agentRoles: ['clerk'] })).toEqual([]);
  });

  test('of a limit that people may lift', async () => {
    const limits =
      'limits:\n  a:\n    kind: count\n    scope: agent\n    max: 5\n    window: forever\n    atLimit: approve by nobody\n';
    expect(await codes(PERMIT, { peoplesRoles: ['dba'] }, { 'limits.yaml': limits })).toEqual(['nobody-approves a']);
  });

  test('are not checked, and lint says so, where they are not known', async () => {
    const { notChecked } = await lintText(PERMIT);
    expect(notChecked.join('\n')).toMatch(/names of tools[^]*roles of agents[^]*roles of people/);
  });
});

describe('the amount of a limit', () => {
  const limits = (amount: string, when = 'operation == "refund"') =>
    `limits:\n  refunds:\n    kind: budget\n    scope: agent\n    when: ${when}\n    amount: ${amount}\n    unit: EUR\n    max: 5\n    window: 1d\n`;

  test('that an input of a tool may lack, or have as null, is found at its place', async () => {
    const { findings } = await lintText(PERMIT, { tools: [payments] }, { 'limits.yaml': limits('input.body.amount') });
    expect(findings.map(({ code, at, message }) => [code, at, message.split(',')[0]])).toEqual([
      [
        'amount-missing',
        { file: 'limits.yaml', line: 6, column: 13 },
        'payments refund takes an input without body.amount',
      ],
      [
        'amount-missing',
        { file: 'limits.yaml', line: 6, column: 13 },
        'payments refund takes an input with body.amount = null',
      ],
    ]);
  });

  test('that covers them is fine, and so is a limit that does not apply', async () => {
    const covered = "'has(input.body.amount) && input.body.amount != null ? input.body.amount : 0'";
    expect(await codes(PERMIT, { tools: [payments] }, { 'limits.yaml': limits(covered) })).toEqual([]);
    expect(
      await codes(
        PERMIT,
        { tools: [payments] },
        { 'limits.yaml': limits('input.body.amount', 'operation == "other"') },
      ),
    ).toEqual([]);
  });
});

test('the starter bundle has nothing wrong, with the tool and the roles that it is for', async () => {
  const knowledge = {
    tools: [shop],
    agentRoles: ['read_only_user', 'read_write_user', 'admin_user'],
    peoplesRoles: ['dba'],
  };
  expect(await lint(() => loadBundle(starterFolder()), knowledge)).toMatchObject({ findings: [] });
});

test('every code has a severity, and the order of findings is that of the files', async () => {
  expect(new Set(Object.values(FINDINGS))).toEqual(new Set(['error', 'warning']));
  const { findings } = await lintText(
    '@id("b") permit (principal, action, resource);\n@id("a") permit (principal, action, resource);',
  );
  expect(findings.map(({ code, id }) => [code, id])).toEqual([
    ['production-open', 'b'],
    ['duplicate', 'a'],
    ['production-open', 'a'],
  ]);
});
