/** What a run waits for that its framework has paused: the adapters put it where whoever resumes the run finds it. */
import type { ToolAnswer } from './for-model.js';
import type { PendingAction } from './types.js';

/** The run is resumed with any value; the decision is never the value's. */
export interface Paused {
  readonly type: 'countersign';
  readonly actionId: string;
  readonly reason: string;
  /** Who must decide first: any one of these roles, each. */
  readonly waitingFor?: ToolAnswer['waitingFor'];
  /** Until when they may decide. RFC 3339 UTC. */
  readonly expiresAt?: string;
}

export function pausedOn({ actionId, reason, pending }: PendingAction): Paused {
  const waitingFor = pending.missing?.map(({ roles }) => roles);
  return {
    type: 'countersign',
    actionId,
    reason,
    ...(waitingFor === undefined ? {} : { waitingFor }),
    ...(pending.expiresAt === undefined ? {} : { expiresAt: pending.expiresAt }),
  };
}
