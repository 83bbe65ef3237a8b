/** Checks the constraints of a decision against what the tool can honour. */
import type { Constraint } from '../src/action/decision.js';
import { CountersignError } from '../src/action/errors.js';
import type { Tool } from '../src/tools/tool.js';

/** Stops an action when its tool would ignore one of the constraints. @throws CountersignError CONSTRAINT_UNSUPPORTED */
export function assertHonourable(constraints: readonly Constraint[], tool: Tool): void {
  const unsupported = constraints.find(({ name }) => !tool.constraints.includes(name));
  if (unsupported === undefined) return;
  throw new CountersignError(
    'CONSTRAINT_UNSUPPORTED',
    `Policy ${unsupported.policy} constrains "${unsupported.name}", which the tool ${tool.name} cannot honour.`,
    {
      field: `constraint.${unsupported.name}`,
      expected: `one of: ${tool.constraints.join(', ')}`,
      fix: 'Correct the @constraint of that policy.',
    },
  );
}
