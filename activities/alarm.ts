/** Tells of an alarm on one channel, and looks whether it is over. Neither needs a write to the ledger to tell. */
import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { asCountersignError } from '../src/action/errors.js';
import { alarmDeliveryId, alertOfLedger, checkedAlarm, type AlarmNotice } from '../src/notify/alarm.js';
import { undelivered } from '../src/notify/channel.js';
import type { Activities } from './contract.js';
import type { Dependencies } from './deps.js';
import { channelOf } from './notify.js';

/** One attempt. Returns the provider's response. @throws CountersignError DELIVERY_FAILED when another attempt is due */
export async function tellAlarm(
  { alarm, state, channel: name }: Parameters<Activities['tellAlarm']>[0],
  { notifier }: Pick<Dependencies, 'notifier'>,
): Promise<string> {
  const { scheduledTimestampMs, workflowExecution } = Context.current().info;
  const notice: AlarmNotice = { ...checkedAlarm(alarm), state, at: new Date(scheduledTimestampMs).toISOString() };
  const channel = channelOf(notifier, name);
  if (channel.alert === undefined) return 'this channel tells of no alarms';
  try {
    const deliveryId = alarmDeliveryId(workflowExecution?.runId ?? '', notice, name);
    const { detail } = await channel.alert(alertOfLedger(notice), {
      deliveryId,
      signal: Context.current().cancellationSignal,
    });
    return detail;
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.code === 'DELIVERY_FAILED') throw error;
    // A missing secret, for example, may still be configured before the time is over.
    throw undelivered(error.message, { retryable: true });
  }
}

/** Whether the ledger takes records, and the chain of the tenant its next receipt, as far as this worker knows. */
export async function ledgerIsWhole(
  tenant: string | undefined,
  { ledger }: Pick<Dependencies, 'ledger'>,
): Promise<boolean> {
  try {
    const expiresAt = new Date(ledger.clock.now().getTime() + 60_000);
    if (!(await ledger.nonces.use({ scope: 'alarm', nonce: randomUUID(), expiresAt }))) return false;
    return tenant === undefined || (await ledger.receipts.brokenOf(tenant)) === undefined;
  } catch {
    return false;
  }
}
