/** Sagas as they come over HTTP and as agents see them: no names of people, no words of theirs. */
import { z } from '@hono/zod-openapi';
import { withoutUndefined } from '../../action/json.js';
import { ACTION_ID_PATTERN } from '../../action/proposal.js';
import { MAX_SAGA_STEPS, type CompensationView, type SagaStep, type SagaView } from '../../action/saga.js';
import { sagaStep } from './proposal-schema.js';
import { digest, error, receipt } from './schemas.js';

const traceId = z.string().regex(ACTION_ID_PATTERN);
const actionId = z.string().regex(ACTION_ID_PATTERN);

export const sagaRequest = z
  .strictObject({
    traceId: traceId.openapi({
      description: 'Names the saga: the same steps under it again return what became of it',
    }),
    steps: z.array(sagaStep).min(1).max(MAX_SAGA_STEPS).openapi({
      description: 'In order. None may use what another returns; no two of one `actionId`',
    }),
  })
  .openapi('SagaRequest');

export const sagaParams = z.object({ traceId: traceId.openapi({ param: { name: 'traceId', in: 'path' } }) });

const stepStatuses = [
  'waiting',
  'running',
  'skipped',
  'success',
  'mismatch',
  'failed',
  'denied',
  'expired',
  'cancelled',
  'unknown',
] as const satisfies readonly SagaStep['status'][];

const sagaStatuses = [
  'running',
  'compensating',
  'needs_person',
  'success',
  'compensated',
  'compensation_failed',
] as const satisfies readonly SagaView['status'][];

const compensationStatuses = [
  'running',
  'needs_person',
  'success',
  'nothing',
  'accepted',
] as const satisfies readonly CompensationView['status'][];

export const saga = z
  .object({
    status: z.enum(sagaStatuses).openapi({
      description:
        '`success`: every step succeeded; `compensated`: one did not, and what was done is undone; `compensation_failed`: a person accepted that something is not undone; `needs_person`: it waits for one (`waitsFor`)',
    }),
    tenant: z.string(),
    traceId,
    digest: digest.openapi({ description: 'Of which proposals it consists of' }),
    reason: z.string(),
    steps: z.array(
      z.object({
        actionId,
        tool: z.string(),
        status: z.enum(stepStatuses).openapi({
          description: '`waiting`: not begun; `skipped`: never will be, because a step before it did not succeed',
        }),
        reason: z.string().optional().openapi({ description: 'That of its outcome. Absent until it has one' }),
        error: error.optional().openapi({ description: 'Why it did not succeed' }),
        receipt: receipt.optional(),
      }),
    ),
    compensations: z
      .array(
        z.object({
          cause: actionId.openapi({ description: 'The action that is undone' }),
          status: z.enum(compensationStatuses),
          actionId: z.string().optional().openapi({ description: 'The action that undid it, or tried to last' }),
          receipt: receipt.optional(),
        }),
      )
      .openapi({ description: "In the order in which they were begun: the last step's first" }),
    waitsFor: z
      .object({ actionId: z.string(), kind: z.enum(['approval', 'unknown', 'compensation']), reason: z.string() })
      .optional()
      .openapi({ description: 'The action that waits for an approval, is unknown, or could not be undone' }),
  })
  .openapi('Saga', { description: 'Several actions that succeed together or are undone: how they stand' });

/** As an agent sees it. */
export function sagaFor({ compensations, ...view }: SagaView): object {
  return {
    ...view,
    compensations: compensations.map(({ cause, status, actionId, receipt }) =>
      withoutUndefined({ cause, status, actionId, receipt }),
    ),
  };
}
