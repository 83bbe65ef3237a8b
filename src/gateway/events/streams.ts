/** Streams of server-sent events: kept alive by comments, ended with the session, the token or the gateway, and few for each principal. */
import type { Context } from 'hono';
import { streamSSE, type SSEStreamingApi } from 'hono/streaming';
import { CountersignError } from '../../action/errors.js';
import type { GatewayDependencies } from '../deps.js';
import { nameOf, type GatewayEnv } from '../auth/identity.js';
import type { Metrics, StreamName } from '../server/metrics.js';
import type { Principal } from '../auth/principal.js';
import { untilAny } from './until-any.js';

/** Proxies close what is silent for a minute; and so often it is looked whether whoever listens still may. */
const HEARTBEAT_MS = 15_000;

/** What browsers wait before they come again. */
const RETRY_MS = 2000;

interface Streamed {
  readonly send: (event: { event: string; data: unknown; id?: string }) => Promise<void>;
  /** Aborts when it must end, whoever wants it to. */
  readonly over: AbortSignal;
}

export class Streams {
  readonly #deps: Pick<GatewayDependencies, 'identity' | 'settings' | 'closing' | 'logger'>;
  readonly #metrics: Metrics;
  readonly #open = new Map<string, number>();

  constructor(deps: Pick<GatewayDependencies, 'identity' | 'settings' | 'closing' | 'logger'>, metrics: Metrics) {
    this.#deps = deps;
    this.#metrics = metrics;
  }

  /** Answers with a stream that lasts until `work` returns or it is over. @throws CountersignError RATE_LIMITED */
  open(
    c: Context<GatewayEnv>,
    principal: Principal,
    stream: StreamName,
    work: (streamed: Streamed) => Promise<void>,
  ): Response {
    // Nobody would read it, and nobody close it.
    if (c.req.method === 'HEAD') return c.body(null, 200, { 'Content-Type': 'text/event-stream' });
    const leave = this.#enter(nameOf(principal), stream);
    // No store keeps it, and no proxy holds it back until it has enough.
    c.header('X-Accel-Buffering', 'no');
    const ended = new AbortController();
    return streamSSE(c, async (sse) => {
      sse.onAbort(() => ended.abort());
      const heart = setInterval(() => void this.#beat(c, principal, sse, ended), HEARTBEAT_MS);
      try {
        await untilAny([this.#deps.closing, ended.signal, c.req.raw.signal], async (over) => {
          await sse.write(`retry: ${RETRY_MS}\n\n`);
          await work({
            over,
            send: ({ event, data, id }) =>
              sse.writeSSE({ event, data: JSON.stringify(data), ...(id === undefined ? {} : { id }) }),
          });
        });
      } catch (error) {
        if (!ended.signal.aborted)
          this.#deps.logger.warn({ err: error, requestId: c.get('requestId') }, 'a stream ended early');
      } finally {
        clearInterval(heart);
        leave();
      }
    });
  }

  /** Answers with a stream that somebody else writes, and keeps alive. It ends with whoever listens, as one of `open` does. @throws CountersignError RATE_LIMITED */
  async relay(
    c: Context<GatewayEnv>,
    principal: Principal,
    stream: StreamName,
    answer: () => Promise<Response>,
  ): Promise<Response> {
    const leave = this.#enter(nameOf(principal), stream);
    const ended = new AbortController();
    const heart = setInterval(() => void this.#checkAgain(c, principal, ended), HEARTBEAT_MS);
    const over = (): void => {
      clearInterval(heart);
      leave();
    };
    try {
      const written = await answer();
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const source = written.body ?? new Blob([]).stream();
      // However it ends: it is closed on both sides, and nobody waits for it any more.
      void source.pipeTo(writable, { signal: ended.signal }).then(over, over);
      return new Response(readable, written);
    } catch (error) {
      over();
      throw error;
    }
  }

  async #beat(c: Context, principal: Principal, sse: SSEStreamingApi, ended: AbortController): Promise<void> {
    await sse.write(': still here\n\n');
    await this.#checkAgain(c, principal, ended);
  }

  /** Ends what whoever listens may not hear any more. */
  async #checkAgain(c: Context, principal: Principal, ended: AbortController): Promise<void> {
    try {
      const now = await this.#deps.identity.again(c);
      if (now !== undefined && nameOf(now) === nameOf(principal)) return;
    } catch (error) {
      // Whether they still may cannot be known at this moment: it is looked at again with the next beat.
      if (error instanceof CountersignError && error.retryable) return;
    }
    ended.abort();
  }

  #enter(name: string, stream: StreamName): () => void {
    const open = this.#open.get(name) ?? 0;
    const { streams } = this.#deps.settings.limits;
    if (open >= streams) {
      throw new CountersignError('RATE_LIMITED', 'You have too many event streams open.', {
        expected: `at most ${streams} at once`,
        fix: 'Close one; or wait for outcomes with ?wait=.',
        retryable: true,
        retryAfterMs: HEARTBEAT_MS,
      });
    }
    this.#open.set(name, open + 1);
    const stopped = this.#metrics.streaming(stream);
    return () => {
      stopped();
      const left = (this.#open.get(name) ?? 1) - 1;
      if (left > 0) this.#open.set(name, left);
      else this.#open.delete(name);
    };
  }
}

/** Settles when it is over. */
export function ending(over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (over.aborted) resolve();
    else over.addEventListener('abort', () => resolve(), { once: true });
  });
}
