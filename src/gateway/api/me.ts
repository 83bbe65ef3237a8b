/** Who the gateway authenticates the sender of a request as. */
import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi';
import type { GatewayDependencies } from '../deps.js';
import { requirePrincipal, type GatewayEnv } from '../auth/identity.js';
import { responses, FOR_BOTH_READING, newApi } from './route.js';

const route = createRoute({
  method: 'get',
  path: '/v1/me',
  summary: 'Who you are here',
  description:
    'People also get the `csrf` token: requests that change something carry it in the header `x-csrf-token`.',
  security: FOR_BOTH_READING,
  responses: responses({
    200: [
      z
        .object({
          kind: z.enum(['agent', 'person']),
          id: z.string(),
          tenant: z.string(),
          roles: z.array(z.string()),
          scopes: z
            .array(z.string())
            .optional()
            .openapi({ description: 'Of agents: the tools, and operations of tools, that they may name' }),
          owner: z.string().optional().openapi({ description: 'Of agents: the person who answers for them, if any' }),
          name: z.string().optional().openapi({ description: 'Of people: for people to read' }),
          csrf: z.string().optional().openapi({ description: 'Of people: to be sent with whatever changes something' }),
          auth: z.object({ method: z.string(), by: z.string() }),
          jti: z.string().openapi({ description: 'By which your authority is revoked' }),
        })
        .openapi('Me', { description: 'Whom a credential or a session belongs to' }),
      'As far as it could be verified',
    ],
  }),
});

export function me({ identity }: GatewayDependencies): OpenAPIHono<GatewayEnv> {
  const app = newApi();
  app.openapi(route, async (c) => {
    const principal = requirePrincipal(await identity.principal(c));
    const { kind, id, tenant, roles, auth, jti } = principal;
    const common = { kind, id, tenant, roles, auth, jti };
    if (principal.kind === 'person')
      return c.json({ ...common, name: principal.name, csrf: principal.session.csrf }, 200);
    const { scopes, owner } = principal;
    return c.json({ ...common, scopes, ...(owner === undefined ? {} : { owner }) }, 200);
  });
  return app;
}
