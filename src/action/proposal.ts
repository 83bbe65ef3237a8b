/** What an agent asks for. */
import { z } from 'zod';
import { hasCharacters } from './characters.js';
import { CountersignError } from './errors.js';
import { assertJson, canonicalBytes, digest, withoutUndefined, type Digest, type JsonObject } from './json.js';

/** A proposal's canonical size in bytes may not exceed this. Larger inputs belong in storage, with the proposal naming them. */
const MAX_PROPOSAL_BYTES = 256 * 1024;

export const TENANT_PATTERN = /^[a-z0-9][a-z0-9_-]{0,62}$/;
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
/** Names of expectations and invariants, which become part of a check's name. */
export const CHECK_NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
export const ACTION_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;
export const MAX_ACTION_ID = 128;

/** How many named expectations a proposal may hold. */
export const MAX_EXPECTATIONS = 20;

/** The longest texts of a proposal, characters; and how long an expectation may wait, milliseconds. */
export const MAX_CEL = 4096;
export const MAX_WITHIN_MS = 600_000;
export const MAX_EXPECTED_OUTCOME = 2000;
export const MAX_REASONING = 16_384;
export const MAX_CLAIM = { name: 64, value: 256 } as const;

/** How many sources a proposal may name, and the longest name of one, characters. */
export const MAX_SOURCES = 20;
export const MAX_SOURCE = 256;

export const TRUST_LEVELS = ['trusted', 'untrusted'] as const;

/** So many characters. */
function words(min: number, max: number) {
  const error = min === 0 ? `at most ${max} characters` : `${min} to ${max} characters`;
  return z.string().refine((text) => hasCharacters(text, min, max), { error });
}

const expectation = {
  cel: words(1, MAX_CEL),
  withinMs: z.number().int().min(0).max(MAX_WITHIN_MS).optional(),
};

const expectSchema = z.union([
  words(1, MAX_CEL),
  z.strictObject(expectation),
  z
    .array(z.strictObject({ name: z.string().regex(CHECK_NAME_PATTERN), ...expectation }))
    .min(1)
    .max(MAX_EXPECTATIONS)
    .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, {
      error: 'a name that no other has',
      params: { semantic: true },
    }),
]);

/** What an untrusted value must be to be a `Proposal`, whose members say what each of these means. */
export const proposalSchema = z.strictObject({
  actionId: z.string().regex(ACTION_ID_PATTERN),
  tool: z.string().regex(NAME_PATTERN),
  input: z.record(z.string(), z.unknown()),
  expect: expectSchema.optional(),
  expectedOutcome: words(1, MAX_EXPECTED_OUTCOME).optional(),
  reasoning: words(0, MAX_REASONING).optional(),
  revises: z.string().regex(ACTION_ID_PATTERN).optional(),
  traceId: z.string().regex(ACTION_ID_PATTERN).optional(),
  onMismatch: z.enum(['compensate', 'keep']).optional(),
  claims: z.record(words(0, MAX_CLAIM.name), words(0, MAX_CLAIM.value)).optional(),
  from: z
    .array(z.strictObject({ source: words(1, MAX_SOURCE), trust: z.enum(TRUST_LEVELS) }))
    .min(1)
    .max(MAX_SOURCES)
    .optional(),
});

/** What must be true after the effect, and by when. */
export interface Expect {
  /** A CEL expression over `pre`, `post`, `delta` and `result` that yields a boolean. 1 to 4,096 characters. */
  readonly cel: string;
  /** How long the real system may take to show it. Milliseconds from 0 to 600,000, default 0. */
  readonly withinMs?: number | undefined;
}

/** One of several expectations. Each is a check of its own, `expect.<name>`. */
export interface NamedExpect extends Expect {
  /** 1 to 63 of `A-Z a-z 0-9 _ -`, a letter or digit first; no other of the proposal has it. */
  readonly name: string;
}

/** One of the things that led to a proposal. */
export interface Source {
  /** Such as `prompt`, `email:4711` or `tool:web_search`. */
  readonly source: string;
  /** `untrusted`: somebody else may have written it. */
  readonly trust: (typeof TRUST_LEVELS)[number];
}

