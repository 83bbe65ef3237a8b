/** What would become of a proposal if it were made now: decided on the real system, without effect, and recorded nowhere. */
import type { ActionType, Constraint, DecisionEffect } from './decision.js';
import type { ErrorView } from './errors.js';
import { digest, type Digest } from './json.js';
import { signedProposalDigest, type Proposal } from './proposal.js';
import type { MissingApprovals } from './quorum.js';
import type { ChangedRows } from './rehearsal.js';

/** What an agent may know of it: no rows, and of what would be denied why and nothing more. */
export interface DryRun {
  /** `deny`: also where something else than policy would end it before its effect, such as an input that the tool cannot read. */
  readonly effect: DecisionEffect;
  /** One sentence. */
  readonly reason: string;
  readonly tool: string;
  readonly proposalDigest: Digest;
  /** What the outcome would be refused with, when the effect is `deny`. */
  readonly error?: ErrorView;
  /** What the tool makes of the input. This and what is below it is told only where the effect is not `deny`. */
  readonly actionType?: ActionType;
  /** The tool's name for what would be done. */
  readonly operation?: string;
  /** The environment of the tool, as the operator configured it. */
  readonly environment?: string;
  /** What it would touch now. */
  readonly preview?: DryRunPreview;
  /** The obligations that the decision would put on execution. */
  readonly constraints?: readonly Constraint[];
  /** Who would have to approve, when the effect is `require_approval`. Empty where standing approvals are enough. */
  readonly missing?: readonly Omit<MissingApprovals, 'policy'>[];
  /** Set when a limit leaves no room now, and the action would wait for some. */
  readonly waits?: {
    readonly reason: string;
    /** When there may be room. Milliseconds from now. */
    readonly retryAfterMs: number;
  };
}

/** What it would touch, by names and numbers. */
export interface DryRunPreview {
  /** How many rows or objects it would change or return. */
  readonly rows: number;
  readonly targets: readonly string[];
  readonly summary: string;
  /** The rows that it changed when it was tried and rolled back, by table, where the tool rehearses. */
  readonly tables?: Readonly<Record<string, ChangedRows>>;
}

/** What an agent signs to have a proposal tried. No proposal has this shape: whoever reads it in a history can begin no action with it. */
export function dryRunDigest(proposal: Proposal): Digest {
  return digest({ dryRun: signedProposalDigest(proposal) });
}
