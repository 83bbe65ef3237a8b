/** What policy says of a proposal, and the facts it was said on. */
import type { ErrorCode, ErrorView } from './errors.js';
import type { HistoryFigure } from './history.js';
import type { Digest, JsonObject } from './json.js';
import type { LimitFigure } from './limits.js';
import type { Agent } from './principal.js';
import type { Source } from './proposal.js';
import type { Rehearsal } from './rehearsal.js';

/** A `READ` changes nothing, a `WRITE` adds or changes, a `DELETE` removes, and a `CALL_API` does what a service makes of it. */
export const ACTION_TYPES = ['READ', 'WRITE', 'DELETE', 'CALL_API'] as const;
/** What kind of action an input comes to. The tool says so, never the agent. */
export type ActionType = (typeof ACTION_TYPES)[number];

/** `require_approval`: policy allows it once people have approved, as the requirements say. */
export type DecisionEffect = 'allow' | 'deny' | 'require_approval';

/** A dry run: what the action would touch, read from the real system. The numbers are facts for policies; the sample is for people. */
export interface Preview {
  /** Rows or objects the action would change or return. */
  readonly rows: number;
  /** Tables, endpoints or objects it would write, lower case, sorted. */
  readonly targets: readonly string[];
  /** Those it would only read. */
  readonly reads: readonly string[];
  /** Whether it would change a schema. */
  readonly schemaChange: boolean;
  /** At most ten of the rows, as they are now (for an insert: as they would be). */
  readonly sample: readonly JsonObject[];
  /**
   * The columns of each target as states name it, the key first and then in the order that people know them in. Objects do not keep it:
   * canonical JSON sorts their names. Absent of a tool that knows of no order.
   */
  readonly columns?: Readonly<Record<string, readonly string[]>>;
  /** Names of columns whose values are not shown to anybody, as the operator declared them. Absent when there are none. */
  readonly secretColumns?: readonly string[];
  /** One line for people: `delete 3 rows from sessions`. */
  readonly summary: string;
  /** Anything else a person should see first: triggers, cascades. */
  readonly warnings?: readonly string[];
  /** Why it would not do what was asked for, such as NOTHING_MATCHED. The agent is told once policy allows the action, and nothing is done. */
  readonly refusal?: ErrorView;
  /** What it did when it was tried and rolled back, where the tool rehearses. Then `rows` and `targets` are those of the rehearsal. */
  readonly rehearsal?: Rehearsal;
}

/** The action that a compensation undoes. */
export interface Cause {
  readonly actionId: string;
  /** Of the agent that did it. */
  readonly agent: string;
  /** Hash of its receipt. */
  readonly receipt: Digest;
}

/** Everything a decision depends on. Recorded whole, so that any policy can be asked again later. */
export interface Facts {
  readonly agent: Agent;
  /** The agents that delegated to it, the first with the issuer's credential: policy must let each of them do it too. Absent without any. */
  readonly above?: readonly Agent[];
  readonly actionType: ActionType;
  /** The tool as configured: never what the proposal says of it. */
  readonly tool: { readonly name: string; readonly kind: string; readonly environment: string };
  /** The tool's name for what is done: `update`, `sql.delete`. */
  readonly operation: string;
  readonly preview: Preview;
  /** Set when the action undoes another: which, and whose that was. Known from a worker's compensation authorization, never from what is proposed. */
  readonly compensates?: Cause;
  /** Set when a person changed what the agent had proposed: who. Known from the person's signature. */
  readonly editedBy?: string;
  /** What led to the proposal, as the agent says. Absent when it says nothing: that is no sign of trust. */
  readonly from?: readonly Source[];
  /**
   * What the policy's schema declares of the input that the tool acts on, as it came. Absent when it declares nothing: a policy that
   * declares more is asked again with what it makes of the recorded proposal.
   */
  readonly input?: JsonObject;
  /** The limits that the action meets, as they stood before it. Absent when none applies. */
  readonly limits?: readonly LimitFigure[];
  /** What earlier actions came to, one figure for each fact of the policy's history.yaml. Absent when it declares none. */
  readonly history?: readonly HistoryFigure[];
  /** Worker's time of the decision, RFC 3339 UTC. */
  readonly now: string;
}

/** One policy that stood against the action. */
export interface Violation {
  readonly policy: string;
  readonly reason: string;
}

/** What people must do before the action may go on. The action needs all of its requirements. */
export interface Requirement {
  readonly policy: string;
  readonly reason: string;
  /** Any one of these roles. */
  readonly roles: readonly string[];
  /** How many different people. */
  readonly quorum: number;
  /** Seconds from when it is shown. */
  readonly ttlSeconds: number;
  /** How many different people's noes deny it. Default 1. */
  readonly denials?: number;
  /** Whether a yes counts only with the assertion of a passkey. Default no. */
  readonly passkey?: boolean;
  /** Whether the person who answers for the agent may decide too. Default no. */
  readonly self?: boolean;
  /** After how long people are reminded that it waits. Seconds; default never. */
  readonly remindSeconds?: number;
  /** Who may decide as well once it has waited that long, earliest first. Default nobody. */
  readonly escalations?: readonly Escalation[];
}

/** Others who may decide, from some time on. */
export interface Escalation {
  /** From when the action was first shown. */
  readonly afterSeconds: number;
  /** Any one of these, besides the requirement's own. */
  readonly roles: readonly string[];
}

/** An obligation on execution, from the policies that allowed the action. */
export interface Constraint {
  readonly name: string;
  /** As the rule's annotation has it; of a bare name true. Its unit is the name's: `maxRows` counts rows. */
  readonly value: string | number | boolean;
  readonly policy: string;
}

/** What policy says of one proposal, from the facts that are recorded with it. */
export interface Decision {
  readonly effect: DecisionEffect;
  /** One sentence for people and agents. */
  readonly reason: string;
  /** Set when the effect is `deny`. */
  readonly code?: ErrorCode;
  /** The `@id`s of the policies that determined it, sorted. */
  readonly policies: readonly string[];
  readonly constraints: readonly Constraint[];
  readonly violations: readonly Violation[];
  readonly requirements: readonly Requirement[];
  /** Policies that could not be evaluated; each counts as a deny. */
  readonly errors: readonly string[];
  readonly policyDigest: Digest;
}
