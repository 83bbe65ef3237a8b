/** A person's statement, signed with their credential and handed in to a worker. */
import type { Fulfilled } from '../../activities/contract.js';
import type { Credential, StatementOptions } from '../trust/index.js';
import type { Context } from './context.js';

export const AS_OPTION = "your approver's credential or its file; default: COUNTERSIGN_APPROVER";

/** @throws CountersignError as `Countersign.handIn` does */
export async function sendSignedCommand(
  context: Context,
  credential: Credential,
  options: StatementOptions,
): Promise<Fulfilled> {
  const { signStatement } = await import('../trust/index.js');
  const statement = await signStatement(credential, options);
  const countersign = await context.countersign();
  return context.answered(countersign, () => countersign.handIn(statement));
}
