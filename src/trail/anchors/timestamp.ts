/** An anchor that has a time-stamping authority (RFC 3161) say when a checkpoint existed, and gives it with the time stamp to another anchor to keep. */
import { readFile } from 'node:fs/promises';
import { configInvalid } from '../../action/errors-config.js';
import { CountersignError } from '../../action/errors.js';
import { guardedFetch } from '../../http/guarded-fetch.js';
import type { Allow } from '../../http/options.js';
import { checkedName, checkedTimeout, checkedUrl } from '../../notify/options.js';
import { anchorFailed, type Anchor } from './anchor.js';

/** Which authority is asked, how its time stamps are verified, and where they are kept. */
export interface TimestampAnchorOptions {
  /** Default `timestamp`. */
  readonly name?: string;
  /** Where the authority is asked. */
  readonly url: string;
  /** A PEM file of the certificates that are trusted to vouch for the authority's. It is read for each time stamp. */
  readonly caFile: string;
  /** The anchor that keeps the checkpoint together with its time stamp. */
  readonly keep: Anchor;
  /** The policy to ask for, an object identifier such as `1.3.6.1.4.1.99999.1`. Default: the authority's own. */
  readonly policy?: string;
  /** Default: public addresses alone, and https. A time stamp is signed, so http takes nothing from it but secrecy of the hash. */
  readonly allow?: Pick<Allow, 'loopback' | 'networks' | 'plainHttp'>;
  /** Milliseconds, default 10,000. */
  readonly timeoutMs?: number;
}

/** More than any token with its certificates needs. */
const MAX_RESPONSE_BYTES = 64 * 1024;
/** How far the authority's clock and ours may be apart, milliseconds. */
const CLOCKS_APART_MS = 300_000;

/** The SHA-256 of the checkpoint's JWS is stamped. What was not verified is not kept. @throws CountersignError CONFIG_INVALID */
export function timestampAnchor(options: TimestampAnchorOptions): Anchor {
  const name = checkedName(options.name ?? 'timestamp', 'timestampAnchor.name');
  const { allow = {}, caFile, keep, policy } = options;
  const url = checkedUrl(options.url, `${name}.url`, {
    loopback: allow.loopback ?? false,
    plainHttp: allow.plainHttp ?? false,
  });
  const timeoutMs = checkedTimeout(options.timeoutMs, `${name}.timeoutMs`);
  if (typeof caFile !== 'string' || caFile === '') throw configInvalid(`${name}.caFile`, 'the path of a PEM file');
  if (typeof (keep as Anchor | undefined)?.put !== 'function') {
    throw configInvalid(`${name}.keep`, 'an anchor made by fileAnchor(), webhookAnchor() or gitAnchor()');
  }
  if (policy !== undefined && !/^[0-2](\.(0|[1-9]\d*))+$/.test(policy)) {
    throw configInvalid(`${name}.policy`, 'an object identifier such as 1.3.6.1.4.1.99999.1');
  }
  const send = guardedFetch({ allow, timeoutMs, maxBytes: MAX_RESPONSE_BYTES });

  const ask = async (body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> => {
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/timestamp-query', accept: 'application/timestamp-reply' },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    };
    const answer = await send(url, request).catch((error: unknown) => {
      throw anchorFailed(name, `no answer: ${(error as Error).message}`, error);
    });
    if (answer.status !== 200) throw anchorFailed(name, `HTTP ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  };

  return {
    name,
    async put(checkpoint, signal) {
      if (checkpoint.timestamp !== undefined) throw anchorFailed(name, 'it has a time stamp already.');
      // What reads ASN.1 is loaded by processes that have this anchor, and by no other.
      const [{ timestampRequest, tokenIn }, { trustedCertificates }, { verifyTimestamp }] = await Promise.all([
        import('../timestamps/exchange.js'),
        import('../timestamps/chain.js'),
        import('../timestamps/verify.js'),
      ]);
      const { jws: data } = checkpoint;
      const { body, nonce } = timestampRequest(data, policy);
      const asked = Date.now();
      const answer = await ask(body, signal);
      try {
        const trusted = trustedCertificates(await readFile(caFile, 'utf8'), caFile);
        const token = tokenIn(answer);
        const { at, latest, authority } = verifyTimestamp(token, { data, trusted, nonce, policy });
        if (at.getTime() < asked - CLOCKS_APART_MS || at.getTime() > Date.now() + CLOCKS_APART_MS) {
          throw anchorFailed(name, `its clock says ${at.toISOString()}.`);
        }
        const kept = await keep.put({ ...checkpoint, timestamp: token.toString('base64') }, signal);
        return `existed at ${latest.toISOString()} at the latest, says ${authority}; ${kept}`;
      } catch (thrown) {
        if (thrown instanceof CountersignError && thrown.code === 'ANCHOR_FAILED') throw thrown;
        throw anchorFailed(name, (thrown as Error).message, thrown);
      }
    },
  };
}
