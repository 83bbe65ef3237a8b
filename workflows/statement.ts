/** A person's signed statement is carried out: it lifts a freeze, resolves an unknown outcome or revokes a credential. */
import type { Fulfilled } from '../activities/contract.js';
import { errorView, refusal } from './failures.js';
import { aside } from './steps.js';

/** Workflow id: `statement/<tenant>/<jti>`. Fails with the code of the refusal. Whose word it is, the activity finds out: nothing here is trusted. */
export async function statement(token: string): Promise<Fulfilled> {
  try {
    return await aside.fulfil(token);
  } catch (failure) {
    throw refusal(errorView(failure));
  }
}
