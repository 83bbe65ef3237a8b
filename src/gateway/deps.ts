/** What the gateway stands on, and how it is set up. A process assembles it; routes and pages see nothing else. */
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import type { PayloadCodec } from '@temporalio/common';
import type { Context } from 'hono';
import type { Logger } from 'pino';
import type { CommandResult } from '../../activities/contract.js';
import type { Edit } from '../action/edit.js';
import type { Digest } from '../action/json.js';
import type { DecideReply, Verdict } from '../action/outcome.js';
import type { Countersign } from '../client/countersign.js';
import type { AgentIssuer, OidcConfig } from '../config/gateway.js';
import type { Database, Ledger } from '../ledger/index.js';
import type { Redaction } from '../privacy/redaction.js';
import type { Keyring, CommandInput } from '../trust/index.js';
import type { AgentPrincipal, PersonPrincipal, Principal } from './auth/principal.js';

/** What a gateway stands on. `startGateway` makes it; who calls `createGateway` makes it, and closes what is in it. */
export interface GatewayDependencies {
  readonly countersign: Countersign;
  readonly ledger: Ledger;
  /** Where the ledger is, and the gateway's own tables are. */
  readonly database: Database;
  /** Needs the private `gateway` key and no other. */
  readonly keyring: Keyring;
  readonly settings: GatewaySettings;
  readonly identity: Identity;
  readonly decisions: Decisions;
  /** What people are not shown. Absent where nothing is redacted. */
  readonly redaction?: Redaction;
  /** Absent where nobody may decrypt what passes through Temporal. */
  readonly codecServer?: CodecServer;
  readonly logger: Logger;
  /** Whose workers' tools MCP clients are offered. */
  readonly taskQueue: string;
  /** Aborts when the gateway stops: what waits on purpose then answers. */
  readonly closing: AbortSignal;
}

export interface CodecServer {
  /** Passes on what is not encrypted. */
  readonly codec: PayloadCodec;
  /** Of the Temporal UI. */
  readonly origins: readonly string[];
  /** Any of them may decrypt, what is of any tenant. */
  readonly roles: readonly string[];
}

/** Of whoever sends a request. */
export interface Identity {
  /** Undefined for nobody. @throws CountersignError UNAUTHENTICATED for somebody who is not to be believed, or two at once */
  principal(c: Context): Promise<Principal | undefined>;
  /** @throws CountersignError UNAUTHENTICATED, FORBIDDEN for a person */
  agent(c: Context): Promise<AgentPrincipal>;
  /** Also checks, for everything but GET and HEAD, that the person's own page sent it. @throws CountersignError UNAUTHENTICATED, FORBIDDEN for an agent, CSRF */
  person(c: Context): Promise<PersonPrincipal>;
  /** Looks again, for requests that last: undefined or an error once the session or the token has ended. Does not count as use of a session. */
  again(c: Context): Promise<Principal | undefined>;
}

export interface Decide {
  readonly actionId: string;
  /** Of exactly what the person saw. */
  readonly shownDigest: Digest;
  readonly verdict: Verdict;
  readonly reason?: string | undefined;
  /** With `request_changes`: what the person makes of the proposal themselves. */
  readonly edit?: Edit | undefined;
  /** A passkey's word on the same, with the policy it was shown under. */
  readonly assertion?: { readonly policyDigest: Digest; readonly response: AuthenticationResponseJSON } | undefined;
}

/** What people say, attested, signed and handed in. */
export interface Decisions {
  /** @throws CountersignError APPROVAL_*, PASSKEY_*, EDIT_INVALID, INVALID_*, NOT_PENDING, NOT_FOUND */
  decide(person: PersonPrincipal, decision: Decide): Promise<DecideReply>;
  /** @throws CountersignError COMMAND_INVALID, ROLE_REQUIRED, NOT_FOUND … */
  state(person: PersonPrincipal, command: CommandInput): Promise<CommandResult>;
}

/** The identity provider of people, with its secret. */
export interface OidcSettings extends OidcConfig {
  /** From the environment, never from a file in a repository. Absent for a public client. */
  readonly clientSecret?: string;
}

export interface SlackSettings {
  /** Of the Slack app. From the environment, COUNTERSIGN_SLACK_SIGNING_SECRET. */
  readonly signingSecret: string;
  /** Where answers to clicks may be sent. Default: Slack's own. */
  readonly responseOrigins?: readonly string[];
}

/** Somebody whom the login for development lets anybody be. */
export interface DevPerson {
  readonly id: string;
  readonly name: string;
  readonly tenant: string;
  readonly roles: readonly string[];
}

/** How a gateway is set up, with every default in its place. */
export interface GatewaySettings {
  /** Where people reach it: `https://…`, or `http://localhost:<port>`. Cookies, redirects and passkeys go by it. */
  readonly publicUrl: string;
  /** For links to an action's workflow. */
  readonly temporalUiUrl?: string;
  readonly temporalNamespace: string;
  /** Where passkeys are made and used. Absent: nobody can enrol or use one. */
  readonly passkeys?: { readonly rpId: string; readonly origins: readonly string[] };
  readonly agents: readonly AgentIssuer[];
  /** The identity provider of people. Absent: nobody can log in, but where `devPeople` are. */
  readonly oidc?: OidcSettings;
  /** For clicks on the buttons of messages in Slack. */
  readonly slack?: SlackSettings;
  /** Only where the gateway listens on loopback and no provider is configured. */
  readonly devPeople?: readonly DevPerson[];
  /** Roles that may freeze. Default `operator`. */
  readonly freezeRoles: readonly string[];
  /** Roles that see what is of no tenant: what the radar found. Default `platform-operator`. */
  readonly platformRoles: readonly string[];
  /** Roles that see how others of their tenant decide. Default `operator`. */
  readonly oversightRoles: readonly string[];
  /** Whether whoever answers for an agent may decide on what it does. Default false. */
  readonly selfApproval: boolean;
  readonly session: {
    /** How long a session lasts without being used. Seconds, default 1,800. */
    readonly idleSeconds: number;
    /** How long it lasts at most. Seconds, default 43,200. */
    readonly maxSeconds: number;
  };
  readonly limits: {
    /** Largest body, bytes. Default 1 MiB. */
    readonly bodyBytes: number;
    /** Requests of one principal (or of one address without any) in a minute, of this process. Default 600. */
    readonly requestsPerMinute: number;
    /** Longest a request may take that does not wait on purpose. Milliseconds, default 30 000. */
    readonly timeoutMs: number;
    /** Streams of events that one principal may have open at once, of this process. Default 20. */
    readonly streams: number;
    /** How long a call over MCP or A2A waits, unless it hears of progress. Milliseconds, default 20 000. */
    readonly callWaitMs: number;
  };
  /** Hops of proxies in front whose `X-Forwarded-For` and `X-Forwarded-Host` are believed. Default 0. */
  readonly trustedProxies: number;
  /** Who may read `/metrics`. */
  readonly metrics: {
    /** Anybody, because it stays on this machine. */
    readonly open: boolean;
    /** Else whoever sends it as a bearer token. Absent: nobody. */
    readonly token?: string;
  };
}
