/** Canaries: approval requests that nobody proposed and that should be refused. They show whether people look, and nothing can come of one. */
import { digest, type Digest, type JsonObject } from './json.js';
import type { ApprovalRecord, CanaryEnd, CanaryEnding, Outcome } from './outcome.js';
import type { Proposal, Source } from './proposal.js';

/** What people are shown, as the operator makes it up. */
export interface CanaryTemplate {
  /** The name of a tool of the workers. */
  readonly tool: string;
  /** An input that the tool takes. */
  readonly input: JsonObject;
  /** Who seems to propose it. */
  readonly agent: {
    /** As agents are named. Nobody need have a credential of this id. */
    readonly id: string;
    /** Policy decides by them. */
    readonly roles: readonly string[];
    /** The person who seems to answer for it. Default nobody. */
    readonly owner?: string | undefined;
  };
  /** Id of the rule that must ask for people. Default: whichever does. */
  readonly rule?: string | undefined;
  /** CEL, as a proposal promises it. Default: nothing is promised. */
  readonly expect?: string | undefined;
  /** In the agent's words, as it seems. */
  readonly reasoning?: string | undefined;
  /** What seems to have led to it. Default: nothing is said of that. */
  readonly from?: readonly Source[] | undefined;
}

/** A canary as the ledger records it. */
export interface Canary {
  readonly tenant: string;
  readonly actionId: string;
  readonly shownDigest: Digest;
  /** The rules that ask for people, and the roles that may decide. */
  readonly rules: readonly string[];
  readonly roles: readonly string[];
  /** Absent where it was due. */
  readonly sentBy?: string;
  /** Why it should be refused. Told to people afterwards. */
  readonly reason: string;
  /** RFC 3339 UTC. */
  readonly sentAt: string;
  readonly expiresAt: string;
  readonly ending?: CanaryEnding;
  readonly endedAt?: string;
  /** Where it was decided. */
  readonly decision?: { readonly record: ApprovalRecord; readonly waitedSeconds: number };
}

/**
 * Stands for the pre-state of a canary. No state of a system has this digest, so a decision on a canary can be none on an action, and with the
 * nonce anybody can tell which of the two it was on.
 */
export function canaryPreDigest(id: { readonly tenant: string; readonly actionId: string }, nonce: string): Digest {
  return digest({ countersign: 'canary', tenant: id.tenant, actionId: id.actionId, nonce });
}

export function endOf({ ending, decision, reason }: Canary): CanaryEnd | undefined {
  if (ending === undefined) return undefined;
  return { ending, ...(decision === undefined ? {} : { verdict: decision.record.verdict }), reason };
}

const WHAT = 'This was a canary: nobody proposed it, and nothing could have come of it.';

/** Told at once to whoever decided it, and to whoever looks at it later. */
export function canaryText({ ending, verdict, reason }: CanaryEnd): string {
  const why = `It should be refused: ${reason}`;
  switch (ending) {
    case 'withdrawn':
      return `${WHAT} It was taken back.`;
    case 'expired':
      return `${WHAT} Nobody decided on it in time. ${why}`;
    case 'decided':
      return verdict === 'approve'
        ? `${WHAT} It was approved, which happens to everybody who decides much; nothing was done. ${why}`
        : `${WHAT} It was refused, as it should be. Thank you for looking. ${why}`;
  }
}

/** What a canary that is over looks like where actions are read. It is in no record of outcomes, and has no receipt. */
export function canaryOutcome(
  { tenant, actionId, proposal, proposalDigest }: CanaryAction,
  end: CanaryEnd,
): Outcome & { readonly canary: CanaryEnd } {
  const reason = canaryText(end);
  return {
    status: 'cancelled',
    reason,
    error: { code: 'CANCELLED', message: reason },
    tenant,
    actionId,
    proposalDigest,
    tool: proposal.tool,
    approvals: [],
    checks: [],
    steps: {},
    canary: end,
  };
}

/** The action that a canary seems to be. */
interface CanaryAction {
  readonly tenant: string;
  readonly actionId: string;
  readonly proposal: Pick<Proposal, 'tool'>;
  readonly proposalDigest: Digest;
}
