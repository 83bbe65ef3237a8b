/** What a webhook posts of a notice: as Standard Webhooks has it, or as an event of CloudEvents. */
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

/** The `type` is `action.asked`, `action.reminded` and so on; as an event, `io.countersign.action.asked`. */
export function payloadOf(notice: Notice, deliveryId: string, format: WebhookFormat): Payload {
  const { at, kind, ...data } = notice;
  switch (format) {
    case 'standard-webhooks':
      return {
        contentType: 'application/json',
        body: JSON.stringify({ type: `action.${kind}`, timestamp: at, data }),
      };
    case 'cloudevents':
      return {
        contentType: 'application/cloudevents+json; charset=utf-8',
        body: JSON.stringify(eventOf(`io.countersign.action.${kind}`, notice, deliveryId, data)),
      };
  }
}

/**
 * CloudEvents 1.0.2, section 3, in the JSON format. A repeat has the `source` and the `id` of the first, by which receivers recognize it.
 */
function eventOf(type: string, { at, actionId, link }: Notice, id: string, data: object): object {
  return {
    specversion: '1.0',
    id,
    source: gatewayOf(link),
    type,
    subject: actionId,
    time: at,
    datacontenttype: 'application/json',
    data,
  };
}

/** The gateway's address: the link to an action without `actions/…`. */
function gatewayOf(link: string): string {
  return new URL('..', link).href;
}
