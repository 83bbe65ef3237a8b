/** A freeze: the switch that stops actions before they are admitted, and grants before they are used. */

export const FREEZE_KINDS = ['all', 'tenant', 'agent', 'tool', 'target'] as const;
export type FreezeKind = (typeof FREEZE_KINDS)[number];

/** What a freeze stops, within its tenant (or in every tenant, when that is `*`). */
export interface FreezeScope {
  readonly kind: FreezeKind;
  /** The agent, tool, tenant or target. Absent for `all`. Targets compare without regard to case. */
  readonly value?: string;
}

export interface Freeze {
  readonly id: number;
  /** `*` for every tenant. */
  readonly tenant: string;
  readonly scope: FreezeScope;
  readonly reason: string;
  readonly by: string;
  /** RFC 3339 UTC, the database's time, as all times here. */
  readonly at: string;
  /** Set once it no longer stops anything. */
  readonly lifted?: { readonly at: string; readonly by: string; readonly reason?: string };
}
