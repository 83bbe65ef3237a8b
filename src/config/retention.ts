/** The member `retention` of the config: for how long what nothing needs any more is kept. */
import { z } from 'zod';
import type { PurgeOptions } from '../../activities/contract.js';
import { RETENTION_KINDS, type RetentionKind } from '../ledger/index.js';

/** Days from 1 to 36,500 after it was over; `false` keeps it for good. */
export type RetentionConfig = { readonly [kind in RetainedKind]?: number | false };

/** `effects`: what tools keep in their own systems of the effects that they made. */
export type RetainedKind = RetentionKind | 'effects';

export const DEFAULT_RETENTION_DAYS: Readonly<Record<RetainedKind, number>> = {
  approvalRequests: 400,
  holds: 400,
  grants: 400,
  effects: 400,
  snapshots: 90,
  counters: 90,
  sessions: 30,
};

const DAYS = 'a whole number of days from 1 to 36500, or false';
const days = z.union([z.literal(false), z.number().int().min(1).max(36_500)], { error: DAYS }).optional();

export const retentionSchema = z.strictObject(
  Object.fromEntries([...RETENTION_KINDS, 'effects'].map((kind) => [kind, days])) as Record<RetainedKind, typeof days>,
);

/** What the schedule asks for. */
export function purgeOptions(config: RetentionConfig = {}): PurgeOptions {
  const chosen = Object.entries({ ...DEFAULT_RETENTION_DAYS, ...config });
  return { days: Object.fromEntries(chosen.filter(([, kept]) => kept !== false)) as PurgeOptions['days'] };
}
