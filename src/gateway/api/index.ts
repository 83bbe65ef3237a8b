/** The HTTP API, its document and its page. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { GatewayDependencies } from '../deps.js';
import type { GatewayEnv } from '../auth/identity.js';
import { actions } from './actions.js';
import { approvals } from './approvals.js';
import { authzen } from './authzen.js';
import { authority } from './authority.js';
import { batches } from './batches.js';
import { dryRuns } from './dry-runs.js';
import { docsPage } from './docs-page.js';
import { documentOf } from './document.js';
import { events } from '../events/routes.js';
import type { Streams } from '../events/streams.js';
import { me } from './me.js';
import { oversight } from './oversight.js';
import { radar } from './radar.js';
import { newApi, strictJson } from './route.js';
import { sagas } from './sagas.js';

export function api(deps: GatewayDependencies, streams: Streams): OpenAPIHono<GatewayEnv> {
  const app = newApi();
  const paths = ['/v1/*', '/access/v1/*'];
  for (const path of paths) app.use(path, strictJson);
  // Answers are for one principal and one moment: no cache may keep them.
  for (const path of paths)
    app.use(path, async (c, next) => {
      await next();
      if (!c.res.headers.has('Cache-Control')) c.header('Cache-Control', 'no-store');
    });
  for (const part of [
    actions(deps),
    dryRuns(deps),
    batches(deps),
    sagas(deps),
    authzen(deps),
    approvals(deps),
    authority(deps),
    radar(deps),
    events(deps, streams),
    me(deps),
    oversight(deps),
  ])
    app.route('/', part);

  const document = documentOf(app, deps.settings.publicUrl);
  app.get('/openapi.json', (c) => c.json(document));
  app.get('/docs', (c) => docsPage(c, document));
  return app;
}
