/** The operator's configuration of verification, loaded once when the worker starts. */
import type { Tool } from '../tools/tool.js';
import { compileInvariants, type Invariant, type InvariantOptions } from './invariant.js';
import { SemanticMatcher, type SemanticOptions } from './semantic.js';

export interface VerificationConfig {
  /** The invariants by name of the tool: conditions on its system after every effect. A broken one is a mismatch. Default none. */
  readonly invariants?: Readonly<Record<string, readonly InvariantOptions[]>>;
  /** Compares the agent's `expectedOutcome` with the actual outcome by meaning. Needs the package `ai`. Default: no comparison. */
  readonly semantic?: SemanticOptions;
}

export interface VerificationSettings {
  readonly invariants: ReadonlyMap<string, readonly Invariant[]>;
  readonly semantic?: SemanticMatcher;
}

/** Compiles the invariants and loads the semantic check. @throws CountersignError CONFIG_INVALID with field, expected and fix */
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
