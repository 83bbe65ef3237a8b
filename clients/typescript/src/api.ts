/** The shapes of the gateway's OpenAPI document: written by test/clients/client.test.ts. */

/**
 * JSON that every store carries exactly: at most 64 levels deep, no NUL in texts, no integers beyond ±(2^53-1)
 */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | JsonValue[]
  | {
      [k: string]: JsonValue;
    };

export interface Proposal {
  /**
   * Your idempotency key: proposing the same again returns what became of it. Default: the Idempotency-Key, else a new UUID.
   */
  actionId?: string;
  tool: string;
  /**
   * The tool's own input
   */
  input: {
    [k: string]: JsonValue;
  };
  /**
   * What must be true afterwards
   */
  expect?:
    | string
    | {
        /**
         * CEL over `pre`, `post`, `delta` and `result`
         */
        cel: string;
        withinMs?: number;
      }
    | {
        name: string;
        /**
         * CEL over `pre`, `post`, `delta` and `result`
         */
        cel: string;
        withinMs?: number;
      }[];
  expectedOutcome?: string;
  /**
   * Your own words, shown to people as such
   */
  reasoning?: string;
  revises?: string;
  traceId?: string;
  onMismatch?: 'compensate' | 'keep';
  claims?: {
    [k: string]: string;
  };
  /**
   * What led to it: prompts, documents, results of tools. People see it, and policy may ask for more because of it
   *
   * @minItems 1
   * @maxItems 20
   */
  from?: {
    /**
     * Such as `email:4711` or `tool:web_search`
     */
    source: string;
    /**
     * `untrusted`: somebody else may have written it
     */
    trust: 'trusted' | 'untrusted';
  }[];
}
/**
 * How an action ended. Agents see only the reason of a denied action; of others they see no rows, no states before or after, and no names of people.
 */
export interface Outcome {
  status: 'success' | 'mismatch' | 'failed' | 'denied' | 'expired' | 'cancelled' | 'unknown';
  reason: string;
  error?: {
    code: string;
    message: string;
    field?: string;
    expected?: string;
    fix?: string;
    retryAfterMs?: number;
    [k: string]: unknown;
  };
  tenant: string;
  actionId: string;
  /**
   * SHA-256 of canonical JSON (RFC 8785)
   */
  proposalDigest: string;
  tool: string;
  /**
   * To agents
   */
  actionType?: 'READ' | 'WRITE' | 'DELETE' | 'CALL_API';
  /**
   * To agents: the tool's name for what was done
   */
  operation?: string;
  /**
   * To agents
   */
  environment?: string;
  /**
   * To agents: what it would touch, as it was decided on
   */
  preview?: {
    rows: number;
    targets: string[];
    summary: string;
    [k: string]: unknown;
  };
  decision?: {
    effect: 'allow' | 'deny' | 'require_approval';
    reason: string;
    [k: string]: unknown;
  };
  approvals?: {
    verdict: 'approve' | 'deny' | 'request_changes';
    /**
     * RFC 3339 UTC
     */
    at: string;
    [k: string]: unknown;
  }[];
  checks?: {
    name: string;
    ok: boolean;
    [k: string]: unknown;
  }[];
  delta?: {
    operations: number;
    latencyMs: number;
    [k: string]: unknown;
  };
  /**
   * What the tool returned. It is no evidence of the effect
   */
  result?: {
    [k: string]: unknown;
  };
  /**
   * The action that is done instead, where a person changed what was proposed
   */
  revisedBy?: string;
  /**
   * Where a person resolved what could not be known
   */
  resolution?: {
    verdict: 'happened' | 'did_not_happen';
    /**
     * RFC 3339 UTC
     */
    at: string;
    [k: string]: unknown;
  };
  /**
   * Where a mismatch is compensated: what became of it by then
   */
  compensation?: {
    actionId?: string;
    status: 'running' | 'success' | 'nothing' | 'accepted' | 'needs_person';
    [k: string]: unknown;
  };
  receipt?: ReceiptRef;
  /**
   * Milliseconds of each step
   */
  steps?: {
    [k: string]: number;
  };
  [k: string]: unknown;
}
/**
 * The action's place in its tenant's chain of receipts
 */
export interface ReceiptRef {
  tenant: string;
  seq: number;
  /**
   * SHA-256 of canonical JSON (RFC 8785)
   */
  hash: string;
  [k: string]: unknown;
}
/**
 * What is known of an action now. `open`: it has no outcome, and does not wait for people.
 */
