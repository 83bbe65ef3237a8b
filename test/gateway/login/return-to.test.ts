import { describe, expect, test } from 'vitest';
import { loginPath, safeReturn } from '../../../src/gateway/auth/login/index.js';

/** Whatever a browser makes of it as a Location on the gateway. */
function leadsTo(location: string): string {
  return new URL(location, 'https://gateway.example').origin;
}

describe('where somebody goes after a login', () => {
  test.each([
    '/',
    '/actions/order-7',
    '/history?tool=shop-db&from=2026-01-01',
    '/actions/a#decision',
    '/a/b.c-d_e~f/g:h',
    '/history?text=50%25%20EUR',
  ])('%s is a page of the gateway, and kept', (path) => expect(safeReturn(path)).toBe(path));

  test.each([
    ['another site', 'https://evil.example/'],
    ['without a scheme', '//evil.example'],
    ['with three slashes', '///evil.example'],
    ['with a backslash, which browsers read as a slash', '/\\evil.example'],
    ['with two backslashes', '\\\\evil.example'],
    ['with a backslash later', '/a/..\\..\\//evil.example'],
    ['encoded slashes', '/%2f%2fevil.example'],
    ['one encoded slash', '/%2Fevil.example'],
    ['an encoded backslash', '/%5Cevil.example'],
    ['dots that leave two slashes', '/..//evil.example'],
    ['a dot that leaves two slashes', '/.//evil.example'],
    ['encoded dots that leave two slashes', '/%2e%2e//evil.example'],
    ['a tab, which browsers drop', '/\t/evil.example'],
    ['a line feed, which browsers drop', '/\n/evil.example'],
    ['a carriage return and a header', '/a\r\nSet-Cookie: countersign=x'],
    ['an encoded line feed', '/a%0d%0aSet-Cookie:x'],
    ['an encoded NUL', '/%00/evil.example'],
    ['a script', 'javascript:alert(1)'],
    ['a scheme alone', 'https:'],
    ['a scheme without slashes', 'https:evil.example'],
    ['data', 'data:text/html,x'],
    ['a user before the host', '@evil.example'],
    ['no slash in front', 'evil.example'],
    ['a space in front', ' //evil.example'],
    ['other letters that look like slashes', '/\u2215\u2215evil.example'],
    ['a full-width slash', '/\uFF0Fevil.example'],
    ['malformed encoding', '/%E0%A4%A'],
    ['nothing', ''],
    ['too much', `/${'a'.repeat(2000)}`],
    ['the logout', '/logout'],
    ['the login, round and round', '/login?return_to=/login'],
    ['the end of a login', '/callback?code=x'],
  ])('%s leads to the front page', (_what, given) => {
    const kept = safeReturn(given);
    expect(leadsTo(kept)).toBe('https://gateway.example');
    expect(kept).toBe('/');
  });

  test('a login remembers a safe place only', () => {
    expect(loginPath('/actions/a?b=c')).toBe('/login?return_to=%2Factions%2Fa%3Fb%3Dc');
    expect(loginPath('//evil.example')).toBe('/login');
    expect(loginPath('/me', { again: true })).toBe('/login?return_to=%2Fme&again=1');
  });
});
