/** Asks a person whether to sign for what was just shown. Where nobody can be asked, --yes must have been given. */
import { CountersignError } from '../action/errors.js';
import type { Terminal } from './terminal.js';
import { usageError } from './usage-error.js';

export interface SigningQuestion {
  /** Whether --yes was given. */
  readonly yes: boolean;
  readonly question: string;
  /** What the yes is called. */
  readonly active: string;
  /** What is true after a no. */
  readonly otherwise: string;
}

/** @throws CountersignError USAGE, CANCELLED */
export async function confirmSigning(
  terminal: Terminal,
  { yes, question, active, otherwise }: SigningQuestion,
): Promise<void> {
  if (yes) return;
  if (!terminal.stdin.isTTY || !terminal.stderr.isTTY) {
    throw usageError('There is no terminal to ask for a confirmation.', {
      field: '--yes',
      expected: 'a terminal, or --yes',
      fix: 'Read what is shown above, then run the command again with --yes.',
    });
  }
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({
    message: question,
    active,
    inactive: 'Leave it',
    initialValue: false,
    output: process.stderr,
  });
  if (isCancel(answer) || !answer) {
    throw new CountersignError('CANCELLED', 'Nothing was signed.', { fix: otherwise });
  }
}
