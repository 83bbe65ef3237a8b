/** Notifies people of an action on one channel, and records each delivery. */
import { Context } from '@temporalio/activity';
import { cannotRecord } from '../src/action/cannot-record.js';
import { asCountersignError, CountersignError } from '../src/action/errors.js';
import type { Ledger } from '../src/ledger/index.js';
import {
  ASKING,
  checkedAnnouncement,
  deliveryId,
  obsoleteReason,
  type Announcement,
  type ActionSummary,
} from '../src/notify/notice.js';
import { undelivered, type Channel } from '../src/notify/channel.js';
import type { Notifier } from '../src/notify/notifier.js';
import { oneLine } from '../src/notify/one-line.js';
import type { DeliveryEnd, Routing } from './contract.js';
import type { Dependencies } from './deps.js';

/** The recorded detail of a failed delivery begins with this while another attempt is due. */
const AGAIN = 'again later: ';

/** For how many attempts a channel waits until the ledger has a record of its earlier notification. */
const MAX_WAITS = 8;

const MAX_DETAIL = 500;

type Deps = Pick<Dependencies, 'ledger' | 'notifier'>;

/** Selects the channels for an announcement. @throws CountersignError NOT_FOUND, LEDGER_UNAVAILABLE, DELIVERY_FAILED */
export async function route(untrusted: Announcement, deps: Deps): Promise<Routing> {
  const announcement = checkedAnnouncement(untrusted);
  const notifier = notifierOf(deps);
  const notice = notifier.notice(announcement, await actionSummaryOf(announcement, deps.ledger), announcedAt());
  return { channels: notifier.channelsFor(notice), maxWaitMs: notifier.maxWaitMs };
}

/**
 * Makes one attempt to deliver. Returns when the delivery has ended: it succeeded, was refused for good, or is of no use any more.
 *
 * @throws CountersignError when another attempt is due: DELIVERY_FAILED, LEDGER_UNAVAILABLE …
 */
export async function notify(untrusted: Announcement, name: string, deps: Deps): Promise<DeliveryEnd> {
  const announcement = checkedAnnouncement(untrusted);
  const { tenant, actionId } = announcement;
  const { ledger } = deps;
  const id = deliveryId(announcement, name);
  const deliveries = await ledger.deliveries.list(tenant, actionId);
  const previous = deliveries.find((one) => one.deliveryId === id);
  // The delivery may have ended in an earlier attempt whose worker died, or whose report was lost.
  if (previous !== undefined && isOver(previous)) return endOf(previous);

  const summary = await actionSummaryOf(announcement, ledger);
  const obsolete = obsoleteReason(announcement, summary);
  if (obsolete !== undefined) return record(announcement, name, 'failed', `not told any more: ${obsolete}`, ledger);
  try {
    const notifier = notifierOf(deps);
    const channel = channelOf(notifier, name);
    const earlier = deliveries.filter((one) => one.channel === name && one.deliveryId !== id && ASKING.has(one.kind));
    if (channel.follows === true && !ASKING.has(announcement.kind)) {
      const asked = notifier.notice({ tenant, actionId, n: 0, kind: 'asked' }, summary, announcedAt());
      const expected = notifier.channelsFor(asked).includes(name) && attempt() <= MAX_WAITS;
      if (!earlier.every(isOver) || (expected && !earlier.some(({ kind }) => kind === 'asked'))) {
        throw undelivered('what it was to tell before is not told yet', { retryable: true });
      }
    }
    const { detail } = await channel.deliver(notifier.notice(announcement, summary, announcedAt()), {
      deliveryId: id,
      signal: Context.current().cancellationSignal,
      earlier: earlier.filter(({ status }) => status === 'delivered'),
    });
    return await record(announcement, name, 'delivered', detail, ledger);
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (cannotRecord(error.code)) throw error;
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
    // A missing secret, for example, may still be configured before the time is over.
    throw undelivered(error.message, { retryable: true });
  }
}

/** Records that the channel could not deliver within the time it had, unless the delivery has ended in some way. */
export async function giveUp(untrusted: Announcement, name: string, reason: string, deps: Deps): Promise<DeliveryEnd> {
  const announcement = checkedAnnouncement(untrusted);
  const { tenant, actionId } = announcement;
  const id = deliveryId(announcement, name);
  const deliveries = await deps.ledger.deliveries.list(tenant, actionId);
  const previous = deliveries.find((one) => one.deliveryId === id);
  if (previous !== undefined && isOver(previous)) return endOf(previous);
  const detail = previous?.detail.startsWith(AGAIN) === true ? previous.detail.slice(AGAIN.length) : reason;
  Context.current().log.warn('people are not told', { channel: name, kind: announcement.kind, detail });
  return record(announcement, name, 'failed', `given up: ${detail}`, deps.ledger, previous?.attempts ?? 1);
}

/** Reads from the ledger what happened to the action. A notification never relies on its caller for that. */
async function actionSummaryOf({ tenant, actionId }: Announcement, ledger: Ledger): Promise<ActionSummary> {
  const [request, action] = await Promise.all([
    ledger.approvalRequests.find(tenant, actionId),
    ledger.actions.find(tenant, actionId),
  ]);
  if (request === undefined) throw new CountersignError('NOT_FOUND', `Nobody was asked about ${actionId}.`);
  const canary = action === undefined ? await ledger.canaries.find(tenant, actionId) : undefined;
  const wasCanary = canary !== undefined && request.closedAt !== undefined;
  const status = wasCanary ? 'cancelled' : action?.outcome?.status;
  return {
    shown: request.shown,
    expiresAt: request.expiresAt,
    open: request.closedAt === undefined,
    decisions: request.decisions.map(({ approver: by, verdict }) => ({ by, verdict })),
    ...(status === undefined ? {} : { status }),
    ...(wasCanary ? { canary: true } : {}),
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
  const recorded = await deliveries.record({
    deliveryId: deliveryId(announcement, channel),
    tenant,
    actionId,
    kind,
    channel,
    attempts,
    status,
    detail: oneLine(detail, MAX_DETAIL),
  });
  return endOf(recorded);
}

function endOf({ channel, deliveryId: id, status, attempts, detail }: DeliveryEnd): DeliveryEnd {
  return { channel, deliveryId: id, status, attempts, detail };
}

/** The error is retryable, because another worker may have channels, or this one after a change of its config. */
function notifierOf({ notifier }: Deps): Notifier {
  if (notifier === undefined) throw undelivered('this worker has no channels', { retryable: true });
  return notifier;
}

/** The same is so of one channel. */
export function channelOf(notifier: Notifier | undefined, name: string): Channel {
  const channel = notifier?.channel(name);
  if (channel === undefined)
    throw undelivered(`this worker has no channel "${oneLine(name, 63)}"`, { retryable: true });
  return channel;
}

function attempt(): number {
  return Context.current().info.attempt;
}

/** When the notification was scheduled, the same on every attempt. Milliseconds since the epoch. */
function announcedAt(): number {
  return Context.current().info.scheduledTimestampMs;
}
