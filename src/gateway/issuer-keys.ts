/** The public keys of an issuer, found through its metadata (OpenID Connect Discovery 1.0, RFC 8414) unless it is said where they are. */
import { createRemoteJWKSet, type JWTVerifyGetKey } from 'jose';
import { z } from 'zod';
import type { AgentIssuer } from '../config/gateway.js';
import { isLoopback } from './settings.js';

const TIMEOUT_MS = 5000;
const MAX_METADATA_BYTES = 256 * 1024;
/** After a failure the metadata are not asked for again so soon, whatever tokens come. */
const COOLDOWN_MS = 5000;

const metadataSchema = z.object({ issuer: z.string(), jwks_uri: z.url() });

/** Asks for nothing before the first token. */
export function issuerKeys(issuer: AgentIssuer): JWTVerifyGetKey {
  let keys: Promise<JWTVerifyGetKey> | undefined;
  let failedAt = -Infinity;
  const found = async (): Promise<JWTVerifyGetKey> => {
    if (performance.now() - failedAt < COOLDOWN_MS) throw new Error('the issuer did not answer a moment ago');
    keys ??= (issuer.jwksUri === undefined ? discover(issuer.issuer) : Promise.resolve(new URL(issuer.jwksUri))).then(
      (uri) => createRemoteJWKSet(uri, { timeoutDuration: TIMEOUT_MS }),
    );
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

async function discover(issuer: string): Promise<URL> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  const places = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  let failure: unknown;
  for (const place of places) {
    try {
      const { issuer: told, jwks_uri: uri } = metadataSchema.parse(await fetchJson(place));
      // Else one issuer could pass off its keys as another's (RFC 8414, 3.3).
      if (told !== issuer) throw new Error(`${place} is the metadata of another issuer`);
      const url = new URL(uri);
      if (url.protocol === 'https:' || isLoopback(url)) return url;
      throw new Error(`the keys of ${issuer} are not served by https`);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function fetchJson(place: string): Promise<unknown> {
  const response = await fetch(place, { redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${place} answers ${response.status}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.byteLength;
    if (size > MAX_METADATA_BYTES) throw new Error(`${place} answers with too much`);
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString('utf8')) as unknown;
}
