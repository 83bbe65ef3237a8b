/** A channel that posts to Slack, and updates what it posted. */
import { configInvalid } from '../action/errors-config.js';
import {
  LogLevel,
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRateLimitedError,
  WebClient,
  type Logger,
} from '@slack/web-api';
import { isThisMachine } from '../http/addresses.js';
import { guardedFetch } from '../http/guarded-fetch.js';
import { Secrets } from '../http/secrets.js';
import { timeoutSignal } from '../timeout-signal.js';
import { undelivered, type Channel, type Delivered, type DeliveryContext } from './channel.js';
import { ASKING, type Notice } from './notice.js';
import { checkedName, checkedTimeout, checkedUrl, type SecretRef } from './options.js';
import { alertMessageOf, messageOf } from './slack-blocks.js';
import { oneLine } from './one-line.js';

/** Which conversation is posted to, and as which bot. */
export interface SlackOptions {
  /** The name, unique among the channels. Default `slack`. */
  readonly name?: string;
  /** The bot's token (`xoxb-…`), with the scope `chat:write`. */
  readonly token: SecretRef;
  /** Id of the conversation that it posts to: `C0123456789`. */
  readonly channel: string;
  /** Whether messages have buttons to approve and deny, which need the gateway's `slack.signingSecret`, or only a link. Default true. */
  readonly buttons?: boolean;
  /** The URL of Slack's API. Default `https://slack.com/api/`. */
  readonly apiUrl?: string;
  /** The timeout of one call. Milliseconds from 1 to 60,000, default 10,000. */
  readonly timeoutMs?: number;
}

/** The largest response of Slack to one call. */
const MAX_RESPONSE_BYTES = 1024 * 1024;

/** The errors of Slack after which a retry may succeed (https://docs.slack.dev/reference/methods/chat.postMessage#errors). */
const TRANSIENT_ERRORS: ReadonlySet<string> = new Set([
  'ratelimited',
  'rate_limited',
  'message_limit_exceeded',
  'request_timeout',
  'service_unavailable',
  'internal_error',
  'fatal_error',
  'team_added_to_org',
]);

/**
 * A channel that asks people in a message for each notice. The metadata of the message contains the delivery id (`countersign_notice`,
 * `delivery_id`). When people have decided or the action has ended, the messages are updated and nothing new is posted.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function slack(options: SlackOptions): Channel {
  const name = checkedName(options.name ?? 'slack', 'slack.name');
  const { channel, buttons = true, token } = options;
  if (typeof channel !== 'string' || !/^[A-Z][A-Z0-9]{2,30}$/.test(channel)) {
    throw configInvalid(`${name}.channel`, 'the id of a conversation, such as C0123456789');
  }
  const slackApiUrl = checkedUrl(options.apiUrl ?? 'https://slack.com/api/', `${name}.apiUrl`, { loopback: true }).href;
  const timeoutMs = checkedTimeout(options.timeoutMs, `${name}.timeoutMs`);
  const secrets = new Secrets(`The channel ${name}`);
  secrets.check(token, `${name}.token`);

  const send = guardedFetch({
    allow: { loopback: isThisMachine(new URL(slackApiUrl).hostname) },
    timeoutMs,
    maxBytes: MAX_RESPONSE_BYTES,
  });

  const clientFor = async (signal: AbortSignal): Promise<WebClient> =>
    new WebClient(await secrets.read(token), {
      slackApiUrl,
      allowAbsoluteUrls: false,
      // The workflow of the delivery retries, not the client.
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      logger: SILENT,
      fetch: (url, init) => {
        const { method, headers, body } = init ?? {};
        if (typeof body !== 'string') throw new TypeError('Messages are sent as text.');
        return send(String(url), { method, headers, body, signal: timeoutSignal(signal, timeoutMs) });
      },
    });

  return {
    name,
    follows: true,
    async deliver(notice: Notice, { deliveryId, signal, earlier }: DeliveryContext): Promise<Delivered> {
      const client = await clientFor(signal);
      const message = {
        ...messageOf(notice, { buttons }),
        parse: 'none' as const,
        link_names: false,
        metadata: {
          event_type: 'countersign_notice',
          event_payload: {
            delivery_id: deliveryId,
            tenant: notice.tenant,
            action_id: notice.actionId,
            kind: notice.kind,
          },
        },
      };
      try {
        const { postMessage, update } = client.chat;
        if (ASKING.has(notice.kind)) {
          const posted = await postMessage({ ...message, channel, unfurl_links: false, unfurl_media: false });
          return { detail: `posted ${posted.channel ?? channel} ${posted.ts ?? ''}` };
        }
        const places = earlier.flatMap(({ detail }) => placeOf(detail));
        for (const place of places) await update({ ...message, ...place });
        return { detail: `updated ${places.map((place) => `${place.channel} ${place.ts}`).join(', ') || 'nothing'}` };
      } catch (thrown) {
        throw failure(thrown, secrets);
      }
    },
    async alert(alert, { deliveryId, signal }): Promise<Delivered> {
      const client = await clientFor(signal);
      try {
        const { postMessage } = client.chat;
        const posted = await postMessage({
          ...alertMessageOf(alert),
          channel,
          parse: 'none',
          link_names: false,
          unfurl_links: false,
          unfurl_media: false,
          metadata: {
            event_type: 'countersign_alert',
            event_payload: { delivery_id: deliveryId, subject: alert.subject },
          },
        });
        return { detail: `posted ${posted.channel ?? channel} ${posted.ts ?? ''}` };
      } catch (thrown) {
        throw failure(thrown, secrets);
      }
    },
  };
}

/** The place of a posted message, from the recorded detail of its delivery. */
function placeOf(detail: string): { channel: string; ts: string }[] {
  const [, channel, ts] = /^posted ([A-Z0-9]+) (\d+\.\d+)$/.exec(detail) ?? [];
  return channel === undefined || ts === undefined ? [] : [{ channel, ts }];
}

function failure(thrown: unknown, secrets: Secrets): Error {
  if (thrown instanceof WebAPIRateLimitedError) {
    const { retryAfter } = thrown;
    return undelivered(`Slack: rate limited for ${retryAfter} s`, { retryable: true, retryAfterMs: retryAfter * 1000 });
  }
  if (thrown instanceof WebAPIHTTPError) {
    // A redirection is a proxy's word, not Slack's.
    return undelivered(`Slack: HTTP ${thrown.statusCode}`, {
      retryable: thrown.statusCode < 400 || thrown.statusCode >= 500,
    });
  }
  if (thrown instanceof WebAPIPlatformError) {
    const { error: code } = thrown.data;
    // Only a code is quoted: when the response is not JSON, this is its whole text.
    const isCode = /^[a-z_]{1,60}$/.test(code);
    return undelivered(`Slack: ${isCode ? code : 'an answer that is none of the API'}`, {
      retryable: !isCode || TRANSIENT_ERRORS.has(code),
    });
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return undelivered(`Slack: no answer: ${oneLine(secrets.strike(message), 200)}`, { retryable: true });
}

/** Keeps the client from logging, because its log would contain messages and headers. */
const ignore = (): void => {};
const SILENT: Logger = {
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  setLevel: ignore,
  getLevel: () => LogLevel.ERROR,
  setName: ignore,
};
