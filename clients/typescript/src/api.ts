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
        /**
         * How long the real system may take to show it. Milliseconds, default 0
         */
        withinMs?: number;
      }
    | {
        name: string;
        /**
         * CEL over `pre`, `post`, `delta` and `result`
         */
        cel: string;
        /**
         * How long the real system may take to show it. Milliseconds, default 0
         */
        withinMs?: number;
      }[];
  /**
   * The outcome in your own words. Compared by meaning where the operator has a model for it, else recorded
   */
  expectedOutcome?: string;
  /**
   * Your own words, shown to people as such
   */
  reasoning?: string;
  /**
   * The action of yours that this one is proposed instead of, after a person asked for changes
   */
  revises?: string;
  /**
   * Groups the actions of one task
   */
  traceId?: string;
  /**
   * Whether an effect that is not what was promised is undone (`compensate`), or left for somebody to look at. Default `keep`
   */
  onMismatch?: 'compensate' | 'keep';
  /**
   * What you believe about where you are. Recorded and shown, never trusted: no policy reads it
   */
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
  /**
   * Why the status is not `success`
   */
  error?: {
    code: string;
    message: string;
    /**
     * Where it is wrong, as a path from the root: `proposal.input.where`
     */
    field?: string;
    /**
     * What would have been right there
     */
    expected?: string;
    /**
     * What can be done about it
     */
    fix?: string;
    /**
     * When trying again is of use. Milliseconds from when the error was raised
     */
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
    /**
     * How many rows or objects it would change or return
     */
    rows: number;
    targets: string[];
    summary: string;
    [k: string]: unknown;
  };
  /**
   * The last decision on it. Absent where it ended before policy was asked
   */
  decision?: {
    effect: 'allow' | 'deny' | 'require_approval';
    reason: string;
    [k: string]: unknown;
  };
  /**
   * What people decided on it
   */
  approvals?: {
    verdict: 'approve' | 'deny' | 'request_changes';
    /**
     * RFC 3339 UTC
     */
    at: string;
    [k: string]: unknown;
  }[];
  /**
   * What was checked after the effect
   */
  checks?: {
    name: string;
    ok: boolean;
    [k: string]: unknown;
  }[];
  /**
   * What changed. Absent where there was no effect to look at
   */
  delta?: {
    /**
     * How many operations the whole difference has (RFC 6902)
     */
    operations: number;
    /**
     * From the effect's start until the expected state was read back, milliseconds
     */
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
    /**
     * The action that undid it, or tried to. Absent where it did not come to one
     */
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
  /**
   * Its number in the chain: from 1, without gaps
   */
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
  /**
   * Where it stands. Absent in lists
   */
  phase?: 'preparing' | 'queued' | 'pending' | 'executing' | 'verifying' | 'ended';
  /**
   * Who proposed it. Absent where it ended before that was known
   */
  agent?: string;
  /**
   * The tool's. Absent where it ended before that was known
   */
  environment?: string;
  /**
   * One line on what it would touch. Absent where it ended before that was known
   */
  summary?: string;
  /**
   * Of the decision, once it has ended or people are asked
   */
  effect?: 'allow' | 'deny' | 'require_approval';
  /**
   * Why it ended as it did, or why people are asked. Absent before
   */
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
  /**
   * Whether it was asked to stop. Absent in lists
   */
  cancelRequested?: boolean;
  /**
   * To people: what is `shown` to be decided on, and its `shownDigest`. To agents: who is `missing`.
   */
  pending?: {
    /**
     * To agents: why people are asked
     */
    reason?: string;
    /**
     * RFC 3339 UTC
     */
    expiresAt?: string;
    /**
     * To agents: whose approval is missing
     */
    missing?: {
      roles: string[];
      /**
       * How many different people have approved
       */
      have: number;
      /**
       * How many it takes
       */
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
    /**
     * Where it is wrong, as a path from the root: `proposal.input.where`
     */
    field?: string;
    /**
     * What would have been right there
     */
    expected?: string;
    /**
     * What can be done about it
     */
    fix?: string;
    /**
     * When trying again is of use. Milliseconds from when the error was raised
     */
    retryAfterMs?: number;
    [k: string]: unknown;
  };
  receipt?: ReceiptRef;
  /**
   * The action that it is proposed instead of, where people were asked about it
   */
  revises?: string;
  [k: string]: unknown;
}
/**
 * One page of actions
 */
export interface Actions {
  actions: Action[];
  /**
   * The `cursor` of the page after it. Absent of the last one
   */
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
    /**
     * Where it is wrong, as a path from the root: `proposal.input.where`
     */
    field?: string;
    /**
     * What would have been right there
     */
    expected?: string;
    /**
     * What can be done about it
     */
    fix?: string;
    /**
     * When trying again is of use. Milliseconds from when the error was raised
     */
    retryAfterMs?: number;
    [k: string]: unknown;
  };
  /**
   * What the tool makes of the input. This and what is below it is told only where it is no `deny`
   */
  actionType?: 'READ' | 'WRITE' | 'DELETE' | 'CALL_API';
  /**
   * The tool's name for what would be done
   */
  operation?: string;
  /**
   * The tool's
   */
  environment?: string;
  /**
   * What it would touch now
   */
  preview?: {
    /**
     * How many rows or objects it would change or return
     */
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
  /**
   * The obligations that the decision would put on execution
   */
  constraints?: {
    name: string;
    /**
     * In the name's unit: `maxRows` counts rows
     */
    value: string | number | boolean;
    [k: string]: unknown;
  }[];
  /**
   * Of a `require_approval`: who would have to approve. Empty where standing approvals are enough
   */
  missing?: {
    roles: string[];
    /**
     * How many different people have approved
     */
    have: number;
    /**
     * How many it takes
     */
    need: number;
    [k: string]: unknown;
  }[];
  /**
   * A limit leaves no room now, and the action would wait for some
   */
  waits?: {
    reason: string;
    /**
     * When there may be room. Milliseconds from now
     */
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
    /**
     * That of its outcome. Absent until it has one
     */
    reason?: string;
    /**
     * Why it did not succeed
     */
    error?: {
      code: string;
      message: string;
      /**
       * Where it is wrong, as a path from the root: `proposal.input.where`
       */
      field?: string;
      /**
       * What would have been right there
       */
      expected?: string;
      /**
       * What can be done about it
       */
      fix?: string;
      /**
       * When trying again is of use. Milliseconds from when the error was raised
       */
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
/**
 * Whom a credential or a session belongs to
 */
export interface Me {
  kind: 'agent' | 'person';
  id: string;
  tenant: string;
  roles: string[];
  /**
   * Of agents: the tools, and operations of tools, that they may name
   */
  scopes?: string[];
  /**
   * Of agents: the person who answers for them, if any
   */
  owner?: string;
  /**
   * Of people: for people to read
   */
  name?: string;
  /**
   * Of people: to be sent with whatever changes something
   */
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
