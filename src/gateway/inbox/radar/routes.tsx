/** The routes of the radar's page. */
import { Hono } from 'hono';
import { z } from 'zod';
import type { GatewayEnv } from '../../auth/identity.js';
import type { GatewayDependencies } from '../../deps.js';
import { RadarDesk } from '../../radar.js';
import { form, given, reason } from '../form-input.js';
import { page } from '../layout/layout.js';
import { RadarPage } from './radar.js';

export function radarRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const { identity } = deps;
  const desk = new RadarDesk(deps);
  const app = new Hono<GatewayEnv>();

  app.get('/radar', async (c) => {
    const person = await identity.person(c);
    const props = { title: 'Radar', person, section: 'radar' } as const;
    if (!desk.may(person)) {
      return page(
        c,
        props,
        <>
          <div class="heading">
            <h1>Radar</h1>
          </div>
          <p class="may-not">None of your roles may see what the radar found.</p>
        </>,
      );
    }
    const cursor = given(c, 'cursor', 1024);
    const [sources, open, past] = await Promise.all([
      desk.sources(person),
      desk.alerts(person, { acknowledged: false, cursor, limit: 100 }),
      desk.alerts(person, { acknowledged: true, limit: 50 }),
    ]);
    return page(
      c,
      props,
      <RadarPage person={person} sources={sources} open={open} past={past.alerts} now={new Date()} />,
    );
  });

  app.post('/radar/:id/acknowledge', async (c) => {
    const person = await identity.person(c);
    const { note } = await form(c, z.object({ note: reason }));
    await desk.acknowledge(person, c.req.param('id'), note);
    return c.redirect('/radar', 303);
  });

  return app;
}
