/** What a tool can do, described for models: one entry for each operation, which an MCP client sees as a tool of its own. */
import type { ActionType } from './decision.js';
import type { JsonObject } from './json.js';

export interface OperationDescription {
  /** As policies and scopes name it. */
  readonly operation: string;
  /** Other names by which they know it, where its arguments decide: `sql.select`. Default none. */
  readonly alsoNamed?: readonly string[];
  readonly title?: string;
  readonly description: string;
  readonly actionType: ActionType;
  /** Whether the same call twice makes one effect, even under two action ids. */
  readonly idempotent: boolean;
  /** JSON Schema of the arguments: an object. */
  readonly arguments: JsonObject;
  /** What the tool's input has besides the arguments: `{ op: 'select' }`. */
  readonly fixed: JsonObject;
  /** The member of the input that holds the arguments. Default: they are members of the input themselves. */
  readonly argumentsIn?: string;
}

/** A tool in the catalogue that workers publish, and gateways offer to MCP clients. */
export interface CatalogueTool {
  readonly name: string;
  readonly kind: string;
  readonly environment: string;
  /** Whether MCP clients know what it offers without the name of the tool, wherever nothing else is called so. */
  readonly ownNames?: boolean;
  readonly operations: readonly OperationDescription[];
}

/** The input of a tool, from the arguments of one of its operations. */
export function inputOf({ fixed, argumentsIn }: OperationDescription, args: JsonObject): JsonObject {
  return argumentsIn === undefined ? { ...args, ...fixed } : { ...fixed, [argumentsIn]: args };
}
