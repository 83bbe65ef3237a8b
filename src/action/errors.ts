/** The one error class of Countersign, and every code it can carry. */
import { strikeSecrets } from './secrets.js';

/** What each code means and what to do about it. The table in docs/errors.md is made from this. */
export const ERROR_CODES = {
  // the proposal
  INVALID_PROPOSAL: 'The proposal does not have the right shape.',
  INVALID_TEXT: 'A text holds a NUL byte or a lone surrogate, which no database or signature can carry faithfully.',
  INVALID_NUMBER: 'A number is not finite, or is an integer that a JSON number cannot carry exactly.',
  INVALID_JSON: 'A text is not JSON, or one of its objects has the same key twice.',
  INVALID_YAML: 'A text is not YAML, or one of its maps has the same key twice.',
  INPUT_TOO_LARGE: 'The proposal is larger than Countersign carries.',
  INVALID_INPUT: "The input does not fit the tool's schema.",
  INVALID_EXPECTATION: 'The expectation does not compile, or is too costly to evaluate.',
  UNKNOWN_TOOL: 'No tool of that name is configured on the worker.',
  ACTION_CONFLICT: 'This action id was used before for another tool, input or expectation, or by another agent.',
  // who
  AGENT_UNVERIFIED: "The agent's credential or its signature over the proposal does not verify.",
  SCOPE_DENIED: "The agent's credential does not cover this tool or operation.",
  CREDENTIAL_REVOKED: 'A credential or delegation that the proposal rests on was revoked.',
  COMMAND_INVALID: "A person's signed command does not verify, or was used before.",
  CANARY_INVALID: 'A canary is none that policy would ask people about.',
  ROLE_REQUIRED: 'This person does not have a role that may do this.',
  APPROVAL_INVALID: 'The approval does not verify, or does not cover what was shown.',
  APPROVAL_FORBIDDEN: 'This person may not decide this action.',
  APPROVAL_STALE: 'What was approved is no longer what would be done.',
  APPROVAL_TOO_FAST: 'This person approves more often than the approval rate limit lets count.',
  PASSKEY_REQUIRED: 'Policy asks for a passkey, and the decision comes without one.',
  PASSKEY_INVALID: "A passkey's assertion or registration does not verify.",
  NOT_PENDING: 'The action is not waiting for a person.',
  NOT_UNKNOWN: 'The outcome of the action is known: there is nothing to resolve.',
  // the decision
  POLICY_DENIED: 'Policy denies the action.',
  POLICY_INVALID: 'The policy folder cannot be used.',
  POLICY_UNAVAILABLE: 'No policy is active on the worker.',
  POLICY_CONFLICT: 'Another policy is active than the change was ordered against, or the policy is in no state for it.',
  EVIDENCE_REQUIRED: 'No backtest of this policy against the active one is recorded.',
  FINDING_INVALID: 'An export of decisions, or what a backtest found, is not as a person signed it.',
  POLICY_ERROR: 'A policy could not be evaluated for this action; that counts as a deny.',
  CONSTRAINT_UNSUPPORTED: 'Policy puts a constraint on the action that the tool cannot honour.',
  APPROVAL_DENIED: 'A person denied the action.',
  APPROVAL_EXPIRED: 'Nobody decided in time.',
  CHANGES_REQUESTED: 'A person asks for a changed proposal, or has changed it.',
  EDIT_INVALID: 'What a person made of the proposal is no edit of it, or the action cannot be edited.',
  CANCELLED: 'The action was cancelled before its effect.',
  FROZEN: 'A freeze stops this action.',
  RADAR_OFF: "The tool's system must be watched by the radar, which does not look; nothing was done.",
  LIMIT_EXCEEDED: 'A limit (budget, rate, concurrency, count or depth) leaves no room for the action.',
  HISTORY_CHANGED: 'What a rule asks of earlier actions changed each time the action was to be granted.',
  BREAKER_OPEN: 'A circuit breaker keeps actions from a target that fails too often.',
  // the grant
  GRANT_INVALID: 'The grant does not verify, or belongs to another action.',
  GRANT_EXPIRED: 'The grant expired before it was used.',
  GRANT_REPLAYED: 'The grant was used before.',
  SEAL_INVALID: 'A record that one step handed to the next was changed, or is of another action or step.',
  // the effect
  STATEMENT_REFUSED: 'The SQL cannot be classified as safe to govern.',
  REHEARSAL_DIFFERS: 'The rehearsed change did something else than the input says or expects; nothing was done.',
  NOTHING_MATCHED: 'The action matches fewer rows or objects than it must; nothing was done.',
  TOO_MANY_ROWS: 'The action touches more rows than it expects, or than the tool may capture.',
  STATE_CHANGED: 'The state changed between capture and execution; nothing was done.',
  CONSTRAINT_VIOLATED: 'Execution would have broken a constraint; it was rolled back.',
  TOOL_FAILED: 'The tool refused or failed; nothing was done.',
  TOOL_CHANGED: "A tool's definition is not the accepted one, or nobody signed for the pins; nothing was done.",
  TOOL_UNAVAILABLE: "The tool's system cannot be reached.",
  EFFECT_UNKNOWN: 'It cannot be known whether the effect happened.',
  EXPECTATION_UNMET: 'The system is not in the expected state after the effect.',
  // the gateway
  UNAUTHENTICATED: 'The request carries no credential that can be verified.',
  FORBIDDEN: 'Whoever sends the request may not do this.',
  CSRF: 'The request does not come from a page of the gateway.',
  RATE_LIMITED: 'Too many requests in too short a time.',
  // notifications
  DELIVERY_FAILED: 'A notification could not be delivered.',
  // the parts
  LEDGER_UNAVAILABLE: 'The ledger (Postgres) cannot be reached.',
  LEDGER_BROKEN: 'The ledger cannot take a receipt, so nothing is admitted.',
  TEMPORAL_UNAVAILABLE: 'The Temporal server cannot be reached.',
  KEYS_MISSING: 'Signing keys are missing.',
  KEYS_INVALID: 'Signing keys cannot be used.',
  PAYLOAD_KEY_UNKNOWN: 'Something in Temporal is encrypted under a key that this process does not have.',
  PAYLOAD_INVALID: 'Something encrypted in Temporal was changed, or is not what a process with the keys wrote.',
  PAYLOAD_PLAIN: 'Something in Temporal that must be encrypted is not.',
  CONFIG_INVALID: 'The configuration cannot be used.',
  NOT_INSTALLED: 'An optional package that this command needs is not installed.',
  HISTORY_INVALID: "A recorded history cannot be read, or is none of Countersign's.",
  NONDETERMINISTIC: 'The workflow code does not do what a recorded history did.',
  RECEIPTS_BROKEN: 'The chain of receipts does not verify.',
  TRAIL_BROKEN: 'The audit trail does not verify.',
  TIMESTAMP_INVALID: 'A time stamp over a checkpoint of the audit trail does not verify.',
  ANCHOR_FAILED: 'A checkpoint of the audit trail could not be put where it is anchored.',
  CHECK_FAILED: 'A check that the command was asked to make did not pass.',
  USAGE: 'The command was not called as its --help says.',
  FILES_EXIST: 'The command makes new files, and some of them are there already.',
  NOT_FOUND: 'The object does not exist, or not for this tenant.',
  TIMED_OUT: 'The wait ended before the action did.',
  INTERNAL: 'A fault in Countersign itself.',
} as const;

