/** The server that a tool fronts: one connection of a worker to it, opened when it is first needed and again when it was lost. */
import { createRequire } from 'node:module';
import { Client, type PriorDiscovery } from '@modelcontextprotocol/client';
import { SpanKind } from '@opentelemetry/api';
import { inSpan, traceHeaders } from '../../telemetry/tracing.js';
import { timeoutSignal } from '../../timeout-signal.js';
import { CountersignError } from '../../action/errors.js';
import type { JsonObject } from '../../action/json.js';
import type { Secrets } from '../../http/secrets.js';
import { definitionDigest, definitionsOf } from './definitions.js';
import { connectFailure, isSilence, readFailure } from './failure.js';
import type { McpLimits, McpOptions } from './options.js';
import type { Definitions } from '../pinnable.js';
import { resultOf, type McpResult } from './result.js';
import type { Transports } from './transport.js';

const { version } = createRequire(import.meta.url)('countersign/package.json') as { version: string };

/** For so long a list of definitions counts as what the server says now. Milliseconds. */
const DEFINITIONS_FRESH_MS = 1_000;

/** One connection. */
interface Link {
  readonly client: Client;
  lost: boolean;
  /** How many calls are under way on it. */
  calls: number;
  /** No new call is made on it, and it is closed after its last. */
  retired: boolean;
  definitions?: { readonly listed: Promise<Definitions>; readonly at: number };
}

export interface CallOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Passed on to the server beside the arguments. */
  readonly meta?: Readonly<Record<string, unknown>>;
}

export class Upstream {
  readonly tool: string;
  readonly limits: Required<McpLimits>;
  readonly secrets: Secrets;
  readonly pinned: Definitions;
  readonly #transports: Transports;
  readonly #protocol: NonNullable<McpOptions['protocol']>;
  /** Also those that are left for another, on which a call still hangs. */
  readonly #links = new Set<Link>();
  #opening: Promise<Link> | undefined;
  /** What the last connection found out of the server's protocol. */
  #prior: PriorDiscovery | undefined;
  #closed = false;

  constructor(
    { name, protocol = 'auto' }: Pick<McpOptions, 'name' | 'protocol'>,
    parts: { limits: Required<McpLimits>; secrets: Secrets; transports: Transports; pinned: Definitions },
  ) {
    this.tool = name;
    this.limits = parts.limits;
    this.secrets = parts.secrets;
    this.pinned = parts.pinned;
    this.#transports = parts.transports;
    this.#protocol = protocol;
  }

