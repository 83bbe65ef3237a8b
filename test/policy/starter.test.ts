import { beforeAll, describe, expect, test } from 'vitest';
import { ACTION_TYPES, type ActionType, type DecisionEffect, type Facts } from '../../src/action/decision.js';
import { evaluate, type Policy } from '../../src/policy/index.js';
import { loadStarterPolicy, policyFromText } from '../../src/testing/index.js';
import { factsOf } from './facts.js';

let policy: Policy;
beforeAll(async () => {
  policy = await loadStarterPolicy();
});

const MAY: Readonly<Record<string, readonly ActionType[]>> = {
  read_only_user: ['READ'],
  read_write_user: ['READ', 'WRITE'],
  admin_user: ['READ', 'WRITE', 'DELETE'],
  dba: [],
  nobody: [],
};
const PROTECTED = ['users', 'audit_logs', 'system_config'];

/** The rules of the starter bundle as its documentation states them, written a second time. */
function expected(
  role: string,
  action: ActionType,
  environment: string,
  rows: number,
  schemaChange: boolean,
  table: string,
): DecisionEffect {
  if (!MAY[role]?.includes(action)) return 'deny';
  if (action === 'DELETE' && PROTECTED.includes(table)) return 'deny';
  if (schemaChange && role !== 'admin_user') return 'deny';
  const change = action === 'WRITE' || action === 'DELETE';
  return environment === 'production' && change && (rows > 100 || schemaChange) ? 'require_approval' : 'allow';
}

describe('the whole matrix', () => {
  for (const role of Object.keys(MAY)) {
    for (const action of ACTION_TYPES) {
      for (const environment of ['production', 'staging', 'test', 'development']) {
        test(`${role}, ${action} in ${environment}`, () => {
          for (const rows of [0, 1, 100, 101, 1_000_000]) {
            for (const schemaChange of [false, true]) {
              for (const table of [...PROTECTED, 'orders']) {
                const decision = evaluate(
                  policy,
                  factsOf({
                    agent: { roles: [role] },
                    tool: { environment },
                    actionType: action,
                    preview: { rows, schemaChange, targets: [table] },
                  }),
                );
                expect(
                  { effect: decision.effect, errors: decision.errors },
                  `${rows} rows of ${table}, schemaChange ${schemaChange}: ${decision.reason}`,
                ).toEqual({ effect: expected(role, action, environment, rows, schemaChange, table), errors: [] });
              }
            }
          }
        });
      }
    }
  }
});

describe('what led to it', () => {
  const decide = (actionType: ActionType, from: Facts['from'], more: object = {}) =>
    evaluate(
      policy,
      factsOf({ agent: { roles: ['admin_user'] }, tool: { environment: 'test' }, actionType, from, ...more }),
    );
  const mail = [{ source: 'email', trust: 'untrusted' }] as const;

  test.each(['test', 'production'])(
    'asks a dba for each change that an untrusted source led to, in %s',
    (environment) => {
      const tool = { environment };
      for (const actionType of ['WRITE', 'DELETE'] as const) {
        expect(decide(actionType, mail, { tool })).toMatchObject({
          effect: 'require_approval',
          policies: ['untrusted-source-leads-to-a-change'],
          requirements: [{ roles: ['dba'], quorum: 1 }],
        });
        expect(decide(actionType, [{ source: 'prompt', trust: 'trusted' }], { tool }).effect).toBe('allow');
      }
      expect(decide('READ', mail, { tool }).effect).toBe('allow');
    },
  );

  test('never makes possible what is forbidden without it', () => {
    const preview = { targets: ['users'] };
    for (const from of [undefined, mail, [{ source: 'prompt', trust: 'trusted' }] as const])
      expect(decide('DELETE', from, { preview }).effect).toBe('deny');
    expect(decide('CALL_API', [{ source: 'prompt', trust: 'trusted' }]).effect).toBe('deny');
  });

  test('is unknown to a schema that does not declare it, and nothing breaks', () => {
    const { 'schema.cedarschema': schema = '' } = policy.bundle.files;
    const older = policyFromText({
      'schema.cedarschema': schema.replaceAll(/^ *(untrustedSources|sources): .*\n/gm, ''),
      'a.cedar': '@id("all") permit (principal, action, resource);',
    });
    expect(evaluate(older, factsOf({ actionType: 'WRITE', from: mail })).effect).toBe('allow');
  });
});

