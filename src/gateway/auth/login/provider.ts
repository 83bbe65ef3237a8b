/** The way to the OpenID Connect provider: authorization code with PKCE, state and nonce; the ID token's signature checked. */
import type { Logger } from 'pino';
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  AuthorizationResponseError,
  buildAuthorizationUrl,
  buildEndSessionUrl,
  calculatePKCECodeChallenge,
  ClientSecretBasic,
  ClientSecretPost,
  clockTolerance,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
  None,
  type ClientAuth,
  type Configuration,
  type IDToken,
} from 'openid-client';
import { CountersignError } from '../../../action/errors.js';
import { CLOCK_TOLERANCE_SECONDS } from '../../../trust/claim-schemas.js';
import { claimAt } from '../token-claims.js';
import type { OidcSettings } from '../../deps.js';
import { claimNames, type Claims } from './person-claims.js';
import type { BegunLogin } from '../../store/logins.js';
import { isThisMachine } from '../../../http/addresses.js';

const TIMEOUT_SECONDS = 10;

/** So long ago is taken to be when somebody proved who they are whom a provider does not say it of that could: longer than anything asks for. */
const NO_FRESH_PROOF_MS = 86_400_000;

/** A longer one is not kept: it must fit a link. */
const MAX_ID_TOKEN = 6 * 1024;

interface ProviderLogin {
  readonly claims: Claims;
  /** When the person proved who they are, as far as the provider says. Undefined for one that never says it. */
  readonly authenticatedAt: Date | undefined;
  readonly idToken: string | undefined;
}

interface ProviderOptions {
  /** Where the provider sends people back to. */
  readonly publicUrl: string;
  /** How long ago people may have proved to the provider who they are; else it asks them again. */
  readonly maxAgeSeconds: number;
  readonly logger: Logger;
}

export class Provider {
  readonly #settings: OidcSettings;
  readonly #options: ProviderOptions;
  readonly #logger: Logger;
  #configuration: Promise<Configuration> | undefined;

  /** @throws CountersignError CONFIG_INVALID */
  constructor(settings: OidcSettings, options: ProviderOptions) {
    checkIssuer(settings.issuer);
    this.#settings = settings;
    this.#options = options;
    this.#logger = options.logger;
  }

  /** Where to send the browser. `again`: the person has to prove anew who they are. @throws CountersignError UNAUTHENTICATED (retryable) */
  async authorizationUrl(
    { state, nonce, codeVerifier }: Omit<BegunLogin, 'returnTo'> & { readonly state: string },
    { again }: { readonly again: boolean },
  ): Promise<URL> {
    const configuration = await this.#found();
    return buildAuthorizationUrl(configuration, {
      redirect_uri: this.#redirectUri(),
      scope: `openid ${this.#settings.scope ?? 'email profile'}`,
      state,
      nonce,
      code_challenge: await calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
      // Also asks the provider to say when the person proved who they are: a session that it kept open is no fresh proof.
      max_age: String(again ? 0 : this.#options.maxAgeSeconds),
      ...(again ? { prompt: 'login' } : {}),
    });
  }

  /**
   * Ends a login with what the provider sent the browser back with.
   *
   * @throws CountersignError UNAUTHENTICATED; retryable when the provider did not answer
   */
  async finish(
    query: string,
    { state, nonce, codeVerifier }: Omit<BegunLogin, 'returnTo'> & { readonly state: string },
  ): Promise<ProviderLogin> {
    const configuration = await this.#found();
    const back = new URL(this.#redirectUri());
    back.search = query;
    try {
      const tokens = await authorizationCodeGrant(configuration, back, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: codeVerifier,
        idTokenExpected: true,
      });
      const idClaims = tokens.claims();
      if (idClaims === undefined) throw new Error('there is no ID token');
      return {
        claims: await this.#complete(configuration, idClaims, tokens.access_token),
        authenticatedAt: provedAt(configuration, idClaims),
        idToken: (tokens.id_token?.length ?? Infinity) <= MAX_ID_TOKEN ? tokens.id_token : undefined,
      };
    } catch (error) {
      throw this.#refused(error);
    }
  }

  /** Where to log out of the provider as well, if it has such a place and is known by now. */
  async endSessionUrl(idToken: string | undefined): Promise<URL | undefined> {
    const configuration = await this.#found().catch(() => undefined);
    if (configuration?.serverMetadata().end_session_endpoint === undefined) return undefined;
    return buildEndSessionUrl(configuration, {
      post_logout_redirect_uri: `${this.#options.publicUrl}/logged-out`,
      ...(idToken === undefined ? {} : { id_token_hint: idToken }),
    });
  }

  /** Providers may leave what a scope stands for to their userinfo endpoint (OpenID Connect Core, 5.4). What the ID token says comes first. */
  async #complete(configuration: Configuration, claims: IDToken, accessToken: string): Promise<Claims> {
    const { id, tenant, roles } = claimNames(this.#settings);
    const lacking = [id, tenant, roles].some((name) => name !== undefined && claimAt(claims, name) === undefined);
    if (!lacking || configuration.serverMetadata().userinfo_endpoint === undefined) return claims;
    return { ...(await fetchUserInfo(configuration, accessToken, claims.sub)), ...claims };
  }

  #redirectUri(): string {
    return `${this.#options.publicUrl}/callback`;
  }

