/** Who acts: agents propose, approvers decide. Both are attested by a credential that the operator's issuer key signed. */

export interface Agent {
  readonly id: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  /** What it may name: `tool`, `tool:operation`, with `*` for any run of characters (`*`, `crm:get_*`). */
  readonly scopes: readonly string[];
  /** The person who answers for it; may neither approve what it does nor say what became of it. */
  readonly owner?: string | undefined;
  /** The agents that delegated to it, the one with the issuer's credential first. Absent for an agent of its own. */
  readonly via?: readonly string[];
}

/** Whether what was proposed is an agent's own: by itself, or by one that acts under it (`agent/…`). */
export function isProposedUnder(agent: string, proposer: string): boolean {
  return proposer === agent || proposer.startsWith(`${agent}/`);
}

/** What a delegation lets its holder spend: counted in the ledger under the limit `delegation:<jti>`. */
export interface DelegationCap {
  readonly jti: string;
  /** Actions in its whole life. */
  readonly actions?: number;
  /** Amounts by unit in its whole life: `{EUR: 50}`. */
  readonly amounts?: Readonly<Record<string, number>>;
}

/** What an agent's authority rests on. Never trusted from a proposal: it comes from the verified chain. */
export interface Authority {
  /** Ids (`jti`) of the credential and of each delegation, the issuer's first. Each can be revoked. */
  readonly credentials: readonly string[];
  /** Of each delegation that caps something. */
  readonly caps: readonly DelegationCap[];
  /**
   * The agents of `Agent.via` with what each may do, the first with the issuer's credential. Policy must let each of them do it too:
   * a delegate that was not given a role would else escape what is forbidden to that role.
   */
  readonly above: readonly Agent[];
}

export interface Approver {
  readonly id: string;
  readonly tenant: string;
  readonly roles: readonly string[];
}

/** How a gateway knew somebody: by an identity provider's login or token, by an API key, or by the login for development. */
export interface Auth {
  readonly method: 'oidc' | 'jwt' | 'api-key' | 'dev';
  /** Who attested: the issuer's URL; for an API key its id; `dev`. */
  readonly by: string;
}
