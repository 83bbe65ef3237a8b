/** The alarm of a ledger that cannot take a receipt: said in the worker's log when it is found, and again as long as it lasts. */
import { ApplicationFailure } from '@temporalio/common';
import type { Logger } from 'pino';
import type { Activities } from '../../activities/contract.js';
import { asCountersignError, type ErrorCode } from '../action/errors.js';
import type { Ledger } from '../ledger/index.js';
import { freezeSetBack } from '../receipts/set-back.js';
import type { TemporalSide } from './temporal-side.js';

/** It is said again after this, however many actions meet it. Milliseconds. */
const AGAIN_MS = 60_000;

const BROKEN: ErrorCode = 'LEDGER_BROKEN';

/** The same activities; one that fails for the ledger's sake raises the alarm. */
export function alarming(activities: Activities, logger: Logger): Activities {
  const told = new Map<string, number>();
  const tell = (error: ApplicationFailure): void => {
    const now = Date.now();
    if (now - (told.get(error.message) ?? -Infinity) < AGAIN_MS) return;
    told.clear();
    told.set(error.message, now);
    const [view] = error.details ?? [];
    logger.error(
      { alarm: 'ledger_broken', ...(view as object | undefined) },
      'the ledger cannot take a receipt: nothing is admitted',
    );
  };
  const entries = Object.entries(activities).map(([name, activity]) => [
    name,
    async (...input: never[]) => {
      try {
        return await (activity as (...input: never[]) => Promise<unknown>)(...input);
      } catch (error) {
        if (error instanceof ApplicationFailure && error.type === BROKEN) tell(error);
        throw error;
      }
    },
  ]);
  return Object.fromEntries(entries) as Activities;
}

/** Before a worker takes any action: freezes the tenants whose records end before what Temporal saw. Where Temporal cannot be asked, that is logged. */
export async function freezeWhatWasSetBack(
  ledger: Pick<Ledger, 'receipts' | 'controls'>,
  temporal: TemporalSide,
  logger: Logger,
): Promise<void> {
  try {
    for (const { tenant, head, seen } of await temporal.ask((client) => freezeSetBack(ledger, client))) {
      logger.error(
        { alarm: 'ledger_set_back', code: BROKEN, tenant, head, seen },
        'the ledger ends before what Temporal saw: the tenant is frozen until a person has looked',
      );
    }
  } catch (error) {
    logger.warn({ ...asCountersignError(error).toJSON() }, 'the ledger is not compared with what Temporal saw');
  }
}
