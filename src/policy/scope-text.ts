/** The scope of a rule in words: `READ or WRITE by members of read_only_user on any tool`. */
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

/** As Cedar's JSON of a policy has it. */
interface Constraint {
  readonly op?: string;
  readonly entity?: Entity;
  readonly entities?: readonly Entity[];
  readonly entity_type?: string;
  readonly in?: { readonly entity: Entity } | { readonly slot: string };
}

type Entity =
  | { readonly type: string; readonly id: string }
  | { readonly __entity: { readonly type: string; readonly id: string } };

export function scopeText({ principal, action, resource }: Partial<PolicyJson>): string {
  return `${actionText(action)} by ${partText(principal, 'any agent')} on ${partText(resource, 'any tool')}`;
}

function actionText(action: Constraint = {}): string {
  const entities = action.entities ?? (action.entity === undefined ? [] : [action.entity]);
  return entities.length === 0 ? 'any action' : entities.map((entity) => idOf(entity).id).join(' or ');
}

function partText(part: Constraint = {}, any: string): string {
  if (part.op === 'is') {
    const within = part.in !== undefined && 'entity' in part.in ? ` in ${named(part.in.entity)}` : '';
    return `any ${shortType(part.entity_type ?? '')}${within}`;
  }
  const name = part.entity === undefined ? any : named(part.entity);
  return part.op === 'in' ? `members of ${name}` : name;
}

function named(entity: Entity): string {
  const { type, id } = idOf(entity);
  return `${shortType(type).toLowerCase()} ${id}`;
}

function idOf(entity: Entity): { readonly type: string; readonly id: string } {
  const { __entity: within } = entity as { __entity?: { readonly type: string; readonly id: string } };
  return within ?? (entity as { readonly type: string; readonly id: string });
}

function shortType(type: string): string {
  return type.split('::').at(-1) ?? type;
}
