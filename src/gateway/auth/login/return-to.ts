/** Where somebody goes after a login: a page of the gateway's own, never another site. */

const MAX_LENGTH = 1024;

/** Visible ASCII, one slash first, no second slash or backslash after it, no backslash anywhere (browsers read it as a slash). */
const PATH = /^\/(?!\/)[!-[\]-~]*$/;

/** Those would log out, or log in once more. */
const NOT_A_PLACE = /^\/(?:login|logout|logged-out|callback|dev-login)(?:[/?#]|$)/;

/** The path as it was given, or `/` when it is anything but a plain path of this site. */
export function safeReturn(given: string | undefined): string {
  if (given === undefined || given.length > MAX_LENGTH || !PATH.test(given)) return '/';
  // Whatever a proxy or a browser decodes or resolves on the way must still be a path of this site.
  const decoded = decodedOnce(given);
  if (decoded === undefined || !PATH.test(decoded.replaceAll(/[^\0-\x7f]|[ ]/g, '.'))) return '/';
  const base = 'http://gateway.invalid';
  if (!URL.canParse(given, base)) return '/';
  const url = new URL(given, base);
  if (url.origin !== base || url.pathname.startsWith('//')) return '/';
  return NOT_A_PLACE.test(url.pathname) ? '/' : given;
}

function decodedOnce(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The address that asks somebody to log in and brings them back. `again`: although they are logged in. */
export function loginPath(returnTo: string, options: { readonly again?: boolean } = {}): string {
  const query = new URLSearchParams();
  const safe = safeReturn(returnTo);
  if (safe !== '/') query.set('return_to', safe);
  if (options.again === true) query.set('again', '1');
  return query.size === 0 ? '/login' : `/login?${query.toString()}`;
}