  /** Calls a tool once, and never again by itself. @throws what the SDK throws, or a CountersignError when nothing was sent */
  async call(name: string, args: JsonObject, { timeoutMs, signal, meta }: CallOptions): Promise<McpResult> {
    const link = await this.#link(signal);
    const pinned = this.pinned.get(name);
    // With the definition given, the client looks up none, and holds the result against no schema of the server's.
    const toolDefinition = pinned && { name, inputSchema: pinned.inputSchema as { type: 'object' } };
    const attributes = { 'mcp.method.name': 'tools/call', 'gen_ai.tool.name': name };
    const result = await inSpan(`tools/call ${name}`, { kind: SpanKind.CLIENT, attributes }, () => {
      const all = { ...traceHeaders(), ...meta };
      const params = { name, arguments: { ...args }, ...(Object.keys(all).length === 0 ? {} : { _meta: all }) };
      return this.#on(link, () =>
        link.client.callTool(params, {
          timeout: timeoutMs,
          signal: timeoutSignal(signal, timeoutMs),
          ...(toolDefinition === undefined ? {} : { toolDefinition }),
        }),
      );
    });
    return resultOf(result);
  }

  /** @throws CountersignError TOOL_UNAVAILABLE (retryable), TOOL_FAILED, TOOL_CHANGED */
  async callToRead(name: string, args: JsonObject, signal: AbortSignal): Promise<McpResult> {
    await this.assertUnchanged([name], signal);
    try {
      return await this.call(name, args, { timeoutMs: this.limits.callMs, signal });
    } catch (error) {
      throw readFailure(error, name, this);
    }
  }

  /** Asks for something else than a tool. @throws CountersignError TOOL_UNAVAILABLE (retryable), TOOL_FAILED */
  async ask<T>(
    what: string,
    signal: AbortSignal,
    question: (client: Client, options: { readonly timeout: number; readonly signal: AbortSignal }) => Promise<T>,
  ): Promise<T> {
    const link = await this.#link(signal);
    try {
      return await this.#on(link, () => question(link.client, { timeout: this.limits.callMs, signal }));
    } catch (error) {
      throw readFailure(error, what, this);
    }
  }

  /** The text of a resource; undefined where an error of the server has one of the texts that mean it is absent. */
  async readResource(uri: string, absent: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    const link = await this.#link(signal);
    try {
      const options = { timeout: this.limits.callMs, signal, cacheMode: 'bypass' } as const;
      const { contents } = await this.#on(link, () => link.client.readResource({ uri }, options));
      return contents.map((one) => ('text' in one ? one.text : one.blob)).join('\n');
    } catch (error) {
      if (error instanceof Error && absent.some((text) => error.message.includes(text))) return undefined;
      throw readFailure(error, 'a resource', this);
    }
  }

  /** What the server says of its tools now. @throws CountersignError TOOL_UNAVAILABLE, TOOL_FAILED */
  async definitions(signal: AbortSignal): Promise<Definitions> {
    const link = await this.#link(signal);
    const held = link.definitions;
    if (held === undefined || performance.now() - held.at > DEFINITIONS_FRESH_MS) {
      link.definitions = { listed: this.#list(link), at: performance.now() };
      link.definitions.listed.catch(() => delete link.definitions);
    }
    return await raced((link.definitions ?? { listed: this.#list(link) }).listed, signal);
  }

  /** Refuses tools whose definitions are not the pinned ones. @throws CountersignError TOOL_CHANGED, TOOL_UNAVAILABLE, TOOL_FAILED */
  async assertUnchanged(names: readonly string[], signal: AbortSignal): Promise<void> {
    for (const name of names) if (!this.pinned.has(name)) throw changed(this.tool, name, 'is not pinned');
    const now = await this.definitions(signal);
    for (const name of names) {
      const [pinned, said] = [this.pinned.get(name), now.get(name)];
      if (said === undefined) throw changed(this.tool, name, 'is not offered any more, or cannot be read');
      if (pinned === undefined || definitionDigest(pinned) !== definitionDigest(said)) {
        throw changed(this.tool, name, 'has another definition than the pinned one');
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening?.catch(() => undefined);
    await Promise.all([...this.#links].map(({ client }) => client.close()));
    await this.#transports.close();
  }

  async #list(link: Link): Promise<Definitions> {
    try {
      const options = { timeout: this.limits.callMs, cacheMode: 'bypass' } as const;
      const { tools } = await this.#on(link, () => link.client.listTools({}, options));
      return definitionsOf(tools);
    } catch (error) {
      throw readFailure(error, 'tools/list', this);
    }
  }

  /** Makes a call on a connection. One that does not answer is left for another, and closed once nothing runs on it. */
  async #on<T>(link: Link, call: () => Promise<T>): Promise<T> {
    link.calls++;
    try {
      return await call();
    } catch (error) {
      if (isSilence(error)) link.retired = true;
      throw error;
    } finally {
      link.calls--;
      if (link.retired && link.calls === 0) await link.client.close().catch(() => undefined);
    }
  }

  /** The connection, opened when there is none. @throws CountersignError TOOL_UNAVAILABLE (retryable), TOOL_FAILED */
  async #link(signal: AbortSignal): Promise<Link> {
    if (this.#closed) throw notSent(this.tool, 'the worker is stopping');
    if (signal.aborted) throw notSent(this.tool, 'it was cancelled before');
    const opening = (this.#opening ??= this.#open());
    let link: Link;
    try {
      link = await raced(opening, signal);
    } catch (error) {
      if (signal.aborted) throw notSent(this.tool, 'it was cancelled before');
      if (this.#opening === opening) this.#opening = undefined;
      throw connectFailure(error, this);
    }
    if (!link.lost && !link.retired) return link;
    if (this.#opening === opening) this.#opening = undefined;
    return await this.#link(signal);
  }

  async #open(): Promise<Link> {
    const mode = MODES[this.#protocol];
    const client = new Client(
      { name: 'countersign', version },
      { versionNegotiation: { mode }, inputRequired: { autoFulfill: false } },
    );
    const link: Link = { client, lost: false, calls: 0, retired: false };
    // oxlint-disable-next-line unicorn/prefer-add-event-listener -- the SDK's client has no events
    client.onclose = () => {
      link.lost = true;
      this.#links.delete(link);
    };
    client.setNotificationHandler('notifications/tools/list_changed', () => void delete link.definitions);
    this.#links.add(link);
    const prior = this.#prior === undefined ? {} : { prior: this.#prior };
    try {
      await client.connect(await this.#transports.open(), { timeout: this.limits.connectMs, ...prior });
    } catch (error) {
      this.#links.delete(link);
      await client.close().catch(() => undefined);
      throw error;
    }
    // Where it is started again, it need not be asked again what it speaks.
    if (client.getProtocolEra() === 'legacy') this.#prior = { kind: 'legacy' };
    return link;
  }
}

const MODES = { auto: 'auto', '2025-11-25': 'legacy', '2026-07-28': { pin: '2026-07-28' } } as const;

/** Settles with the promise, or rejects once the signal aborts. */
async function raced<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function notSent(tool: string, why: string): CountersignError {
  return new CountersignError('TOOL_UNAVAILABLE', `Nothing was sent to ${tool}: ${why}.`, { retryable: true });
}

function changed(tool: string, name: string, what: string): CountersignError {
  return new CountersignError('TOOL_CHANGED', `${name} of ${tool} ${what}.`, {
    field: `tools.${name}`,
    expected: 'the definition that an operator accepted',
    fix: `An operator can look at it with countersign mcp pin ${tool}, accept it, and restart the workers.`,
  });
}
