import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/policy/index.js';
import { anAgent, policyFromText } from '../../src/testing/index.js';
import { factsOf, PERMIT_ALL } from './facts.js';

const bot = anAgent({ id: 'bot', roles: ['billing_agent', 'intern'] });
const delegate = factsOf({ agent: { id: 'bot/refunds', roles: ['billing_agent'], via: ['bot'] } });
const chain = { ...delegate, above: [bot] };

describe('a delegate', () => {
  test('does not escape what is forbidden to a role that it was not given', () => {
    const policy = policyFromText({
      'a.cedar': `${PERMIT_ALL}@id("no-interns") @reason("interns do not write") forbid (principal in Countersign::Role::"intern", action, resource);`,
    });
    expect(evaluate(policy, delegate).effect).toBe('allow');
    expect(evaluate(policy, chain)).toMatchObject({
      effect: 'deny',
      code: 'POLICY_DENIED',
      reason: 'for bot, who delegated: no-interns: interns do not write',
      policies: ['no-interns'],
    });
  });

  test('does not escape what is forbidden to the agent above it by name', () => {
    const policy = policyFromText({
      'a.cedar': `${PERMIT_ALL}@id("not-bot") forbid (principal == Countersign::Agent::"bot", action, resource);`,
    });
    expect(evaluate(policy, chain).effect).toBe('deny');
  });

  test('needs a permit of its own, whatever the agent above it may do', () => {
    const policy = policyFromText({
      'a.cedar': '@id("interns") permit (principal in Countersign::Role::"intern", action, resource);',
    });
    expect(evaluate(policy, { ...delegate, agent: bot }).effect).toBe('allow');
    expect(evaluate(policy, chain)).toMatchObject({
      effect: 'deny',
      reason: expect.stringContaining('no policy allows'),
    });
  });

  test('has the requirements of every agent in the chain, once each, and the strictest constraints', () => {
    const policy = policyFromText({
      'a.cedar': `@id("billing") @constraint("maxRows=100") permit (principal in Countersign::Role::"billing_agent", action, resource);
@id("interns") @constraint("maxRows=5") permit (principal in Countersign::Role::"intern", action, resource);
@id("writes") @reason("writes are looked at") @approval("lead") forbid (principal, action, resource);
@id("watched") @reason("interns are looked at") @approval("hr") forbid (principal in Countersign::Role::"intern", action, resource);`,
    });
    const decision = evaluate(policy, chain);
    expect(decision.effect).toBe('require_approval');
    expect(decision.requirements.map(({ roles }) => roles)).toEqual([['lead'], ['hr']]);
    expect(decision.policies).toEqual(['watched', 'writes']);
    expect(decision.constraints).toEqual([{ name: 'maxRows', value: 5, policy: 'interns' }]);
  });

  test('that is allowed, as all above it are, is allowed for its own reasons; what binds any of them binds it', () => {
    const policy = policyFromText({
      'a.cedar': `@id("billing") @reason("billing may") @constraint("maxRows=100") permit (principal == Countersign::Agent::"bot/refunds", action, resource);
@id("z-bot") @constraint("maxRows=50, mask=phone") permit (principal == Countersign::Agent::"bot", action, resource);
@id("a-bot") @constraint("maxRows=50, mask=email") permit (principal == Countersign::Agent::"bot", action, resource);`,
    });
    expect(evaluate(policy, chain)).toEqual({
      effect: 'allow',
      reason: 'allowed by billing: billing may',
      policies: ['billing'],
      constraints: [
        { name: 'mask', value: 'email', policy: 'a-bot' },
        { name: 'mask', value: 'phone', policy: 'z-bot' },
        { name: 'maxRows', value: 50, policy: 'a-bot' },
      ],
      violations: [],
      requirements: [],
      errors: [],
      policyDigest: policy.digest,
    });
  });

  test('asks people where only an agent above it must, and for that reason alone', () => {
    const policy = policyFromText({
      'a.cedar': `${PERMIT_ALL}@id("interns") @reason("interns are looked at") @approval("hr") forbid (principal in Countersign::Role::"intern", action, resource);`,
    });
    expect(evaluate(policy, chain)).toMatchObject({
      effect: 'require_approval',
      reason: 'for bot, who delegated: interns: interns are looked at',
      policies: ['interns'],
      violations: [{ policy: 'interns' }],
      requirements: [{ policy: 'interns', roles: ['hr'] }],
    });
    const twice = evaluate(policy, { ...delegate, above: [bot, { ...bot, id: 'other' }] });
    expect(twice.requirements).toHaveLength(1);
    expect(twice.violations).toHaveLength(1);
    expect(twice.reason).toBe(
      'for bot, who delegated: interns: interns are looked at; for other, who delegated: interns: interns are looked at',
    );
  });

  test('has the reasons of all that ask, in the order of the chain, and policies in the order of their names', () => {
    const policy = policyFromText({
      'a.cedar': `${PERMIT_ALL}@id("z") @reason("z") @approval("hr") forbid (principal == Countersign::Agent::"bot/refunds", action, resource);
@id("a") @reason("a") @approval("hr") forbid (principal == Countersign::Agent::"bot", action, resource);`,
    });
    expect(evaluate(policy, chain)).toMatchObject({
      reason: 'z: z; for bot, who delegated: a: a',
      policies: ['a', 'z'],
    });
  });
});
