/** Limits that cannot be evaluated for some input that a registered tool takes: such an action is denied with POLICY_ERROR. */
import type { Facts } from '../../../action/decision.js';
import { asCountersignError } from '../../../action/errors.js';
import type { Policy } from '../../compile.js';
import type { BudgetLimit, Limit } from '../../limits/limit.js';
import { Reading } from '../../limits/reading.js';
import { sampleInputs } from '../arguments.js';
import type { RegisteredTool } from '../registered.js';
import { finding, type Finding } from './finding.js';

type Evaluated = Pick<Facts, 'actionType' | 'operation'> & { readonly tool: RegisteredTool };

/**
 * Evaluates every limit, as a worker does, on samples of the inputs that each operation's JSON schema allows: with all arguments, without each
 * that may be absent, with each null that may be null.
 */
export function missingAmounts(policy: Policy, tools: readonly RegisteredTool[]): readonly Finding[] {
  const found = new Map<string, Finding>();
  for (const tool of tools) {
    for (const operation of tool.operations ?? []) {
      for (const name of [operation.operation, ...(operation.alsoNamed ?? [])]) {
        const action = { tool, operation: name, actionType: operation.actionType };
        for (const { input, lacks = '' } of sampleInputs(operation)) {
          for (const limit of policy.limits.limits) {
            const why = failure(policy, limit, action, input);
            const key = JSON.stringify([limit.id, lacks]);
            if (why === undefined || found.has(key)) continue;
            found.set(key, amountMissing(limit, action, lacks, why));
          }
        }
      }
    }
  }
  return [...found.values()];
}

function failure(
  policy: Policy,
  limit: Limit,
  { tool, actionType, operation }: Evaluated,
  input: Parameters<typeof sampleInputs>[0]['arguments'],
): string | undefined {
  const facts: Facts = {
    agent: { id: 'agent', tenant: 'tenant', roles: [], scopes: [], owner: 'owner' },
    tool: { name: tool.name, kind: tool.kind, environment: tool.environment },
    actionType,
    operation,
    preview: { rows: 1, targets: ['target'], reads: ['read'], schemaChange: false, sample: [], summary: '' },
    now: '2025-01-01T12:00:00.000Z',
  };
  policy.limits.evaluator?.begin();
  const reading = new Reading(policy.limits, facts, { input });
  try {
    if (reading.applies(limit) && limit.kind === 'budget') reading.amount(limit);
    return undefined;
  } catch (error) {
    return asCountersignError(error).message;
  }
}

function amountMissing(limit: Limit, { tool, operation }: Evaluated, lacks: string, why: string): Finding {
  const input = lacks === '' ? 'an input' : `an input ${lacks.endsWith('= null') ? 'with' : 'without'} ${lacks}`;
  return finding('amount-missing', {
    at: (limit as Partial<BudgetLimit>).amount?.place ?? limit.when?.place ?? limit.place,
    id: limit.id,
    message: `${tool.name} ${operation} takes ${input}, which this limit cannot measure, so it is denied: ${why}`,
    fix: 'Say what is counted then: has(input.amount) ? input.amount : 0; or require the argument in the tool.',
  });
}
