/** Constraints that a decision puts on execution, where they meet a tool. */
import type { Constraint } from '../src/action/decision.js';
import { CountersignError } from '../src/action/errors.js';
import type { Tool } from '../src/tools/tool.js';

/** A constraint that the tool would ignore is none; so it stops the action. @throws CountersignError CONSTRAINT_UNSUPPORTED */
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
