/** How the command line tells scripts what came of it. */
import type { ErrorCode } from '../action/errors.js';
import type { OutcomeStatus } from '../action/outcome.js';

/** Every exit code, with the text that `--help` shows. */
export const EXIT_CODES = {
  success: { code: 0, meaning: 'the command succeeded; for an action: it was executed and verified' },
  fault: {
    code: 1,
    meaning: 'the system failed: unreachable, not set up, or a check failed; the same call may succeed later',
  },
  usage: { code: 2, meaning: 'the call is wrong: usage, invalid input, or no such object' },
  pending: { code: 3, meaning: 'the action waits for an approval' },
  denied: { code: 4, meaning: 'policy or a person denied the action, or your decision was refused' },
  not_done: { code: 5, meaning: 'the action failed, was cancelled or expired: nothing was done' },
  mismatch: { code: 6, meaning: 'the action was executed, but the system is not in the expected state' },
  unknown: { code: 7, meaning: 'it is not known whether the effect happened: check the system before you act' },
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
  FILES_EXIST: 'usage',
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
  EDIT_INVALID: 'usage',
  HISTORY_INVALID: 'usage',
  AGENT_UNVERIFIED: 'denied',
  SCOPE_DENIED: 'denied',
  POLICY_DENIED: 'denied',
  POLICY_ERROR: 'denied',
  POLICY_CONFLICT: 'denied',
  EVIDENCE_REQUIRED: 'denied',
  CONSTRAINT_UNSUPPORTED: 'denied',
  FROZEN: 'denied',
  RADAR_OFF: 'denied',
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
