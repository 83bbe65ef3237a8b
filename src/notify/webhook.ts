/** A channel that posts signed JSON to a URL (Standard Webhooks 1.0, https://www.standardwebhooks.com), as an event of CloudEvents where asked for. */
import { configInvalid } from '../action/errors-config.js';
import { Webhook } from 'standardwebhooks';
import { addressGuard } from '../http/addresses.js';
import { retryAfter } from '../http/retry-after.js';
import type { Allow } from '../http/options.js';
import { Secrets } from '../http/secrets.js';
import { Wire, WireFailure, type Answer } from '../http/wire.js';
import { timeoutSignal } from '../timeout-signal.js';
import { MAX_RETRY_AFTER_MS, undelivered, type Channel, type Delivered, type DeliveryContext } from './channel.js';
import { checkedName, checkedTimeout, checkedUrl, type SecretRef } from './options.js';
import {
  alertPayloadOf,
  isWebhookFormat,
  payloadOf,
  WEBHOOK_FORMATS,
  type Payload,
  type WebhookFormat,
} from './payload.js';

/** Where notices are posted, and how they are signed. */
export interface WebhookOptions {
  /** The name, unique among the channels. Default `webhook`. */
  readonly name?: string;
  /** Where notices are posted: https, or http to this machine where `allow.loopback` is set. */
  readonly url: string;
  /** The signing secrets: each is `whsec_` and at least 24 bytes in base64. Each of them signs, so list both while one replaces another. */
  readonly secrets: readonly SecretRef[];
  /**
   * What the body is: `{ type, timestamp, data }`, as Standard Webhooks has it, or an event of CloudEvents 1.0 in structured mode. It is signed
   * the same way. Default `standard-webhooks`.
   */
  readonly format?: WebhookFormat;
  /** The addresses that are not public and may be posted to. Default none. */
  readonly allow?: Pick<Allow, 'loopback' | 'networks'>;
  /** Certificate authorities, in PEM, trusted instead of the system's. */
  readonly ca?: SecretRef;
  /** The timeout of one attempt. Milliseconds from 1 to 60,000, default 10,000. */
  readonly timeoutMs?: number;
}

/** The largest response that is read. Its body is not used. */
const MAX_RESPONSE_BYTES = 64 * 1024;

/**
 * A channel that posts notices. A response with 2xx means delivered, and `410 Gone` ends the delivery. After anything else it is tried
 * again, as the standard says, and not before the time that `Retry-After` names. Redirections are not followed.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function webhook(options: WebhookOptions): Channel {
  const name = checkedName(options.name ?? 'webhook', 'webhook.name');
  const { allow = {} } = options;
  const url = checkedUrl(options.url, `${name}.url`, { loopback: allow.loopback ?? false });
  const timeoutMs = checkedTimeout(options.timeoutMs, `${name}.timeoutMs`);
  const { format = 'standard-webhooks' } = options;
  if (!isWebhookFormat(format)) throw configInvalid(`${name}.format`, `one of ${WEBHOOK_FORMATS.join(', ')}`);
  const secrets = new Secrets(`The channel ${name}`);
  if (!Array.isArray(options.secrets) || options.secrets.length === 0)
    throw configInvalid(`${name}.secrets`, 'at least one secret');
  for (const ref of options.secrets) {
    secrets.check(ref, `${name}.secrets`);
    signerOf(secrets.readSync(ref), ref);
  }
  if (options.ca !== undefined) secrets.check(options.ca, `${name}.ca`);
  const wire = new Wire(
    { connectMs: timeoutMs, headersMs: timeoutMs, bodyMs: timeoutMs, bodyBytes: MAX_RESPONSE_BYTES },
    {
      isAllowed: addressGuard(allow),
      connectMs: timeoutMs,
      secrets,
      tls: options.ca === undefined ? {} : { ca: options.ca },
    },
  );

  const post = async (
    { contentType, body }: Payload,
    { deliveryId, signal }: Pick<DeliveryContext, 'deliveryId' | 'signal'>,
  ): Promise<Delivered> => {
    const sentAt = new Date();
    const signatures = await Promise.all(
      options.secrets.map(async (ref) => signerOf(await secrets.read(ref), ref).sign(deliveryId, sentAt, body)),
    );
    const headers = {
      'content-type': contentType,
      accept: '*/*',
      'accept-encoding': 'identity',
      'user-agent': 'countersign',
      'webhook-id': deliveryId,
      'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
      'webhook-signature': signatures.join(' '),
    };
    let response: Pick<Answer, 'status' | 'headers'>;
    try {
      response = await wire.send({ method: 'POST', url, headers, body }, timeoutSignal(signal, timeoutMs));
    } catch (thrown) {
      response = partialResponse(thrown, secrets);
    }
    return deliveredBy(response);
  };

  return {
    name,
    deliver: (notice, delivery) => post(payloadOf(notice, delivery.deliveryId, format), delivery),
    alert: (alert, delivery) => post(alertPayloadOf(alert, delivery.deliveryId, format), delivery),
    close: () => wire.close(),
  };
}

/** The response of a failed call, when its status had been received before the failure. @throws CountersignError DELIVERY_FAILED */
function partialResponse(thrown: unknown, secrets: Secrets): Pick<Answer, 'status' | 'headers'> {
  if (!(thrown instanceof WireFailure)) throw thrown;
  if (thrown.status !== undefined) return { status: thrown.status, headers: {} };
  throw undelivered(`no answer: ${secrets.strike(thrown.message)}`, { retryable: thrown.code !== 'FORBIDDEN_ADDRESS' });
}

/** Decides by the status whether the notice was delivered. The body of the response is ignored. @throws CountersignError DELIVERY_FAILED */
function deliveredBy(response: Pick<Answer, 'status' | 'headers'>): Delivered {
  const { status } = response;
  if (status >= 200 && status <= 299) return { detail: `HTTP ${status}` };
  if (status === 410) throw undelivered('HTTP 410: the receiver wants no more', { retryable: false });
  throw undelivered(`HTTP ${status}`, {
    retryable: true,
    retryAfterMs: retryAfter(response, MAX_RETRY_AFTER_MS),
  });
}

/** Makes a signer. The error names the reference of the secret, never the secret. @throws CountersignError CONFIG_INVALID */
function signerOf(secret: string, ref: SecretRef): Webhook {
  const key = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1];
  if (key === undefined || Buffer.from(key, 'base64').length < 24) {
    throw configInvalid(ref, 'whsec_ and at least 24 random bytes in base64');
  }
  try {
    return new Webhook(secret);
  } catch {
    throw configInvalid(ref, 'whsec_ and at least 24 random bytes in base64');
  }
}
