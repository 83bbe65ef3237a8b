/** Stands in for an issuer of agents' tokens: its own keys, and claims where the operator's issuer has them. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import type { AgentIssuer } from '../../config/gateway.js';

interface TokenOptions {
  /** In the place of its own key, under the same name. */
  readonly key?: CryptoKey | Uint8Array;
  readonly alg?: string;
  readonly typ?: string;
  /** Instead of what a good token says. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

export interface ScratchIssuer {
  /** As a gateway is to know it. */
  readonly config: AgentIssuer;
  /** The public key as it is published: what somebody takes for a shared secret. */
  readonly published: string;
  /** A good one, where nothing else is said. */
  token(options?: TokenOptions): Promise<string>;
  /** One that nobody signed. */
  unsigned(): string;
  close(): Promise<void>;
}

interface TokenAgent {
  readonly id: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
}

const KID = 'countersign-prove';
const LASTS_SECONDS = 300;

/** @param own of the operator: its audience and the places of its claims are taken over, and none of its addresses */
export async function startIssuer(own: AgentIssuer, agent: TokenAgent): Promise<ScratchIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const published = JSON.stringify({ ...(await exportJWK(publicKey)), kid: KID, alg: 'ES256', use: 'sig' });
  let issuer = '';
  const server = createServer((request, answer) => {
    const isKeys = request.url === '/keys';
    answer.writeHead(200, { 'content-type': 'application/json' });
    answer.end(isKeys ? `{"keys":[${published}]}` : JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { audience, claims: places = {}, tenant } = own;
  const good = (): JWTPayload => {
    const now = Math.floor(Date.now() / 1000);
    return {
      iss: issuer,
      aud: audience,
      iat: now,
      exp: now + LASTS_SECONDS,
      jti: randomUUID(),
      [places.id ?? 'sub']: agent.id,
      [places.tenant ?? 'tenant']: agent.tenant,
      [places.roles ?? 'roles']: agent.roles,
      [places.scopes ?? 'scopes']: agent.scopes,
    };
  };
  return {
    config: {
      issuer,
      audience,
      claims: places,
      ...(tenant === undefined ? {} : { tenant }),
    },
    published,
    token: ({ key = privateKey, alg = 'ES256', typ = 'at+jwt', claims = {} } = {}) =>
      new SignJWT({ ...good(), ...claims }).setProtectedHeader({ alg, typ, kid: KID }).sign(key),
    unsigned: () => `${encoded({ alg: 'none', typ: 'at+jwt' })}.${encoded(good())}.`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
