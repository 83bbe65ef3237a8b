/** Compiles bundles: a decision evaluates only the policies that can apply to it, each set of them parsed once. */
import type { AuthorizationAnswer, CedarValueJson, Response } from '@cedar-policy/cedar-wasm/nodejs';
import { LRUCache } from 'lru-cache';
import { ACTION_TYPES, type ActionType, type Facts } from '../action/decision.js';
import { CountersignError } from '../action/errors.js';
import type { Digest, JsonObject } from '../action/json.js';
import type { LimitFigure } from '../action/limits.js';
import { bundleContents, type BundleContents, type PolicyBundle } from './bundle.js';
import { newCedar, type Cedar } from './cedar.js';
import { historyContext } from './history/cedar.js';
import type { HistorySet } from './history/fact.js';
import { historyFigures } from './history/figures.js';
import type { HistoryUse } from './history/uses.js';
import { declaredInput, inputContext, sampleInput } from './input/declared.js';
import type { InputRecord } from './input/type.js';
import { limitsContext, OPTIONAL_ATTRIBUTES, type OptionalAttribute } from './limits/cedar.js';
import type { LimitSet } from './limits/limit.js';
import { policyInvalid } from './problems.js';
import { sourceNames, toCedarRequest, type CedarRequest } from './request.js';
import { PreparsedSets } from './preparsed-sets.js';
import { SCHEMA_FILE, type Rule } from './rules.js';
import { RuleIndex } from './slices.js';

/** Which policies are evaluated: all of the slice, or all but the soft forbids. */
export type PolicySet = 'all' | 'without-soft';

/**
 * A compiled policy. It is immutable, and holds a few MB outside the JavaScript heap that are freed when it is garbage-collected. Threads
 * cannot share it; each must compile its own.
 */
export class Policy {
  readonly bundle: PolicyBundle;
  readonly digest: Digest;
  readonly rules: readonly Rule[];
  readonly limits: LimitSet;
  readonly history: HistorySet;
  readonly #schema: string;
  readonly #optional: BundleContents['optional'];
  readonly #inputs: ReadonlyMap<ActionType, InputRecord>;
  readonly #limitIds: ReadonlySet<string>;
  readonly #historyUses: BundleContents['historyUses'];
  readonly #byId: ReadonlyMap<string, Rule>;
  readonly #index: RuleIndex;
  #loaded: { readonly cedar: Cedar; readonly sets: PreparsedSets } | undefined;

  constructor(bundle: PolicyBundle, contents: BundleContents) {
    const { rules, limits, history, historyUses, schema, optional, inputs } = contents;
    this.bundle = bundle;
    this.digest = bundle.digest;
    this.rules = rules;
    this.limits = limits;
    this.history = history;
    this.#historyUses = historyUses;
    this.#schema = schema;
    this.#optional = optional;
    this.#inputs = inputs;
    this.#limitIds = new Set(limits.limits.map(({ id }) => id));
    this.#byId = new Map(rules.map((rule) => [rule.id, rule]));
    this.#index = new RuleIndex(rules);
    this.#loaded = this.#load();
  }

  /** The policies that can match the request: no other is evaluated. */
  slice(request: CedarRequest): readonly Rule[] {
    return this.#index.candidates(request);
  }

