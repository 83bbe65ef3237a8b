/** An anchor that has a time-stamping authority (RFC 3161) say when a checkpoint existed, and gives it with the time stamp to another anchor to keep. */
import { readFile } from 'node:fs/promises';
import { configInvalid } from '../../action/errors-config.js';
import { CountersignError } from '../../action/errors.js';
import { guardedFetch } from '../../http/guarded-fetch.js';
import type { Allow, SecretRef } from '../../http/options.js';
import { Secrets } from '../../http/secrets.js';
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
  /** What the authority asks for: a user and a password (RFC 7617), or a token (RFC 6750). Default: nothing is sent. */
  readonly auth?: BasicCredentials | BearerToken;
  /** Milliseconds, default 10,000. */
  readonly timeoutMs?: number;
}

/** A secret is named (`env:NAME`, `file:/path`) and read for each time stamp. */
interface BasicCredentials {
  /** Its name there: without a colon. */
  readonly user: string;
  /** Where its password is: `env:NAME` or `file:/path`. */
  readonly password: SecretRef;
}

interface BearerToken {
  /** Where the token is: `env:NAME` or `file:/path`. */
  readonly token: SecretRef;
}

/** More than any token with its certificates needs. */
const MAX_RESPONSE_BYTES = 64 * 1024;
/** How far the authority's clock and ours may be apart, milliseconds. */
const CLOCKS_APART_MS = 300_000;

/** The SHA-256 of the checkpoint's JWS is stamped. What was not verified is not kept. @throws CountersignError CONFIG_INVALID */
export function timestampAnchor(options: TimestampAnchorOptions): Anchor {
  const name = checkedName(options.name ?? 'timestamp', 'timestampAnchor.name');
  const { allow = {}, auth, caFile, keep, policy } = options;
  const url = checkedUrl(options.url, `${name}.url`, {
    loopback: allow.loopback ?? false,
    // A secret goes to nobody in clear but to this machine.
    plainHttp: auth === undefined && (allow.plainHttp ?? false),
  });
  const timeoutMs = checkedTimeout(options.timeoutMs, `${name}.timeoutMs`);
  if (typeof caFile !== 'string' || caFile === '') throw configInvalid(`${name}.caFile`, 'the path of a PEM file');
  if (typeof (keep as Anchor | undefined)?.put !== 'function') {
    throw configInvalid(`${name}.keep`, 'an anchor made by fileAnchor(), webhookAnchor() or gitAnchor()');
  }
  if (policy !== undefined && !/^[0-2](\.(0|[1-9]\d*))+$/.test(policy)) {
    throw configInvalid(`${name}.policy`, 'an object identifier such as 1.3.6.1.4.1.99999.1');
  }
  const secrets = new Secrets(`The anchor ${name}`);
  checkAuth(auth, `${name}.auth`, secrets);
  const send = guardedFetch({ allow, timeoutMs, maxBytes: MAX_RESPONSE_BYTES });

  // What is quoted may hold what was sent.
  const failed = (error: unknown, what = ''): never => {
    const why = secrets.strike(`${what}${(error as Error).message}`);
    throw anchorFailed(name, why, auth === undefined ? error : undefined);
  };

  const ask = async (body: Uint8Array, signal: AbortSignal): Promise<Uint8Array> => {
    const authorization = auth && (await authorizationOf(auth, secrets).catch(failed));
    const request = {
      method: 'POST',
      headers: {
        'content-type': 'application/timestamp-query',
        accept: 'application/timestamp-reply',
        ...(authorization === undefined ? {} : { authorization }),
      },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    };
    const answer = await send(url, request).catch((error: unknown) => failed(error, 'no answer: '));
    if (answer.status === 401 || answer.status === 403) {
      const why =
        auth === undefined ? 'it asks for credentials: name them in `auth`' : 'it does not take the credentials';
      throw anchorFailed(name, `HTTP ${answer.status}, ${why}`);
    }
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
        return failed(thrown);
      }
    },
  };
}

/** @throws CountersignError CONFIG_INVALID */
function checkAuth(auth: unknown, field: string, secrets: Secrets): void {
  if (auth === undefined) return;
  const { user, password, token, ...others } = (auth ?? {}) as Record<string, unknown>;
  const basic = typeof user === 'string' && user !== '' && !/[:\p{Cc}]/u.test(user) && token === undefined;
  const bearer = token !== undefined && user === undefined && password === undefined;
  if ((!basic && !bearer) || Object.keys(others).length > 0) {
    throw configInvalid(field, '{ user, password } with a user without a colon, or { token }');
  }
  secrets.check(basic ? password : token, `${field}.${basic ? 'password' : 'token'}`);
}

/** @throws CountersignError CONFIG_INVALID where the secret is not there */
async function authorizationOf(auth: BasicCredentials | BearerToken, secrets: Secrets): Promise<string> {
  if ('token' in auth) return `Bearer ${await secrets.read(auth.token)}`;
  const sent = Buffer.from(`${auth.user}:${await secrets.read(auth.password)}`).toString('base64');
  secrets.remember(sent);
  return `Basic ${sent}`;
}
