/** The alarm of a ledger that cannot take a receipt: said in the worker's log when it is found and again as long as it lasts, and told to people once. */
import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { Logger } from 'pino';
import type { Activities } from '../../activities/contract.js';
import { asCountersignError, type ErrorCode } from '../action/errors.js';
import { takesNobodys, type Ledger } from '../ledger/index.js';
import type { LedgerAlarm } from '../notify/alarm.js';
import type { Notifier } from '../notify/notifier.js';
import { freezeSetBack } from '../receipts/set-back.js';
import type { TemporalSide } from './temporal-side.js';

/** It is said again after this, however many actions meet it. Milliseconds. */
const AGAIN_MS = 60_000;

const BROKEN: ErrorCode = 'LEDGER_BROKEN';

/** How often it is looked whether a ledger that was broken is whole again: less often than it is said. Milliseconds. */
const LOOK_EVERY_MS = 90_000;

/** Who is told, beside the log. */
export interface AlarmSettings {
  readonly notifier: Notifier | undefined;
  readonly temporal: Pick<TemporalSide, 'raise'>;
  readonly lookEveryMs?: number | undefined;
}

/** Has Temporal tell people, who are told once as long as an alarm lasts. Where it cannot be asked, that is logged. */
async function raise(
  about: Pick<LedgerAlarm, 'kind' | 'tenant'>,
  { notifier, temporal, lookEveryMs = LOOK_EVERY_MS }: AlarmSettings,
  logger: Logger,
): Promise<void> {
  if (notifier === undefined || notifier.alarmChannels.length === 0) return;
  const { alarmChannels: channels, maxWaitMs } = notifier;
  try {
    await temporal.raise({ ...about, channels, maxWaitMs, lookEveryMs });
  } catch (error) {
    logger.error({ ...asCountersignError(error).toJSON() }, 'nobody is told of an alarm but this log');
  }
}

/** The same activities; one that fails for the ledger's sake raises the alarm. */
export function alarming(activities: Activities, settings: AlarmSettings, logger: Logger): Activities {
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
    void raise({ kind: 'ledger_broken', ...whose(error) }, settings, logger);
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

/** The tenant of the action that met it, unless nobody's records are taken. */
function whose(error: Error): Pick<LedgerAlarm, 'tenant'> {
  const { workflowType, workflowExecution } = Context.current().info;
  const tenant = workflowExecution?.workflowId.split('/')[0];
  return workflowType !== 'trustedAction' || tenant === undefined || takesNobodys(error) ? {} : { tenant };
}

/** Before a worker takes any action: freezes the tenants whose records end before what Temporal saw. Where Temporal cannot be asked, that is logged. */
export async function freezeWhatWasSetBack(
  ledger: Pick<Ledger, 'receipts' | 'controls'>,
  temporal: TemporalSide,
  settings: AlarmSettings,
  logger: Logger,
): Promise<void> {
  try {
    for (const { tenant, head, seen } of await temporal.ask((client) => freezeSetBack(ledger, client))) {
      logger.error(
        { alarm: 'ledger_set_back', code: BROKEN, tenant, head, seen },
        'the ledger ends before what Temporal saw: the tenant is frozen until a person has looked',
      );
      await raise({ kind: 'ledger_set_back', tenant }, settings, logger);
    }
  } catch (error) {
    logger.warn({ ...asCountersignError(error).toJSON() }, 'the ledger is not compared with what Temporal saw');
  }
}
