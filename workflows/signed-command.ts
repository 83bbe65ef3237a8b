/** A person's signed command is carried out: it lifts a freeze, resolves an unknown outcome or revokes a credential. */
import type { CommandResult } from '../activities/contract.js';
import { errorView, refusal } from './failures.js';
import { commands } from './steps.js';

/** Workflow id: `command/<tenant>/<jti>`. Fails with the code of the refusal. Whose word it is, the activity finds out: nothing here is trusted. */
export async function signedCommand(token: string): Promise<CommandResult> {
  try {
    return await commands.executeCommand(token);
  } catch (failure) {
    throw refusal(errorView(failure));
  }
}
