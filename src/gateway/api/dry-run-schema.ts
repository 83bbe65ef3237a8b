/** The answer to a dry run, as the API's document tells it. */
import { z } from '@hono/zod-openapi';
import { ACTION_TYPES } from '../../action/decision.js';
import { DECISION_EFFECTS, digest, error } from './schemas.js';

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
    actionType: z.enum(ACTION_TYPES).optional(),
    operation: z.string().optional().openapi({ description: "The tool's name for what would be done" }),
    environment: z.string().optional(),
    preview: z
      .looseObject({
        rows: count,
        targets: z.array(z.string()),
        summary: z.string(),
        tables: z
          .record(z.string(), z.object({ inserted: count, updated: count, deleted: count }))
          .optional()
          .openapi({
            description: 'What it changed in each table when it was tried and rolled back, where the tool rehearses',
          }),
      })
      .optional(),
    constraints: z
      .array(z.looseObject({ name: z.string(), value: z.union([z.string(), z.number(), z.boolean()]) }))
      .optional(),
    missing: z
      .array(z.looseObject({ roles: z.array(z.string()), have: count, need: count }))
      .optional()
      .openapi({
        description: 'Of a `require_approval`: who would have to approve. Empty where standing approvals are enough',
      }),
    waits: z
      .object({ reason: z.string(), retryAfterMs: z.number() })
      .optional()
      .openapi({ description: 'A limit leaves no room now, and the action would wait for some' }),
  })
  .openapi('DryRun', { description: 'What would become of a proposal. An agent sees of it no rows' });
