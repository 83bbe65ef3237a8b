/** How the command line tells scripts what came of it. */
import type { ErrorCode } from '../action/errors.js';
import type { OutcomeStatus } from '../action/outcome.js';

/** Every exit code, with the text that `--help` shows. */
export const EXIT_CODES = {
  success: { code: 0, meaning: 'it was done; of an action: done and verified' },
  fault: {
    code: 1,
    meaning: 'the system cannot: unreachable, not set up, a check failed; the same call may work later',
  },
  usage: { code: 2, meaning: 'the call cannot: wrong usage, invalid input, no such thing' },
  pending: { code: 3, meaning: 'the action waits for people' },
  denied: { code: 4, meaning: 'denied by policy or by a person; or your decision was refused' },
  not_done: { code: 5, meaning: 'the action failed, was cancelled or expired: nothing was done' },
  mismatch: { code: 6, meaning: 'it was executed, and the system does not hold what was promised' },
  unknown: { code: 7, meaning: 'it cannot be known whether it was done: look before you do anything' },
} as const satisfies Record<string, { code: number; meaning: string }>;

export type Exit = keyof typeof EXIT_CODES;

export function exitOfStatus(status: OutcomeStatus): Exit {
  switch (status) {
    case 'success':
    case 'denied':
    case 'mismatch':
    case 'unknown':
      return status;
    case 'failed':
    case 'cancelled':
    case 'expired':
      return 'not_done';
  }
}

const EXIT_OF_CODE: Readonly<Partial<Record<ErrorCode, Exit>>> = {
  USAGE: 'usage',
  INVALID_PROPOSAL: 'usage',
  INVALID_TEXT: 'usage',
  INVALID_NUMBER: 'usage',
  INVALID_JSON: 'usage',
  INVALID_YAML: 'usage',
  INPUT_TOO_LARGE: 'usage',
  INVALID_INPUT: 'usage',
  INVALID_EXPECTATION: 'usage',
  UNKNOWN_TOOL: 'usage',
  ACTION_CONFLICT: 'usage',
  NOT_FOUND: 'usage',
  NOT_PENDING: 'usage',
  AGENT_UNVERIFIED: 'denied',
  SCOPE_DENIED: 'denied',
  POLICY_DENIED: 'denied',
  POLICY_ERROR: 'denied',
  CONSTRAINT_UNSUPPORTED: 'denied',
  FROZEN: 'denied',
  APPROVAL_DENIED: 'denied',
  APPROVAL_INVALID: 'denied',
  APPROVAL_FORBIDDEN: 'denied',
  APPROVAL_STALE: 'denied',
  APPROVAL_EXPIRED: 'not_done',
  CANCELLED: 'not_done',
  TOOL_FAILED: 'not_done',
  EXPECTATION_UNMET: 'mismatch',
  EFFECT_UNKNOWN: 'unknown',
};

/** What is not listed is the system's fault, not the caller's. */
export function exitOfError(code: ErrorCode): Exit {
  return EXIT_OF_CODE[code] ?? 'fault';
}

/** The table for `--help`. */
export function exitCodeHelp(): string {
  const lines = Object.values(EXIT_CODES).map(({ code, meaning }) => `  ${code}  ${meaning}`);
  return `\nExit codes:\n${lines.join('\n')}`;
}
