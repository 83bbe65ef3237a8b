/** Finds an action where it is recorded: what ended or waits for people in the ledger, what is under way in its workflow. */
import { WorkflowNotFoundError, type WorkflowExecutionDescription } from '@temporalio/client';
import { CountersignError } from '../action/errors.js';
import { actionNotFound } from '../action/errors-not-found.js';
import type { ActionView } from '../action/outcome.js';
import { translated } from '../client/failures.js';
import type { Countersign } from '../client/countersign.js';
import type { ArchivedRecord, Ledger } from '../ledger/index.js';
import { ATTRIBUTES } from '../temporal.js';
import { endedView } from './action-record.js';
import { openRequest, waitingView } from './waiting.js';

export interface ActionKey {
  readonly tenant: string;
  readonly actionId: string;
}

/** At least one of the first two. */
export interface ActionSources {
  readonly countersign?: Pick<Countersign, 'temporal' | 'view' | 'outcome'> | undefined;
  readonly ledger?: { readonly archive: Pick<Ledger['archive'], 'action' | 'actionForPeople'> } | undefined;
  /** Whether a person asks: to people, a canary is an action. To agents, there is none. Default false. */
  readonly forPeople?: boolean;
  /** Queries a running workflow. Default: within 5 seconds; undefined when no worker answers. */
  readonly query?: (name: ActionKey) => Promise<ActionView | undefined>;
}

/** An action as far as it is recorded. */
export interface FoundAction extends ActionKey {
  /** In the ledger. */
  readonly archived?: ArchivedRecord;
  /** Absent where no worker answers, and where the workflow was ended from outside. */
  readonly view?: ActionView;
  /** Its workflow, where the ledger did not already say all. */
  readonly workflow?: WorkflowExecutionDescription;
}

/** What the start of an action's workflow says, before policy was asked. */
export interface StartedAction {
  readonly agent?: string;
  readonly tool: string;
  readonly proposedAt: string;
}

/** How long a worker may take to say how an action stands. */
const QUERY_MS = 5000;

/** @throws CountersignError NOT_FOUND, LEDGER_UNAVAILABLE, TEMPORAL_UNAVAILABLE */
export async function findAction(sources: ActionSources, name: ActionKey): Promise<FoundAction> {
  const { tenant, actionId } = name;
  const archive = sources.ledger?.archive;
  const archived = await (sources.forPeople === true
    ? archive?.actionForPeople(tenant, actionId)
    : archive?.action(tenant, actionId));
  const found = { tenant, actionId, ...(archived === undefined ? {} : { archived }) };
  const recorded = recordedView(archived);
  if (recorded !== undefined) return { ...found, view: recorded };
  const workflow = await describeWorkflow(sources, name);
  if (workflow === undefined) {
    if (archived === undefined) throw actionNotFound(actionId, ` of tenant ${tenant}`);
    return found;
  }
  const view = await workflowView(sources, name, workflow);
  return { ...found, workflow, ...(view === undefined ? {} : { view }) };
}

/** Undefined where Temporal does not know the action, or is not at hand. @throws CountersignError TEMPORAL_UNAVAILABLE */
export async function describeWorkflow(
  { countersign, forPeople = false }: ActionSources,
  { tenant, actionId }: ActionKey,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    const found = await countersign?.temporal.workflow.getHandle(`${tenant}/${actionId}`).describe();
    return forPeople || found?.type === 'trustedAction' ? found : undefined;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw translated(error, actionId, { address: 'the configured address' });
  }
}

export function startedAction({ typedSearchAttributes, startTime }: WorkflowExecutionDescription): StartedAction {
  const agent = typedSearchAttributes.get(ATTRIBUTES.agent);
  return {
    tool: typedSearchAttributes.get(ATTRIBUTES.tool) ?? 'unknown',
    proposedAt: startTime.toISOString(),
    ...(agent === undefined ? {} : { agent }),
  };
}

function recordedView(archived: ArchivedRecord | undefined): ActionView | undefined {
  if (archived?.outcome !== undefined) return endedView(archived.outcome);
  const request = openRequest(archived);
  return request === undefined ? undefined : waitingView(request);
}

/** A workflow that has completed needs no worker: its outcome is in its history. */
async function workflowView(
  { countersign, query }: ActionSources,
  name: ActionKey,
  { status }: WorkflowExecutionDescription,
): Promise<ActionView | undefined> {
  if (countersign === undefined) return undefined;
  const { tenant, actionId } = name;
  switch (status.name) {
    case 'RUNNING':
      return query === undefined ? queried(countersign, name) : query(name);
    case 'COMPLETED':
      return endedView(await countersign.outcome(actionId, { tenant }));
    default:
      return undefined;
  }
}

async function queried(
  countersign: NonNullable<ActionSources['countersign']>,
  { tenant, actionId }: ActionKey,
): Promise<ActionView | undefined> {
  const over = AbortSignal.timeout(QUERY_MS);
  try {
    return await countersign.temporal.connection.withAbortSignal(over, () => countersign.view(actionId, tenant));
  } catch (error) {
    if (over.aborted || (error instanceof CountersignError && error.code === 'NOT_FOUND')) return undefined;
    throw error;
  }
}
