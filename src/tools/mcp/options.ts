/** The options of the `mcp` tool: which MCP server it fronts, which of its tools agents may name, and how their effects are read back. */
import type { LookupFunction } from 'node:net';
import type { ActionType } from '../../action/decision.js';
import type { JsonObject } from '../../action/json.js';
import type { Allow, SecretRef } from '../../http/options.js';
import type { HeaderValue, Schema } from '../http/options.js';
import type { SendBound } from '../sends.js';
import type { Idempotency } from '../tool.js';

/** An upstream server that the worker starts as a process and speaks to over its standard streams. */
export interface StdioServer {
  /** The program that is started, without a shell: its path, or a name that PATH leads to. */
  readonly command: string;
  /** The arguments of the command. Default none. */
  readonly args?: readonly string[];
  /** Variables of the process, besides PATH, HOME and the like. Nothing else of the worker's own environment reaches it. */
  readonly env?: Readonly<
    Record<
      string,
      | string
      | {
          /** Where the secret is kept. */
          readonly secret: SecretRef;
        }
    >
  >;
  /** The working folder of the process. Default: the worker's. */
  readonly cwd?: string;
}

/** An upstream server that is reached over Streamable HTTP. */
export interface HttpServer {
  /** The URL of its endpoint: `https://mcp.example.com/mcp`. */
  readonly url: string;
  /** Headers of every request. Credentials by reference: `{ authorization: { secret: 'env:TOKEN', prefix: 'Bearer ' } }`. */
  readonly headers?: Readonly<Record<string, HeaderValue>>;
  /** What else than public addresses over https may be reached. Default nothing. */
  readonly allow?: Pick<Allow, 'loopback' | 'networks' | 'plainHttp'>;
  /** Resolves host names. Default: the resolver of the system. The addresses that it returns are checked like any other. */
  readonly lookup?: LookupFunction;
}

/**
 * A read whose answer is part of the state that a tool can change: a read-only tool of the same server, or a resource. References in braces
 * lead to the arguments (`{path}`, `{arguments.path}`) or, after the effect, to its result (`{result.structuredContent.id}`).
 */
export interface McpProbe {
  /** The name of a read-only tool of the server. */
  readonly tool?: string;
  /** Its arguments. A text that is all one reference becomes what it refers to. */
  readonly arguments?: JsonObject;
  /** The URI of a resource, in place of a tool. Values are percent-encoded: `notes://{id}`. */
  readonly resource?: string;
  /** Whether its text is JSON. Default false. Structured content always is. */
  readonly json?: boolean;
  /** JSON pointer to the part of the answer that is the state. Default: all of it. */
  readonly at?: string;
  /** JSON pointers, below `at`, to what changes by itself and is left out of the state. */
  readonly without?: readonly string[];
  /** Texts of an error that mean there is no such thing: `['ENOENT']`. Any other error of a probe fails the action. */
  readonly absent?: readonly string[];
  /** Whether it must find something before the effect: where it is null or empty, the action is refused with NOTHING_MATCHED. Default false. */
  readonly mustFind?: boolean;
}

/** How the tool finds out whether the effect of an idempotency key happened. */
export interface McpLookUp extends Omit<McpProbe, 'mustFind'> {
  /**
   * CEL that is true once the effect is there: over `input` and `result` (what the look-up found) where it names a tool or a resource, over
   * `input` and `post` (the probes as they are now) where it names none. Default, with a tool or a resource: it found something.
   */
  readonly happened?: string;
  /** How long the effect must be absent until that is final. Milliseconds. Default: never, because a call can still be on its way. */
  readonly finalAfterMs?: number;
}

/** The call that undoes this one. A text that is one reference (`{pre.file.content}`) becomes what it refers to. */
export interface McpInverse {
  /** The name of a tool of the server that agents may name too. */
  readonly tool: string;
  /** Its arguments. Default none. */
  readonly arguments?: JsonObject;
}

