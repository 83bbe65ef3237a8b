/** How routes of the API are written down, and how what comes in is checked. */
import { OpenAPIHono, type RouteConfig } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import { parseJson } from '../../action/parse.js';
import { zodError } from '../../action/proposal.js';
import type { GatewayEnv } from '../auth/identity.js';
import { problem } from './schemas.js';

const ROOTS: Readonly<Record<string, string>> = { json: 'body', param: 'path' };

export function newApi(): OpenAPIHono<GatewayEnv> {
  return new OpenAPIHono<GatewayEnv>({
    defaultHook: (result: { success: boolean; target: string; error?: z.ZodError }) => {
      if (result.error === undefined) return;
      throw zodError('INVALID_INPUT', result.error, ROOTS[result.target] ?? result.target);
    },
  });
}

/** The responses of a route. Errors are problems, whichever route they come from. */
export function responses(
  good: Readonly<Record<number, readonly [schema: z.ZodType, description: string]>>,
): RouteConfig['responses'] {
  return {
    ...Object.fromEntries(
      Object.entries(good).map(([status, [schema, description]]) => [
        status,
        { description, content: { 'application/json': { schema } } },
      ]),
    ),
    default: { description: 'An error', content: { 'application/problem+json': { schema: problem } } },
  };
}

export function jsonBody<S extends z.ZodType>(schema: S) {
  return { required: true, content: { 'application/json': { schema } } } as const;
}

export const FOR_AGENTS = [{ bearer: [] }];
/** With a session, what changes something carries its token. */
export const FOR_PEOPLE = [{ session: [], csrf: [] }];
export const FOR_PEOPLE_READING = [{ session: [] }];
export const FOR_BOTH = [{ bearer: [] }, { session: [], csrf: [] }];
export const FOR_BOTH_READING = [{ bearer: [] }, { session: [] }];

/** A body is JSON in UTF-8 whose objects have each key once: two readers of one text must not see two things. */
export const strictJson: MiddlewareHandler<GatewayEnv> = async (c, next) => {
  const bytes = c.req.raw.body === null ? undefined : await c.req.arrayBuffer();
  if (bytes !== undefined && bytes.byteLength > 0) {
    if (!/^application\/json\s*(?:;|$)/i.test(c.req.header('content-type') ?? '')) throw new HTTPException(415);
    parseJson(textIn(bytes), 'body');
  }
  await next();
};

/** For bodies in which everything may be left out, but not the body itself. */
export const withBody: MiddlewareHandler<GatewayEnv> = async (c, next) => {
  if ((await c.req.text()) === '')
    throw new CountersignError('INVALID_INPUT', 'The request has no body.', {
      field: 'body',
      expected: 'a JSON object',
    });
  await next();
};

function textIn(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CountersignError('INVALID_TEXT', 'The body is not UTF-8.', {
      field: 'body',
      expected: 'JSON in UTF-8',
      cause,
    });
  }
}
