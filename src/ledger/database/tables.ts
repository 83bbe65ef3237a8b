/** The ledger's tables as Kysely knows them. What they mean and guard is in schema.sql. */
import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { CatalogueTool } from '../../action/catalogue.js';
import type { ActionType, Decision, DecisionEffect, Requirement } from '../../action/decision.js';
import type { Digest, Json, JsonObject } from '../../action/json.js';
import type {
  ApprovalRecord,
  CanaryEnding,
  OutcomeStatus,
  Shown,
  UnreceiptedOutcome,
  Verdict,
} from '../../action/outcome.js';
import type { Proposal } from '../../action/proposal.js';
import type { LimitReading } from '../../action/limits.js';
import type { DeliveryKind } from '../../action/delivery.js';
import type { FreezeKind } from '../../action/freeze.js';
import type { Hold } from '../../action/hold.js';
import type { PolicyChangeKind, PolicyState, PolicyWorker } from '../../action/policy-rollout.js';

/** `pg` reads a bigint as text. */
export type BigInteger = ColumnType<string, number, never>;
/** Written as canonical text, read parsed. The column's type is `json`, which keeps the text as it is. */
export type JsonText<T> = ColumnType<T, string, never>;

export interface LedgerTables {
  catalogues: {
    task_queue: string;
    tools: ColumnType<readonly CatalogueTool[], string, string>;
  };
  actions: {
    tenant: string;
    action_id: string;
    digest: Digest;
    agent: string | null;
    /** The person who answers for the agent. */
    owner: string | null;
    tool: string;
    environment: string | null;
    /** Whether it changes nothing. */
    reads: Generated<boolean>;
    /** How many grants of the action were used. */
    uses: Generated<number>;
    /** How many of those were returned, because nothing was sent under them. */
    returned: Generated<number>;
    /** How often the action was sent to its system. */
    sends: Generated<number>;
    first_sent_at: Date | null;
    last_sent_at: Date | null;
    /** When the present stretch of sends began. */
    sending_since: Date | null;
    status: OutcomeStatus | null;
    outcome: JsonText<UnreceiptedOutcome | null>;
    /** What was proposed, written with the outcome. */
    proposal: JsonText<Proposal | null>;
    receipt_seq: BigInteger | null;
    receipt_hash: Digest | null;
    created_at: Generated<Date>;
    ended_at: Date | null;
    /** When a person resolved what was `unknown`; what it replaced is in `resolved`. */
    resolved_at: Date | null;
    /** Of the outcome, for the archive. */
    effect: DecisionEffect | null;
    policies: string[] | null;
    code: string | null;
    reason: string | null;
    summary: string | null;
    via: string[] | null;
  };
  canaries: {
    tenant: string;
    action_id: string;
    nonce: string;
    shown_digest: Digest;
    rules: string[];
    roles: string[];
    /** Null where it was due. */
    sent_by: string | null;
    reason: string;
    sent_at: Generated<Date>;
    expires_at: Date;
    ending: CanaryEnding | null;
    ended_at: Date | null;
    verdict: Verdict | null;
    record: JsonText<ApprovalRecord | null>;
    waited_seconds: number | null;
    decided_by: string | null;
  };
  canary_schedules: {
    task_queue: string;
    schedule: JsonObject;
    put_by: string;
    put_at: Generated<Date>;
    other_by: string | null;
    other_at: Date | null;
  };
  approval_requests: {
    tenant: string;
    action_id: string;
    shown: JsonText<Shown>;
    shown_digest: Digest;
    decision: JsonText<Decision>;
    policy_digest: Digest;
    requirements: JsonText<readonly Requirement[]>;
    environment: string;
    tool: string;
    operation: string;
    action_type: ActionType;
    agent: string;
    via: string[];
    roles: string[];
    role_after: number[];
    summary: string;
    reason: string;
    given: JsonText<readonly ApprovalRecord[]>;
    revises: string | null;
    first_asked_at: Date;
    asked_at: Date;
    expires_at: Date;
    closed_at: Date | null;
  };
  /** How often the approval requests of a tenant changed, in several rows. */
  approval_request_changes: {
    tenant: string;
    part: number;
    version: BigInteger;
  };
  decisions: {
    tenant: string;
    digest: Digest;
    action_id: string;
    shown_digest: Digest;
    person: string;
    verdict: Verdict;
    record: JsonText<ApprovalRecord>;
    waited_seconds: number | null;
    prior_approvals: number;
    over_rate_limit: boolean;
    refused: boolean;
    decided_at: Date;
  };
  deliveries: {
    tenant: string;
    delivery_id: string;
    action_id: string;
    kind: DeliveryKind;
    channel: string;
    attempts: number;
    status: 'delivered' | 'failed';
    detail: string;
    at: Date;
  };
  resolved: {
    tenant: string;
    action_id: string;
    outcome: JsonText<UnreceiptedOutcome>;
    receipt_seq: BigInteger;
    receipt_hash: Digest;
    ended_at: Date;
  };
  grants: {
    jti: string;
    tenant: string;
    action_id: string;
    agent: string;
    tool: string;
    issued_at: Generated<Date>;
    expires_at: Date;
    used_at: Date | null;
    used_by: string | null;
    returned_at: Generated<Date | null>;
    /** Which attempt of its activity used it last. */
    attempt: Generated<number | null>;
    /** The number of the entry that it has of its own in the audit trail. Written by the database alone. */
    trail_seq: GeneratedAlways<string | null>;
  };
  chains: {
    tenant: string;
    seq: BigInteger;
    hash: Digest | null;
  };
  receipts: {
    tenant: string;
    seq: BigInteger;
    hash: Digest;
    prev: Digest | null;
    prev_seq: GeneratedAlways<string>;
    jws: string;
    action_id: string;
    at: Generated<Date>;
  };
  /** Written by triggers alone. */
  trail: {
    tenant: GeneratedAlways<string>;
    seq: GeneratedAlways<string>;
    kind: GeneratedAlways<string>;
    subject: GeneratedAlways<string>;
    receipt_seq: GeneratedAlways<string | null>;
    grant_jti: GeneratedAlways<string | null>;
    entry: GeneratedAlways<string>;
    hash: GeneratedAlways<Digest>;
  };
  trail_checkpoints: {
    tenant: string;
    size: BigInteger;
    prev_size: BigInteger;
    jws: string;
    peaks: string[];
    at: Generated<Date>;
  };
  trail_anchors: {
    tenant: string;
    size: BigInteger;
    anchor: string;
    detail: string;
    at: Generated<Date>;
  };
  /** Read and written by raw statements alone. */
  radar_sources: { source: GeneratedAlways<string> };
  /** Read and written by raw statements alone. */
  radar_alerts: { id: GeneratedAlways<string> };
  /** Read and written by raw statements alone. */
  radar_effects: { key: GeneratedAlways<string> };
  freezes: {
    id: GeneratedAlways<number>;
    tenant: string;
    scope_kind: FreezeKind;
    scope_value: string | null;
    reason: string;
    frozen_by: string;
    frozen_at: Generated<Date>;
    lifted_at: Date | null;
    lifted_by: string | null;
    lift_reason: string | null;
  };
  policies: {
    digest: Digest;
    files: JsonText<Record<string, string>>;
    stored_at: Generated<Date>;
  };
  /** Written by `change_policy` alone. */
  policy_changes: {
    seq: GeneratedAlways<string>;
    id: GeneratedAlways<string>;
    kind: GeneratedAlways<PolicyChangeKind>;
    digest: GeneratedAlways<Digest>;
    replaced: GeneratedAlways<Digest | null>;
    changed_by: GeneratedAlways<string>;
    people: GeneratedAlways<string[]>;
    reason: GeneratedAlways<string>;
    evidence: GeneratedAlways<Digest | null>;
    statements: GeneratedAlways<string[]>;
    signed: GeneratedAlways<string | null>;
    at: GeneratedAlways<Date>;
  };
  /** Written by `change_policy` alone. */
  policy_states: {
    digest: GeneratedAlways<Digest>;
    state: GeneratedAlways<PolicyState>;
    seq: GeneratedAlways<string>;
  };
  policy_approvals: {
    id: string;
    candidate: Digest;
    active_since: BigInteger;
    evidence: Digest | null;
    tenant: string;
    person: string;
    credentials: string[];
    statement: string;
    given_at: Generated<Date>;
  };
  policy_evidence: {
    candidate: Digest;
    baseline: Digest;
    report: Digest;
    decisions: BigInteger;
    summary: JsonText<JsonObject>;
    found_by: string;
    signed: string;
    at: Generated<Date>;
  };
  /** Written by `note_shadow` alone. */
  policy_divergences: { candidate: GeneratedAlways<Digest> };
  /** Written by `note_shadow` alone. */
  policy_shadow_counts: { candidate: GeneratedAlways<Digest> };
  edits: {
    tenant: string;
    action_id: string;
    task_queue: string;
    request: JsonText<Json>;
    recorded_at: Generated<Date>;
  };
  policy_workers: {
    worker: string;
    task_queue: string;
    source: PolicyWorker['source'];
    active: Digest | null;
    shadow: Digest | null;
    problem: string | null;
    change: string | null;
    signed: string | null;
    clock_ahead_ms: number | null;
    seen_at: Generated<Date>;
  };
  snapshots: {
    tenant: string;
    digest: Digest;
    body: JsonText<Json>;
    stored_at: Generated<Date>;
  };
  /** Written by the database's functions alone. */
  limit_counters: {
    tenant: GeneratedAlways<string>;
    limit: GeneratedAlways<string>;
    key: GeneratedAlways<string>;
    kind: GeneratedAlways<LimitReading['kind']>;
  };
  /** Written by the database's functions alone. */
  holds: {
    tenant: GeneratedAlways<string>;
    action_id: GeneratedAlways<string>;
    limit: GeneratedAlways<string>;
    key: GeneratedAlways<string>;
    kind: GeneratedAlways<LimitReading['kind']>;
    amount: GeneratedAlways<string>;
    status: GeneratedAlways<Hold['status']>;
    placed_at: GeneratedAlways<Date>;
    settled_at: GeneratedAlways<Date | null>;
  };
  nonces: {
    scope: string;
    nonce: string;
    taken_by: string;
    expires_at: Date;
  };
  revocations: {
    tenant: string;
    jti: string;
    reason: string;
    revoked_by: string;
    revoked_at: Generated<Date>;
  };
  passkeys: {
    tenant: string;
    credential_id: string;
    person: string;
    public_key: string;
    counter: BigInteger;
    transports: string[];
    statement: Digest;
    enrolled_at: Generated<Date>;
    retired_at: Date | null;
    retired_by: string | null;
    retire_reason: string | null;
  };
  passkey_uses: {
    tenant: string;
    credential_id: string;
    counter: BigInteger;
    challenge: string;
    used_at: Generated<Date>;
  };
  standing_approvals: {
    tenant: string;
    id: string;
    agent: string;
    tool: string;
    operation: string | null;
    environment: string | null;
    max_rows: BigInteger | null;
    actions: BigInteger | null;
    amounts: JsonText<Record<string, number> | null>;
    roles: string[];
    until: Date;
    given_by: string;
    credentials: string[];
    reason: string;
    statement: string;
    digest: Digest;
    given_at: Generated<Date>;
  };
  role_delegations: {
    tenant: string;
    id: string;
    person: string;
    role: string;
    since: Date;
    until: Date;
    given_by: string;
    credentials: string[];
    reason: string;
    statement: string;
    digest: Digest;
    given_at: Generated<Date>;
  };
}
