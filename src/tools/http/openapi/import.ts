/** One operation of a document while it is imported: where errors say it is, and what it goes without. */
import type { JsonObject } from '../../../action/json.js';
import type { Method } from '../../../http/options.js';
import { unusable, type OpenApiDocument } from './document.js';

export interface Located {
  readonly method: Method;
  readonly path: string;
  readonly item: JsonObject;
  readonly operation: JsonObject;
}

export interface OperationImport {
  readonly document: OpenApiDocument;
  readonly located: Located;
  /** The name that errors give it: its `operationId`, or its method and path. */
  readonly id: string;
  /** The media type of the body that the operator chose among those that are described. */
  readonly bodyType: string | undefined;
  /** What was left out because it cannot be sent and need not be. */
  readonly leftOut: string[];
}

/** Leaves something out when it may be missing. @throws CountersignError CONFIG_INVALID when it may not */
export function leaveOut(
  { leftOut, id }: OperationImport,
  part: string,
  required: boolean,
  problem: string,
  expected: string,
): void {
  if (required) throw unusable(`${id}.${part}`, `is required ${problem}`, expected);
  leftOut.push(`${part}: ${problem}`);
}
