/** The sets of policies that Cedar has parsed: the same set is parsed once, and names that nothing uses any more are used again. */
import { expect, test } from 'vitest';
import { newCedar } from '../../src/policy/cedar.js';
import type { Rule } from '../../src/policy/index.js';
import { PreparsedSets } from '../../src/policy/preparsed-sets.js';
import { policyFromText } from '../../src/testing/index.js';
import { PERMIT_ALL } from './facts.js';

/** So many rules that permit everything. */
function many(count: number): readonly Rule[] {
  const [rule] = policyFromText({ 'a.cedar': PERMIT_ALL }).rules;
  if (rule === undefined) throw new Error('There is a policy.');
  return Array.from({ length: count }, (_, i) => ({ ...rule, id: `p${i}` }));
}

test('a set is parsed once, whichever of the sets between were parsed; another set has a name of its own', () => {
  const [one, other] = many(2);
  if (one === undefined || other === undefined) throw new Error('There are two policies.');
  const sets = new PreparsedSets(newCedar());
  const name = sets.nameOf([one]);
  expect(new Set([name, sets.nameOf([other]), sets.nameOf([one, other]), sets.nameOf([])]).size).toBe(4);
  expect(sets.nameOf([one])).toBe(name);
});

test('with more sets than are kept, names come again, and each stands for the set that it was given for last', () => {
  const cedar = newCedar();
  const sets = new PreparsedSets(cedar);
  const rules = many(300);
  const names = rules.map((rule) => sets.nameOf([rule]));
  expect(new Set(names).size).toBe(257);
  const entity = { type: 'T', id: 'x' };
  const call = { principal: entity, action: entity, resource: entity, context: {}, entities: [] };
  for (const rule of [rules[299], rules[0], rules[150]]) {
    if (rule === undefined) throw new Error('There are 300 policies.');
    const answer = cedar.statefulIsAuthorized({ ...call, preparsedPolicySetId: sets.nameOf([rule]) });
    expect(answer).toMatchObject({ type: 'success', response: { diagnostics: { reason: [rule.id] } } });
  }
});

test('names come again also where few sets hold more policies than are kept in all of them', () => {
  const rules = many(230);
  const sets = new PreparsedSets(newCedar());
  // Of 60 policies, 61 and so on, and each counts for one more: the 149th is the first that brings them over 20,000.
  const names = Array.from({ length: 160 }, (_, i) => sets.nameOf(rules.slice(0, 60 + i)));
  expect(new Set(names.slice(0, 149)).size).toBe(149);
  expect(new Set(names).size).toBe(149);
});

test('a set that Cedar cannot parse is refused, with what Cedar says of it', () => {
  const [rule] = many(1);
  if (rule === undefined) throw new Error('There is a policy.');
  const sets = new PreparsedSets(newCedar());
  expect(() => sets.nameOf([{ ...rule, text: 'permit (' }])).toThrow(
    expect.objectContaining({
      code: 'POLICY_INVALID',
      field: 'the folder',
      message: expect.stringContaining('policy with id `p0`') as string,
    }),
  );
});
