/** The shapes of the API's requests and answers, as its document tells them. */
import { z } from '@hono/zod-openapi';
import { ACTION_TYPES, type DecisionEffect } from '../../action/decision.js';
import { VERDICTS, type Phase } from '../../action/outcome.js';
import { MAX_WAIT_SECONDS } from '../middleware/timeouts.js';
import { ACTION_ID_PATTERN, TENANT_PATTERN } from '../../action/proposal.js';
import { agentIdSchema } from '../../trust/claim-schemas.js';
import { jsonObject, reasonText, textOf } from './described.js';
import { edit } from './proposal-schema.js';

export const ACTION_STATUSES = [
  'open',
  'pending',
  'success',
  'mismatch',
  'failed',
  'denied',
  'expired',
  'cancelled',
  'unknown',
] as const;

const PHASES = [
  'preparing',
  'queued',
  'pending',
  'executing',
  'verifying',
  'ended',
] as const satisfies readonly Phase[];

export const DECISION_EFFECTS = ['allow', 'deny', 'require_approval'] as const satisfies readonly DecisionEffect[];

const open = { type: 'object', additionalProperties: true } as const;
const actionIdSchema = z.string().regex(ACTION_ID_PATTERN);
const tenantSchema = z.string().regex(TENANT_PATTERN);
const thing = z.looseObject({});
export const time = z.string().openapi({ format: 'date-time', description: 'RFC 3339 UTC' });
const DIGEST = /^sha256:[0-9a-f]{64}$/;
export const digest = z.string().regex(DIGEST).openapi({ description: 'SHA-256 of canonical JSON (RFC 8785)' });

const digestSchema = digest
  .transform((text) => text as `sha256:${string}`)
  .openapi({ type: 'string', pattern: DIGEST.source });
export const actionParams = z.object({ actionId: actionIdSchema.openapi({ param: { name: 'actionId', in: 'path' } }) });

export const wait = z
  .string()
  .regex(/^\d{1,2}$/)
  .refine((text) => Number(text) <= MAX_WAIT_SECONDS, `at most ${MAX_WAIT_SECONDS}`)
  .optional()
  .openapi({
    type: 'integer',
    minimum: 0,
    maximum: MAX_WAIT_SECONDS,
    description: 'How long to wait for the outcome, seconds. `Prefer: wait=` says the same.',
  });

export const pageQuery = {
  cursor: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,1024}$/)
    .optional()
    .openapi({ description: 'The `next` of the page before' }),
  limit: z
    .string()
    .regex(/^\d{1,3}$/)
    .refine((text) => Number(text) >= 1 && Number(text) <= 200, 'from 1 to 200')
    .transform(Number)
    .optional()
    .openapi({ type: 'integer', minimum: 1, maximum: 200, description: 'Default 25' }),
};

export const receipt = z
  .object({ tenant: z.string(), seq: z.number().int(), hash: digest })
  .openapi('ReceiptRef', { description: "The action's place in its tenant's chain of receipts" });

export const error = z.object({
  code: z.string(),
  message: z.string(),
  field: z.string().optional(),
  expected: z.string().optional(),
  fix: z.string().optional(),
  retryAfterMs: z.number().optional(),
});

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().openapi({ description: 'Stable; the API page lists the codes' }),
    field: z.string().optional(),
    expected: z.string().optional(),
    fix: z.string().optional(),
  })
  .openapi('Problem', { description: 'An error (RFC 9457)' });

export const outcome = z
  .object({
    status: z.enum(['success', 'mismatch', 'failed', 'denied', 'expired', 'cancelled', 'unknown']),
    reason: z.string(),
    error: error.optional(),
    tenant: tenantSchema,
    actionId: actionIdSchema,
    proposalDigest: digest,
    tool: z.string(),
    actionType: z.enum(ACTION_TYPES).optional().openapi({ description: 'To agents' }),
    operation: z.string().optional().openapi({ description: "To agents: the tool's name for what was done" }),
    environment: z.string().optional().openapi({ description: 'To agents' }),
    preview: z
      .looseObject({ rows: z.number(), targets: z.array(z.string()), summary: z.string() })
      .optional()
      .openapi({ description: 'To agents: what it would touch, as it was decided on' }),
    decision: z.looseObject({ effect: z.enum(DECISION_EFFECTS), reason: z.string() }).optional(),
    approvals: z.array(z.looseObject({ verdict: z.enum(VERDICTS), at: time })).optional(),
    checks: z.array(z.looseObject({ name: z.string(), ok: z.boolean() })).optional(),
    delta: z.looseObject({ operations: z.number(), latencyMs: z.number() }).optional(),
    result: z.unknown().optional().openapi({ description: 'What the tool returned. It is no evidence of the effect' }),
    revisedBy: actionIdSchema.optional().openapi({
      description: 'The action that is done instead, where a person changed what was proposed',
    }),
    resolution: z
      .looseObject({ verdict: z.enum(['happened', 'did_not_happen']), at: time })
      .optional()
      .openapi({ description: 'Where a person resolved what could not be known' }),
    compensation: z
      .looseObject({
        actionId: z.string().optional(),
        status: z.enum(['running', 'success', 'nothing', 'accepted', 'needs_person']),
      })
      .optional()
      .openapi({ description: 'Where a mismatch is compensated: what became of it by then' }),
    receipt: receipt.optional(),
    steps: z.record(z.string(), z.number()).optional().openapi({ description: 'Milliseconds of each step' }),
  })
  .openapi('Outcome', {
    additionalProperties: true,
    description:
      'How an action ended. Agents see only the reason of a denied action; of others they see no rows, no states before or after, and no names of people.',
  });