/** What an agent proposes to do, and what it promises of it. At most 256 KiB of canonical JSON. */
export interface Proposal {
  /** The agent's idempotency key, unique within its tenant: 1 to 128 of `A-Z a-z 0-9 . _ : -`. */
  readonly actionId: string;
  /** The name of a tool that the worker has. */
  readonly tool: string;
  /** The tool's own input. */
  readonly input: JsonObject;
  /** What must be true afterwards: CEL, or 1 to 20 named expectations. Default: only what the tool derives from the input is checked. */
  readonly expect?: string | Expect | readonly NamedExpect[] | undefined;
  /**
   * The outcome in the agent's words, 1 to 2,000 characters. Compared by meaning where the operator has configured a model for it; else only
   * recorded.
   */
  readonly expectedOutcome?: string | undefined;
  /** Why, in the agent's words, at most 16,384 characters. Shown to people as such; no policy reads it. */
  readonly reasoning?: string | undefined;
  /** The action that this one is proposed instead of, after a person asked for changes. Of the same agent. */
  readonly revises?: string | undefined;
  /** Groups the actions of one task. 1 to 128 of `A-Z a-z 0-9 . _ : -`. */
  readonly traceId?: string | undefined;
  /** What becomes of an effect that is not what was promised: it is undone (`compensate`) or left for somebody to look at. Default `keep`. */
  readonly onMismatch?: 'compensate' | 'keep' | undefined;
  /** What the agent believes about where it is, such as `{environment: 'test'}`. Recorded and shown, never trusted: no policy reads it. */
  readonly claims?: Readonly<Record<string, string>> | undefined;
  /**
   * What led to it, as the agent's program knows: a prompt, a document, the result of a tool; 1 to 20 of them. Shown to people, and policy may
   * ask for more because of it, never for less: nobody checks it.
   */
  readonly from?: readonly Source[] | undefined;
}

/**
 * Checks an untrusted value and returns it as a proposal.
 *
 * @throws CountersignError INVALID_PROPOSAL, INVALID_TEXT, INVALID_NUMBER, INVALID_JSON or INPUT_TOO_LARGE
 */
export function parseProposal(value: unknown): Proposal {
  assertJson(value, 'proposal');
  const parsed = proposalSchema.safeParse(value);
  if (!parsed.success) throw zodError('INVALID_PROPOSAL', parsed.error, 'proposal');
  const bytes = canonicalBytes(value);
  if (bytes > MAX_PROPOSAL_BYTES) {
    throw new CountersignError(
      'INPUT_TOO_LARGE',
      `The proposal is ${bytes} bytes; at most ${MAX_PROPOSAL_BYTES} are carried.`,
      {
        field: 'proposal',
        expected: `at most ${MAX_PROPOSAL_BYTES} bytes of canonical JSON`,
        fix: 'Split the action, or store the payload elsewhere and name it.',
      },
    );
  }
  return value as unknown as Proposal;
}

/**
 * The digest that identifies a proposal: over what would be done and what is promised of it (`tool`, `input`, `expect`, `expectedOutcome`,
 * `onMismatch`), under its `actionId`. The agent's words (`reasoning`, `claims`) and where the proposal comes from (`from`, `revises`, `traceId`)
 * are no part of it, because a model that repeats a call words them anew: it is the same action.
 */
export function proposalDigest({ actionId, tool, input, expect, expectedOutcome, onMismatch }: Proposal): Digest {
  return digest({
    actionId,
    tool,
    input,
    ...(expect === undefined ? {} : { expect }),
    ...(expectedOutcome === undefined ? {} : { expectedOutcome }),
    ...(onMismatch === 'compensate' ? { onMismatch } : {}),
  });
}

/** What a proposal says beside what identifies it: the agent's words, and where it comes from. */
export type ProposalWords = Pick<Proposal, 'reasoning' | 'claims' | 'from' | 'revises' | 'traceId'>;

export function wordsOf({ reasoning, claims, from, revises, traceId }: Proposal): ProposalWords {
  return withoutUndefined({ reasoning, claims, from, revises, traceId });
}

/** The digest that the agent signs and every sealed record is bound to: over the whole proposal, with the agent's words, because people decide on them. */
export function signedProposalDigest(proposal: Proposal): Digest {
  return digest(proposal);
}

/** A zod failure as one of ours: the first problem leads, the others are in the message. */
export function zodError(
  code: 'INVALID_PROPOSAL' | 'INVALID_INPUT' | 'CONFIG_INVALID' | 'POLICY_INVALID',
  error: z.ZodError,
  root: string,
): CountersignError {
  const fieldOf = (path: readonly PropertyKey[]): string => [root, ...path.map(String)].join('.');
  const problems = error.issues.slice(0, 5).map((issue) => `${fieldOf(issue.path)}: ${explainIssue(issue)}`);
  const first = error.issues[0];
  return new CountersignError(code, problems.join('; '), {
    field: fieldOf(first?.path ?? []),
    expected: first === undefined ? 'a value that fits the schema' : explainIssue(first),
    fix: 'Correct the field named and propose again.',
    cause: error,
  });
}

/** Zod says "Invalid input" first, and of a value that may be one of several kinds nothing else: this says what was expected. */
function explainIssue(issue: z.core.$ZodIssue): string {
  if (issue.code !== 'invalid_union') return issue.message.replace(/^Invalid input: /, '');
  if (issue.errors.length === 0)
    return `Expected a known value of ${issue.discriminator ?? 'the field that tells the kinds apart'}`;
  const reasons = issue.errors.flatMap(([inner]) => {
    if (inner === undefined) return [];
    const place = inner.path.length === 0 ? '' : `${inner.path.map(String).join('.')}: `;
    return [`${place}${explainIssue(inner)}`];
  });
  return [...new Set(reasons)].join(', or ');
}
