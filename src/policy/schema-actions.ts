/** The actions of a schema: which action types a policy's scope can match, and what their contexts hold. */
import type { PolicyJson, SchemaJson } from '@cedar-policy/cedar-wasm/nodejs';
import { ACTION_TYPES, type ActionType } from '../action/decision.js';
import type { Cedar } from './cedar.js';
import { actionsWith, OPTIONAL_ATTRIBUTES, type OptionalAttribute } from './limits/cedar.js';
import { locate, pushAll } from './located-problems.js';
import type { BundleProblem } from './problems.js';

const ACTION_ENTITY = 'Countersign::Action';

export interface SchemaActions {
  readonly actions: ActionIndex;
  /** For each attribute that a schema may leave out, the action types whose context has it. */
  readonly optional: ReadonlyMap<OptionalAttribute, ReadonlySet<ActionType>>;
}

/** For each action and action group of the schema, the action types that `action in` it matches. */
export type ActionIndex = ReadonlyMap<string, ReadonlySet<ActionType>>;

/** Reads the actions of a schema. @param file names the schema in problems */
export function readActions(cedar: Cedar, schema: string, problems: BundleProblem[], file: string): SchemaActions {
  const answer = cedar.schemaToJson(schema);
  if (answer.type === 'failure') {
    pushAll(problems, answer.errors, (error) => locate(error, file, schema));
    return { actions: new Map(), optional: new Map() };
  }
  pushAll(problems, answer.warnings, (error) => locate(error, file, schema));
  const parents = actionParents(answer.json);
  const index = new Map<string, Set<ActionType>>();
  for (const type of ACTION_TYPES) {
    const queue = [key(ACTION_ENTITY, type)];
    const seen = new Set(queue);
    for (const action of queue) {
      index.set(action, (index.get(action) ?? new Set()).add(type));
      for (const parent of parents.get(action) ?? []) {
        if (seen.has(parent)) continue;
        seen.add(parent);
        queue.push(parent);
      }
    }
  }
  return {
    actions: index,
    optional: new Map(OPTIONAL_ATTRIBUTES.map((attribute) => [attribute, actionsWith(attribute, answer.json)])),
  };
}

function key(type: string, id: string): string {
  return JSON.stringify([type, id]);
}

function actionParents(schema: SchemaJson<string>): ReadonlyMap<string, readonly string[]> {
  const parents = new Map<string, readonly string[]>();
  for (const [namespace, definition] of Object.entries(schema)) {
    const own = namespace === '' ? 'Action' : `${namespace}::Action`;
    for (const [id, action] of Object.entries(definition.actions)) {
      // A plain name is one of the namespace or, where that has none, one outside of it. A group too many does no harm: a policy is only kept.
      const groups = (action.memberOf ?? []).flatMap(({ type = 'Action', id: group }) =>
        type === 'Action' ? [key(own, group), key(type, group)] : [key(type, group)],
      );
      parents.set(key(own, id), groups);
    }
  }
  return parents;
}

/** The action types that the scope of a policy can match. */
export function matchedActions(scope: PolicyJson['action'], index: ActionIndex): ReadonlySet<ActionType> {
  // Where no entity is named, the policy is kept everywhere: for any action, and for a slot, were a template to come in spite of being refused.
  const entities = 'entities' in scope ? scope.entities : 'entity' in scope ? [scope.entity] : undefined;
  if (entities === undefined) return new Set(ACTION_TYPES);
  return new Set(
    entities.flatMap((entity) => {
      const { type, id } = '__entity' in entity ? entity['__entity'] : entity;
      // `==` on a group matches nothing, and its being kept for the group's members does no harm.
      return [...(index.get(key(type, id)) ?? [])];
    }),
  );
}
