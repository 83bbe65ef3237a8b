/** The public keys of an issuer, found through its metadata (OpenID Connect Discovery 1.0, RFC 8414) unless it is said where they are. */
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { AgentIssuer } from '../../config/gateway.js';
import { guardedFetch, type GuardedFetch } from '../../http/guarded-fetch.js';
import { isThisMachine } from '../../http/addresses.js';

const TIMEOUT_MS = 5000;
const MAX_ANSWER_BYTES = 256 * 1024;
/** After a failure the metadata are not asked for again so soon, whatever tokens come. */
const COOLDOWN_MS = 5000;

const metadataSchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

/** Asks for nothing before the first token. */
export function issuerKeys(issuer: AgentIssuer): JWTVerifyGetKey {
  // The metadata say where the keys are: they must not lead the gateway into its own network.
  const fetch = guardedFetch({
    allow: { loopback: isThisMachine(new URL(issuer.issuer).hostname), networks: issuer.networks ?? [] },
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_ANSWER_BYTES,
  });
  let keys: Promise<JWTVerifyGetKey> | undefined;
  let failedAt = -Infinity;
  const found = async (): Promise<JWTVerifyGetKey> => {
    if (performance.now() - failedAt < COOLDOWN_MS) throw new Error('the issuer did not answer a moment ago');
    keys ??= (
      issuer.jwksUri === undefined ? discover(issuer.issuer, fetch) : Promise.resolve(new URL(issuer.jwksUri))
    ).then((uri) => createRemoteJWKSet(uri, { timeoutDuration: TIMEOUT_MS, [customFetch]: fetch }));
    try {
      return await keys;
    } catch (error) {
      keys = undefined;
      failedAt = performance.now();
      throw error;
    }
  };
  return async (header, token) => (await found())(header, token);
}

async function discover(issuer: string, fetch: GuardedFetch): Promise<URL> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const places = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  let failure: unknown;
  for (const place of places) {
    try {
      const { issuer: told, jwks_uri: uri } = metadataSchema.parse(await fetchJson(place, fetch));
      // Else one issuer could pass off its keys as another's (RFC 8414, 3.3).
      if (told !== issuer) throw new Error(`${place} is the metadata of another issuer`);
      const url = new URL(uri);
      if (url.protocol === 'https:' || isThisMachine(url.hostname)) return url;
      throw new Error(`the keys of ${issuer} are not served by https`);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function fetchJson(place: string, fetch: GuardedFetch): Promise<unknown> {
  const response = await fetch(place);
  if (!response.ok) throw new Error(`${place} answers ${response.status}`);
  return await response.json();
}
