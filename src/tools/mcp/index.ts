/** The `mcp` tool: it fronts one MCP server, whose tools it previews, captures and verifies by read-only tools and resources. */
import { configInvalid } from '../../action/errors-config.js';
import { CountersignError } from '../../action/errors.js';
import type { JsonObject } from '../../action/json.js';
import { Secrets } from '../../http/secrets.js';
import { timeoutSignal } from '../../timeout-signal.js';
import { fill } from '../http/fill.js';
import { stateIn } from '../http/preview.js';
import { leastSafe } from '../least-safe.js';
import { sendBoundOf } from '../sends.js';
import type { ReadContext, Tool } from '../tool.js';
import { describeOperations } from './describe-operations.js';
import { elsewhere } from './elsewhere.js';
import { execute } from './execute.js';
import { inputSchema, scopeOf, type McpInput } from './input.js';
import { lookUpEffect } from './look-up.js';
import { checkAnnotations, compileTools, toolsOf, type DeclaredTool } from './declared-tool.js';
import type { McpLimits, McpOptions } from './options.js';
import { pinFileOf, readPins } from './pins.js';
import { previewOf } from './preview.js';
import { stateOf } from './state.js';
import { transportsOf } from './transport.js';
import { Upstream } from './upstream.js';
import { verifyCall } from './verify.js';

export type { McpInput } from './input.js';
export type {
  HttpServer,
  McpInverse,
  McpLimits,
  McpLookUp,
  McpOptions,
  McpProbe,
  McpToolOptions,
  StdioServer,
} from './options.js';

/**
 * Creates a tool for one MCP server. The server is started, or connected to, when the tool is first used.
 *
 * @throws CountersignError CONFIG_INVALID
 */
export function mcp(options: McpOptions): Tool<McpInput> {
  const secrets = new Secrets(`The tool ${options.name}`);
  const operations = compileTools(options);
  const limits = limitsOf(options);
  const sends = sendBoundOf(options.sends, "the tool's config");
  const file = pinFileOf(options.pins);
  const pinned = readPins(file, options.name);
  const upstream = new Upstream(options, {
    limits,
    secrets,
    pinned,
    transports: transportsOf(options, limits, secrets),
  });
  const served = [...operations.values()].flatMap((one) => one.served?.definition ?? []);
  const known = new Map([...pinned, ...served.map((one) => [one.name, one] as const)]);
  const input = inputSchema(operations, known);
  const find = ({ tool }: McpInput): DeclaredTool => {
    const operation = operations.get(tool);
    if (operation === undefined)
      throw new CountersignError('INVALID_INPUT', 'There is no such tool.', { field: 'tool' });
    return operation;
  };
  const changing = [...operations.values()].filter(({ actionType }) => actionType !== 'READ');
  const idempotency = leastSafe(changing);
  // Without an input, a look-up is possible only when all operations that change something share one.
  const lookUps = new Set(changing.map(({ name, key }) => JSON.stringify([options.tools[name]?.lookUp, key])));
  const anyOfThem = lookUps.size === 1 ? changing[0] : undefined;
  const within = (signal: AbortSignal): AbortSignal => timeoutSignal(signal, limits.connectMs + limits.callMs);

  return {
    name: options.name,
    kind: 'mcp',
    environment: options.environment,
    idempotency,
    idempotencyOf: (input) => find(input).idempotency,
    constraints: ['maxRows', 'timeoutMs'],
    // The pauses between sends are part of the execution.
    timeoutMs: limits.connectMs + limits.callMs + sends.withinMs,
    sends,
    ...(options.taskQueue === undefined ? {} : { taskQueue: options.taskQueue }),
    input,
    actionType: (input) => find(input).actionType,
    operation: ({ tool }) => tool,
    preview: (input, { signal }) => previewOf(upstream, find(input), input, within(signal)),
    async capture(input, { after, preview }, { signal }) {
      const operation = find(input);
      // A read changes nothing, and what it returns is its result, not a state.
      if (operation.actionType === 'READ') return {};
      // The preview has read the same probes. Right before the effect they are read again, and must be the same.
      if (after === undefined && preview !== undefined) return stateIn(preview);
      return await stateOf(upstream, operation, input, after?.execution, within(signal));
    },
    execute: (input, context) => execute(upstream, sends, find(input), input, context),
    ...(changing.every(({ lookUp }) => lookUp === undefined)
      ? {}
      : {
          async lookUp(key: string, { signal }: ReadContext, input?: McpInput) {
            const operation = input === undefined ? anyOfThem : find(input);
            if (operation === undefined) return { happened: 'unknown', reason: 'the look-up needs the input' };
            return await lookUpEffect(upstream, { operation, lookUp: operation.lookUp, key, input }, signal);
          },
        }),
    verify: (effect) => verifyCall(find(effect.input), effect),
    // What has failed is not waited for.
    settlesWithinMs: (input, { parts = [] }) => (parts.some(({ done }) => !done) ? 0 : find(input).settlesWithinMs),
    compensate(done, pre, post): JsonObject | undefined {
      const { compensate } = find(done);
      const undo = compensate === undefined ? undefined : fill({ ...compensate }, scopeOf(done, { pre, post }));
      // What was not there before cannot be put back by a call that needs it.
      return undo !== undefined && input.safeParse(undo).success ? (undo as JsonObject) : undefined;
    },
    async check({ signal }) {
      checkAnnotations(operations, pinned);
      await upstream.definitions(signal);
    },
    ...(options.ownNames === true ? { ownNames: true } : {}),
    describe: () => describeOperations(operations, known),
    targets: () => [...new Set([...operations.values()].map(({ target }) => target))],
    pinning: {
      file,
      accepted: pinned,
      used: [...new Set([...operations.values()].flatMap(toolsOf))],
      offered: (signal) => upstream.definitions(signal),
    },
    elsewhere: elsewhere(options, mcp),
    close: () => upstream.close(),
  };
}

const DEFAULT_LIMITS: Required<McpLimits> = {
  connectMs: 15_000,
  callMs: 30_000,
  resultBytes: 192 * 1024,
  stateBytes: 1024 * 1024,
  messageBytes: 32 * 1024 * 1024,
};

/** A larger result would not be carried by an action's history. */
const LEAST_RESULT_BYTES = 1024;

function limitsOf({ limits = {} }: McpOptions): Required<McpLimits> {
  for (const [name, value] of Object.entries(limits)) {
    const least = name === 'resultBytes' ? LEAST_RESULT_BYTES : 1;
    const most = name === 'resultBytes' ? DEFAULT_LIMITS.resultBytes : Number.MAX_SAFE_INTEGER;
    if (!Object.hasOwn(DEFAULT_LIMITS, name) || !Number.isSafeInteger(value) || value < least || value > most) {
      const names = Object.keys(DEFAULT_LIMITS).join(', ');
      throw configInvalid(`limits.${name}`, `one of ${names}, as a whole number`, "the tool's config");
    }
  }
  return { ...DEFAULT_LIMITS, ...limits };
}
