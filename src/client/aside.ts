/** What is asked of workers beside actions: to carry out people's statements, and to tell what is recorded. */
import type { Client } from '@temporalio/client';
import { TypedSearchAttributes, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import { decodeJwt } from 'jose';
import type { Fulfilled } from '../../activities/contract.js';
import { CountersignError } from '../action/errors.js';
import type { Outcome } from '../action/outcome.js';
import { TENANT_PATTERN } from '../action/proposal.js';
import type { TemporalSettings } from '../environment.js';
import { ATTRIBUTES, WORKFLOW_TASK_TIMEOUT } from '../temporal.js';
import { hasEnded } from './failures.js';
import { recover } from './saga.js';

/** How long a worker may take to read an outcome from the ledger. */
const RECORDED_TIMEOUT = '10s';

type StatementWorkflow = (token: string) => Promise<Fulfilled>;
type RecordedOutcome = (tenant: string, actionId: string) => Promise<Outcome>;

/** The workflow's id is the statement's own, so it is carried out at most once while Temporal remembers; after that the ledger sees to it. */
export async function handIn(temporal: Client, { taskQueue }: TemporalSettings, statement: string): Promise<Fulfilled> {
  const { tenant, jti, kind, subject } = placeOf(statement);
  // It is heard by the undoing that waits for it, and by nobody else.
  if (kind === 'recover') return recover(temporal, tenant, subject, statement);
  try {
    return await temporal.workflow.execute<StatementWorkflow>('statement', {
      workflowId: `statement/${tenant}/${jti}`,
      taskQueue,
      args: [statement],
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      typedSearchAttributes: new TypedSearchAttributes([{ key: ATTRIBUTES.tenant, value: tenant }]),
    });
  } catch (error) {
    if (!hasEnded(error)) throw error;
    throw new CountersignError('STATEMENT_INVALID', 'The statement was handed in before.', {
      field: 'statement.jti',
      expected: 'a statement that was never handed in',
      fix: 'Sign a new one.',
      cause: error,
    });
  }
}

/** What the ledger has, as a worker reads it; undefined when it has none, or nobody answers. */
export async function recordedOutcome(
  temporal: Client,
  { taskQueue }: TemporalSettings,
  { tenant, actionId }: Pick<Outcome, 'tenant' | 'actionId'>,
): Promise<Outcome | undefined> {
  try {
    return await temporal.workflow.execute<RecordedOutcome>('recordedOutcome', {
      workflowId: `recorded/${tenant}/${actionId}`,
      taskQueue,
      args: [tenant, actionId],
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      workflowExecutionTimeout: RECORDED_TIMEOUT,
    });
  } catch {
    return undefined;
  }
}

/** Where a statement says that it belongs. It is verified by whoever carries it out. */
function placeOf(statement: string): { tenant: string; jti: string; kind: string; subject: string } {
  try {
    const { tenant, jti, kind, subject } = decodeJwt<Record<'tenant' | 'kind' | 'subject', unknown>>(statement);
    if (typeof tenant === 'string' && TENANT_PATTERN.test(tenant) && jti !== undefined) {
      return { tenant, jti, kind: String(kind), subject: String(subject) };
    }
  } catch {
    // Told below, as any other text that is no statement.
  }
  throw new CountersignError('STATEMENT_INVALID', 'This is not a signed statement.', {
    field: 'statement',
    expected: 'what signStatement returned',
  });
}
