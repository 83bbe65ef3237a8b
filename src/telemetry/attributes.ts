/** The attributes of our spans: those of OpenTelemetry's semantic conventions where there are any, and our own below `countersign.`. */

/** docs/observability.md lists them. None holds an input, a reasoning, a result or a message of an error: those may hold anything. */
export const ATTRIBUTE = {
  // https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/#execute-tool-span
  operationName: 'gen_ai.operation.name',
  tool: 'gen_ai.tool.name',
  toolCallId: 'gen_ai.tool.call.id',
  toolType: 'gen_ai.tool.type',
  agent: 'gen_ai.agent.id',
  // As Temporal's own interceptors have them.
  workflowId: 'temporalWorkflowID',
  runId: 'temporalRunID',

  tenant: 'countersign.tenant',
  actionId: 'countersign.action.id',
  status: 'countersign.action.status',
  environment: 'countersign.tool.environment',
  step: 'countersign.step.name',
  attempt: 'countersign.step.attempt',
  result: 'countersign.step.result',
  code: 'countersign.error.code',
  effect: 'countersign.decision.effect',
  rules: 'countersign.decision.rules',
  verdict: 'countersign.person.verdict',
  requestId: 'countersign.request.id',
} as const;