describe('protected tables', () => {
  const deleting = (targets: readonly string[], rest: { environment?: string; rows?: number } = {}) =>
    evaluate(
      policy,
      factsOf({
        agent: { roles: ['admin_user', 'dba'] },
        tool: { environment: rest.environment ?? 'production' },
        actionType: 'DELETE',
        preview: { rows: rest.rows ?? 1, targets },
      }),
    );

  test('the refusal names the protected table and the constraint that bound', () => {
    const decision = deleting(['audit_logs']);
    expect(decision).toMatchObject({
      effect: 'deny',
      code: 'POLICY_DENIED',
      policies: ['protected-tables'],
      requirements: [],
      constraints: [{ name: 'protected_tables', value: true, policy: 'protected-tables' }],
    });
    expect(decision.reason).toMatch(/protected table \(audit_logs\)/);
    expect(decision.violations).toEqual([
      { policy: 'protected-tables', reason: expect.stringMatching(/^DELETE on a protected table/) },
    ]);
  });

  test.each([
    ['case', ['Users']],
    ['upper case', ['AUDIT_LOGS']],
    ['one protected table among many', ['orders', 'system_config', 'sessions']],
    ['the schema written out', ['PUBLIC.users']],
  ])('are not reached by %s', (_, targets) => {
    expect(deleting(targets).effect).toBe('deny');
  });

  test('a large delete from one of them is denied without asking people, who could not lift it', () => {
    const decision = deleting(['users'], { rows: 5000 });
    expect(decision).toMatchObject({
      effect: 'deny',
      policies: ['production-large-change', 'protected-tables'],
      requirements: [],
    });
    expect(decision.reason).not.toContain('approval');
  });

  test('may be inserted into and read', () => {
    const agent = { roles: ['read_write_user'] };
    expect(evaluate(policy, factsOf({ agent, preview: { targets: ['users'] } })).effect).toBe('allow');
    const reading = factsOf({ agent, actionType: 'READ', preview: { targets: [], reads: ['users'] } });
    expect(evaluate(policy, reading).effect).toBe('allow');
  });
});

describe('production', () => {
  test('a large change requires one approval of any dba within a day', () => {
    const decision = evaluate(
      policy,
      factsOf({ agent: { roles: ['read_write_user'] }, tool: { environment: 'production' }, preview: { rows: 101 } }),
    );
    const reason = "a change of 101 rows in production, over 100, needs a dba's approval";
    expect(decision).toEqual({
      effect: 'require_approval',
      reason: `production-large-change: ${reason}`,
      policies: ['production-large-change'],
      constraints: [],
      violations: [{ policy: 'production-large-change', reason }],
      requirements: [{ policy: 'production-large-change', reason, roles: ['dba'], quorum: 1, ttlSeconds: 86_400 }],
      errors: [],
      policyDigest: policy.digest,
    });
  });

  test('a large schema change requires approval for both reasons', () => {
    const decision = evaluate(
      policy,
      factsOf({
        agent: { roles: ['admin_user'] },
        tool: { environment: 'production' },
        preview: { rows: 101, schemaChange: true },
      }),
    );
    expect(decision.requirements.map((requirement) => requirement.policy)).toEqual([
      'production-large-change',
      'production-schema-change',
    ]);
  });

  test.each(['Production', 'PRODUCTION', 'prod', 'prd', ' production', 'tset', ''])(
    'is what an environment called %j is taken for',
    (environment) => {
      const facts = factsOf({ agent: { roles: ['admin_user'] }, tool: { environment }, preview: { rows: 101 } });
      expect(evaluate(policy, facts).effect).toBe('require_approval');
    },
  );

  test('a role that may do nothing is refused at once, and no dba is asked', () => {
    const decision = evaluate(
      policy,
      factsOf({ agent: { roles: ['dba'] }, tool: { environment: 'production' }, preview: { rows: 101 } }),
    );
    expect(decision).toMatchObject({ effect: 'deny', code: 'POLICY_DENIED', requirements: [] });
    expect(decision.reason).toBe('no policy allows WRITE on shop-db for roles dba');
  });
});

test('an agent without roles is refused everything, with a reason that says so', () => {
  for (const actionType of ACTION_TYPES) {
    expect(evaluate(policy, factsOf({ actionType }))).toMatchObject({
      effect: 'deny',
      reason: `no policy allows ${actionType} on shop-db for an agent without roles`,
    });
  }
});
