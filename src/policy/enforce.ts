/** Policy in a unit test: what would be decided on this proposal? No worker, no ledger, no clock. */
import type { ActionType, Decision, Facts, Preview } from '../action/decision.js';
import type { JsonObject } from '../action/json.js';
import type { Agent } from '../action/principal.js';
import type { Proposal } from '../action/proposal.js';
import type { Policy } from './compile.js';
import { evaluate, undecidable } from './evaluate.js';

/** The time of `enforce` when its context gives none: a Wednesday noon, always the same. */
export const ENFORCE_NOW = '2025-01-01T12:00:00.000Z';

/** What the worker would know besides the proposal. Nothing here can come from the agent. */
export interface EnforceContext {
  readonly policy: Policy;
  readonly agent: Agent;
  readonly tool: Facts['tool'];
  /** What the tool would say this input is. */
  readonly actionType: ActionType;
  /** Default: `input.operation` when it is a text, else the action type in lower case. */
  readonly operation?: string;
  /**
   * What the tool's dry run would have found. Defaults: no rows, no schema change, and `input.table`, when it is a text, as the one
   * target (of a READ: as the one table read).
   */
  readonly preview?: Partial<Preview>;
  /** Where the limits that it meets stand, for policies that read `context.limits`. Default none. */
  readonly limits?: Facts['limits'];
  /** RFC 3339 UTC. Default `ENFORCE_NOW`. */
  readonly now?: string;
}

/**
 * The decision that the policy takes on a proposal. Pure, synchronous, never throws.
 *
 *     const policy = await loadStarterPolicy();
 *     const decision = enforce(
 *       { tool: 'shop-db', input: { operation: 'delete', table: 'audit_logs', where: { id: 7 } } },
 *       {
 *         policy,
 *         agent: anAgent({ roles: ['admin_user'] }),
 *         tool: aTool({ name: 'shop-db', environment: 'production' }),
 *         actionType: 'DELETE',
 *         preview: { rows: 1 },
 *       },
 *     );
 *     expect(decision.effect).toBe('deny');
 *     expect(decision.reason).toContain('protected table');
 *
 * Only `tool` and `input` of the proposal are looked at, and of the input only what the policy's schema declares, and what fills
 * `operation` and `preview` when they are not given. Give it as the tool reads it, with its defaults. What the proposal claims or reasons
 * is not read, as in the worker.
 */
export function enforce(
  proposal: Pick<Proposal, 'tool' | 'input'> & Partial<Proposal>,
  context: EnforceContext,
): Decision {
  const { policy, agent, tool, actionType } = context;
  if (proposal.tool !== tool.name) {
    return {
      effect: 'deny',
      code: 'UNKNOWN_TOOL',
      reason: `the proposal is for the tool ${proposal.tool}, the context has ${tool.name}`,
      policies: [],
      constraints: [],
      violations: [],
      requirements: [],
      errors: [],
      policyDigest: policy.digest,
    };
  }
  let input: JsonObject | undefined;
  try {
    input = policy.declaredInput(actionType, proposal.input);
  } catch (error) {
    return undecidable(policy, error);
  }
  return evaluate(policy, {
    agent,
    actionType,
    tool,
    operation: context.operation ?? textOf(proposal.input, 'operation') ?? actionType.toLowerCase(),
    preview: { ...defaultPreview(proposal.input, actionType), ...context.preview },
    ...(input === undefined ? {} : { input }),
    ...(context.limits === undefined ? {} : { limits: context.limits }),
    now: context.now ?? ENFORCE_NOW,
  });
}

function defaultPreview(input: JsonObject, actionType: ActionType): Preview {
  const table = textOf(input, 'table')?.toLowerCase();
  const tables = table === undefined ? [] : [table];
  return {
    rows: 0,
    targets: actionType === 'READ' ? [] : tables,
    reads: actionType === 'READ' ? tables : [],
    schemaChange: false,
    sample: [],
    summary: '',
  };
}

function textOf(input: JsonObject, key: string): string | undefined {
  const value = Object.hasOwn(input, key) ? input[key] : undefined;
  return typeof value === 'string' ? value : undefined;
}
