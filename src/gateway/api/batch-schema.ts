/** Batches of proposals and what becomes of them, as the API's document tells it. */
import { z } from '@hono/zod-openapi';
import { MAX_BATCH } from '../../action/batch.js';
import { ACTION_ID_PATTERN } from '../../action/proposal.js';
import { dryRun } from './dry-run-schema.js';
import { proposal } from './proposal-schema.js';
import { action, outcome } from './schemas.js';

export const batchRequest = z
  .strictObject({
    proposals: z.array(proposal).min(1).max(MAX_BATCH).openapi({
      description: 'No two of one `actionId`. Give each one, so that the batch can be sent again',
    }),
  })
  .openapi('BatchRequest');

const notBegun = z
  .object({
    status: z.literal('not_begun'),
    actionId: z.string().regex(ACTION_ID_PATTERN),
    decided: dryRun,
  })
  .openapi('NotBegun', {
    description:
      'A proposal of a batch that was not begun, and what would have become of it by itself or beside the others',
  });

export const batch = z
  .object({
    begun: z.boolean().openapi({ description: 'false: none was begun that was not begun before' }),
    actions: z.array(z.union([outcome, action, notBegun])).openapi({
      description: 'In the order of the proposals: its outcome, the action as it stands, or why it was not begun',
    }),
  })
  .openapi('Batch', { description: 'What became of each proposal of a batch' });
