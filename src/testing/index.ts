/** `countersign/testing`: what unit tests of policies are written with. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Facts } from '../action/decision.js';
import type { Agent } from '../action/principal.js';
import { bundleFromFiles } from '../policy/bundle.js';
import { compilePolicy, type Policy } from '../policy/compile.js';
import { loadBundle } from '../policy/folder.js';
import { SCHEMA_FILE } from '../policy/rules.js';
import { starterFolder } from '../policy/starter.js';

export { enforce, ENFORCE_NOW, type EnforceContext } from '../policy/enforce.js';

/** The bundle in `policies/starter`, ready to be asked. */
export async function loadStarterPolicy(): Promise<Policy> {
  return compilePolicy(await loadBundle(starterFolder()));
}

/**
 * A policy from texts: `policyFromText({ 'mine.cedar': '@id("reads") permit (principal, action, resource);' })`. The starter bundle's
 * schema is used unless `schema.cedarschema` is among the files.
 *
 * @throws CountersignError POLICY_INVALID
 */
export function policyFromText(files: Readonly<Record<string, string>>): Policy {
  const schema = readFileSync(join(starterFolder(), SCHEMA_FILE), 'utf8');
  return compilePolicy(bundleFromFiles({ [SCHEMA_FILE]: schema, ...files }));
}

/** An agent of the tenant `acme` without roles that may name every tool; `overrides` win. */
export function anAgent(overrides: Partial<Agent> = {}): Agent {
  return { id: 'test-agent', tenant: 'acme', roles: [], scopes: ['*'], ...overrides };
}

/** The Postgres tool `shop-db` in the environment `test`; `overrides` win. */
export function aTool(overrides: Partial<Facts['tool']> = {}): Facts['tool'] {
  return { name: 'shop-db', kind: 'postgres', environment: 'test', ...overrides };
}
