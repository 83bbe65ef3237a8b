/** Definitions of tools that a server offers, and how an operator accepts them: what `mcp` tools are and `countersign mcp pin` uses. */
import type { JsonObject } from '../action/json.js';

/** A tool as its server defines it. What a server says is data: it is shown and compared, never followed. */
export interface Definition {
  readonly name: string;
  readonly title?: string;
  readonly description?: string;
  readonly inputSchema: JsonObject;
  readonly outputSchema?: JsonObject;
  readonly annotations?: JsonObject;
}

export type Definitions = ReadonlyMap<string, Definition>;

export interface Pinnable {
  /** The file of accepted definitions. */
  readonly file: string;
  readonly accepted: Definitions;
  /** The server's tools that the operator declares, or that read for those. */
  readonly used: readonly string[];
  /** What the server says now. @throws CountersignError TOOL_UNAVAILABLE, TOOL_FAILED */
  offered(signal: AbortSignal): Promise<Definitions>;
}
