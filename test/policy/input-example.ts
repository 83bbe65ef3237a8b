/** The example bundle of the tests and of the docs page: policies on the operations and arguments of an HTTP tool. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Facts } from '../../src/action/decision.js';
import type { Policy } from '../../src/policy/compile.js';
import { policyFromText } from '../../src/testing/index.js';
import { ROOT } from '../support/root.js';
import { factsOf, PERMIT_ALL } from './facts.js';

export const STARTER_SCHEMA = readFileSync(join(ROOT, 'policies/starter/schema.cedarschema'), 'utf8');

/** The starter's schema with these attributes of `Input` (the text between its braces), and `input` in the context. */
export function schemaWith(attributes: string, attribute = 'input?: Input'): string {
  return STARTER_SCHEMA.replace(
    'type Facts = {',
    `type Input = {\n${attributes}\n  };\n  type Facts = {\n    ${attribute},`,
  );
}

/** A policy that permits everything unless `forbidden` holds, with these attributes of `Input`. */
export function policyOn(attributes: string, forbidden?: string): Policy {
  const forbid =
    forbidden === undefined ? '' : `@id("forbidden") forbid (principal, action, resource) when { ${forbidden} };`;
  return policyFromText({ 'schema.cedarschema': schemaWith(attributes), 'a.cedar': PERMIT_ALL + forbid });
}

/** The facts that the worker would record of this input. */
export function factsWith(policy: Policy, input: unknown, given: Parameters<typeof factsOf>[0] = {}): Facts {
  const facts = factsOf(given);
  const declared = policy.declaredInput(facts.actionType, input);
  return declared === undefined ? facts : { ...facts, input: declared };
}
