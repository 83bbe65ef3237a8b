/** Who a browser's session is of, and whether it was their own page that sent something. */
import type { Context } from 'hono';
import { CountersignError } from '../../action/errors.js';
import type { Database } from '../../ledger/index.js';
import type { GatewaySettings } from '../deps.js';
import type { PersonPrincipal } from './principal.js';
import { Cookie } from './cookies.js';
import { derived, hashOf, newSecret, sameSecret } from './secrets.js';
import { SessionStore, type SessionPerson } from '../store/sessions.js';

export interface SessionsOptions {
  readonly database: Database;
  readonly settings: Pick<GatewaySettings, 'publicUrl' | 'session' | 'oidc' | 'devPeople'>;
}

export interface LoginOf extends SessionPerson {
  readonly authenticatedAt?: Date | undefined;
}

/** Holds nothing itself: any number of gateways share the sessions of one ledger. */
export class Sessions {
  readonly #store: SessionStore;
  readonly #settings: SessionsOptions['settings'];
  readonly #cookie: Cookie;
  readonly #origin: string;

  constructor({ database, settings }: SessionsOptions) {
    this.#store = new SessionStore(database);
    this.#settings = settings;
    this.#cookie = new Cookie(settings, 'countersign');
    this.#origin = new URL(settings.publicUrl).origin;
  }

  /**
   * Undefined without a session that is good. `touch: false` looks without counting as use (default true).
   *
   * @throws CountersignError LEDGER_UNAVAILABLE
   */
  async person(c: Context, { touch = true }: { readonly touch?: boolean } = {}): Promise<PersonPrincipal | undefined> {
    const secret = this.#cookie.read(c);
    if (secret === undefined) return undefined;
    const { idleSeconds } = this.#settings.session;
    const session = await this.#store.find(hashOf(secret), { idleSeconds, touch });
    if (session === undefined || !this.#stillTaken(session.person)) return undefined;
    const { id, tenant, roles, name, auth } = session.person;
    return {
      kind: 'person',
      id,
      tenant,
      roles,
      name,
      auth,
      jti: session.jti,
      session: { csrf: csrfToken(secret), authenticatedAt: session.authenticatedAt.toISOString() },
    };
  }

  /**
   * That the person's own page sent this: it carries the session's token (field `_csrf` or header `x-csrf-token`), and the browser,
   * where it says so, sends it from this origin.
   *
   * @throws CountersignError CSRF
   */
  async csrf(c: Context, person: PersonPrincipal): Promise<void> {
    this.ownOrigin(c);
    const given = c.req.header('x-csrf-token') ?? (await formField(c, '_csrf'));
    if (given === undefined) throw refuseCsrf('The request does not carry the token of the session.');
    if (!sameSecret(given, person.session.csrf)) {
      throw refuseCsrf('The request carries the token of another session.');
    }
  }

  /** The half of `csrf` that needs no session. @throws CountersignError CSRF */
  ownOrigin(c: Context): void {
    const site = c.req.header('sec-fetch-site');
    if (site !== undefined && site !== 'same-origin') throw refuseCsrf('The request comes from another site.');
    const origin = c.req.header('origin');
    // A page that keeps its address to itself sends the origin `null`; it is believed only where the browser says more.
    if (origin === undefined || origin === this.#origin || (origin === 'null' && site === 'same-origin')) return;
    throw refuseCsrf('The request comes from another origin.');
  }

  /**
   * Begins a session with a new id, whatever the browser had before, which ends.
   *
   * @throws CountersignError FORBIDDEN when the person's authority was revoked; LEDGER_UNAVAILABLE
   */
  async begin(c: Context, { authenticatedAt, ...person }: LoginOf): Promise<void> {
    const before = this.#cookie.read(c);
    const secret = newSecret();
    const begun = await this.#store.begin({
      idHash: hashOf(secret),
      person,
      jti: jtiOf(person.id),
      authenticatedAt,
      maxSeconds: this.#settings.session.maxSeconds,
      replaces: before && hashOf(before),
    });
    if (!begun) {
      throw new CountersignError('FORBIDDEN', `The authority of ${person.id} was revoked.`, {
        field: 'person',
        expected: 'somebody whose authority was not revoked',
        fix: 'An operator sees why in the revocations of the tenant.',
      });
    }
    this.#cookie.write(c, secret);
  }

  /** Ends the session that the browser has, and has it forget it. @returns the ID token that it began with */
  async end(c: Context): Promise<string | undefined> {
    const secret = this.#cookie.read(c);
    this.#cookie.clear(c);
    if (secret === undefined) return undefined;
    const session = await this.#store.find(hashOf(secret), {
      idleSeconds: this.#settings.session.idleSeconds,
      touch: false,
    });
    await this.#store.end(hashOf(secret));
    return session?.person.idToken;
  }

  /** Keeps the id of the signed command that will enrol the session's next passkey. */
  async beginEnrolment(c: Context, statementId: string, seconds: number): Promise<void> {
    await this.#store.beginEnrolment(hashOf(this.#cookie.read(c) ?? ''), statementId, seconds);
  }

  /** Takes it, once. Undefined when none was begun, or too long ago. */
  async takeEnrolment(c: Context): Promise<string | undefined> {
    return this.#store.takeEnrolment(hashOf(this.#cookie.read(c) ?? ''));
  }

  /** A session of the login for development, or of a provider that is trusted no more, is worth nothing: whoever set the gateway up anew meant it. */
  #stillTaken({ auth }: SessionPerson): boolean {
    const { oidc, devPeople } = this.#settings;
    return auth.method === 'dev' ? devPeople !== undefined && oidc === undefined : auth.by === oidc?.issuer;
  }
}

/** By which a person's authority is revoked: `@ann@acme.example`, whatever the case in which a directory writes it. */
export function jtiOf(person: string): string {
  return `@${person.toLowerCase()}`;
}

/** Follows from the cookie, so that whoever reads the ledger has neither. */
function csrfToken(secret: string): string {
  return derived(secret, 'countersign csrf');
}

async function formField(c: Context, name: string): Promise<string | undefined> {
  const type = c.req.header('content-type') ?? '';
  if (!/^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/i.test(type)) return undefined;
  const value = (await c.req.parseBody())[name];
  return typeof value === 'string' ? value : undefined;
}

function refuseCsrf(message: string): CountersignError {
  return new CountersignError('CSRF', message, {
    field: '_csrf',
    expected: "a request of the gateway's own pages, with the token of the session in `_csrf` or `x-csrf-token`",
    fix: 'Reload the page and try again.',
  });
}
