/** The built-in tools, and the interface for writing others. */
export type {
  CaptureOptions,
  ObservedEffect,
  ExecuteContext,
  Execution,
  ExecutionPart,
  Idempotency,
  LookUp,
  ReadContext,
  SampleOptions,
  Tool,
} from './tool.js';
export type { SendBound, Sends } from './sends.js';
export type { DeclaredWriters } from '../radar/source.js';
export {
  describeOpenApi,
  fromOpenApi,
  http,
  type Accepted,
  type BodyFieldStyle,
  type ClientCredentials,
  type FieldStyle,
  type HttpInput,
  type HttpOperation,
  type HttpOptions,
  type HttpRadarOptions,
  type IdempotencyKeyOptions,
  type LookUpRequest,
  type OpenApiDescription,
  type OpenApiOperation,
  type OpenApiOperationDescription,
  type OpenApiOptions,
  type Pages,
  type Probe,
  type SecretRef,
  type TlsOptions,
} from './http/index.js';
export {
  mcp,
  type HttpServer,
  type McpInput,
  type McpInverse,
  type McpLimits,
  type McpLookUp,
  type McpOptions,
  type McpProbe,
  type McpToolOptions,
  type StdioServer,
} from './mcp/index.js';
export {
  EFFECTS_DDL,
  effectsDdl,
  postgres,
  type ExportOptions,
  type FrameOptions,
  type PostgresInput,
  type PostgresOptions,
  type PostgresRadarOptions,
  type RehearsalMode,
  type RehearsalOptions,
} from './postgres/index.js';
export type { Elsewhere, Place } from './elsewhere.js';
export { checkExpectedRows, type ExpectedRows } from './expected-rows.js';
