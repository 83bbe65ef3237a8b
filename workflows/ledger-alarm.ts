/** An alarm of the ledger: told once when it begins and once when it is over, by whichever worker, and by none that writes to the ledger. */
import { condition, log, proxyActivities, setHandler } from '@temporalio/workflow';
import type { Activities } from '../activities/contract.js';
import type { LedgerAlarm } from '../src/notify/alarm.js';
import { errorView } from './failures.js';
import { brokenSignal } from './messages.js';

const { ledgerIsWhole } = proxyActivities<Pick<Activities, 'ledgerIsWhole'>>({ startToCloseTimeout: '30s' });

/** However long it lasts, its history stays short enough: between two looks, milliseconds. */
const LONGEST_PAUSE_MS = 15 * 60_000;

/** Workflow id: `alarm/<kind>/<tenant, or *>`. Runs as long as the ledger is broken; of one that was set back, a person's freeze keeps the state. */
export async function ledgerAlarm(alarm: LedgerAlarm): Promise<void> {
  // Workers say it again as long as they meet it.
  let met = 0;
  setHandler(brokenSignal, () => {
    met++;
  });
  const raised = tell(alarm, 'raised');
  if (alarm.kind === 'ledger_set_back') return raised;
  for (let pauseMs = alarm.lookEveryMs; ; pauseMs = Math.min(pauseMs * 1.2, LONGEST_PAUSE_MS)) {
    const before = met;
    await condition(() => false, pauseMs);
    if (met === before && (await ledgerIsWhole(alarm.tenant))) break;
  }
  await raised;
  await tell(alarm, 'over');
}

/** Never rejects: a channel that cannot be told keeps no other from being told. */
async function tell(alarm: LedgerAlarm, state: 'raised' | 'over'): Promise<void> {
  const { channels, maxWaitMs } = alarm;
  const { tellAlarm } = proxyActivities<Pick<Activities, 'tellAlarm'>>({
    startToCloseTimeout: '90s',
    scheduleToCloseTimeout: maxWaitMs,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10 minutes' },
  });
  await Promise.all(
    channels.map((channel) =>
      tellAlarm({ alarm, state, channel }).catch((failure: unknown) => {
        log.error('nobody is told of an alarm', { channel, state, reason: errorView(failure).message });
      }),
    ),
  );
}
