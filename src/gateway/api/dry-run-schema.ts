/** The answer to a dry run, as the API's document tells it. */
import { z } from '@hono/zod-openapi';
import { ACTION_TYPES } from '../../action/decision.js';
import { DECISION_EFFECTS, digest, error, missing } from './schemas.js';

const count = z.number().int();

export const dryRun = z
  .object({
    effect: z.enum(DECISION_EFFECTS).openapi({
      description: '`deny`: also where something else than policy would end it before its effect',
    }),
    reason: z.string(),
    tool: z.string(),
    proposalDigest: digest,
    error: error.optional().openapi({ description: 'Of a `deny`: what the outcome would be refused with' }),
    actionType: z.enum(ACTION_TYPES).optional().openapi({
      description: 'What the tool makes of the input. This and what is below it is told only where it is no `deny`',
    }),
    operation: z.string().optional().openapi({ description: "The tool's name for what would be done" }),
    environment: z.string().optional().openapi({ description: "The tool's" }),
    preview: z
      .looseObject({
        rows: count.openapi({ description: 'How many rows or objects it would change or return' }),
        targets: z.array(z.string()),
        summary: z.string(),
        tables: z
          .record(z.string(), z.object({ inserted: count, updated: count, deleted: count }))
          .optional()
          .openapi({
            description: 'What it changed in each table when it was tried and rolled back, where the tool rehearses',
          }),
      })
      .optional()
      .openapi({ description: 'What it would touch now' }),
    constraints: z
      .array(
        z.looseObject({
          name: z.string(),
          value: z
            .union([z.string(), z.number(), z.boolean()])
            .openapi({ description: "In the name's unit: `maxRows` counts rows" }),
        }),
      )
      .optional()
      .openapi({ description: 'The obligations that the decision would put on execution' }),
    missing: missing.optional().openapi({
      description: 'Of a `require_approval`: who would have to approve. Empty where standing approvals are enough',
    }),
    waits: z
      .object({
        reason: z.string(),
        retryAfterMs: z.number().openapi({ description: 'When there may be room. Milliseconds from now' }),
      })
      .optional()
      .openapi({ description: 'A limit leaves no room now, and the action would wait for some' }),
  })
  .openapi('DryRun', { description: 'What would become of a proposal. An agent sees of it no rows' });
