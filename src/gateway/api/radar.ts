/** What the radar found, over HTTP: list it, see how far each system is watched, and note that somebody has looked. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { RADAR_ALERT_KINDS, RADAR_REASONS } from '../../action/radar.js';
import type { GatewayDependencies } from '../deps.js';
import type { GatewayEnv } from '../auth/identity.js';
import { RadarDesk } from '../radar.js';
import { instantText, reasonText, textOf } from './described.js';
import { FOR_PEOPLE, FOR_PEOPLE_READING, jsonBody, newApi, responses } from './route.js';
import { digest, pageQuery, time } from './schemas.js';

const WHO = 'For people with a role of `roles.unfreezeAll`: a system belongs to no tenant.';

const alert = z
  .object({
    id: z.number().int(),
    source: z.string().openapi({ description: 'The name of the tool' }),
    kind: z.enum(RADAR_ALERT_KINDS),
    system: z.string().openapi({ description: 'Names the system, and the database in it' }),
    position: z.string().openapi({ description: 'Names it within its system' }),
    at: time.openapi({ description: "When it was committed, by the system's clock" }),
    foundAt: time.openapi({ description: "When it was recorded, by the ledger's clock" }),
    reason: z.enum(RADAR_REASONS),
    detail: z.string().openapi({ description: 'In one sentence' }),
    transaction: z.string().optional(),
    changes: z.array(
      z.object({ table: z.string(), operation: z.string(), rows: z.number().int().optional() }).openapi('RadarChange'),
    ),
    writers: z
      .array(z.object({ user: z.string(), application: z.string() }).openapi('RadarWriter'))
      .openapi({ description: "Who logged in, as the system says, and the client's own word. Empty: nobody knows" }),
    effectKey: z.string().optional().openapi({ description: 'The key of an action that it claims' }),
    acknowledged: z
      .object({
        at: time,
        by: z.string(),
        tenant: z.string().openapi({ description: "The person's; alerts are of none" }),
        note: z.string(),
        command: digest.openapi({ description: 'Of the signed command. Its receipt is in the chain of that tenant' }),
      })
      .optional(),
  })
  .openapi('RadarAlert', { description: 'It holds no value of any row.' });

const standing = z
  .object({
    source: z.string(),
    kind: z.string().openapi({ description: '`postgres`, `http`' }),
    state: z
      .enum(['watching', 'off', 'stale'])
      .openapi({ description: '`off`: for `problem`. `stale`: no worker has said anything for a minute' }),
    problem: z.string().optional(),
    system: z.string(),
    position: z.string().openapi({ description: 'How far everything is judged' }),
    lagBytes: z.number().int().optional().openapi({ description: 'The log that the system keeps for the radar' }),
    watched: z.array(z.string()),
    unseen: z.array(z.string()).openapi({ description: 'What is not seen, each with why and what to do' }),
    seenAt: time,
    open: z.number().int().openapi({ description: 'Alerts that nobody acknowledged' }),
  })
  .openapi('RadarSource');

const routes = {
  alerts: createRoute({
    method: 'get',
    path: '/v1/radar/alerts',
    summary: 'List what the radar found',
    description: `The latest first. ${WHO}`,
    security: FOR_PEOPLE_READING,
    request: {
      query: z.object({
        source: textOf({ max: 64, description: 'The name of the tool' }).optional(),
        kind: z.enum(RADAR_ALERT_KINDS).optional(),
        acknowledged: z.enum(['true', 'false']).optional().openapi({ description: 'Absent: both' }),
        since: instantText
          .optional()
          .openapi({ description: 'Recorded then or later (`foundAt`), whenever it happened' }),
        ...pageQuery,
      }),
    },
    responses: responses({
      200: [z.object({ alerts: z.array(alert), next: z.string().optional() }).openapi('RadarAlerts'), 'One page'],
    }),
  }),
  sources: createRoute({
    method: 'get',
    path: '/v1/radar/sources',
    summary: 'See how far each system is watched',
    description: WHO,
    security: FOR_PEOPLE_READING,
    responses: responses({ 200: [z.object({ sources: z.array(standing) }).openapi('RadarSources'), 'By name'] }),
  }),
  acknowledge: createRoute({
    method: 'post',
    path: '/v1/radar/alerts/{id}/acknowledge',
    summary: 'Note that you have looked at an alert',
    description: `Their signed command, which a worker carries out. The note stays with the alert and in the trail. Who is the first to acknowledge it stays: again, it answers with what is noted. ${WHO}`,
    security: FOR_PEOPLE,
    request: {
      params: z.object({
        id: z
          .string()
          .regex(/^[1-9]\d{0,11}$/)
          .openapi({ type: 'integer', minimum: 1, maximum: 999_999_999_999 }),
      }),
      body: jsonBody(z.strictObject({ note: reasonText }).openapi('RadarNote')),
    },
    responses: responses({ 200: [alert, 'The alert, with what is noted'] }),
  }),
};

export function radar(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const { identity } = deps;
  const desk = new RadarDesk(deps);
  const app = newApi();

  app.openapi(routes.alerts, async (c) => {
    const person = await identity.person(c);
    const { acknowledged, since, ...query } = c.req.valid('query');
    const page = await desk.alerts(person, {
      ...query,
      acknowledged: acknowledged === undefined ? undefined : acknowledged === 'true',
      since: since === undefined ? undefined : new Date(since),
    });
    return c.json(page, 200);
  });

  app.openapi(routes.sources, async (c) => c.json({ sources: await desk.sources(await identity.person(c)) }, 200));

  app.openapi(routes.acknowledge, async (c) => {
    const person = await identity.person(c);
    return c.json(await desk.acknowledge(person, c.req.valid('param').id, c.req.valid('json').note), 200);
  });

  return app;
}
