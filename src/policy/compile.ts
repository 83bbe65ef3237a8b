/** A bundle made ready to decide: parsed once, sliced by action type, so that a decision sees only the policies that can apply. */
import type { AuthorizationAnswer, Response } from '@cedar-policy/cedar-wasm/nodejs';
import { ACTION_TYPES, type ActionType, type Facts } from '../action/decision.js';
import { CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import { bundleRules, type PolicyBundle } from './bundle.js';
import { newCedar, type Cedar } from './cedar.js';
import { policyInvalid } from './problems.js';
import { toCedarRequest, type CedarRequest } from './request.js';
import { SCHEMA_FILE, staticPolicies, type Rule } from './rules.js';

/** Which policies are asked: all of the slice, or all but the soft forbids. */
export type PolicySet = 'all' | 'without-soft';

/**
 * A policy that can be asked. Immutable; holds a few MB outside the JavaScript heap, which go when nothing refers to it any more.
 * Not for two threads: each compiles its own.
 */
export class Policy {
  readonly bundle: PolicyBundle;
  readonly digest: Digest;
  readonly rules: readonly Rule[];
  readonly #byId: ReadonlyMap<string, Rule>;
  #cedar: Cedar | undefined;

  constructor(bundle: PolicyBundle, rules: readonly Rule[]) {
    this.bundle = bundle;
    this.digest = bundle.digest;
    this.rules = rules;
    this.#byId = new Map(rules.map((rule) => [rule.id, rule]));
    this.#cedar = this.#load();
  }

  /** The policies whose scope can match an action of this type. */
  slice(actionType: ActionType): readonly Rule[] {
    return this.rules.filter((rule) => rule.actions.has(actionType));
  }

  rule(id: string): Rule {
    const rule = this.#byId.get(id);
    if (rule === undefined)
      throw new CountersignError('INTERNAL', `Cedar named a policy that is not in the bundle: ${id}`);
    return rule;
  }

  /** Cedar's answer. @throws CountersignError POLICY_ERROR when it gives none */
  ask(request: CedarRequest, set: PolicySet): Response {
    const { actionType, ...call } = request;
    const cedar = (this.#cedar ??= this.#load());
    let answer: AuthorizationAnswer;
    try {
      answer = cedar.statefulIsAuthorized({
        ...call,
        preparsedPolicySetId: setName(actionType, set),
        preparsedSchemaName: SCHEMA_FILE,
        validateRequest: true,
      });
    } catch (error) {
      // Whatever made it throw may have left its stack unusable: the next question gets a new instance.
      this.#cedar = undefined;
      throw error;
    }
    if (answer.type === 'success') return answer.response;
    const messages = answer.errors.map((error) => error.message).join('; ');
    throw new CountersignError('POLICY_ERROR', messages, { fix: "Make the bundle's schema and the facts agree." });
  }

  #load(): Cedar {
    const cedar = newCedar();
    const parsed = [cedar.preparseSchema(SCHEMA_FILE, this.bundle.files[SCHEMA_FILE] ?? '')];
    for (const actionType of ACTION_TYPES) {
      const slice = this.slice(actionType);
      const hard = slice.filter((rule) => rule.approval === undefined);
      parsed.push(cedar.preparsePolicySet(setName(actionType, 'all'), { staticPolicies: staticPolicies(slice) }));
      parsed.push(
        cedar.preparsePolicySet(setName(actionType, 'without-soft'), { staticPolicies: staticPolicies(hard) }),
      );
    }
    const failure = parsed.find((answer) => answer.type === 'failure');
    if (failure === undefined) return cedar;
    const message = failure.errors.map((error) => error.message).join('; ');
    throw policyInvalid([{ at: 'the folder', message, fix: 'Correct the policy named.' }]);
  }
}

function setName(actionType: ActionType, set: PolicySet): string {
  return `${actionType}/${set}`;
}

/**
 * Makes a bundle ready to decide. Costs tens of milliseconds: do it once, when the bundle is loaded.
 *
 * @throws CountersignError POLICY_INVALID, also when the schema does not describe the facts that Countersign gives
 */
export function compilePolicy(bundle: PolicyBundle): Policy {
  const policy = new Policy(bundle, bundleRules(bundle));
  for (const actionType of ACTION_TYPES) {
    for (const agent of [SAMPLE.agent, { ...SAMPLE.agent, owner: 'owner' }])
      checkSchema(policy, { ...SAMPLE, actionType, agent });
  }
  return policy;
}

const SAMPLE: Omit<Facts, 'actionType'> = {
  agent: { id: 'agent', tenant: 'tenant', roles: ['role'], scopes: [] },
  tool: { name: 'tool', kind: 'kind', environment: 'environment' },
  operation: 'operation',
  preview: { rows: 1, targets: ['target'], reads: ['read'], schemaChange: false, sample: [], summary: '' },
  now: '2025-01-01T12:00:00.000Z',
};

/** A schema that does not fit would deny every action: better said at load. */
function checkSchema(policy: Policy, facts: Facts): void {
  try {
    policy.ask(toCedarRequest(facts), 'all');
  } catch (error) {
    throw policyInvalid(
      [
        {
          at: SCHEMA_FILE,
          message: `it does not describe the facts of a ${facts.actionType}: ${(error as Error).message}`,
          expected: "the starter bundle's schema, with action groups and optional attributes of your own",
          fix: 'Compare the file with the one in the starter bundle.',
        },
      ],
      error,
    );
  }
}
