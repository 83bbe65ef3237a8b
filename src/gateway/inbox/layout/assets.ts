/** The pages' static files: read once, named by their content, so that browsers may keep them for good. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Hono } from 'hono';

const STATIC = new URL('../static/', import.meta.url);

/** The bundle that `@simplewebauthn/browser` ships: the global `SimpleWebAuthnBrowser`. */
const PASSKEYS = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@simplewebauthn/browser')),
  '../dist/bundle/index.umd.min.js',
);

const FILES = {
  'inbox.css': { at: new URL('inbox.css', STATIC), type: 'text/css; charset=utf-8' },
  'inbox.js': { at: new URL('inbox.js', STATIC), type: 'text/javascript; charset=utf-8' },
  'passkeys.js': { at: PASSKEYS, type: 'text/javascript; charset=utf-8' },
  'mark.svg': { at: new URL('mark.svg', STATIC), type: 'image/svg+xml' },
} as const;

export type AssetName = keyof typeof FILES;

interface Asset {
  readonly body: string;
  readonly type: string;
  readonly etag: string;
}

const byPath = new Map<string, Asset>();
const paths = {} as Record<AssetName, string>;

for (const [name, { at, type }] of Object.entries(FILES)) {
  const body = readFileSync(at, 'utf8');
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 16);
  const { name: stem, ext } = path.parse(name);
  paths[name as AssetName] = `/assets/${stem}-${hash}${ext}`;
  byPath.set(`/assets/${stem}-${hash}${ext}`, { body, type, etag: `"${hash}"` });
}

/** Where pages find a file. It changes with the file's content. */
export function assetPath(name: AssetName): string {
  return paths[name];
}

export function assets(): Hono {
  const app = new Hono();
  app.get('/assets/:file', (c) => {
    const asset = byPath.get(c.req.path);
    if (asset === undefined) return c.notFound();
    const headers = {
      'content-type': asset.type,
      'cache-control': 'public, max-age=31536000, immutable',
      etag: asset.etag,
      'x-content-type-options': 'nosniff',
    };
    const known = c.req
      .header('if-none-match')
      ?.split(',')
      .some((tag) => tag.trim().replace(/^W\//, '') === asset.etag);
    return known === true ? c.body(null, 304, headers) : c.body(asset.body, 200, headers);
  });
  return app;
}
