/** The tools that actions stand on, and the port to write others for. */
export type {
  CaptureOptions,
  Effect,
  ExecuteContext,
  Execution,
  Idempotency,
  LookUp,
  ReadContext,
  Tool,
} from './tool.js';
export { EFFECTS_DDL, effectsDdl, postgres, type PostgresInput, type PostgresOptions } from './postgres/index.js';