/** What an operator says of one tool of the server. */
export interface McpToolOptions {
  /** Default DELETE, the most careful. A READ is assumed to change nothing, may be repeated, and needs no probes. */
  readonly actionType?: ActionType;
  /** The target that it writes, for policies, limits and freezes. Default: the name of the tool. */
  readonly target?: string;
  /** A JSON Schema or zod schema that the arguments must fit besides the server's own, where policy wants narrower ones. */
  readonly arguments?: Schema;
  /** JSON pointer into the arguments to the list of changed objects, whose length is the preview's number of rows. Default: one object. */
  readonly rows?: string;
  /** The state that it can change, by names of your choice. Required unless it is a READ: what cannot be read back cannot be verified. */
  readonly probes?: Readonly<Record<string, McpProbe>>;
  /** CEL expressions over `input`, `pre`, `post` and `result`, all of which must be true afterwards. Required unless it is a READ. */
  readonly ensures?: readonly string[];
  /** JSON pointers into the state to what may change, with references. Everything else in the probes must stay. Required unless it is a READ. */
  readonly changes?: readonly string[];
  /** How the server treats a repeated call with the same key. Default `none`. */
  readonly idempotency?: Idempotency;
  /** JSON pointer to the argument that takes the key, besides `_meta`: `/request_id`. Agents neither see nor set it. */
  readonly idempotencyKey?: {
    /** JSON pointer to the argument: `/request_id`. */
    readonly argument: string;
    /** How the key is written, as in `IdempotencyKeyOptions`. Default `plain`. */
    readonly format?: 'plain' | 'uuid' | 'sha256';
  };
  /** The look-up, required when `idempotency` is `lookup`. */
  readonly lookUp?: McpLookUp;
  /** How long it may take until `ensures` hold: `10s`, at most `10m`. Default: they must hold at once. */
  readonly settlesWithin?: string;
  /** The call that undoes this one, as an action of its own. Default: nothing does, and a mismatch is left to people. */
  readonly compensate?: McpInverse;
}

/** For how long the server is waited for, and how much of it is read. */
export interface McpLimits {
  /** The longest time to start or reach the server and agree on the protocol. Milliseconds, default 15,000. */
  readonly connectMs?: number;
  /** The longest time of one call. Milliseconds, default 30,000. */
  readonly callMs?: number;
  /** The largest result that an agent gets; what is over it is cut, and says so. Bytes, 1,024 to 196,608, the default. */
  readonly resultBytes?: number;
  /** The largest state that a probe may find. Bytes, default 1 MiB. */
  readonly stateBytes?: number;
  /** The largest message of the server: what is over it ends the connection. Bytes, default 32 MiB. */
  readonly messageBytes?: number;
}

/** Which MCP server it is, and which of its tools agents may name. */
export interface McpOptions {
  /** The name of the tool in proposals: the server's tools are `<name>_<tool>` to MCP clients, unless `ownNames` is set. */
  readonly name: string;
  /** The environment of the server in policies: `production`, `staging` … */
  readonly environment: string;
  /** How the server is started or reached. */
  readonly server: StdioServer | HttpServer;
  /** The file of accepted definitions, which `countersign mcp pin` writes: `new URL('./countersign.pins.json', import.meta.url)`. */
  readonly pins: string | URL;
  /** The server's tools that agents may name. All others are refused. */
  readonly tools: Readonly<Record<string, McpToolOptions>>;
  /** Names of tools that only read: short for `{ actionType: 'READ' }`. */
  readonly reads?: readonly string[];
  /** Beginnings of the URIs of resources that agents may read: `['notes://']`. Adds the operations `resource.list` and `resource.read`. Default none. */
  readonly resources?: readonly string[];
  /** Names of prompts that agents may ask for. Adds the operations `prompt.list` and `prompt.get`. Default none. */
  readonly prompts?: readonly string[];
  /**
   * Whether MCP clients see the server's own names of tools and prompts, without that of this tool before them. A name that something else has too
   * is given with it all the same. Default false.
   */
  readonly ownNames?: boolean;
  /** The protocol of the server: default `auto`, which finds out whether it speaks 2026-07-28. */
  readonly protocol?: 'auto' | '2025-11-25' | '2026-07-28';
  /** For how long it waits, and how much it reads. Each has a default. */
  readonly limits?: McpLimits;
  /** How often one action may be sent in all. Default 5 times within 60,000 ms. */
  readonly sends?: Partial<SendBound>;
  /** The task queue, when the steps of this tool must run on another worker. */
  readonly taskQueue?: string;
}
