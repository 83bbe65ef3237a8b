/** Who acts: agents propose, approvers decide. Both are vouched for by a credential that the operator's issuer key signed. */

export interface Agent {
  readonly id: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  /** The tools it may name: exact names, or `*`. */
  readonly scopes: readonly string[];
  /** The person who answers for it; may not approve its actions. */
  readonly owner?: string | undefined;
}

export interface Approver {
  readonly id: string;
  readonly tenant: string;
  readonly roles: readonly string[];
}
