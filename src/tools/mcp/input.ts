/** The input of an MCP tool: which of the server's tools, and its arguments. */
import { z } from 'zod';
import type { Json, JsonObject } from '../../action/json.js';
import { keyValue, setsKey, withKey } from '../http/idempotency-key.js';
import { compileSchema, type Validate } from '../http/schema.js';
import type { TemplateScope } from '../http/template.js';
import type { DeclaredTool } from './declared-tool.js';
import type { Definitions } from '../pinnable.js';

/** What an agent asks of an `mcp` tool. */
export interface McpInput {
  /** The name of a tool of the server. */
  readonly tool: string;
  /** As the tool's pinned definition takes them. Default none. */
  readonly arguments?: JsonObject | undefined;
}

/** Stands for the key where the server's schema wants one. */
const SOME_KEY = 'countersign:tenant/action';

/** The schema of the input: what the config declares, what the pinned definition says, and what the operator narrows. */
export function inputSchema(operations: ReadonlyMap<string, DeclaredTool>, pinned: Definitions): z.ZodType<McpInput> {
  const compiled = new Map<string, Validate>();
  const validatorOf = (name: string): Validate | undefined => {
    const definition = pinned.get(name);
    if (definition === undefined) return undefined;
    const known = compiled.get(name);
    if (known !== undefined) return known;
    // The dialect that a schema names may be an older one; what differs in it is not used for arguments.
    const { $schema: _dialect, ...schema } = definition.inputSchema;
    const validate = compileSchema(schema, `the input schema of ${name}`);
    compiled.set(name, validate);
    return validate;
  };
  return z
    .strictObject({ tool: z.string(), arguments: z.record(z.string(), z.json()).optional() })
    .superRefine((input, context) => {
      const refuse = (path: readonly string[], message: string): void =>
        context.addIssue({ code: 'custom', path: [...path], message });
      const operation = operations.get(input.tool);
      if (operation === undefined) return refuse(['tool'], `must be one of: ${[...operations.keys()].join(', ')}`);
      const args = (input.arguments ?? {}) as JsonObject;
      if (operation.key !== undefined && setsKey({ body: args }, operation.key)) {
        return refuse(['arguments'], 'sets the idempotency key');
      }
      // A tool without a pin is refused when it is looked at; of its arguments nothing is known.
      const whole = keyed(operation, args, SOME_KEY);
      const problems = [...(validatorOf(operation.name)?.(whole) ?? []), ...(operation.narrowed?.(args) ?? [])];
      for (const { path, message } of problems) refuse(['arguments', ...path], message);
    });
}

/** The arguments that are sent: the agent's, and the key where an argument takes it. */
export function keyed({ key }: DeclaredTool, args: JsonObject, idempotencyKey: string): JsonObject {
  return key === undefined ? args : (withKey(args, idempotencyKey, key) as JsonObject);
}

/** The values that references can lead to. A name alone is one of the arguments. */
export function scopeOf({ arguments: args = {} }: McpInput, more: TemplateScope = {}): TemplateScope {
  return { path: args, arguments: args, ...more };
}

/** The key as a look-up asks for it. */
export function shownKey({ key }: DeclaredTool, idempotencyKey: string): string {
  return key === undefined ? idempotencyKey : keyValue(idempotencyKey, key);
}

/** The input as conditions read it: without arguments it has an empty object of them. */
export function conditionInput({ tool, arguments: args = {} }: McpInput): Json {
  return { tool, arguments: args };
}
