/** The API's OpenAPI 3.1 document. */
import { createRequire } from 'node:module';
import { Cookie } from '../auth/cookies.js';
import { jsonValueSchema } from './described.js';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { GatewayEnv } from '../auth/identity.js';

export type ApiDocument = ReturnType<OpenAPIHono<GatewayEnv>['getOpenAPI31Document']>;

const SECURITY = {
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'Agents: a token of a configured issuer (JWT), or an API key (`csa_…`).',
  },
  csrf: {
    type: 'apiKey',
    in: 'header',
    name: 'x-csrf-token',
    description: 'With a session, for everything that changes something.',
  },
} as const;

const { version } = createRequire(import.meta.url)('countersign/package.json') as { version: string };

export function documentOf(app: OpenAPIHono<GatewayEnv>, publicUrl: string): ApiDocument {
  const session = {
    type: 'apiKey',
    in: 'cookie',
    name: new Cookie({ publicUrl }, 'countersign').name,
    description: 'People: the session that the login makes',
  } as const;
  for (const [name, scheme] of Object.entries({ ...SECURITY, session }))
    app.openAPIRegistry.registerComponent('securitySchemes', name, scheme);
  app.openAPIRegistry.registerComponent('schemas', 'JsonValue', jsonValueSchema as object);
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Countersign',
      version,
      description: 'Agents propose; policy decides, people countersign, and what was done is read back and verified.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: publicUrl }],
  });
}
