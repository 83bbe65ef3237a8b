/** The gateway's two cookies: the session's, and the one that ties a login to the browser that began it. */
import type { Context } from 'hono';
import { deleteCookie, getCookie, setCookie } from 'hono/cookie';
import type { CookieOptions } from 'hono/utils/cookie';
import type { GatewaySettings } from '../deps.js';
import { isSecret } from './secrets.js';

export class Cookie {
  readonly name: string;
  readonly #options: CookieOptions;

  /**
   * `__Host-` keeps a sibling domain from setting it (RFC 6265bis, 4.1.3.2). Lax, because people come by links in messages and from
   * the provider; what changes something is guarded by more than the cookie.
   */
  constructor({ publicUrl }: Pick<GatewaySettings, 'publicUrl'>, stem: string, maxAge?: number) {
    const secure = publicUrl.startsWith('https:');
    this.name = secure ? `__Host-${stem}` : stem;
    this.#options = {
      path: '/',
      httpOnly: true,
      sameSite: 'Lax',
      secure,
      ...(maxAge === undefined ? {} : { maxAge }),
    };
  }

  /** Undefined when there is none, or one that the gateway never made. */
  read(c: Context): string | undefined {
    const value = getCookie(c, this.name);
    return isSecret(value) ? value : undefined;
  }

  write(c: Context, value: string): void {
    setCookie(c, this.name, value, this.#options);
  }

  clear(c: Context): void {
    const { maxAge: _maxAge, ...options } = this.#options;
    deleteCookie(c, this.name, options);
  }
}
