/** What a webhook posts of a notice: as Standard Webhooks has it, or as an event of CloudEvents. */
import type { Alert } from './alert.js';
import type { Notice } from './notice.js';

export const WEBHOOK_FORMATS = ['standard-webhooks', 'cloudevents'] as const;
export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number];

export function isWebhookFormat(value: unknown): value is WebhookFormat {
  return WEBHOOK_FORMATS.some((format) => format === value);
}

export interface Payload {
  readonly contentType: string;
  readonly body: string;
}

/** The `type` is `radar.unexplained`, `ledger.broken` and so on; as an event, `io.countersign.radar.unexplained`. */
export function alertPayloadOf(alert: Alert, deliveryId: string, format: WebhookFormat): Payload {
  const { type, at, subject, link, data } = alert;
  const source = link === undefined ? 'urn:countersign' : new URL('.', link).href;
  return formatted({ type, at, subject, source, data }, deliveryId, format);
}

/** The `type` is `action.asked`, `action.reminded` and so on; as an event, `io.countersign.action.asked`. */
export function payloadOf(notice: Notice, deliveryId: string, format: WebhookFormat): Payload {
  const { at, kind, ...data } = notice;
  const { actionId: subject, link } = notice;
  return formatted({ type: `action.${kind}`, at, subject, source: gatewayOf(link), data }, deliveryId, format);
}

interface Told {
  readonly type: string;
  /** RFC 3339 UTC. */
  readonly at: string;
  readonly subject: string;
  readonly source: string;
  readonly data: object;
}

/** An event is one of CloudEvents 1.0.2, section 3, in the JSON format: a repeat has the `source` and the `id` of the first, by which receivers recognize it. */
function formatted({ type, at, subject, source, data }: Told, id: string, format: WebhookFormat): Payload {
  switch (format) {
    case 'standard-webhooks':
      return { contentType: 'application/json', body: JSON.stringify({ type, timestamp: at, data }) };
    case 'cloudevents':
      return {
        contentType: 'application/cloudevents+json; charset=utf-8',
        body: JSON.stringify({
          specversion: '1.0',
          id,
          source,
          type: `io.countersign.${type}`,
          subject,
          time: at,
          datacontenttype: 'application/json',
          data,
        }),
      };
  }
}

/** The gateway's address: the link to an action without `actions/…`. */
function gatewayOf(link: string): string {
  return new URL('..', link).href;
}
