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

const seq = z.number().int().openapi({ description: 'Its number in the chain: from 1, without gaps' });
export const receipt = z
  .object({ tenant: z.string(), seq, hash: digest })
  .openapi('ReceiptRef', { description: "The action's place in its tenant's chain of receipts" });

/** What an error says besides its code and its message. */
const particulars = {
  field: z
    .string()
    .optional()
    .openapi({ description: 'Where it is wrong, as a path from the root: `proposal.input.where`' }),
  expected: z.string().optional().openapi({ description: 'What would have been right there' }),
  fix: z.string().optional().openapi({ description: 'What can be done about it' }),
};

export const error = z.object({
  code: z.string(),
  message: z.string(),
  ...particulars,
  retryAfterMs: z
    .number()
    .optional()
    .openapi({ description: 'When trying again is of use. Milliseconds from when the error was raised' }),
});

/** Who must still approve: of each requirement, any one of its roles. */
export const missing = z.array(
  z.looseObject({
    roles: z.array(z.string()),
    have: z.number().int().openapi({ description: 'How many different people have approved' }),
    need: z.number().int().openapi({ description: 'How many it takes' }),
  }),
);

const rows = z.number().openapi({ description: 'How many rows or objects it would change or return' });

export const problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    instance: z.string(),
    code: z.string().openapi({ description: 'Stable; the API page lists the codes' }),
    ...particulars,
  })
  .openapi('Problem', { description: 'An error (RFC 9457)' });

export const outcome = z
  .object({
    status: z.enum(['success', 'mismatch', 'failed', 'denied', 'expired', 'cancelled', 'unknown']),
    reason: z.string(),
    error: error.optional().openapi({ description: 'Why the status is not `success`' }),
    tenant: tenantSchema,
    actionId: actionIdSchema,
    proposalDigest: digest,
    tool: z.string(),
    actionType: z.enum(ACTION_TYPES).optional().openapi({ description: 'To agents' }),
    operation: z.string().optional().openapi({ description: "To agents: the tool's name for what was done" }),
    environment: z.string().optional().openapi({ description: 'To agents' }),
    preview: z
      .looseObject({ rows, targets: z.array(z.string()), summary: z.string() })
      .optional()
      .openapi({ description: 'To agents: what it would touch, as it was decided on' }),
    decision: z
      .looseObject({ effect: z.enum(DECISION_EFFECTS), reason: z.string() })
      .optional()
      .openapi({ description: 'The last decision on it. Absent where it ended before policy was asked' }),
    approvals: z
      .array(z.looseObject({ verdict: z.enum(VERDICTS), at: time }))
      .optional()
      .openapi({ description: 'What people decided on it' }),
    checks: z
      .array(z.looseObject({ name: z.string(), ok: z.boolean() }))
      .optional()
      .openapi({ description: 'What was checked after the effect' }),
    delta: z
      .looseObject({
        operations: z.number().openapi({ description: 'How many operations the whole difference has (RFC 6902)' }),
        latencyMs: z.number().openapi({
          description: "From the effect's start until the expected state was read back, milliseconds",
        }),
      })
      .optional()
      .openapi({ description: 'What changed. Absent where there was no effect to look at' }),
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
        actionId: z
          .string()
          .optional()
          .openapi({ description: 'The action that undid it, or tried to. Absent where it did not come to one' }),
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
    phase: z.enum(PHASES).optional().openapi({ description: 'Where it stands. Absent in lists' }),
    agent: z
      .string()
      .optional()
      .openapi({ description: 'Who proposed it. Absent where it ended before that was known' }),
    environment: z
      .string()
      .optional()
      .openapi({ description: "The tool's. Absent where it ended before that was known" }),
    summary: z
      .string()
      .optional()
      .openapi({ description: 'One line on what it would touch. Absent where it ended before that was known' }),
    effect: z
      .enum(DECISION_EFFECTS)
      .optional()
      .openapi({ description: 'Of the decision, once it has ended or people are asked' }),
    reason: z
      .string()
      .optional()
      .openapi({ description: 'Why it ended as it did, or why people are asked. Absent before' }),
    code: z.string().optional().openapi({ description: 'Why it did not succeed, once it has ended' }),
    proposedAt: time.optional(),
    endedAt: time.optional(),
    expiresAt: time.optional(),
    cancelRequested: z.boolean().optional().openapi({ description: 'Whether it was asked to stop. Absent in lists' }),
    pending: z
      .looseObject({
        reason: z.string().optional().openapi({ description: 'To agents: why people are asked' }),
        expiresAt: time.optional(),
        missing: missing.optional().openapi({ description: 'To agents: whose approval is missing' }),
      })
      .optional()
      .openapi({
        description: 'To people: what is `shown` to be decided on, and its `shownDigest`. To agents: who is `missing`.',
      }),
    outcome: outcome.optional(),
    error: error.optional().openapi({ description: 'In a batch: why nothing more is known of it now' }),
    receipt: receipt.optional(),
    revises: z
      .string()
      .optional()
      .openapi({ description: 'The action that it is proposed instead of, where people were asked about it' }),
  })
  .openapi('Action', {
    additionalProperties: true,
    description: 'What is known of an action now. `open`: it has no outcome, and does not wait for people.',
  });

const next = z
  .string()
  .optional()
  .openapi({ description: 'The `cursor` of the page after it. Absent of the last one' });

export const actionPage = z
  .object({ actions: z.array(action), next })
  .openapi('Actions', { description: 'One page of actions' });

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
  .object({ approvalRequests: z.array(approvalRequest), next })
  .openapi('ApprovalRequests', { description: 'One page of what waits for people' });

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
