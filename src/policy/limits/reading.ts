/** Evaluates the expressions of limits on one action, for one agent of its chain. */
import type { Facts } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import type { Json, JsonObject } from '../../action/json.js';
import { describeValue } from '../../cel/environment.js';
import { celVariables, type CelEvaluator, type CelVariables } from '../../cel/evaluator.js';
import { locationText } from '../cedar.js';
import { clip } from '../reason.js';
import type { BudgetLimit, LimitExpression, Limit, LimitSet } from './limit.js';

const MESSAGE_LENGTH = 300;

/** The part of the proposal that limits can read. */
export interface LimitedProposal {
  readonly input: JsonObject;
  /** Names the task, for limits of one. What names none shares a counter, for each agent with those below it. */
  readonly traceId?: string | undefined;
}

/** Every method throws CountersignError POLICY_ERROR when an expression fails, is too costly or yields an invalid value. */
export class Reading {
  /** The agent's id. */
  readonly agent: string;
  readonly #evaluator: CelEvaluator | undefined;
  readonly #values: Readonly<Record<string, unknown>>;
  #variables: CelVariables | undefined;

  constructor({ evaluator }: LimitSet, facts: Facts, { input, traceId }: LimitedProposal) {
    this.agent = facts.agent.id;
    this.#evaluator = evaluator;
    this.#values = valuesOf(facts, input, traceId);
  }

  applies({ id, when }: Limit): boolean {
    if (when === undefined) return true;
    const value = this.#evaluate(id, 'when', when, this.#proposalVariables());
    if (typeof value === 'boolean') return value;
    throw unusable(id, 'when', when, `is ${describeValue(value)}, not true or false`);
  }

  amount({ id, amount }: BudgetLimit): number {
    return this.#amount(id, 'amount', amount, this.#proposalVariables());
  }

  settled({ id }: BudgetLimit, settled: LimitExpression, result: Json): number {
    this.#cel().begin();
    return this.#amount(id, 'settled', settled, celVariables({ ...this.#values, result }));
  }

  #amount(id: string, field: string, expression: LimitExpression, variables: CelVariables): number {
    const value = this.#evaluate(id, field, expression, variables);
    if (typeof value !== 'number' && typeof value !== 'bigint') {
      throw unusable(id, field, expression, `is ${describeValue(value)}, not a number`);
    }
    const amount = Number(value);
    if (!(amount >= 0 && amount <= Number.MAX_SAFE_INTEGER)) {
      throw unusable(id, field, expression, `is ${amount}, not a number from 0 to 2^53-1`);
    }
    // Turns -0, which JSON cannot express, into 0.
    return amount + 0;
  }

  #evaluate(id: string, field: string, expression: LimitExpression, variables: CelVariables): unknown {
    try {
      return expression.evaluate(variables);
    } catch (error) {
      throw unusable(id, field, expression, `cannot be evaluated: ${(error as Error).message}`, error);
    }
  }

  #proposalVariables(): CelVariables {
    return (this.#variables ??= celVariables(this.#values));
  }

  #cel(): CelEvaluator {
    if (this.#evaluator !== undefined) return this.#evaluator;
    throw new CountersignError('INTERNAL', 'A limit has CEL, and its policy no evaluator.');
  }
}

/** The variables of the expressions. Of the preview they contain only facts: no sample and no texts. */
function valuesOf(facts: Facts, input: JsonObject, traceId: string | undefined): Readonly<Record<string, unknown>> {
  const { agent, tool, actionType, operation, preview } = facts;
  const { id, tenant, roles, owner, via = [] } = agent;
  const { rows, targets, reads, schemaChange } = preview;
  return {
    agent: { id, tenant, roles, via, ...(owner === undefined ? {} : { owner }) },
    tool: { name: tool.name, kind: tool.kind, environment: tool.environment },
    actionType,
    operation,
    input,
    preview: { rows, targets, reads, schemaChange },
    trace: traceId ?? '',
  };
}

function unusable(
  id: string,
  field: string,
  { place }: LimitExpression,
  problem: string,
  cause?: unknown,
): CountersignError {
  return new CountersignError('POLICY_ERROR', `limit:${id}: its ${field} ${clip(problem, MESSAGE_LENGTH)}`, {
    field: locationText(place),
    expected: field === 'when' ? 'true or false' : 'a number from 0 to 2^53-1',
    fix: `Give the input what the limit reads; or have its ${field} cover such actions, with has(…) for what may be absent.`,
    ...(cause === undefined ? {} : { cause }),
  });
}
