/** The routes of freezes. Freezing writes to the ledger at once; lifting is a person's signed command. */
import { Hono } from 'hono';
import { z } from 'zod';
import type { GatewayDependencies } from '../../deps.js';
import { Freezing } from '../../freezing.js';
import type { GatewayEnv } from '../../auth/identity.js';
import { FREEZABLE, Freezes } from './freezes.js';
import { form, reason } from '../form-input.js';
import { page } from '../layout/layout.js';

const freezeSchema = z
  .object({ kind: z.enum(FREEZABLE), value: z.string().max(200).optional(), reason })
  .refine(({ kind, value }) => (kind === 'all') === (value === undefined), {
    path: ['value'],
    message: 'the name of what to freeze, or nothing to freeze everything',
  });

export function freezeRoutes(deps: GatewayDependencies): Hono<GatewayEnv> {
  const { identity } = deps;
  const freezing = new Freezing(deps);
  const app = new Hono<GatewayEnv>();

  app.get('/freezes', async (c) => {
    const person = await identity.person(c);
    const freezes = await freezing.list(person);
    return page(
      c,
      { title: 'Freezes', person, section: 'freezes' },
      <Freezes person={person} freezes={freezes} mayFreeze={freezing.may(person)} now={new Date()} />,
    );
  });

  app.post('/freezes', async (c) => {
    const person = await identity.person(c);
    const { kind, value, reason: why } = await form(c, freezeSchema);
    await freezing.freeze(person, { kind, ...(value === undefined ? {} : { value }) }, why);
    return c.redirect('/freezes', 303);
  });

  app.post('/freezes/:id/lift', async (c) => {
    const person = await identity.person(c);
    const { reason: why } = await form(c, z.object({ reason }));
    await freezing.lift(person, c.req.param('id'), why);
    return c.redirect('/freezes', 303);
  });

  return app;
}
