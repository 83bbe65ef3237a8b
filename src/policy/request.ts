/** Converts the facts of an action to a request to Cedar. Values are passed as JSON, never as policy text. Invalid facts are refused. */
import type { CedarValueJson, Context, Entities, EntityUid } from '@cedar-policy/cedar-wasm/nodejs';
import { ACTION_TYPES, type ActionType, type Facts } from '../action/decision.js';
import { CountersignError } from '../action/errors.js';
import type { Source } from '../action/proposal.js';

export interface CedarRequest {
  readonly actionType: ActionType;
  readonly principal: EntityUid;
  readonly action: EntityUid;
  readonly resource: EntityUid;
  readonly context: Context;
  readonly entities: Entities;
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** Converts facts to a request. @throws CountersignError POLICY_ERROR naming the fact that Cedar cannot represent exactly */
export function toCedarRequest(facts: Facts): CedarRequest {
  const { agent, tool, preview } = facts;
  if (!ACTION_TYPES.includes(facts.actionType)) throw unusable('actionType', ACTION_TYPES.join(', '));
  const roles = [...new Set(texts(agent.roles, 'agent.roles'))];
  const environment = text(tool.environment, 'tool.environment');
  const principal = { type: 'Countersign::Agent', id: text(agent.id, 'agent.id') };
  const resource = { type: 'Countersign::Tool', id: text(tool.name, 'tool.name') };
  const attributes: Record<string, CedarValueJson> = { tenant: text(agent.tenant, 'agent.tenant') };
  if (agent.owner !== undefined) attributes['owner'] = text(agent.owner, 'agent.owner');
  return {
    actionType: facts.actionType,
    principal,
    action: { type: 'Countersign::Action', id: facts.actionType },
    resource,
    context: {
      operation: text(facts.operation, 'operation'),
      environment,
      // Targets are lower case by contract. This is repeated here, because a forbid must not miss a table by its case.
      targets: texts(preview.targets, 'preview.targets').map((target) => target.toLowerCase()),
      reads: texts(preview.reads, 'preview.reads').map((target) => target.toLowerCase()),
      rows: rows(preview.rows),
      schemaChange: flag(preview.schemaChange, 'preview.schemaChange'),
      now: { __extn: { fn: 'datetime', arg: instant(facts.now) } },
      roles,
    },
    entities: [
      { uid: principal, attrs: attributes, parents: roles.map((id) => ({ type: 'Countersign::Role', id })) },
      { uid: resource, attrs: { kind: text(tool.kind, 'tool.kind'), environment }, parents: [] },
    ],
  };
}

/** The names of what led to an action, as the agent says. @throws CountersignError POLICY_ERROR */
export function sourceNames({ from = [] }: Facts, trust?: Source['trust']): string[] {
  const named = from.filter((one) => trust === undefined || one.trust === trust);
  return texts(
    named.map(({ source }) => source),
    'from',
  );
}

function text(value: unknown, field: string): string {
  // A lone surrogate would throw inside Cedar's module, and each such throw costs the instance some of its stack.
  if (typeof value !== 'string' || !value.isWellFormed() || value.includes('\u0000')) {
    throw unusable(field, 'well-formed text without NUL');
  }
  return value;
}

function texts(values: unknown, field: string): string[] {
  if (!Array.isArray(values)) throw unusable(field, 'a list of texts');
  return values.map((value, index) => text(value, `${field}[${index}]`));
}

/** Checks a count of rows. JSON numbers are exact only up to this size, and a negative count would pass every ceiling. */
function rows(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw unusable('preview.rows', 'a whole number from 0 to 2^53-1');
  }
  return value;
}

function flag(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw unusable(field, 'true or false');
  return value;
}

function instant(value: unknown): string {
  const date = typeof value === 'string' && INSTANT.test(value) ? new Date(value) : undefined;
  if (date === undefined || Number.isNaN(date.getTime()))
    throw unusable('now', 'an instant such as 2025-01-01T12:00:00Z');
  return date.toISOString();
}

function unusable(field: string, expected: string): CountersignError {
  return new CountersignError('POLICY_ERROR', `${field} is not ${expected}`, {
    field,
    expected,
    fix: 'Correct what gives this fact: the tool, its configuration or the credential.',
  });
}
