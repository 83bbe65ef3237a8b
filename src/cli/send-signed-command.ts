/** A person's signed command, signed with their credential and handed in to a worker. */
import type { CommandResult } from '../../activities/contract.js';
import type { Credential, CommandOptions } from '../trust/index.js';
import type { Context } from './context.js';

export const AS_OPTION = "your approver's credential or its file; default: COUNTERSIGN_APPROVER";

/** @throws CountersignError as `Countersign.submitCommand` does */
export async function sendSignedCommand(
  context: Context,
  credential: Credential,
  options: CommandOptions,
): Promise<CommandResult> {
  const { signCommand } = await import('../trust/index.js');
  const command = await signCommand(credential, options);
  const countersign = await context.countersign();
  return context.answered(countersign, () => countersign.submitCommand(command));
}
