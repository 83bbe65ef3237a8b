/** Step 2: policy decides, on facts that are recorded whole. */
import type { Cause, Constraint, Decision, Facts, Preview } from '../src/action/decision.js';
import { CountersignError } from '../src/action/errors.js';
import { evaluate, type Policy } from '../src/policy/index.js';
import type { Tool } from '../src/tools/tool.js';
import type { WarrantClaims } from '../src/trust/index.js';
import type { Proposed } from './propose.js';

/** @throws CountersignError POLICY_ERROR when what the policy declares of the input cannot be recorded */
export function factsOf(
  { agent, authority, tool, actionType, operation, input, warrant }: Proposed,
  preview: Preview,
  now: Date,
  policy: Policy,
): Facts {
  const declared = policy.declaredInput(actionType, input);
  return {
    agent,
    ...(authority.above.length === 0 ? {} : { above: authority.above }),
    actionType,
    tool: { name: tool.name, kind: tool.kind, environment: tool.environment },
    operation,
    preview,
    ...(declared === undefined ? {} : { input: declared }),
    ...(warrant === undefined ? {} : { compensates: causeOf(warrant) }),
    now: now.toISOString(),
  };
}

function causeOf({ cause: { actionId, receipt }, agent }: WarrantClaims): Cause {
  return { actionId, agent, receipt };
}

export function enforce(policy: Policy, facts: Facts, tool: Tool): Decision {
  const decision = evaluate(policy, facts);
  if (decision.effect !== 'deny') assertHonourable(decision.constraints, tool);
  return decision;
}

/** A constraint that the tool would ignore is none; so it stops the action. */
export function assertHonourable(constraints: readonly Constraint[], tool: Tool): void {
  const foreign = constraints.find(({ name }) => !tool.constraints.includes(name));
  if (foreign === undefined) return;
  throw new CountersignError(
    'CONSTRAINT_UNSUPPORTED',
    `Policy ${foreign.policy} constrains "${foreign.name}", which the tool ${tool.name} cannot honour.`,
    {
      field: `constraint.${foreign.name}`,
      expected: `one of: ${tool.constraints.join(', ')}`,
      fix: 'Correct the @constraint of that policy.',
    },
  );
}
