/** The pages for people: inbox, actions, history, dashboard, policy, freezes, radar, oversight, and their own. */
import { Hono } from 'hono';
import type { GatewayDependencies } from '../deps.js';
import type { GatewayEnv } from '../auth/identity.js';
import { actionRoutes } from './action/routes.js';
import { assets } from './layout/assets.js';
import { freezeRoutes } from './freezes/routes.js';
import { listRoutes } from './lists/routes.js';
import { meRoutes } from './me/routes.js';
import { oversightRoutes } from './oversight/routes.js';
import { radarRoutes } from './radar/routes.js';
import { policyRoutes } from './policy/routes.js';

export { problemPage } from './layout/problem.js';

/** GET /, /history, /dashboard, /actions/{id}, /policy, /freezes, /radar, /oversight, /me, /assets/…; and the forms on them. */
export function pages(deps: GatewayDependencies): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();
  app.route('/', assets());
  app.route('/', listRoutes(deps));
  app.route('/', actionRoutes(deps));
  app.route('/', policyRoutes(deps));
  app.route('/', freezeRoutes(deps));
  app.route('/', radarRoutes(deps));
  app.route('/', oversightRoutes(deps));
  app.route('/', meRoutes(deps));
  return app;
}
