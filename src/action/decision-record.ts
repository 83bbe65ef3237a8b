/** One decision as it was made, with everything it depended on: what can be decided again later, under any policy. */
import { z } from 'zod';
import type { Decision, Facts } from './decision.js';
import type { ErrorView } from './errors.js';
import type { Hold } from './hold.js';
import type { Digest, Json } from './json.js';
import { OUTCOME_STATUSES, type ApprovalRecord, type OutcomeStatus } from './outcome.js';
import { zodError, type Proposal } from './proposal.js';

/** What one limit counted of an action. Its amount is what was spent, once it is consumed. */
export type RecordedHold = Omit<Hold, 'tenant' | 'actionId'>;

export interface DecisionRecord {
  readonly v: 1;
  readonly tenant: string;
  readonly actionId: string;
  readonly proposalDigest: Digest;
  /** Absent where it was not kept, or was scrubbed away. */
  readonly proposal?: Proposal;
  /** What was decided on. Without the sampled rows, which no policy reads. Absent when the proposal never got to policy. */
  readonly facts?: Facts;
  /** The last decision, after people decided where they were asked. */
  readonly decision?: Decision;
  readonly approvals: readonly ApprovalRecord[];
  readonly status: OutcomeStatus;
  /** Why the action did not succeed. */
  readonly error?: Pick<ErrorView, 'code' | 'message'>;
  /** What the tool returned, when a limit is settled by it. */
  readonly result?: Json;
  /** Whether anything was sent to the tool's system. */
  readonly attempted: boolean;
  /** What the ledger held and settled for it. */
  readonly holds: readonly RecordedHold[];
  /** When it was decided: `facts.now`, or when it ended where there are no facts. RFC 3339 UTC. */
  readonly decidedAt: string;
  readonly endedAt: string;
  readonly receipt: { readonly seq: number; readonly hash: Digest };
  /** JSON pointers into this record to what was replaced by a pseudonym or removed. Absent when nothing was. */
  readonly scrubbed?: readonly string[];
}

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const time = z.iso.datetime();
const object = z.record(z.string(), z.unknown());
const texts = z.array(z.string());

/** What is looked into without asking whether it is there. The rest of facts and decision is for policy, which denies what it cannot use. */
const schema = z.strictObject({
  v: z.literal(1),
  tenant: z.string().min(1),
  actionId: z.string().min(1),
  proposalDigest: digest,
  proposal: z.looseObject({ tool: z.string(), input: object, traceId: z.string().optional() }).optional(),
  facts: z
    .looseObject({
      agent: z.looseObject({ id: z.string(), roles: texts, via: texts.optional() }),
      tool: z.looseObject({ name: z.string(), environment: z.string() }),
      preview: z.looseObject({ targets: texts, reads: texts, rows: z.number() }),
      actionType: z.enum(['READ', 'WRITE', 'DELETE', 'CALL_API']),
      operation: z.string(),
      now: time,
      input: object.optional(),
      limits: z.array(z.looseObject({ limit: z.string(), key: z.string(), kind: z.string() })).optional(),
      history: z
        .array(z.looseObject({ fact: z.string(), done: z.number(), underWay: z.number(), possible: z.number() }))
        .optional(),
    })
    .optional(),
  decision: z
    .looseObject({
      effect: z.enum(['allow', 'deny', 'require_approval']),
      reason: z.string(),
      policies: texts,
      constraints: z.array(object),
      violations: z.array(z.looseObject({ policy: z.string() })),
      requirements: z.array(z.looseObject({ policy: z.string(), roles: texts, quorum: z.number() })),
      errors: texts,
      policyDigest: digest,
    })
    .optional(),
  approvals: z.array(z.looseObject({ approver: z.string(), roles: texts, verdict: z.string(), at: z.string() })),
  status: z.enum(OUTCOME_STATUSES),
  error: z.strictObject({ code: z.string(), message: z.string() }).optional(),
  result: z.unknown().optional(),
  attempted: z.boolean(),
  holds: z.array(
    z.looseObject({
      limit: z.string(),
      key: z.string(),
      kind: z.string(),
      amount: z.number(),
      status: z.string(),
      placedAt: time,
      settledAt: time.optional(),
    }),
  ),
  decidedAt: time,
  endedAt: time,
  receipt: z.strictObject({ seq: z.number().int().min(1), hash: digest }),
  scrubbed: texts.optional(),
});

/** Checks a value that came from a file. @throws CountersignError INVALID_INPUT */
export function parseDecisionRecord(value: unknown, field: string): DecisionRecord {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw zodError('INVALID_INPUT', parsed.error, field);
  return value as DecisionRecord;
}

/** The order in which decisions were made. Where two were made in the same millisecond, that of their ends. */
export function inOrderOfDecision(one: DecisionRecord, other: DecisionRecord): number {
  return (
    compare(Date.parse(one.decidedAt), Date.parse(other.decidedAt)) ||
    compare(one.tenant, other.tenant) ||
    compare(one.receipt.seq, other.receipt.seq)
  );
}

function compare<T extends number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
