/** When and how the tool rehearses a change. */
import type { ClientConfig } from 'pg';
import { CountersignError } from '../../action/errors.js';
import type { PostgresInput } from './input.js';
import type { ChangePlan } from './plan.js';
import type { RehearsalLimits } from './rehearse.js';

/** Which changes are tried and rolled back before they are decided on: all, those that ask for it or need it, or none. */
export type RehearsalMode = 'always' | 'when-asked' | 'never';

/** With which role a change is rehearsed, and for how long. */
export interface RehearsalOptions {
  /** The settings of node-postgres for the role that rehearses, where it is another one. It needs the same rights to the tables. */
  readonly connection?: ClientConfig;
  /** The longest that a rehearsal waits for a lock. Milliseconds, from 1 to 60,000, default 1,000. */
  readonly lockTimeoutMs?: number;
  /** The longest time of one of its statements. Milliseconds, from 1 to 60,000, default 5,000. */
  readonly timeoutMs?: number;
  /** Functions called by triggers and rules that a rollback takes back, although it does not show. Default none. */
  readonly transactionalFunctions?: readonly string[];
}

/** @throws CountersignError CONFIG_INVALID */
export function rehearsalSettings(
  tool: string,
  options: RehearsalOptions = {},
): RehearsalLimits & { readonly client: ClientConfig | undefined } {
  const { lockTimeoutMs = 1_000, timeoutMs = 5_000, transactionalFunctions = [], connection } = options;
  for (const [field, value] of Object.entries({ lockTimeoutMs, timeoutMs })) {
    if (Number.isInteger(value) && value >= 1 && value <= 60_000) continue;
    const expected = 'a whole number of milliseconds from 1 to 60000';
    throw new CountersignError('CONFIG_INVALID', `The tool ${tool}: rehearsal.${field} must be ${expected}.`, {
      field: `rehearsal.${field}`,
      expected,
      fix: `Correct rehearsal.${field}.`,
    });
  }
  return { lockTimeoutMs, timeoutMs, transactionalFunctions: new Set(transactionalFunctions), client: connection };
}

/**
 * Whether the change of a plan is rehearsed.
 *
 * @throws CountersignError INVALID_INPUT or STATEMENT_REFUSED when it must be, and the tool does not rehearse
 */
export function wantsRehearsal(plan: ChangePlan, input: PostgresInput, mode: RehearsalMode, tool: string): boolean {
  if (plan.kind !== 'rows' && plan.kind !== 'rehearsed') return false;
  const asked = 'rehearse' in input && input.rehearse === true;
  const needed = plan.onlyRehearsed !== undefined;
  if (mode !== 'never') return asked || needed || mode === 'always' || (plan.kind === 'rows' && plan.cascades);
  if (!asked && !needed) return false;
  const why = plan.onlyRehearsed === undefined ? '' : `: ${plan.onlyRehearsed}`;
  throw new CountersignError(
    input.op === 'sql' && needed ? 'STATEMENT_REFUSED' : 'INVALID_INPUT',
    `The tool ${tool} rehearses no change, and this one would have to be${why}.`,
    {
      field: asked ? 'input.rehearse' : 'input',
      expected: 'a change whose rows queries can tell',
      fix: "Write the change in a simpler way, or ask the operator to set the tool's rehearse to when-asked.",
    },
  );
}