export interface Action {
  tenant: string;
  actionId: string;
  status: 'open' | 'pending' | 'success' | 'mismatch' | 'failed' | 'denied' | 'expired' | 'cancelled' | 'unknown';
  tool: string;
  /**
   * SHA-256 of canonical JSON (RFC 8785)
   */
  proposalDigest?: string;
  phase?: 'preparing' | 'queued' | 'pending' | 'executing' | 'verifying' | 'ended';
  agent?: string;
  environment?: string;
  summary?: string;
  effect?: 'allow' | 'deny' | 'require_approval';
  reason?: string;
  /**
   * Why it did not succeed, once it has ended
   */
  code?: string;
  /**
   * RFC 3339 UTC
   */
  proposedAt?: string;
  /**
   * RFC 3339 UTC
   */
  endedAt?: string;
  /**
   * RFC 3339 UTC
   */
  expiresAt?: string;
  cancelRequested?: boolean;
  /**
   * To people: what is `shown` to be decided on, and its `shownDigest`. To agents: who is `missing`.
   */
  pending?: {
    reason?: string;
    /**
     * RFC 3339 UTC
     */
    expiresAt?: string;
    missing?: {
      roles: string[];
      have: number;
      need: number;
      [k: string]: unknown;
    }[];
    [k: string]: unknown;
  };
  outcome?: Outcome;
  /**
   * In a batch: why nothing more is known of it now
   */
  error?: {
    code: string;
    message: string;
    field?: string;
    expected?: string;
    fix?: string;
    retryAfterMs?: number;
    [k: string]: unknown;
  };
  receipt?: ReceiptRef;
  revises?: string;
  [k: string]: unknown;
}
export interface Actions {
  actions: Action[];
  next?: string;
  [k: string]: unknown;
}
/**
 * What would become of a proposal. An agent sees of it no rows
 */
export interface DryRun {
  /**
   * `deny`: also where something else than policy would end it before its effect
   */
  effect: 'allow' | 'deny' | 'require_approval';
  reason: string;
  tool: string;
  /**
   * SHA-256 of canonical JSON (RFC 8785)
   */
  proposalDigest: string;
  /**
   * Of a `deny`: what the outcome would be refused with
   */
  error?: {
    code: string;
    message: string;
    field?: string;
    expected?: string;
    fix?: string;
    retryAfterMs?: number;
    [k: string]: unknown;
  };
  actionType?: 'READ' | 'WRITE' | 'DELETE' | 'CALL_API';
  /**
   * The tool's name for what would be done
   */
  operation?: string;
  environment?: string;
  preview?: {
    rows: number;
    targets: string[];
    summary: string;
    /**
     * What it changed in each table when it was tried and rolled back, where the tool rehearses
     */
    tables?: {
      [k: string]: {
        inserted: number;
        updated: number;
        deleted: number;
        [k: string]: unknown;
      };
    };
    [k: string]: unknown;
  };
  constraints?: {
    name: string;
    value: string | number | boolean;
    [k: string]: unknown;
  }[];
  /**
   * Of a `require_approval`: who would have to approve. Empty where standing approvals are enough
   */
  missing?: {
    roles: string[];
    have: number;
    need: number;
    [k: string]: unknown;
  }[];
  /**
   * A limit leaves no room now, and the action would wait for some
   */
  waits?: {
    reason: string;
    retryAfterMs: number;
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
/**
 * What became of each proposal of a batch
 */
export interface Batch {
  /**
   * false: none was begun that was not begun before
   */
  begun: boolean;
  /**
   * In the order of the proposals: its outcome, the action as it stands, or why it was not begun
   */
  actions: (Outcome | Action | NotBegun)[];
  [k: string]: unknown;
}
/**
 * A proposal of a batch that was not begun, and what would have become of it by itself or beside the others
 */
export interface NotBegun {
  status: 'not_begun';
  actionId: string;
  decided: DryRun;
  [k: string]: unknown;
}
/**
 * Several actions that succeed together or are undone: how they stand
 */
export interface Saga {
  /**
   * `success`: every step succeeded; `compensated`: one did not, and what was done is undone; `compensation_failed`: a person accepted that something is not undone; `needs_person`: it waits for one (`waitsFor`)
   */
  status: 'running' | 'compensating' | 'needs_person' | 'success' | 'compensated' | 'compensation_failed';
  tenant: string;
  traceId: string;
  /**
   * Of which proposals it consists of
   */
  digest: string;
  reason: string;
  steps: {
    actionId: string;
    tool: string;
    /**
     * `waiting`: not begun; `skipped`: never will be, because a step before it did not succeed
     */
    status:
      | 'waiting'
      | 'running'
      | 'skipped'
      | 'success'
      | 'mismatch'
      | 'failed'
      | 'denied'
      | 'expired'
      | 'cancelled'
      | 'unknown';
    reason?: string;
    error?: {
      code: string;
      message: string;
      field?: string;
      expected?: string;
      fix?: string;
      retryAfterMs?: number;
      [k: string]: unknown;
    };
    receipt?: ReceiptRef;
    [k: string]: unknown;
  }[];
  /**
   * In the order in which they were begun: the last step's first
   */
  compensations: {
    /**
     * The action that is undone
     */
    cause: string;
    status: 'running' | 'needs_person' | 'success' | 'nothing' | 'accepted';
    /**
     * The action that undid it, or tried to last
     */
    actionId?: string;
    receipt?: ReceiptRef;
    [k: string]: unknown;
  }[];
  /**
   * The action that waits for an approval, is unknown, or could not be undone
   */
  waitsFor?: {
    actionId: string;
    kind: 'approval' | 'unknown' | 'compensation';
    reason: string;
    [k: string]: unknown;
  };
  [k: string]: unknown;
}
export interface Me {
  kind: 'agent' | 'person';
  id: string;
  tenant: string;
  roles: string[];
  scopes?: string[];
  owner?: string;
  name?: string;
  csrf?: string;
  auth: {
    method: string;
    by: string;
    [k: string]: unknown;
  };
  /**
   * By which your authority is revoked
   */
  jti: string;
  [k: string]: unknown;
}
