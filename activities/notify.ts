/** Tells people of an action on one channel, and keeps the proof of it. */
import { Context } from '@temporalio/activity';
import { asCountersignError, CountersignError } from '../src/action/errors.js';
import type { Ledger } from '../src/ledger/index.js';
import {
  ASKING,
  checkedAnnouncement,
  deliveryId,
  pointless,
  type Announcement,
  type ActionSummary,
} from '../src/notify/notice.js';
import { undelivered, type Channel } from '../src/notify/channel.js';
import type { Notifier } from '../src/notify/notifier.js';
import { oneLine } from '../src/notify/one-line.js';
import type { DeliveryEnd, Routing } from './contract.js';
import type { Dependencies } from './deps.js';

/** How the trail says that a delivery that failed is not over. */
const AGAIN = 'again later: ';

/** So often a channel waits for the first trace of what it was to tell before. By then whoever began to tell it has left one. */
const MAX_WAITS = 8;

const MAX_DETAIL = 500;

type Deps = Pick<Dependencies, 'ledger' | 'notifier'>;

/** Which channels are to tell it. @throws CountersignError NOT_FOUND, LEDGER_UNAVAILABLE, DELIVERY_FAILED */
export async function route(given: Announcement, deps: Deps): Promise<Routing> {
  const announcement = checkedAnnouncement(given);
  const notifier = notifierOf(deps);
  const notice = notifier.notice(announcement, await actionSummaryOf(announcement, deps.ledger), announcedAt());
  return { channels: notifier.channelsFor(notice), maxWaitMs: notifier.maxWaitMs };
}

/**
 * One attempt. Returns when it is over: delivered, refused for good, or pointless by now.
 *
 * @throws CountersignError when another attempt is due: DELIVERY_FAILED, LEDGER_UNAVAILABLE …
 */
export async function notify(given: Announcement, name: string, deps: Deps): Promise<DeliveryEnd> {
  const announcement = checkedAnnouncement(given);
  const { tenant, actionId } = announcement;
  const { ledger } = deps;
  const id = deliveryId(announcement, name);
  const trail = await ledger.deliveries.list(tenant, actionId);
  const before = trail.find((one) => one.deliveryId === id);
  // A worker may have died between the delivery and its report, or the report got lost.
  if (before !== undefined && isOver(before)) return endOf(before);

  const story = await actionSummaryOf(announcement, ledger);
  const over = pointless(announcement, story);
  if (over !== undefined) return record(announcement, name, 'failed', `not told any more: ${over}`, ledger);
  try {
    const notifier = notifierOf(deps);
    const channel = channelOf(notifier, name);
    const earlier = trail.filter((one) => one.channel === name && one.deliveryId !== id && ASKING.has(one.kind));
    if (channel.follows === true && !ASKING.has(announcement.kind)) {
      const asked = notifier.notice({ tenant, actionId, n: 0, kind: 'asked' }, story, announcedAt());
      const expected = notifier.channelsFor(asked).includes(name) && attempt() <= MAX_WAITS;
      if (!earlier.every(isOver) || (expected && !earlier.some(({ kind }) => kind === 'asked'))) {
        throw undelivered('what it was to tell before is not told yet', { retryable: true });
      }
    }
    const { detail } = await channel.deliver(notifier.notice(announcement, story, announcedAt()), {
      deliveryId: id,
      signal: Context.current().cancellationSignal,
      earlier: earlier.filter(({ status }) => status === 'delivered'),
    });
    return await record(announcement, name, 'delivered', detail, ledger);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.code === 'LEDGER_UNAVAILABLE') throw error;
    if (error.code === 'DELIVERY_FAILED' && !error.retryable) {
      Context.current().log.warn('people are not told', {
        channel: name,
        kind: announcement.kind,
        detail: error.message,
      });
      return record(announcement, name, 'failed', error.message, ledger);
    }
    await record(announcement, name, 'failed', `${AGAIN}${error.message}`, ledger);
    if (error.retryable) throw error;
    // Such as a secret that is not there: whoever is responsible may bring it while there is time.
    throw undelivered(error.message, { retryable: true });
  }
}

/** Nobody could be told on this channel in all the time there was. */
export async function giveUp(given: Announcement, name: string, reason: string, deps: Deps): Promise<DeliveryEnd> {
  const announcement = checkedAnnouncement(given);
  const { tenant, actionId } = announcement;
  const id = deliveryId(announcement, name);
  const trail = await deps.ledger.deliveries.list(tenant, actionId);
  const before = trail.find((one) => one.deliveryId === id);
  if (before !== undefined && isOver(before)) return endOf(before);
  const last = before?.detail.startsWith(AGAIN) === true ? before.detail.slice(AGAIN.length) : reason;
  Context.current().log.warn('people are not told', { channel: name, kind: announcement.kind, detail: last });
  return record(announcement, name, 'failed', `given up: ${last}`, deps.ledger, before?.attempts ?? 1);
}

/** What the ledger says happened, whoever asks for it to be told. */
async function actionSummaryOf({ tenant, actionId }: Announcement, ledger: Ledger): Promise<ActionSummary> {
  const [ask, action] = await Promise.all([
    ledger.approvalRequests.find(tenant, actionId),
    ledger.actions.find(tenant, actionId),
  ]);
  if (ask === undefined) throw new CountersignError('NOT_FOUND', `Nobody was asked about ${actionId}.`);
  const status = action?.outcome?.status;
  return {
    shown: ask.shown,
    expiresAt: ask.expiresAt,
    open: ask.closedAt === undefined,
    decisions: ask.decisions.map(({ approver: by, verdict }) => ({ by, verdict })),
    ...(status === undefined ? {} : { status }),
  };
}

function isOver({ status, detail }: Pick<DeliveryEnd, 'status' | 'detail'>): boolean {
  return status === 'delivered' || !detail.startsWith(AGAIN);
}

async function record(
  announcement: Announcement,
  channel: string,
  status: DeliveryEnd['status'],
  detail: string,
  { deliveries }: Ledger,
  attempts = attempt(),
): Promise<DeliveryEnd> {
  const { tenant, actionId, kind } = announcement;
  const kept = await deliveries.record({
    deliveryId: deliveryId(announcement, channel),
    tenant,
    actionId,
    kind,
    channel,
    attempts,
    status,
    detail: oneLine(detail, MAX_DETAIL),
  });
  return endOf(kept);
}

function endOf({ channel, deliveryId: id, status, attempts, detail }: DeliveryEnd): DeliveryEnd {
  return { channel, deliveryId: id, status, attempts, detail };
}

/** Another worker may have it, or this one when it is configured as the others. */
function notifierOf({ notifier }: Deps): Notifier {
  if (notifier === undefined) throw undelivered('this worker has no channels', { retryable: true });
  return notifier;
}

function channelOf(notifier: Notifier, name: string): Channel {
  const channel = notifier.channel(name);
  if (channel === undefined)
    throw undelivered(`this worker has no channel "${oneLine(name, 63)}"`, { retryable: true });
  return channel;
}

function attempt(): number {
  return Context.current().info.attempt;
}

/** The same on every attempt. Milliseconds since the epoch. */
function announcedAt(): number {
  return Context.current().info.scheduledTimestampMs;
}
