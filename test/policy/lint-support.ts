/** Policies, tools and findings for the tests of lint. */
import type { OperationDescription } from '../../src/action/catalogue.js';
import type { Finding } from '../../src/policy/authoring/lint/finding.js';
import type { RegisteredTool } from '../../src/policy/authoring/registered.js';
import type { Policy } from '../../src/policy/index.js';
import { policyFromText } from '../../src/testing/index.js';
import { schemaWith } from './input-example.js';

export const SCHEMA = schemaWith('op?: String, amount?: Long, amuont?: Long, body?: { amount?: Long, amuont?: Long }');
export const policyOf = (text: string, files: Readonly<Record<string, string>> = {}): Policy =>
  policyFromText({ 'schema.cedarschema': SCHEMA, 'a.cedar': text, ...files });
export const forbid = (condition: string, id = 'f') =>
  `@id("${id}") forbid (principal, action, resource) when { ${condition} };`;

export function operation(more: Partial<OperationDescription> = {}): OperationDescription {
  return {
    operation: 'refund',
    description: '',
    actionType: 'CALL_API',
    idempotent: false,
    fixed: {},
    arguments: { type: 'object', properties: { amount: { type: 'integer' } }, additionalProperties: false },
    ...more,
  };
}
export const toolOf = (more: Partial<RegisteredTool> = {}): RegisteredTool => ({
  name: 'payments',
  kind: 'http',
  environment: 'live',
  operations: [operation()],
  ...more,
});
export const silent = (more: Partial<RegisteredTool> = {}): RegisteredTool => {
  const { operations: _operations, ...tool } = toolOf({ name: 'silent', ...more });
  return tool;
};
/** What is told of findings, without their severities. */
export const told = (findings: readonly Finding[]) =>
  findings.map(({ code, id, at, message, fix }) => ({
    code,
    id,
    at: typeof at === 'string' ? at : `${at.file}:${at.line}:${at.column}`,
    message,
    fix,
  }));
export const named = (findings: readonly Finding[]) => findings.map(({ code, id }) => `${code} ${id}`);
