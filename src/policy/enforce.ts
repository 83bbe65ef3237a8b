/** Evaluates a policy in a unit test: the decision on a proposal, without worker, ledger or clock. */
import type { ActionType, Decision, Facts, Preview } from '../action/decision.js';
import type { JsonObject } from '../action/json.js';
import type { Agent } from '../action/principal.js';
import type { Proposal } from '../action/proposal.js';
import type { Policy } from './compile.js';
import { evaluate, undecidable } from './evaluate.js';
import { historyFigures } from './history/figures.js';

/** The time that `enforce` uses when its context gives none: noon on a Wednesday. */
export const ENFORCE_NOW = '2025-01-01T12:00:00.000Z';

/** What a worker knows in addition to the proposal. Nothing here can come from the agent. */
export interface EnforceContext {
  readonly policy: Policy;
  readonly agent: Agent;
  readonly tool: Facts['tool'];
  /** The action type that the tool gives to this input. */
  readonly actionType: ActionType;
  /** The operation. Default: `input.operation` when it is a text, else the action type in lower case. */
  readonly operation?: string;
  /**
   * The result of the tool's dry run. Defaults: no rows, no schema change, and `input.table`, when it is a text, as the one
   * target (of a READ: as the one table read).
   */
  readonly preview?: Partial<Preview>;
  /** The figures of the limits that apply, for policies that read `context.limits`. Default none. */
  readonly limits?: Facts['limits'];
  /** What earlier actions came to, by the facts of history.yaml, for policies that read `context.history`. Default: none came before. */
  readonly history?: Readonly<
    Record<
      string,
      {
        /** How many earlier actions have ended as the fact asks. From 0 to 100, default 0. */
        readonly done?: number;
        /** How many have, or may have had, the effect. From 0 to 100, default `done`. */
        readonly possible?: number;
      }
    >
  >;
  /** The time of the decision. RFC 3339 UTC, default `ENFORCE_NOW`. */
  readonly now?: string;
}

/**
 * The decision of the policy on a proposal. It is pure and synchronous, and never throws.
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
 * Of the proposal, only `tool`, `input` and `from` are read, and of the input only what the policy's schema declares and what fills `operation` and
 * `preview` when they are not given. Give the input as the tool reads it, with its defaults. As in a worker, the agent's reasoning and
 * expectations are not read.
 */
export function enforce(
  proposal: Pick<Proposal, 'tool' | 'input'> & Partial<Proposal>,
  context: EnforceContext,
): Decision {
  const { policy, tool, actionType } = context;
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
    ...proposedFacts(proposal, context),
    ...(input === undefined ? {} : { input }),
    ...(policy.history.facts.length === 0 ? {} : { history: historyFigures(policy.history, context.history) }),
  });
}

/** The facts that `enforce` decides on, but for what the policy declares: of the input, and of earlier actions. */
export function proposedFacts(
  { input, from }: Pick<Proposal, 'input'> & Partial<Proposal>,
  { agent, actionType, tool, operation, preview, limits, now = ENFORCE_NOW }: Omit<EnforceContext, 'policy'>,
): Facts {
  return {
    agent,
    actionType,
    tool,
    operation: operation ?? textOf(input, 'operation') ?? actionType.toLowerCase(),
    preview: { ...defaultPreview(input, actionType), ...preview },
    ...(from === undefined ? {} : { from }),
    ...(limits === undefined ? {} : { limits }),
    now,
  };
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
