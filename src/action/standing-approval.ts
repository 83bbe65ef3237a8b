/** A standing approval: what a person approves in advance, for one agent, within bounds and for a while. */
import type { PersonAuthorization } from './person-authorization.js';

/** What it covers. A bound that is absent bounds nothing. */
export interface StandingApprovalBounds {
  /** `*` stands for any run of characters, as in scopes; in the operation too. */
  readonly tool: string;
  readonly operation?: string;
  readonly environment?: string;
  /** Of the preview of each action. */
  readonly maxRows?: number;
  /** How many actions in all. */
  readonly actions?: number;
  /** How much in all, by unit: `{EUR: 50}`. */
  readonly amounts?: Readonly<Record<string, number>>;
}

export interface StandingApproval extends PersonAuthorization, StandingApprovalBounds {
  /** The agent's id. Of one with a credential of its own, it is for those below it too. */
  readonly agent: string;
  /** Of the giver: it counts as the yes of somebody with these. */
  readonly roles: readonly string[];
}

/** How much of it is used: spent, or held by actions under way. */
export interface StandingApprovalUse {
  readonly actions: number;
  readonly amounts: Readonly<Record<string, number>>;
}