export const action = z
  .object({
    tenant: tenantSchema,
    actionId: actionIdSchema,
    status: z.enum(ACTION_STATUSES),
    tool: z.string(),
    proposalDigest: digest.optional(),
    phase: z.enum(PHASES).optional(),
    agent: z.string().optional(),
    environment: z.string().optional(),
    summary: z.string().optional(),
    effect: z.enum(DECISION_EFFECTS).optional(),
    reason: z.string().optional(),
    code: z.string().optional().openapi({ description: 'Why it did not succeed, once it has ended' }),
    proposedAt: time.optional(),
    endedAt: time.optional(),
    expiresAt: time.optional(),
    cancelRequested: z.boolean().optional(),
    pending: z
      .looseObject({
        reason: z.string().optional(),
        expiresAt: time.optional(),
        missing: z
          .array(z.looseObject({ roles: z.array(z.string()), have: z.number().int(), need: z.number().int() }))
          .optional(),
      })
      .optional()
      .openapi({
        description: 'To people: what is `shown` to be decided on, and its `shownDigest`. To agents: who is `missing`.',
      }),
    outcome: outcome.optional(),
    error: error.optional().openapi({ description: 'In a batch: why nothing more is known of it now' }),
    receipt: receipt.optional(),
    revises: z.string().optional(),
  })
  .openapi('Action', {
    additionalProperties: true,
    description: 'What is known of an action now. `open`: it has no outcome, and does not wait for people.',
  });

export const actionPage = z.object({ actions: z.array(action), next: z.string().optional() }).openapi('Actions');

const approvalRequest = z
  .looseObject({
    actionId: actionIdSchema,
    shownDigest: digest,
    policyDigest: digest,
    environment: z.string(),
    tool: z.string(),
    agent: z.string(),
    summary: z.string(),
    reason: z.string(),
    askedAt: time,
    expiresAt: time,
    missing: z.array(thing),
  })
  .openapi('ApprovalRequest', { description: 'An action that waits for people' });
export const approvalRequestPage = z
  .object({ approvalRequests: z.array(approvalRequest), next: z.string().optional() })
  .openapi('ApprovalRequests');

export const decision = z
  .strictObject({
    shownDigest: digestSchema.openapi({ description: 'Of exactly what you saw: `pending.shownDigest`' }),
    verdict: z.enum(VERDICTS),
    reason: reasonText.optional(),
    edit: edit.optional(),
    assertion: z
      .strictObject({
        policyDigest: digestSchema,
        response: jsonObject('As the browser made it'),
      })
      .optional()
      .openapi({ description: "A passkey's assertion, where policy asks for one" }),
  })
  .openapi('Decision');
export const decided = z
  .object({
    recorded: thing.openapi(open),
    state: z.enum(['waiting', 'approved', 'denied', 'changes_requested']),
    revisedBy: actionIdSchema.optional(),
    canary: z.string().optional().openapi({ description: 'Where it was a canary: what to know of it' }),
  })
  .openapi('Decided');

export const freezeScope = z
  .union([
    z.strictObject({ kind: z.literal('all') }),
    z.strictObject({
      kind: z.literal('tenant'),
      value: tenantSchema.optional().openapi({ description: 'Yours, which is the default' }),
    }),
    z.strictObject({ kind: z.enum(['agent', 'tool', 'target']), value: textOf({ min: 1, max: 500 }) }),
  ])
  .openapi({ description: 'What is stopped, within your tenant' });
export const freeze = z
  .looseObject({
    id: z.number().int(),
    tenant: z.string(),
    scope: thing.openapi(open),
    reason: z.string(),
    by: z.string(),
    at: time,
  })
  .openapi('Freeze');

export const agentId = agentIdSchema;
export { thing as anything };
