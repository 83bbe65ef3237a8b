/**
 * The codec server: decrypts payloads for the Temporal UI and CLI, for those who may read them. The protocol is Temporal's
 * (https://docs.temporal.io/codec-server): POST /encode and /decode, with payloads as the JSON of their protobuf messages.
 */
import type { Payload, PayloadCodec } from '@temporalio/common';
import { Hono, type Context, type Env } from 'hono';
import { cors } from 'hono/cors';
import { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import { KEY_ID } from '../../privacy/payload-codec.js';

/** The most payloads that one request may carry: a page of a history has fewer. */
const MAX_PAYLOADS = 1_000;

const base64 = z.base64({ error: 'bytes in base64' });
const bodySchema = z.strictObject({
  payloads: z
    .array(z.object({ metadata: z.record(z.string(), base64).optional(), data: base64.optional() }))
    .max(MAX_PAYLOADS, { error: `at most ${MAX_PAYLOADS} payloads` }),
});

/** Somebody who may read what is encrypted, and what they had decrypted: for the log. */
export interface DecodingRecord {
  readonly by: string;
  readonly did: 'encode' | 'decode';
  readonly payloads: number;
  /** The ids of the keys that they were under. */
  readonly keys: readonly string[];
  /** As the client says. */
  readonly namespace?: string;
}

export interface CodecServerOptions<E extends Env> {
  /** Passes on what is not encrypted. */
  readonly codec: PayloadCodec;
  /** Of the Temporal UI. Requests of pages of any other are refused. */
  readonly origins: readonly string[];
  /** Names who sends the request. @throws CountersignError UNAUTHENTICATED, FORBIDDEN */
  readonly authorize: (c: Context<E>) => Promise<string>;
  readonly record: (c: Context<E>, record: DecodingRecord) => void;
}

export function codecRoutes<E extends Env>({ codec, origins, authorize, record }: CodecServerOptions<E>): Hono<E> {
  const app = new Hono<E>();
  app.use(
    cors({
      origin: [...origins],
      credentials: true,
      allowMethods: ['POST'],
      allowHeaders: ['authorization', 'content-type', 'x-namespace', 'caller-type'],
      maxAge: 600,
    }),
  );
  for (const did of ['encode', 'decode'] as const) {
    app.post(`/${did}`, async (c) => {
      c.header('Cache-Control', 'no-store');
      assertOrigin(c.req.header('origin'), origins);
      const by = await authorize(c);
      const payloads = await payloadsOf(c);
      const done = await codec[did](payloads);
      const namespace = c.req.header('x-namespace')?.slice(0, 255);
      record(c, {
        by,
        did,
        payloads: payloads.length,
        keys: [...new Set((did === 'decode' ? payloads : done).flatMap(keyOf))],
        ...(namespace === undefined ? {} : { namespace }),
      });
      return c.json({ payloads: done.map(inJson) });
    });
  }
  return app;
}

/** A browser says which page sends a request; what is no browser says nothing. @throws CountersignError FORBIDDEN */
function assertOrigin(origin: string | undefined, origins: readonly string[]): void {
  if (origin === undefined || origins.includes(origin)) return;
  throw new CountersignError('FORBIDDEN', 'The request comes from the page of another origin.', {
    field: 'origin',
    expected: `one of: ${origins.join(', ')}`,
    fix: 'Add the origin of the Temporal UI to privacy.codecServer.origins.',
  });
}

async function payloadsOf(c: Context): Promise<Payload[]> {
  const json: unknown = await c.req.json().catch(() => undefined);
  const { data, error } = bodySchema.safeParse(json);
  if (data === undefined) {
    const [issue] = error.issues;
    throw new CountersignError('INVALID_INPUT', 'The request is not what a codec server takes.', {
      field: ['body', ...(issue?.path ?? [])].join('.'),
      expected: 'JSON: {"payloads": [{"metadata": {…}, "data": …}]}, its bytes in base64',
    });
  }
  return data.payloads.map(({ metadata = {}, data: bytes = '' }) => ({
    metadata: Object.fromEntries(Object.entries(metadata).map(([name, text]) => [name, Buffer.from(text, 'base64')])),
    data: Buffer.from(bytes, 'base64'),
  }));
}

function inJson({ metadata, data }: Payload): object {
  const texts = Object.entries(metadata ?? {}).map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]);
  return { metadata: Object.fromEntries(texts), data: Buffer.from(data ?? []).toString('base64') };
}

function keyOf({ metadata }: Payload): readonly string[] {
  const id = metadata?.[KEY_ID];
  return id == null ? [] : [Buffer.from(id).toString().slice(0, 64)];
}
