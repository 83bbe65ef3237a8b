/** The ledger's tables as Kysely knows them. What they mean and guard is in the migrations. */
import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { Digest, Json } from '../action/json.js';
import type { OutcomeStatus } from '../action/outcome.js';
import type { LimitReading } from '../action/limits.js';
import type { FreezeKind, Hold, UnreceiptedOutcome } from './port.js';

/** `pg` reads a bigint as text. */
type BigInteger = ColumnType<string, number, never>;
/** Written as canonical text, read parsed. The column's type is `json`, which keeps the text as it is. */
type JsonText<T> = ColumnType<T, string, never>;

/** The functions that statements of the ledger call. */
export type Routine = 'read_limits' | 'place_holds' | 'settle_holds' | 'rolled';

export interface Tables {
  actions: {
    tenant: string;
    action_id: string;
    digest: Digest;
    agent: string | null;
    tool: string;
    environment: string | null;
    /** How many grants of the action were used. */
    uses: Generated<number>;
    /** How many of those were returned, because nothing was sent under them. */
    returned: Generated<number>;
    status: OutcomeStatus | null;
    outcome: JsonText<UnreceiptedOutcome | null>;
    receipt_seq: BigInteger | null;
    receipt_hash: Digest | null;
    created_at: Generated<Date>;
    ended_at: Date | null;
    /** When a person resolved what was `unknown`; what it replaced is in `resolved`. */
    resolved_at: Date | null;
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
}
