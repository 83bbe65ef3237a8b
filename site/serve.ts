/** Serves a built site on loopback, with the headers that it is meant to have. */
import { serve, type ServerType } from '@hono/node-server';
import { serveStatic } from '@hono/node-server/serve-static';
import { Hono } from 'hono';
import { POLICY } from './render/layout.js';

export interface Served {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** @param below the path that it is served from, as behind somebody else's address: `/` or `/docs/` */
export async function serveSite(folder: string, port = 0, below = '/'): Promise<Served> {
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    c.header('Content-Security-Policy', `${POLICY}; frame-ancestors 'none'`);
    c.header('X-Content-Type-Options', 'nosniff');
    c.header('Referrer-Policy', 'no-referrer');
    c.header('Cache-Control', 'no-cache');
  });
  app.use(
    `${below}*`,
    serveStatic({ root: folder, rewriteRequestPath: (path) => path.slice(below.length - 1) || '/index.html' }),
  );
  const server = await new Promise<ServerType>((resolve) => {
    const made: ServerType = serve({ fetch: app.fetch, hostname: '127.0.0.1', port }, () => resolve(made));
  });
  const address = server.address();
  const listening = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://127.0.0.1:${listening}${below}`,
    close: () => new Promise((resolve, reject) => server.close((error) => (error ? reject(error) : resolve()))),
  };
}
