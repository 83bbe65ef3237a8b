/** Finds an action for the sender of a request: of their tenant, and for an agent only its own. Anything else is not found. */
import {
  describeWorkflow,
  findAction,
  startedAction,
  type ActionSources,
  type FoundAction,
  type StartedAction,
} from '../../action-records/find.js';
import { CountersignError } from '../../action/errors.js';
import { actionNotFound } from '../../action/errors-not-found.js';
import { proposerOf } from '../../action/outcome.js';
import { isProposedUnder } from '../../action/principal.js';
import { ACTION_ID_PATTERN } from '../../action/proposal.js';
import type { Principal } from '../auth/principal.js';

/** An action as it was found, and what its start says where nothing else says whose it is. */
export interface OwnAction extends FoundAction {
  readonly started?: StartedAction;
}

/** @throws CountersignError NOT_FOUND, the same for another tenant's, another agent's and none at all */
export async function findFor(
  of: Omit<ActionSources, 'forPeople'>,
  principal: Principal,
  actionId: string,
): Promise<OwnAction> {
  // Protocols name tasks by any text; what names no action must name no other workflow either.
  if (!ACTION_ID_PATTERN.test(actionId)) throw notFound(actionId);
  const sources = { ...of, forPeople: principal.kind === 'person' };
  const name = { tenant: principal.tenant, actionId };
  const found = await findAction(sources, name).catch((error: unknown) => {
    throw error instanceof CountersignError && error.code === 'NOT_FOUND' ? notFound(actionId) : error;
  });
  const agent = agentOf(found);
  const { archived, view } = found;
  // Before policy was asked, or while no worker answers, only the workflow's start says whose it is.
  const unsaid = (archived === undefined && view === undefined) || (principal.kind === 'agent' && agent === undefined);
  const workflow = unsaid ? (found.workflow ?? (await describeWorkflow(sources, name))) : undefined;
  const started = workflow === undefined ? undefined : startedAction(workflow);
  if (principal.kind === 'agent') {
    const proposer = agent ?? started?.agent;
    if (proposer === undefined || !isProposedUnder(principal.id, proposer)) throw notFound(actionId);
  }
  return { ...found, ...(started === undefined ? {} : { started }) };
}

function agentOf({ archived, view }: FoundAction): string | undefined {
  const outcome = view?.outcome;
  return archived?.agent ?? view?.pending?.shown.agent.id ?? (outcome && proposerOf(outcome));
}

function notFound(actionId: string): CountersignError {
  return actionNotFound(actionId, ' here', {
    expected: 'the id of an action that you may see',
    fix: 'List the actions: GET /v1/actions',
  });
}
