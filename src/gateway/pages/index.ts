/** The pages for people: inbox, actions, history, dashboard, freezes, and their own. */
import { Hono } from 'hono';
import type { GatewayDependencies } from '../deps.js';
import type { GatewayEnv } from '../identity.js';
import { actionRoutes } from './action/routes.js';
import { assets } from './assets.js';
import { freezeRoutes } from './freeze-routes.js';
import { listRoutes } from './list-routes.js';
import { meRoutes } from './me-routes.js';

export { Layout, page, type LayoutProps } from './layout.js';
export { problemPage } from './problem.js';

/** GET /, /history, /dashboard, /actions/{id}, /freezes, /me, /assets/…; and the forms on them. */
export function pages(deps: GatewayDependencies): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.route('/', assets());
  app.route('/', listRoutes(deps));
  app.route('/', actionRoutes(deps));
  app.route('/', freezeRoutes(deps));
  app.route('/', meRoutes(deps));
  return app;
}
