/** What clients, workflows and command line agree on about Temporal. The workflow sandbox loads this: no zod, nothing of Node's. */
import {
  defineSearchAttributeKey,
  SearchAttributeType,
  TypedSearchAttributes,
  type VersioningBehavior,
} from '@temporalio/common';

/** The typed search attributes by which actions are found. Never encrypted: no secret goes into them. */
export const ATTRIBUTES = {
  status: defineSearchAttributeKey('CountersignStatus', SearchAttributeType.KEYWORD),
  tool: defineSearchAttributeKey('CountersignTool', SearchAttributeType.KEYWORD),
  actionType: defineSearchAttributeKey('CountersignActionType', SearchAttributeType.KEYWORD),
  agent: defineSearchAttributeKey('CountersignAgent', SearchAttributeType.KEYWORD),
  environment: defineSearchAttributeKey('CountersignEnvironment', SearchAttributeType.KEYWORD),
  decision: defineSearchAttributeKey('CountersignDecision', SearchAttributeType.KEYWORD),
  tenant: defineSearchAttributeKey('CountersignTenant', SearchAttributeType.KEYWORD),
  receipt: defineSearchAttributeKey('CountersignReceipt', SearchAttributeType.INT),
} as const;

/** Of an action that begins. @param agent as whoever begins it says: the worker sets it to what it has verified */
export function actionAttributes(tenant: string, tool: string, agent?: string): TypedSearchAttributes {
  return new TypedSearchAttributes([
    { key: ATTRIBUTES.tenant, value: tenant },
    { key: ATTRIBUTES.tool, value: tool },
    { key: ATTRIBUTES.status, value: 'running' },
    ...(agent === undefined ? [] : [{ key: ATTRIBUTES.agent, value: agent }]),
  ]);
}

/**
 * Every type of workflow that a worker runs, and what becomes of an open one when workers of another version are promoted: short ones stay
 * with the version that they began on, and those that may wait for people, systems or channels move on with the next thing that happens.
 */
export const WORKFLOWS = {
  batch: 'PINNED',
  canary: 'AUTO_UPGRADE',
  canaryRound: 'PINNED',
  checkpointTrails: 'PINNED',
  compensation: 'AUTO_UPGRADE',
  dryRun: 'PINNED',
  ledgerAlarm: 'AUTO_UPGRADE',
  notification: 'AUTO_UPGRADE',
  reconcile: 'PINNED',
  recordedOutcome: 'PINNED',
  resolution: 'AUTO_UPGRADE',
  retention: 'PINNED',
  saga: 'AUTO_UPGRADE',
  signedCommand: 'PINNED',
  trustedAction: 'AUTO_UPGRADE',
} as const satisfies Record<string, VersioningBehavior>;

/** How long a worker that died in the middle of a step is waited for. A step that lives longer keeps its task by heartbeats. */
export const WORKFLOW_TASK_TIMEOUT = '5s';

/** What Temporal keeps of a summary. Characters. */
export const MAX_SUMMARY = 200;

/** The header of workflows and activities that carries the W3C trace context: the one of Temporal's own interceptors for OpenTelemetry. */
export const TRACE_HEADER = '_tracer-data';
