/** The route of the page on how people decide. */
import { Hono } from 'hono';
import type { GatewayEnv } from '../../auth/identity.js';
import type { GatewayDependencies } from '../../deps.js';
import { OversightDesk } from '../../oversight.js';
import { page } from '../layout/layout.js';
import { Oversight, PERIODS } from './oversight.js';

export function oversightRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const { identity, settings } = deps;
  const desk = new OversightDesk(deps);
  const app = new Hono<GatewayEnv>();
  app.get('/oversight', async (c) => {
    const person = await identity.person(c);
    const days = PERIODS.find((period) => String(period) === c.req.query('days')) ?? 30;
    const report = await desk.read(person, days);
    return page(
      c,
      { title: 'Oversight', person, section: 'oversight' },
      <Oversight report={report} days={days} roles={settings.oversightRoles} />,
    );
  });
  return app;
}
