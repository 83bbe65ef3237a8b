/** Waits for the end of an action, for as long as the client is connected. */
import { CountersignError } from '../../action/errors.js';
import type { GatewayDependencies } from '../deps.js';
import { untilAny } from '../events/until-any.js';
import type { ActionKey } from '../../action-records/find.js';

/** @returns whether it has ended; not, when the time is over, nobody listens any more, the gateway stops, or no workflow is at it */
export async function settled(
  { countersign, closing }: Pick<GatewayDependencies, 'countersign' | 'closing'>,
  { tenant, actionId }: ActionKey,
  waitMs: number,
  gone: AbortSignal,
): Promise<boolean> {
  return untilAny([closing, gone, AbortSignal.timeout(waitMs)], async (over) => {
    if (over.aborted) return false;
    try {
      await countersign.temporal.connection.withAbortSignal(over, () => countersign.outcome(actionId, { tenant }));
      return true;
    } catch (error) {
      if (over.aborted) return false;
      // It was ended from outside, or its workflow is forgotten: what is known then is told by whoever looks next.
      const code = error instanceof CountersignError ? error.code : undefined;
      if (code === 'EFFECT_UNKNOWN' || code === 'NOT_FOUND') return false;
      throw error;
    }
  });
}
