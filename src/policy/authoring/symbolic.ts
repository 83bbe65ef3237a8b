/** Asks Cedar about actions of which only some is known: for each rule, whether it holds for certain, never, or depending on the rest. */
import type { CedarValueJson, EntityJson, EntityUid } from '@cedar-policy/cedar-wasm/nodejs';
import type { ActionType } from '../../action/decision.js';
import { bundleContents, type PolicyBundle } from '../bundle.js';
import { newCedar, type Cedar } from '../cedar.js';
import { staticPolicies, type Rule } from '../rules.js';
import { AGENT_TYPE, TOOL_TYPE } from '../scope.js';
import { residualTruth } from './expression.js';

/** An action of which the parts that are absent are not known. */
export interface SymbolicAction {
  readonly actionType: ActionType;
  readonly tool?: { readonly name?: string; readonly kind?: string; readonly environment: string };
  readonly operation?: string;
  /** The agent's roles. Absent: any agent. */
  readonly roles?: readonly string[];
}

/** By the ids of rules. */
export type Truths = ReadonlyMap<string, boolean | undefined>;

const ALWAYS = ['rows', 'targets', 'reads', 'schemaChange', 'now', 'roles'] as const;

/**
 * Rules are partially evaluated by Cedar, without its knowing any limits of the values: a rule that holds only for a number of rows below
 * zero counts as one that depends.
 */
export class SymbolicPolicy {
  readonly #contents: ReturnType<typeof bundleContents>;
  readonly #cedar: Cedar = newCedar();

  constructor(bundle: PolicyBundle) {
    this.#contents = bundleContents(bundle);
  }

  ask(rules: readonly Rule[], action: SymbolicAction): Truths {
    const { actionType, tool, roles } = action;
    const candidates = rules.filter((rule) => rule.actions.has(actionType));
    if (candidates.length === 0) return new Map();
    const resource = tool?.name === undefined ? null : { type: TOOL_TYPE, id: tool.name };
    const principal = roles === undefined ? null : { type: AGENT_TYPE, id: 'an agent' };
    const answer = this.#cedar.isAuthorizedPartial({
      principal,
      action: { type: 'Countersign::Action', id: actionType },
      resource,
      context: this.#context(action),
      policies: { staticPolicies: staticPolicies(candidates) },
      entities: entities(principal, resource, action),
    });
    if (answer.type === 'failure') throw new TypeError(answer.errors.map(({ message }) => message).join('; '));
    const { satisfied, residuals } = answer.response;
    const certain = new Set(satisfied);
    return new Map(
      candidates.map(({ id }) => {
        const residual = residuals[id];
        return [id, certain.has(id) ? true : residual === undefined ? false : residualTruth(residual)];
      }),
    );
  }

  #context({ actionType, tool, operation, roles }: SymbolicAction): Record<string, CedarValueJson> {
    const { optional, inputs } = this.#contents;
    const names = [
      ...ALWAYS,
      ...[...optional].flatMap(([name, types]) => (types.has(actionType) ? [name] : [])),
      ...(inputs.has(actionType) ? ['input'] : []),
    ];
    return {
      ...Object.fromEntries(names.map((name) => [name, unknown(`context.${name}`)])),
      operation: operation ?? unknown('context.operation'),
      environment: tool?.environment ?? unknown('context.environment'),
      ...(roles === undefined ? {} : { roles: [...roles] }),
    };
  }
}

function entities(
  principal: EntityUid | null,
  resource: EntityUid | null,
  { tool, roles = [] }: SymbolicAction,
): EntityJson[] {
  const found: EntityJson[] = [];
  if (principal !== null) {
    const attrs = { tenant: unknown('principal.tenant'), owner: unknown('principal.owner') };
    found.push({ uid: principal, attrs, parents: roles.map((id) => ({ type: 'Countersign::Role', id })) });
  }
  if (resource !== null && tool !== undefined) {
    const attrs = { kind: tool.kind ?? unknown('resource.kind'), environment: tool.environment };
    found.push({ uid: resource, attrs, parents: [] });
  }
  return found;
}

/** Cedar's way to leave a value open. */
function unknown(name: string): CedarValueJson {
  return { __extn: { fn: 'unknown', arg: name } };
}
