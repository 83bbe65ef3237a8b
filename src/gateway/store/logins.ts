/** Logins that have begun: each is ended once, within ten minutes, by the browser that began it. */
import { sql } from 'kysely';
import type { Database } from '../../ledger/index.js';
import { hashOf } from '../auth/secrets.js';
import type { GatewayTables } from './tables.js';

export const LOGIN_SECONDS = 600;

/** What is needed to end a login that has begun. */
export interface BegunLogin {
  readonly nonce: string;
  readonly codeVerifier: string;
  /** A path of the gateway's own. */
  readonly returnTo: string;
}

export class LoginStore {
  readonly #database: Database<GatewayTables>;

  constructor(database: Database) {
    this.#database = database.withTables<GatewayTables>();
  }

  /** `browser` is the secret that the browser keeps as a cookie. @throws CountersignError LEDGER_UNAVAILABLE */
  async begin(login: BegunLogin & { readonly state: string; readonly browser: string }): Promise<void> {
    const table = this.#database.table('logins');
    await this.#database.rows({
      name: 'begin_login',
      query: sql`
        with forgotten as (
          delete from ${table} as l
          using (
            select state_hash from ${table} where expires_at < clock_timestamp() limit 20 for update skip locked
          ) as old
          where l.state_hash = old.state_hash
        )
        insert into ${table} (state_hash, browser_hash, nonce, code_verifier, return_to, expires_at)
        values (${hashOf(login.state)}, ${hashOf(login.browser)}, ${login.nonce}, ${login.codeVerifier},
          ${login.returnTo}, clock_timestamp() + make_interval(secs => ${LOGIN_SECONDS}))
        on conflict (state_hash) do nothing`,
    });
  }

  /**
   * Takes a login so that nobody can take it again. Another browser gets nothing and takes nothing.
   *
   * @throws CountersignError LEDGER_UNAVAILABLE
   */
  async take(state: string, browser: string): Promise<BegunLogin | undefined> {
    const rows = await this.#database.rows({
      name: 'take_login',
      query: sql<{ nonce: string; code_verifier: string; return_to: string }>`
        delete from ${this.#database.table('logins')}
        where state_hash = ${hashOf(state)} and browser_hash = ${hashOf(browser)} and expires_at > clock_timestamp()
        returning nonce, code_verifier, return_to`,
    });
    const row = rows[0];
    return row && { nonce: row.nonce, codeVerifier: row.code_verifier, returnTo: row.return_to };
  }
}
