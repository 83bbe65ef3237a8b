/** What a webhook posts of a notice: as Standard Webhooks has it, or as an event of CloudEvents. */
import { ALERT_KIND, type AlertNotice } from './alert.js';
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

/** The `type` is `radar.unexplained`; as an event, `io.countersign.radar.unexplained`. */
export function alertPayloadOf(alert: AlertNotice, deliveryId: string, format: WebhookFormat): Payload {
  const { at, ...data } = alert;
  const type = `radar.${ALERT_KIND}`;
  return payload({ type, at, subject: alert.tool, source: new URL('.', alert.link).href, data }, deliveryId, format);
}

/** The `type` is `action.asked`, `action.reminded` and so on; as an event, `io.countersign.action.asked`. */
export function payloadOf(notice: Notice, deliveryId: string, format: WebhookFormat): Payload {
  const { at, kind, ...data } = notice;
  const about = { type: `action.${kind}`, at, subject: notice.actionId, source: gatewayOf(notice.link), data };
  return payload(about, deliveryId, format);
}

interface About {
  readonly type: string;
  readonly at: string;
  readonly subject: string;
  /** The gateway's address. */
  readonly source: string;
  readonly data: object;
}

function payload({ type, at, subject, source, data }: About, id: string, format: WebhookFormat): Payload {
  switch (format) {
    case 'standard-webhooks':
      return { contentType: 'application/json', body: JSON.stringify({ type, timestamp: at, data }) };
    case 'cloudevents':
      return {
        contentType: 'application/cloudevents+json; charset=utf-8',
        // CloudEvents 1.0.2, section 3, in the JSON format. A repeat has the `source` and the `id` of the first, by which receivers recognize it.
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
