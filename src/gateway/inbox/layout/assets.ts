/** The pages' static files: read once, in a folder named by what they all hold, so that browsers may keep them for good. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Hono } from 'hono';

const OWN = new URL('../static/', import.meta.url);
const require = createRequire(import.meta.url);

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Scripts of packages, as they ship them for browsers: the globals `SimpleWebAuthnBrowser` and `Idiomorph`. */
const OF_PACKAGES = {
  'simplewebauthn.js': path.join(
    path.dirname(require.resolve('@simplewebauthn/browser')),
    '../dist/bundle/index.umd.min.js',
  ),
  'idiomorph.js': require.resolve('idiomorph/dist/idiomorph.min.js'),
};

export type AssetName = 'inbox.css' | 'inbox.js' | 'mark.svg' | keyof typeof OF_PACKAGES;

const own = readdirSync(OWN).filter((name) => Object.hasOwn(TYPES, path.extname(name)));
const files = new Map<string, string>([
  ...own.toSorted().map((name): [string, string] => [name, readFileSync(new URL(name, OWN), 'utf8')]),
  ...Object.entries(OF_PACKAGES).map(([name, at]): [string, string] => [name, readFileSync(at, 'utf8')]),
]);

/** One name for all of them: the scripts import each other by their plain names. */
const version = createHash('sha256')
  .update(JSON.stringify([...files]))
  .digest('base64url')
  .slice(0, 16);

/** Where pages find a file. It changes with the files' content. */
export function assetPath(name: AssetName): string {
  return `/assets/${version}/${name}`;
}

export function assets(): Hono {
  const app = new Hono();
  app.get('/assets/:version/:file', (c) => {
    const { version: wanted, file } = c.req.param();
    const body = files.get(file);
    if (wanted !== version || body === undefined) return c.notFound();
    const etag = `"${version}"`;
    const headers = {
      'content-type': TYPES[path.extname(file)] ?? 'text/plain',
      'cache-control': 'public, max-age=31536000, immutable',
      etag,
      'x-content-type-options': 'nosniff',
    };
    const held = c.req
      .header('if-none-match')
      ?.split(',')
      .some((tag) => tag.trim().replace(/^W\//, '') === etag);
    return held === true ? c.body(null, 304, headers) : c.body(body, 200, headers);
  });
  return app;
}
