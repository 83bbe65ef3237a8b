/** What the operator's config adds to verification: made ready once, when the worker starts. */
import type { Tool } from '../tools/tool.js';
import { compileInvariants, type Invariant, type InvariantOptions } from './invariant.js';
import { SemanticMatcher, type SemanticOptions } from './semantic.js';

export interface VerificationConfig {
  /** By name of the tool: what must hold of its system after every effect. A broken one is a mismatch. Default none. */
  readonly invariants?: Readonly<Record<string, readonly InvariantOptions[]>>;
  /** Compares the agent's `expectedOutcome` with what came out, by meaning. Needs the package `ai`. Default: not compared. */
  readonly semantic?: SemanticOptions;
}

export interface VerificationSettings {
  readonly invariants: ReadonlyMap<string, readonly Invariant[]>;
  readonly semantic?: SemanticMatcher;
}

/** @throws CountersignError CONFIG_INVALID with field, expected and fix */
export async function loadVerification(
  { invariants = {}, semantic }: VerificationConfig,
  tools: readonly Pick<Tool, 'name'>[],
): Promise<VerificationSettings> {
  const compiled = compileInvariants(
    invariants,
    tools.map(({ name }) => name),
  );
  return {
    invariants: compiled,
    ...(semantic === undefined ? {} : { semantic: await SemanticMatcher.load(semantic) }),
  };
}
