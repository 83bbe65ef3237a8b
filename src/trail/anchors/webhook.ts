/** An anchor that posts checkpoints to a URL. They are signed, so the request need not be. */
import type { Allow } from '../../http/options.js';
import { guardedFetch } from '../../http/guarded-fetch.js';
import { checkedName, checkedTimeout, checkedUrl } from '../../notify/options.js';
import { anchorFailed, anchorText, type Anchor } from './anchor.js';

/** Where checkpoints are posted. */
export interface WebhookAnchorOptions {
  /** The name, unique among the anchors. Default `webhook`. */
  readonly name?: string;
  /** Where checkpoints are posted: https, or http to this machine where `allow.loopback` is set. */
  readonly url: string;
  /** The addresses that are not public and may be posted to. Default none. */
  readonly allow?: Pick<Allow, 'loopback' | 'networks'>;
  /** The timeout of one post. Milliseconds from 1 to 60,000, default 10,000. */
  readonly timeoutMs?: number;
}

const MAX_RESPONSE_BYTES = 64 * 1024;

/** Posts `{tenant, size, jws}`, with `timestamp` where there is one; 2xx means that it was taken. Redirections are not followed. @throws CountersignError CONFIG_INVALID */
export function webhookAnchor(options: WebhookAnchorOptions): Anchor {
  const name = checkedName(options.name ?? 'webhook', 'webhookAnchor.name');
  const { allow = {} } = options;
  const url = checkedUrl(options.url, `${name}.url`, { loopback: allow.loopback ?? false });
  const timeoutMs = checkedTimeout(options.timeoutMs, `${name}.timeoutMs`);
  const send = guardedFetch({ allow, timeoutMs, maxBytes: MAX_RESPONSE_BYTES });
  return {
    name,
    async put(checkpoint, signal) {
      const request = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: anchorText(checkpoint),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      };
      const { status, ok } = await send(url, request).catch((error: unknown) => {
        throw anchorFailed(name, `no answer: ${(error as Error).message}`, error);
      });
      if (ok) return `HTTP ${status}`;
      throw anchorFailed(name, `HTTP ${status}`);
    },
  };
}