  /** How the rules that can apply read the history facts: for the agent, and for each agent above it. @throws CountersignError POLICY_ERROR */
  historyUses(facts: Facts): readonly HistoryUse[] {
    if (this.#historyUses.size === 0) return [];
    const agents = [facts.agent, ...(facts.above ?? [])];
    const rules = new Set(agents.flatMap((agent) => this.slice(this.request({ ...facts, agent }))));
    return [...rules].flatMap(({ id }) => this.#historyUses.get(id) ?? []);
  }

  /** Every comparison of a count of a history fact with a number that some rule makes, once. */
  get historyBounds(): readonly Pick<HistoryUse, 'fact' | 'count' | 'bound'>[] {
    const uses = [...this.#historyUses.values()].flat();
    return [...new Map(uses.map((use) => [`${use.fact} ${use.count} ${use.bound}`, use])).values()];
  }

  /** What the facts say of history where nothing came before. */
  nothingBefore(): Pick<Facts, 'history'> {
    return this.history.facts.length === 0 ? {} : { history: historyFigures(this.history) };
  }

  /** How a rule reads the history facts. */
  historyUsesOf(id: string): readonly HistoryUse[] {
    return this.#historyUses.get(id) ?? [];
  }

  /** The rule with this `@id`. @throws CountersignError INTERNAL when the bundle has none */
  rule(id: string): Rule {
    const rule = this.#byId.get(id);
    if (rule === undefined)
      throw new CountersignError('INTERNAL', `Cedar named a policy that is not in the bundle: ${id}`);
    return rule;
  }

  /** Converts the facts to a request that fits the policy's schema. @throws CountersignError POLICY_ERROR */
  request(facts: Facts): CedarRequest {
    const request = toCedarRequest(facts);
    const input = this.#inputContext(facts);
    const context = { ...request.context, ...this.#optionalContext(facts) };
    return { ...request, context: input === undefined ? context : { ...context, input } };
  }

  /** What the schema declares of these, and no more: Cedar refuses what it does not know. */
  #optionalContext(facts: Facts): Record<string, CedarValueJson> {
    const values: Readonly<Record<OptionalAttribute, () => CedarValueJson>> = {
      limits: () => limitsContext(facts.limits ?? [], this.#limitIds),
      history: () => historyContext(facts.history, this.history),
      compensates: () => facts.compensates !== undefined,
      edited: () => facts.editedBy !== undefined,
      sources: () => sourceNames(facts),
      untrustedSources: () => sourceNames(facts, 'untrusted'),
    };
    const declared = OPTIONAL_ATTRIBUTES.filter((name) => this.#optional.get(name)?.has(facts.actionType) === true);
    return Object.fromEntries(declared.map((name) => [name, values[name]()]));
  }

  /**
   * Extracts what the schema declares of a tool's input, to be recorded as `facts.input`; undefined when it declares nothing for this
   * action type. `input` is the one that the tool acts on: validated, with its defaults.
   *
   * @throws CountersignError POLICY_ERROR when that is over 16 KiB or not JSON
   */
  declaredInput(actionType: ActionType, input: unknown): JsonObject | undefined {
    const type = this.#inputs.get(actionType);
    return type === undefined ? undefined : declaredInput(type, input);
  }

  /**
   * Checks `facts.input` against the declared types. `evaluate` denies such facts too; this error names the wrong part and the right type.
   *
   * @throws CountersignError POLICY_ERROR when a part of `facts.input` is not of its declared type
   */
  checkInput(facts: Facts): void {
    this.#inputContext(facts);
  }

  #inputContext({ actionType, input }: Facts): Record<string, CedarValueJson> | undefined {
    const type = this.#inputs.get(actionType);
    return type === undefined || input === undefined ? undefined : inputContext(type, input);
  }

  /** Evaluates a request with Cedar. @throws CountersignError POLICY_ERROR when Cedar returns no decision */
  ask(request: CedarRequest, set: PolicySet): Response {
    const slice = this.slice(request);
    return this.askOf(request, set === 'all' ? slice : slice.filter((rule) => rule.approvals === undefined));
  }

  /** As `ask`, of these policies alone. @throws CountersignError POLICY_ERROR when Cedar returns no decision */
  askOf(request: CedarRequest, rules: readonly Rule[]): Response {
    const { actionType: _actionType, ...call } = request;
    const { cedar, sets } = (this.#loaded ??= this.#load());
    let result: AuthorizationAnswer;
    try {
      result = cedar.statefulIsAuthorized({
        ...call,
        preparsedPolicySetId: sets.nameOf(rules),
        preparsedSchemaName: SCHEMA_FILE,
        validateRequest: true,
      });
    } catch (error) {
      // Whatever made Cedar throw may have left its stack unusable, so the next call gets a new instance.
      this.#loaded = undefined;
      throw error;
    }
    if (result.type === 'success') return result.response;
    const messages = result.errors.map((error) => error.message).join('; ');
    throw new CountersignError('POLICY_ERROR', messages, { fix: "Make the bundle's schema and the facts agree." });
  }

  #load(): { readonly cedar: Cedar; readonly sets: PreparsedSets } {
    const cedar = newCedar();
    const parsed = cedar.preparseSchema(SCHEMA_FILE, this.#schema);
    if (parsed.type === 'success') return { cedar, sets: new PreparsedSets(cedar) };
    const message = parsed.errors.map((error) => error.message).join('; ');
    throw policyInvalid([{ at: SCHEMA_FILE, message, fix: 'Correct the schema.' }]);
  }
}

/** By digest: a policy that comes back, as after a rollback, is the one that was compiled. */
const compiledLast = new LRUCache<Digest, Policy>({ max: 3 });

/**
 * Compiles a bundle. This takes tens of milliseconds, so do it once, when the bundle is loaded.
 *
 * @throws CountersignError POLICY_INVALID, also when the schema does not describe the facts that Countersign gives
 */
export function compilePolicy(bundle: PolicyBundle): Policy {
  // Also what makes sure that the digest is that of the files.
  const contents = bundleContents(bundle);
  const policy = compiledLast.get(bundle.digest) ?? compiled(bundle, contents);
  compiledLast.set(bundle.digest, policy);
  return policy;
}

function compiled(bundle: PolicyBundle, contents: BundleContents): Policy {
  const policy = new Policy(bundle, contents);
  const limits = policy.limits.limits.map(({ id }) => ({ ...SAMPLE_FIGURE, limit: id }));
  for (const actionType of ACTION_TYPES) {
    const input = contents.inputs.get(actionType);
    const history = historyFigures(policy.history);
    const sample = { ...SAMPLE, actionType, history, ...(input === undefined ? {} : { input: sampleInput(input) }) };
    checkSchema(policy, sample);
    checkSchema(policy, { ...sample, agent: { ...SAMPLE.agent, owner: 'owner' }, limits });
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

const SAMPLE_FIGURE: Omit<LimitFigure, 'limit'> = {
  key: '',
  kind: 'budget',
  max: 1,
  used: 0,
  held: 0,
  left: 1,
  fits: true,
  text: '',
};

/** Checks at load that sample facts fit the schema. Otherwise the policy would deny every action. */
function checkSchema(policy: Policy, facts: Facts): void {
  try {
    policy.ask(policy.request(facts), 'all');
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
