/** What the playground is asked, read strictly: a recorded action of the tenant, or a proposal with its context as JSON. */
import { z } from 'zod';
import { ACTION_TYPES } from '../../../action/decision.js';
import { CountersignError } from '../../../action/errors.js';
import type { JsonObject } from '../../../action/json.js';
import { withoutUndefined } from '../../../action/json.js';
import { LIMIT_KINDS } from '../../../action/limits.js';
import { parseJson } from '../../../action/parse.js';
import { NAME_PATTERN, TRUST_LEVELS, zodError } from '../../../action/proposal.js';
import type { ArchivedRecord } from '../../../ledger/index.js';
import type { Question } from '../../policy/trial.js';

export const MAX_FACTS = 65_536;
export const MAX_RULE = 16_384;
/** Agents above the proposing one: policy is asked for each of them. */
const MOST_ABOVE = 20;

const names = z.array(z.string().min(1).max(256)).max(100);

const figure = z.strictObject({
  limit: z.string().max(200),
  key: z.string().max(500),
  kind: z.enum(LIMIT_KINDS),
  max: z.number(),
  used: z.number(),
  held: z.number(),
  left: z.number(),
  unit: z.string().max(64).optional(),
  fits: z.boolean(),
  text: z.string().max(1000),
});

const pasted = z.strictObject({
  /** As an agent proposes it: what policy does not read may be there. */
  proposal: z.looseObject({
    tool: z.string().regex(NAME_PATTERN),
    input: z.record(z.string(), z.unknown()),
    from: z
      .array(z.strictObject({ source: z.string().min(1).max(256), trust: z.enum(TRUST_LEVELS) }))
      .max(20)
      .optional(),
  }),
  agent: z.strictObject({
    id: z.string().min(1).max(256),
    roles: names,
    scopes: names.optional(),
    owner: z.string().min(1).max(256).optional(),
  }),
  tool: z.strictObject({ kind: z.string().min(1).max(64), environment: z.string().min(1).max(64) }),
  actionType: z.enum(ACTION_TYPES),
  operation: z.string().min(1).max(200).optional(),
  preview: z
    .strictObject({
      rows: z.number().int().min(0).optional(),
      targets: names.optional(),
      reads: names.optional(),
      schemaChange: z.boolean().optional(),
    })
    .optional(),
  limits: z.array(figure).max(50).optional(),
  now: z.iso.datetime().optional(),
});

/** What the field holds before anybody has written into it. */
export const EXAMPLE = `{
  "proposal": { "tool": "shop-db", "input": { "op": "delete", "table": "orders", "where": { "id": 7 } } },
  "agent": { "id": "cleaner", "roles": ["admin_user"] },
  "tool": { "kind": "postgres", "environment": "production" },
  "actionType": "DELETE",
  "preview": { "rows": 1, "targets": ["orders"] }
}`;

/** @throws CountersignError INVALID_JSON with the line, INVALID_NUMBER, INVALID_TEXT, INVALID_INPUT naming the field, INPUT_TOO_LARGE */
export function pastedQuestion(text: string, tenant: string): Question {
  const { data, error } = pasted.safeParse(jsonOf(text));
  if (error !== undefined) throw zodError('INVALID_INPUT', error, 'facts');
  const { proposal, agent, tool, preview, now = new Date().toISOString(), ...rest } = data;
  return withoutUndefined({
    kind: 'proposed' as const,
    ...rest,
    proposal: withoutUndefined({ tool: proposal.tool, input: proposal.input as JsonObject, from: proposal.from }),
    agent: withoutUndefined({ ...agent, scopes: agent.scopes ?? [], tenant }),
    tool: { ...tool, name: proposal.tool },
    preview: preview && withoutUndefined(preview),
    now,
  }) as Question;
}

function jsonOf(text: string): unknown {
  if (text.length > MAX_FACTS) {
    throw new CountersignError('INPUT_TOO_LARGE', 'The proposal with its context is too large.', {
      field: 'facts',
      expected: `at most ${MAX_FACTS} characters`,
    });
  }
  try {
    return parseJson(text, 'facts');
  } catch (thrown) {
    if (!(thrown instanceof CountersignError)) throw thrown;
    const at = /position (\d+)/.exec(thrown.message)?.[1];
    if (at === undefined) throw thrown;
    const line = text.slice(0, Number(at)).split('\n').length;
    throw new CountersignError(thrown.code, `line ${line}: ${thrown.message}`, { ...thrown.toJSON(), cause: thrown });
  }
}

/** As of when a recorded action is decided again: then, or now. */
export const AS_OF = ['record', 'now'] as const;
export type AsOf = (typeof AS_OF)[number];

/** @throws CountersignError INVALID_INPUT for an action that policy never decided on */
export function recordedQuestion({ actionId, outcome, proposal }: ArchivedRecord, asOf: AsOf): Question {
  const facts = outcome?.facts;
  if (facts !== undefined && (facts.above?.length ?? 0) <= MOST_ABOVE) {
    const { preview, ...rest } = facts;
    // No policy reads the sampled rows.
    return {
      kind: 'recorded',
      facts: { ...rest, preview: { ...preview, sample: [] } },
      input: proposal?.input ?? {},
      ...(proposal?.traceId === undefined ? {} : { traceId: proposal.traceId }),
      asOf: asOf === 'record' ? asOf : { now: new Date().toISOString() },
    };
  }
  throw new CountersignError('INVALID_INPUT', `There are no facts of ${actionId} that policy decided on.`, {
    field: 'action',
    expected: 'an action that has ended, and that got to policy',
    fix: 'Choose another, or paste a proposal with its context.',
  });
}