/** What an error is, for programs: it stays the same between versions. docs/errors.md says what to do about each. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** One thing that is wrong, at one place. */
export interface Problem {
  /** Where, as a path from the root: `proposal.input.where`. */
  readonly field?: string;
  /** What would have been right. */
  readonly expected?: string;
  /** What the reader can do now. */
  readonly fix?: string;
}

export interface CountersignErrorOptions extends Problem {
  readonly cause?: unknown;
  /** Whether the same call may succeed later without a change by the caller. Default false. */
  readonly retryable?: boolean;
  /** When trying again is of use, as the system itself says. Milliseconds from now. */
  readonly retryAfterMs?: number | undefined;
}

/** Any error that Countersign raises on purpose. `code` is stable; `message` is for people. */
export class CountersignError extends Error {
  override readonly name = 'CountersignError';
  readonly code: ErrorCode;
  /** Where it is wrong, as a path from the root: `proposal.input.where`. */
  readonly field: string | undefined;
  /** What would have been right there. */
  readonly expected: string | undefined;
  /** What the reader can do now. */
  readonly fix: string | undefined;
  /** Whether the same call may succeed later without a change by the caller. */
  readonly retryable: boolean;
  /** When trying again is of use. Milliseconds from when it was raised; undefined where nobody knows. */
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: CountersignErrorOptions = {}) {
    // What a system says of a value may quote it.
    super(strikeSecrets(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.field = options.field;
    this.expected = options.expected;
    this.fix = options.fix;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The error as data, without its cause and its stack. */
  toJSON(): ErrorView {
    return {
      code: this.code,
      message: this.message,
      ...(this.field === undefined ? {} : { field: this.field }),
      ...(this.expected === undefined ? {} : { expected: this.expected }),
      ...(this.fix === undefined ? {} : { fix: this.fix }),
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
    };
  }
}

/** The error as data: what history, receipts and `--json` carry. */
export interface ErrorView extends Problem {
  readonly code: ErrorCode;
  readonly message: string;
  /** When trying again is of use, as the system itself says. Milliseconds from when the error was raised. */
  readonly retryAfterMs?: number;
}

/** Turns anything thrown into a CountersignError; what is not ours becomes `fallback`. */
export function asCountersignError(error: unknown, fallback: ErrorCode = 'INTERNAL'): CountersignError {
  if (error instanceof CountersignError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new CountersignError(fallback, message || ERROR_CODES[fallback], { cause: error });
}
