/** A channel that posts signed JSON to a URL (Standard Webhooks 1.0, https://www.standardwebhooks.com). */
import { configInvalid } from '../action/errors-config.js';
import { Webhook } from 'standardwebhooks';
import { addressGuard } from '../http/addresses.js';
import { retryAfter } from '../http/retry-after.js';
import type { Allow } from '../http/options.js';
import { Secrets } from '../http/secrets.js';
import { Wire, WireFailure, type Answer } from '../http/wire.js';
import { timeoutSignal } from '../timeout-signal.js';
import { MAX_RETRY_AFTER_MS, undelivered, type Channel, type Delivered, type DeliveryContext } from './channel.js';
import type { Notice } from './notice.js';
import { checkedName, checkedTimeout, checkedUrl, type SecretRef } from './options.js';

export interface WebhookOptions {
  /** Which no other channel has. Default `webhook`. */
  readonly name?: string;
  readonly url: string;
  /** `whsec_` and at least 24 bytes in base64 each. While one takes the place of another, both: every one of them signs. */
  readonly secrets: readonly SecretRef[];
  /** Which addresses that are not public may be posted to. Default none. */
  readonly allow?: Pick<Allow, 'loopback' | 'networks'>;
  /** Trusted instead of the system's authorities, PEM. */
  readonly ca?: SecretRef;
  /** For one attempt, milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}

/** Nobody needs a long answer. */
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * Delivered is what was answered with 2xx. `410 Gone` ends the delivery; everything else is tried again, as the standard has it, and
 * not before the time that `Retry-After` names. Redirections are not followed.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function webhook(options: WebhookOptions): Channel {
  const name = checkedName(options.name ?? 'webhook', 'webhook.name');
  const { allow = {} } = options;
  const url = checkedUrl(options.url, `${name}.url`, { loopback: allow.loopback ?? false });
  const timeoutMs = checkedTimeout(options.timeoutMs, `${name}.timeoutMs`);
  const secrets = new Secrets(`The channel ${name}`);
  if (!Array.isArray(options.secrets) || options.secrets.length === 0)
    throw configInvalid(`${name}.secrets`, 'at least one secret');
  for (const ref of options.secrets) {
    secrets.check(ref, `${name}.secrets`);
    signerOf(secrets.readSync(ref), ref);
  }
  if (options.ca !== undefined) secrets.check(options.ca, `${name}.ca`);
  const wire = new Wire(
    { connectMs: timeoutMs, headersMs: timeoutMs, bodyMs: timeoutMs, bodyBytes: MAX_ANSWER_BYTES },
    {
      isAllowed: addressGuard(allow),
      connectMs: timeoutMs,
      secrets,
      tls: options.ca === undefined ? {} : { ca: options.ca },
    },
  );

  return {
    name,
    async deliver(notice: Notice, { deliveryId, signal }: DeliveryContext): Promise<Delivered> {
      const body = JSON.stringify(payloadOf(notice));
      const sentAt = new Date();
      const signatures = await Promise.all(
        options.secrets.map(async (ref) => signerOf(await secrets.read(ref), ref).sign(deliveryId, sentAt, body)),
      );
      const headers = {
        'content-type': 'application/json',
        accept: '*/*',
        'accept-encoding': 'identity',
        'user-agent': 'countersign',
        'webhook-id': deliveryId,
        'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
        'webhook-signature': signatures.join(' '),
      };
      let answer: Pick<Answer, 'status' | 'headers'>;
      try {
        answer = await wire.send({ method: 'POST', url, headers, body }, timeoutSignal(signal, timeoutMs));
      } catch (thrown) {
        answer = begun(thrown, secrets);
      }
      return judged(answer);
    },
    close: () => wire.close(),
  };
}

/** What receivers get. The names of the types are `action.asked`, `action.reminded` and so on. */
function payloadOf(notice: Notice): object {
  const { at, kind, ...data } = notice;
  return { type: `action.${kind}`, timestamp: at, data };
}

/** An answer that began is one: its status came first. @throws CountersignError DELIVERY_FAILED */
function begun(thrown: unknown, secrets: Secrets): Pick<Answer, 'status' | 'headers'> {
  if (!(thrown instanceof WireFailure)) throw thrown;
  if (thrown.status !== undefined) return { status: thrown.status, headers: {} };
  throw undelivered(`no answer: ${secrets.strike(thrown.message)}`, { retryable: thrown.code !== 'FORBIDDEN_ADDRESS' });
}

/** The answer's body is not kept: it is the receiver's own business. */
function judged(answer: Pick<Answer, 'status' | 'headers'>): Delivered {
  const { status } = answer;
  if (status >= 200 && status <= 299) return { detail: `HTTP ${status}` };
  if (status === 410) throw undelivered('HTTP 410: the receiver wants no more', { retryable: false });
  throw undelivered(`HTTP ${status}`, {
    retryable: true,
    retryAfterMs: retryAfter(answer, MAX_RETRY_AFTER_MS),
  });
}

/** @throws CountersignError CONFIG_INVALID, which names the reference and never the secret */
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
