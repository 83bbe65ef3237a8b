/** Actions by what Temporal indexes of them. The index follows the actions within a moment, not at once. */
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { asCountersignError, CountersignError } from '../action/errors.js';
import { isUnreached, temporalUnavailable } from '../client/connection.js';
import { ATTRIBUTES } from '../temporal.js';

export type Filter = Partial<Record<'status' | 'tool' | 'agent' | 'tenant', string>>;

export interface ListedAction {
  readonly tenant: string;
  readonly actionId: string;
  readonly status: string;
  readonly decision?: string;
  readonly type?: string;
  readonly tool?: string;
  readonly environment?: string;
  readonly agent?: string;
  readonly receipt?: number;
  /** RFC 3339 UTC. */
  readonly proposedAt: string;
  readonly endedAt?: string;
}

const ALIVE: ReadonlySet<string> = new Set(['pending', 'queued', 'running']);

/** The visibility query of a filter. @throws CountersignError USAGE for a value that could be more than a value */
export function listQuery(filter: Filter): string {
  const conditions = Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => `${ATTRIBUTES[field as keyof Filter].name} = ${quoted(value, `--${field}`)}`);
  // One that was terminated keeps the status it had.
  const alive = ALIVE.has(filter.status ?? '') ? [`ExecutionStatus = 'Running'`] : [];
  // To people, a canary that waits is an action.
  return [`WorkflowType IN ('trustedAction', 'canary')`, ...alive, ...conditions].join(' AND ');
}

/** Refused rather than escaped: no name holds such a character, and servers differ in how they unescape. */
function quoted(value: string, field: string): string {
  if (/^[A-Za-z0-9._@:/-]{1,255}$/.test(value)) return `'${value}'`;
  throw new CountersignError('USAGE', `${JSON.stringify(value.slice(0, 80))} cannot be searched for.`, {
    field,
    expected: '1 to 255 of A-Z a-z 0-9 . _ @ : / -',
    fix: 'Write it as `countersign list` shows it.',
  });
}

/** The actions whose undoing failed and waits for a person. @throws CountersignError TEMPORAL_UNAVAILABLE, USAGE */
export async function stuckCompensations(
  temporal: Client,
  tenant: string | undefined,
  limit: number,
  address: string,
): Promise<{ readonly tenant: string; readonly actionId: string }[]> {
  const conditions = [
    `WorkflowType = 'compensation'`,
    `ExecutionStatus = 'Running'`,
    `${ATTRIBUTES.status.name} = 'needs_person'`,
    ...(tenant === undefined ? [] : [`${ATTRIBUTES.tenant.name} = ${quoted(tenant, '--tenant')}`]),
  ];
  const found = await listActions(temporal, conditions.join(' AND '), limit, address);
  // `undo/<tenant>/<actionId>`, split at the first slash.
  return found.map(({ actionId: rest }) => {
    const slash = rest.indexOf('/');
    return { tenant: rest.slice(0, slash), actionId: rest.slice(slash + 1) };
  });
}

/** What a query finds, the newest first. @throws CountersignError TEMPORAL_UNAVAILABLE */
export async function listActions(
  temporal: Client,
  query: string,
  limit: number,
  address: string,
): Promise<ListedAction[]> {
  const found: ListedAction[] = [];
  try {
    for await (const execution of temporal.workflow.list({ query, pageSize: Math.min(limit, 200) })) {
      found.push(listed(execution));
      if (found.length >= limit) break;
    }
  } catch (error) {
    if (isUnreached(error)) throw temporalUnavailable(address, error);
    throw new CountersignError(
      'TEMPORAL_UNAVAILABLE',
      `Temporal cannot list actions: ${asCountersignError(error).message}`,
      {
        field: 'TEMPORAL_NAMESPACE',
        fix: 'Register the search attributes: countersign setup',
        cause: error,
      },
    );
  }
  return found;
}

function listed(execution: WorkflowExecutionInfo): ListedAction {
  const { workflowId, typedSearchAttributes: attributes, startTime, closeTime } = execution;
  const slash = workflowId.indexOf('/');
  const ended = execution.status.name;
  const known = ended === 'RUNNING' || ended === 'COMPLETED' ? attributes.get(ATTRIBUTES.status) : undefined;
  const receipt = attributes.get(ATTRIBUTES.receipt);
  return {
    tenant: workflowId.slice(0, slash),
    actionId: workflowId.slice(slash + 1),
    status: known ?? ended.toLowerCase(),
    ...optional('decision', attributes.get(ATTRIBUTES.decision)),
    ...optional('type', attributes.get(ATTRIBUTES.actionType)),
    ...optional('tool', attributes.get(ATTRIBUTES.tool)),
    ...optional('environment', attributes.get(ATTRIBUTES.environment)),
    ...optional('agent', attributes.get(ATTRIBUTES.agent)),
    ...(receipt === undefined ? {} : { receipt }),
    proposedAt: startTime.toISOString(),
    ...(closeTime === undefined ? {} : { endedAt: closeTime.toISOString() }),
  };
}

function optional<K extends string>(name: K, value: string | undefined): { [key in K]?: string } {
  return (value === undefined ? {} : { [name]: value }) as { [key in K]?: string };
}