  /** Found when first needed, so that a gateway starts, and goes on after, while its provider is down. */
  async #found(): Promise<Configuration> {
    this.#configuration ??= this.#discover();
    try {
      return await this.#configuration;
    } catch (error) {
      this.#configuration = undefined;
      this.#logger.error(
        { issuer: this.#settings.issuer, problem: problemOf(error) },
        'the identity provider cannot be used',
      );
      throw new CountersignError('UNAUTHENTICATED', 'The identity provider does not answer as it should.', {
        field: 'oidc.issuer',
        expected: 'a provider with OpenID Connect Discovery, under the issuer that is configured',
        fix: "Try again soon. The operator finds more in the gateway's log.",
        retryable: true,
        cause: error,
      });
    }
  }

  #discover(): Promise<Configuration> {
    const { issuer, clientId, clientSecret } = this.#settings;
    const url = new URL(issuer);
    return discovery(
      url,
      clientId,
      { [clockTolerance]: CLOCK_TOLERANCE_SECONDS },
      clientSecret === undefined ? None() : secretOf(clientSecret),
      {
        timeout: TIMEOUT_SECONDS,
        // The token endpoint's TLS attests the ID token already; its signature also does where a proxy ends that TLS.
        execute: [enableNonRepudiationChecks, ...(url.protocol === 'http:' ? [allowInsecureRequests] : [])],
      },
    );
  }

  /** Codes only: messages and causes may hold codes, tokens and whatever else was sent. */
  #refused(error: unknown): CountersignError {
    const problem = problemOf(error);
    this.#logger.warn({ issuer: this.#settings.issuer, problem }, 'a login was refused');
    if (error instanceof AuthorizationResponseError) {
      return new CountersignError('UNAUTHENTICATED', `The identity provider did not log you in (${problem}).`, {
        field: 'oidc',
        fix: 'Log in again; if it stays so, ask the operator.',
      });
    }
    const retryable = problem === 'OAUTH_TIMEOUT' || error instanceof TypeError;
    return new CountersignError('UNAUTHENTICATED', `What the identity provider sent does not verify (${problem}).`, {
      field: 'oidc',
      expected: 'an ID token of the issuer, for this gateway and for this login',
      fix: 'Log in again; if it stays so, ask the operator.',
      retryable,
    });
  }
}

/**
 * A provider that can say it does so where `max_age` is asked for (OpenID Connect Core, 2). When it does not, whoever sits at the browser has
 * taken that out of the address on the way there, to be let in by a session that the provider kept open.
 */
function provedAt(configuration: Configuration, { auth_time: at }: IDToken): Date | undefined {
  if (at !== undefined) return new Date(at * 1000);
  const { claims_supported: claims } = configuration.serverMetadata();
  const canSay = Array.isArray(claims) && claims.includes('auth_time');
  return canSay ? new Date(Date.now() - NO_FRESH_PROOF_MS) : undefined;
}

/** By what the provider says that it takes (RFC 8414, 2); where it says nothing, in the header. */
function secretOf(secret: string): ClientAuth {
  const [basic, post] = [ClientSecretBasic(secret), ClientSecretPost(secret)];
  return (server, client, body, headers) => {
    const taken = server.token_endpoint_auth_methods_supported ?? ['client_secret_basic'];
    (taken.includes('client_secret_basic') ? basic : post)(server, client, body, headers);
  };
}

function problemOf(error: unknown): string {
  const { code, error: said } = error as { code?: unknown; error?: unknown };
  const name = error instanceof AuthorizationResponseError ? said : (code ?? (error as Error).name);
  return typeof name === 'string' && /^[A-Za-z_]{1,64}$/.test(name) ? name : 'unknown';
}

function checkIssuer(issuer: string): void {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isThisMachine(url.hostname))) return;
  throw new CountersignError('CONFIG_INVALID', 'The issuer of the identity provider is not an https URL.', {
    field: 'oidc.issuer',
    expected: 'https://…, as the provider itself writes it',
    fix: 'Correct it. Only a provider on this machine may be reached without TLS.',
  });
}
