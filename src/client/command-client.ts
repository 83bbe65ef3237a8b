/** What is asked of workers beside actions: to carry out people's signed commands, and to tell what is recorded. */
import type { Client } from '@temporalio/client';
import { TypedSearchAttributes, WorkflowIdConflictPolicy, WorkflowIdReusePolicy } from '@temporalio/common';
import { decodeJwt } from 'jose';
import type { CommandResult } from '../../activities/contract.js';
import { CountersignError } from '../action/errors.js';
import type { Outcome } from '../action/outcome.js';
import { TENANT_PATTERN } from '../action/proposal.js';
import type { TemporalSettings } from '../environment.js';
import { ATTRIBUTES, WORKFLOW_TASK_TIMEOUT } from '../temporal.js';
import { sendCanary } from './canary.js';
import { hasEnded } from './failures.js';
import { recover } from './saga.js';

/** How long a worker may take to read an outcome from the ledger. */
const RECORDED_TIMEOUT = '10s';

type SignedCommandWorkflow = (token: string) => Promise<CommandResult>;
type RecordedOutcome = (tenant: string, actionId: string) => Promise<Outcome>;

/** The workflow's id is the signed command's own, so it is carried out at most once while Temporal remembers; after that the ledger sees to it. */
export async function submitCommand(
  temporal: Client,
  { taskQueue }: TemporalSettings,
  command: string,
): Promise<CommandResult> {
  const { tenant, jti, kind, subject } = placeOf(command);
  // It is heard by the undoing that waits for it, and by nobody else.
  if (kind === 'recover') return recover(temporal, tenant, subject, command);
  if (kind === 'send_canary') return sendCanary(temporal, { taskQueue }, { tenant, actionId: subject, command });
  try {
    return await temporal.workflow.execute<SignedCommandWorkflow>('signedCommand', {
      workflowId: `command/${tenant}/${jti}`,
      taskQueue,
      args: [command],
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      workflowTaskTimeout: WORKFLOW_TASK_TIMEOUT,
      typedSearchAttributes: new TypedSearchAttributes([{ key: ATTRIBUTES.tenant, value: tenant }]),
    });
  } catch (error) {
    if (!hasEnded(error)) throw error;
    throw new CountersignError('COMMAND_INVALID', 'The signed command was handed in before.', {
      field: 'command.jti',
      expected: 'a signed command that was never handed in',
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

/** Where a signed command says that it belongs. It is verified by whoever carries it out. */
function placeOf(command: string): { tenant: string; jti: string; kind: string; subject: string } {
  try {
    const { tenant, jti, kind, subject } = decodeJwt<Record<'tenant' | 'kind' | 'subject', unknown>>(command);
    if (typeof tenant === 'string' && TENANT_PATTERN.test(tenant) && jti !== undefined) {
      return { tenant, jti, kind: String(kind), subject: String(subject) };
    }
  } catch {
    // Told below, as any other text that is no signed command.
  }
  throw new CountersignError('COMMAND_INVALID', 'This is not a signed command.', {
    field: 'command',
    expected: 'what signCommand returned',
  });
}
