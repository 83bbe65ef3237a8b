/** Tells people of one thing about one action, on every channel that it is for, until each has it or there is no point any more. */
import { proxyActivities } from '@temporalio/workflow';
import type { Activities, DeliveryEnd } from '../activities/contract.js';
import type { Announcement } from '../src/notify/notice.js';
import { errorView } from './failures.js';

/** Finding out whom to tell, and noting that nobody could be told: while the ledger is away there is nothing else to do. */
const desk = proxyActivities<Pick<Activities, 'route' | 'giveUp'>>({
  startToCloseTimeout: '20s',
  scheduleToCloseTimeout: '24 hours',
  retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** One attempt is short; a worker that was killed in the middle of one is noticed by its silence. */
function telling(maxWaitMs: number): Activities['notify'] {
  return proxyActivities<Pick<Activities, 'notify'>>({
    startToCloseTimeout: '90s',
    heartbeatTimeout: '5s',
    scheduleToCloseTimeout: maxWaitMs,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10 minutes' },
  }).notify;
}

/** Workflow id: `notice/<tenant>/<actionId>/<n>-<kind>`. Returns how it ended on each channel; the ledger has the same. */
export async function notification(announcement: Announcement): Promise<readonly DeliveryEnd[]> {
  const { channels, maxWaitMs } = await desk.route(announcement);
  return Promise.all(channels.map((channel) => told(announcement, channel, maxWaitMs)));
}

async function told(announcement: Announcement, channel: string, maxWaitMs: number): Promise<DeliveryEnd> {
  try {
    return await telling(maxWaitMs)(announcement, channel);
  } catch (failure) {
    return desk.giveUp(announcement, channel, errorView(failure).message);
  }
}
