/** The seed decides: the same one gives the same plan, the same misbehaviour and the same disturbances. */
import { expect, test } from 'vitest';
import { Chance } from '../../chaos/chance.js';
import { budgetsFor, limitsYaml } from '../../chaos/limits.js';
import { Mischief } from '../../chaos/payments/mischief.js';
import { DISTURBANCES, schedule } from '../../chaos/schedule.js';
import { makePlan } from '../../chaos/plan.js';
import { readFileSync } from 'node:fs';
import { bundleFromFiles } from '../../src/policy/bundle.js';
import { compilePolicy } from '../../src/policy/index.js';
import { parseProposal } from '../../src/action/proposal.js';

test('the same seed gives the same plan, another seed another one', () => {
  expect(makePlan('a', 50)).toEqual(makePlan('a', 50));
  expect(makePlan('a', 50).actions).not.toEqual(makePlan('b', 50).actions);
});

test('a longer plan begins as the shorter one does', () => {
  expect(makePlan('a', 80).actions.slice(0, 50)).toEqual(makePlan('a', 50).actions);
});

test('every proposal of a plan has the right shape and an id of its own', () => {
  const { actions } = makePlan('shape', 300);
  for (const { proposal, rival } of actions) {
    expect(parseProposal(proposal)).toEqual(proposal);
    expect(rival?.proposal.actionId ?? proposal.actionId).toBe(proposal.actionId);
  }
  expect(new Set(actions.map(({ actionId }) => actionId)).size).toBe(300);
});

test('a stream of chance does not depend on what other streams were drawn', () => {
  const chance = new Chance('s');
  const first = chance.of('x').next();
  chance.of('y').next();
  chance.next();
  expect(chance.of('x').next()).toBe(first);
});

test('chance stays within its bounds and reaches them', () => {
  const chance = new Chance('bounds');
  const drawn = new Set(Array.from({ length: 400 }, () => chance.int(1, 6)));
  expect(drawn).toEqual(new Set([1, 2, 3, 4, 5, 6]));
  expect(new Set(Array.from({ length: 200 }, () => chance.weighted({ a: 1, never: 0, b: 3 })))).toEqual(
    new Set(['a', 'b']),
  );
});

test('what happens to a request is decided by the seed and how often it came, not by what came between', () => {
  const options = { seed: 'm', orders: 0.5, reads: 0.5 };
  const one = new Mischief(options);
  const other = new Mischief(options);
  const alone = [one.order('payments', 'a'), one.order('payments', 'a'), one.order('payments', 'a')];
  const mixed = ['a', 'b', 'a', 'c', 'a'].map((reference) => [reference, other.order('payments', reference)] as const);
  expect(mixed.filter(([reference]) => reference === 'a').map(([, trouble]) => trouble)).toEqual(alone);
});

test('the seed says where policies come from, and only there they are changed', () => {
  const changes = {
    folder: ['break-policy', 'change-policy'],
    ledger: ['promote-policy', 'roll-back-policy', 'shadow-policy'],
  };
  for (const policies of ['folder', 'ledger'] as const) {
    const list = schedule({ seed: 'p', count: 300, actions: 500, policies });
    expect(list).toEqual(schedule({ seed: 'p', count: 300, actions: 500, policies }));
    const kinds = new Set(list.map(({ kind }) => kind));
    expect([...kinds].filter((kind) => kind.endsWith('-policy')).toSorted()).toEqual(changes[policies]);
    expect(kinds.size).toBe(DISTURBANCES.length - 5 + changes[policies].length);
  }
  const seeds = Array.from({ length: 20 }, (_, n) => makePlan(`seed-${n}`, 1).policies);
  expect(new Set(seeds)).toEqual(new Set(['folder', 'ledger']));
});

test('budgets are tight enough to be met, and limits.yaml is one that policy takes', () => {
  const plan = makePlan('tight', 300);
  const budgets = budgetsFor(plan);
  const planned = plan.actions.reduce((sum, { intent }) => sum + (intent?.what === 'pay' ? intent.amount : 0), 0);
  expect(budgets.find(({ limit }) => limit === 'paid-in-all')?.max).toBeLessThan(planned);
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
  const policy = compilePolicy(
    bundleFromFiles({
      'schema.cedarschema': read('../../policies/starter/schema.cedarschema'),
      'rules.cedar': read('../../chaos/policies/rules.cedar'),
      'limits.yaml': limitsYaml(budgets),
    }),
  );
  expect(policy.limits.limits).toHaveLength(budgets.length + 3);
});
