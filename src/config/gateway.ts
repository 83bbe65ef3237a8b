/** The member `gateway` of the config. It holds no secret: those come from the environment. */
import { z } from 'zod';
import { tenantSchema } from '../trust/claim-schemas.js';
import { nonEmpty, whole } from './schema.js';

/** An issuer of agents' tokens. */
export interface AgentIssuer {
  /** The `iss` of its tokens. */
  readonly issuer: string;
  /** The `aud` they must have. */
  readonly audience: string;
  /** Default: found through the issuer's metadata (RFC 8414, OpenID Connect Discovery). */
  readonly jwksUri?: string;
  /** Networks that are not public in which the issuer answers: `10.2.0.0/16`. Default none; loopback when the issuer itself is there. */
  readonly networks?: readonly string[];
  /** Where the claims say what. Dots lead into objects. Defaults: `sub`, `tenant`, `roles`, `scopes`, `owner`. */
  readonly claims?: {
    /** The agent's id. Default `sub`. */
    readonly id?: string;
    /** The tenant that the agent is of. Default `tenant`. */
    readonly tenant?: string;
    /** A list, or one text with spaces between the roles. Default `roles`; a token without it has none. */
    readonly roles?: string;
    /** The tools that the agent may name: a list, or one text with spaces between them. Default `scopes`. */
    readonly scopes?: string;
    /** The person who answers for the agent. Default `owner`; a token without it names nobody. */
    readonly owner?: string;
  };
  /** For an issuer of one tenant only: every token of it is of this tenant, whatever it claims. Default: by the token's claim. */
  readonly tenant?: string;
}

/** The identity provider of people (OpenID Connect). */
export interface OidcConfig {
  /** Its `iss`, where its metadata are found. */
  readonly issuer: string;
  /** The id of the client at the provider, which is also the `aud` of its ID tokens. */
  readonly clientId: string;
  /** Besides `openid`. Default `email profile`. */
  readonly scope?: string;
  /** Where the claims of the ID token, or what it lacks those of the userinfo endpoint, say what. Dots lead into objects. Defaults: `email` (must be verified), `tenant`, `roles`, `name`. */
  readonly claims?: {
    /** The person's id. Default `email`, which the provider must have verified. */
    readonly id?: string;
    /** The tenant that the person is of. Default `tenant`. */
    readonly tenant?: string;
    /** A list, or one text. Default `roles`; whoever lacks it has none, and decides nothing. */
    readonly roles?: string;
    /** For people to read. Default `name`; whoever lacks it is shown by the id. */
    readonly name?: string;
  };
  /** What the provider calls a role, to what policies call it; roles that are not listed are dropped. Default: the names are the same. */
  readonly roles?: Readonly<Record<string, string>>;
  /** For a provider of one tenant only. Default: by the person's claim. */
  readonly tenant?: string;
}

/** How a gateway is reached, and whom it believes. */
export interface GatewayConfig {
  /** Where people reach it: `https://…`, or `http://localhost:<port>`. Default: where it listens, if that is loopback. */
  readonly publicUrl?: string;
  /** The address to listen on. Default `127.0.0.1`. */
  readonly host?: string;
  /** The port to listen on; 0 lets the system choose. Default 8787. */
  readonly port?: number;
  /** Issuers of agents' tokens. Default none: then agents use API keys. */
  readonly agents?: readonly AgentIssuer[];
  /** The identity provider of people. The client's secret is COUNTERSIGN_OIDC_CLIENT_SECRET. Default none: nobody can log in. */
  readonly oidc?: OidcConfig;
  /** For links to an action's workflow. Default: the variable TEMPORAL_UI_URL, if set. */
  readonly temporalUiUrl?: string;
  /** How long a person stays logged in. */
  readonly session?: {
    /** How long a session lasts without being used. Seconds from 60 to 86,400, default 1,800. */
    readonly idleSeconds?: number;
    /** How long a session lasts at most. Seconds from 60 to 604,800, default 43,200. */
    readonly maxSeconds?: number;
  };
  /** Bounds on requests, for each process by itself. */
  readonly limits?: {
    /** Largest body of a request. Bytes from 1,024 to 16,777,216, default 1,048,576. */
    readonly bodyBytes?: number;
    /** Requests of one principal (or of one address without any) in a minute, of one process. From 1 to 1,000,000, default 600. */
    readonly requestsPerMinute?: number;
    /** Longest that a request may take which does not wait on purpose. Milliseconds from 1,000 to 300,000, default 30,000. */
    readonly timeoutMs?: number;
    /** Streams of events that one principal may have open at once, of one process. From 1 to 10,000, default 20. */
    readonly streams?: number;
    /**
     * How long a call over MCP or A2A waits for its action, before it answers that people still have to decide. Milliseconds from 0 to 50,000 and
     * at most two thirds of `timeoutMs`, default 20,000; clients of MCP that hear of progress wait for 50,000.
     */
    readonly callWaitMs?: number;
  };
  /** Hops of proxies in front whose `X-Forwarded-For` and `X-Forwarded-Host` are believed. From 0 to 10, default 0. */
  readonly trustedProxies?: number;
}

export const DEFAULT_PORT = 8787;
export const DEFAULT_HOST = '127.0.0.1';

const claims = z.record(z.string(), nonEmpty('the name of a claim')).optional();

export const gatewayConfigSchema = z.strictObject({
  publicUrl: z.string().optional(),
  host: nonEmpty('an address to listen on').optional(),
  port: whole(0, 65_535).optional(),
  agents: z
    .array(
      z.strictObject({
        issuer: nonEmpty('the https URL of an issuer of tokens'),
        audience: nonEmpty('the audience that the tokens must have'),
        jwksUri: z.string().optional(),
        networks: z.array(nonEmpty('a network such as 10.2.0.0/16')).optional(),
        claims,
        tenant: tenantSchema.optional(),
      }),
    )
    .optional(),
  oidc: z
    .strictObject({
      issuer: nonEmpty('the https URL of an identity provider'),
      clientId: nonEmpty('the id of the client at the identity provider'),
      scope: z.string().optional(),
      claims,
      roles: z.record(z.string(), z.string()).optional(),
      tenant: tenantSchema.optional(),
    })
    .optional(),
  temporalUiUrl: z.string().optional(),
  session: z
    .strictObject({
      idleSeconds: whole(60, 86_400, 'seconds').optional(),
      maxSeconds: whole(60, 604_800, 'seconds').optional(),
    })
    .optional(),
  limits: z
    .strictObject({
      bodyBytes: whole(1024, 16_777_216, 'bytes').optional(),
      requestsPerMinute: whole(1, 1_000_000).optional(),
      timeoutMs: whole(1000, 300_000, 'milliseconds').optional(),
      streams: whole(1, 10_000).optional(),
      callWaitMs: whole(0, 50_000, 'milliseconds').optional(),
    })
    .optional(),
  trustedProxies: whole(0, 10).optional(),
});
