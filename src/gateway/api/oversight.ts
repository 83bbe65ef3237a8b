/** How people decide, over HTTP. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import { OVERSIGHT_FINDINGS } from '../../action/oversight.js';
import type { GatewayEnv } from '../auth/identity.js';
import type { GatewayDependencies } from '../deps.js';
import { OversightDesk } from '../oversight.js';
import { FOR_PEOPLE_READING, newApi, responses } from './route.js';

const DEFAULT_DAYS = 30;
const MOST_DAYS = 3660;

const time = z.string().openapi({ format: 'date-time', description: 'RFC 3339 UTC' });
const number = z.int().min(0);
const seconds = z.number().min(0).optional();

const figures = z.object({
  decisions: number,
  approved: number,
  denied: number,
  changesRequested: number,
  tooFast: number.openapi({ description: 'Over the approval rate limit' }),
  yesRate: z.number().min(0).max(1).optional().openapi({ description: 'Absent without decisions' }),
  medianSeconds: seconds.openapi({ description: 'Half of them took at most this long' }),
  p10Seconds: seconds.openapi({ description: 'A tenth of them took at most this long' }),
});
const group = figures
  .extend({
    name: z.string(),
    before: figures.openapi('OversightFigures', { description: 'Of the same length of time before' }),
    findings: z.array(z.enum(OVERSIGHT_FINDINGS)),
  })
  .openapi('OversightGroup');
const canaryFigures = z
  .object({
    shown: number.openapi({ description: 'Those that are over: no figure tells that one waits' }),
    refused: number,
    approved: number,
    ignored: number.openapi({ description: 'They expired: nobody decided in time' }),
    medianSeconds: seconds.openapi({ description: 'Half of the decisions took at most this long' }),
  })
  .openapi('CanaryFigures');
const canaryGroup = canaryFigures.extend({ name: z.string() }).openapi('CanaryGroup');

const route = createRoute({
  method: 'get',
  path: '/v1/oversight',
  summary: 'How people decide',
  description:
    'By approver, role and rule, beside the same length of time before. Those without a role of `roles.oversight` get the figures of their own decisions alone.',
  security: FOR_PEOPLE_READING,
  request: {
    query: z.object({
      days: z
        .string()
        .regex(/^[1-9]\d{0,3}$/)
        .refine((text) => Number(text) <= MOST_DAYS, `at most ${MOST_DAYS}`)
        .optional()
        .openapi({
          type: 'integer',
          minimum: 1,
          maximum: MOST_DAYS,
          description: `The period up to now. Default ${DEFAULT_DAYS}`,
        }),
    }),
  },
  responses: responses({
    200: [
      z
        .object({
          tenant: z.string(),
          whose: z.enum(['everybody', 'own']),
          baselineFrom: time,
          from: time,
          to: time,
          more: z.boolean().openapi({ description: 'Earlier decisions or canaries of this time were not counted' }),
          total: group,
          approvers: z.array(group),
          roles: z.array(group),
          rules: z.array(group),
          canaries: z.object({
            total: canaryFigures,
            approvers: z.array(canaryGroup),
            roles: z.array(canaryGroup),
            rules: z.array(canaryGroup),
          }),
        })
        .openapi('Oversight'),
      'The figures, and what is worth a look',
    ],
  }),
});

export function oversight(deps: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const desk = new OversightDesk(deps);
  const app = newApi();
  app.openapi(route, async (c) => {
    const person = await deps.identity.person(c);
    const { days = DEFAULT_DAYS } = c.req.valid('query');
    return c.json(await desk.read(person, Number(days)), 200);
  });
  return app;
}
