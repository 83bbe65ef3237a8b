/** The smallest changes of an action that would change its decision, found by deciding again: nothing is guessed. */
import type { Decision, DecisionEffect, Facts } from '../../../action/decision.js';
import { MAX_HISTORY_COUNT } from '../../../action/history.js';
import type { JsonObject } from '../../../action/json.js';
import type { Policy } from '../../compile.js';
import { evaluate } from '../../evaluate.js';
import { knownValues, withValue } from './known.js';

/** One change of the facts, or of what people say. */
export interface FactChange {
  readonly kind:
    | 'approval'
    | 'role'
    | 'rows'
    | 'input'
    | 'target'
    | 'operation'
    | 'environment'
    | 'sources'
    | 'schemaChange'
    | 'history';
  /** `the agent also has the role admin_user`. */
  readonly text: string;
}

export interface Counterfactual {
  /** One, or two together. */
  readonly changes: readonly FactChange[];
  readonly effect: DecisionEffect;
  /** The decision's reason then. */
  readonly reason: string;
}

type Edit = FactChange & { readonly apply: (facts: Facts) => Facts };

/** The most decisions of one search. */
const MAX_DECISIONS = 3000;
const MAX_SHOWN = 20;
const RANK: Readonly<Record<DecisionEffect, number>> = { deny: 0, require_approval: 1, allow: 2 };

/**
 * Every single change with another effect. When none of them makes the action more possible than it is, and it is not allowed, pairs are tried too.
 * The values are those that the policy's rules speak of, and the numbers just beside them. In the order of their kinds: the same facts give
 * the same answer.
 */
export function counterfactuals(policy: Policy, facts: Facts, decision: Decision): readonly Counterfactual[] {
  const edits = editsOf(policy, facts);
  const search = new Search(policy, facts, decision.effect);
  const approvals = approvalOf(decision);
  const singles = [...approvals, ...nearestOnly(edits.flatMap((edit) => search.decide([edit])))];
  const better = singles.some(({ effect }) => RANK[effect] > RANK[decision.effect]);
  if (better || decision.effect === 'allow') return singles.slice(0, MAX_SHOWN);
  const pairs = edits.flatMap((first, index) =>
    edits.slice(index + 1).flatMap((second) => search.decide([first, second])),
  );
  return [...singles, ...pairs.filter(({ effect }) => RANK[effect] > RANK[decision.effect])].slice(0, MAX_SHOWN);
}

/** Of several numbers of rows with the same effect, the nearest one, which comes first. */
function nearestOnly(found: readonly Counterfactual[]): readonly Counterfactual[] {
  const seen = new Set<DecisionEffect>();
  return found.filter(({ changes, effect }) => {
    if (changes[0]?.kind !== 'rows') return true;
    if (seen.has(effect)) return false;
    seen.add(effect);
    return true;
  });
}

class Search {
  readonly #policy: Policy;
  readonly #facts: Facts;
  readonly #effect: DecisionEffect;
  #left = MAX_DECISIONS;

  constructor(policy: Policy, facts: Facts, effect: DecisionEffect) {
    this.#policy = policy;
    this.#facts = facts;
    this.#effect = effect;
  }

  decide(edits: readonly Edit[]): readonly Counterfactual[] {
    // Of two edits of one kind the second would only replace the first, but for roles.
    if (new Set(edits.map(({ kind }) => kind)).size < edits.length || this.#left-- <= 0) return [];
    const { effect, reason } = evaluate(
      this.#policy,
      edits.reduce((facts, { apply }) => apply(facts), this.#facts),
    );
    if (effect === this.#effect) return [];
    return [{ changes: edits.map(({ kind, text }) => ({ kind, text })), effect, reason }];
  }
}

/** A decision that asks for people becomes an allow when they say yes: the worker then enforces the same rules with their approvals. */
function approvalOf({ effect, requirements }: Decision): readonly Counterfactual[] {
  if (effect !== 'require_approval') return [];
  const asked = requirements.map(({ roles, quorum }) => `${quorum} of ${roles.join(' or ')}`);
  const text = `${[...new Set(asked)].join(', and ')} approve`;
  return [{ changes: [{ kind: 'approval', text }], effect: 'allow', reason: 'lifted by those who approve' }];
}

function editsOf(policy: Policy, facts: Facts): readonly Edit[] {
  const known = knownValues(policy);
  const { agent, tool, preview, operation, from = [] } = facts;
  const without = (values: readonly string[], own: readonly string[]) => values.filter((value) => !own.includes(value));
  const nearest = (values: readonly number[]) =>
    values
      .filter((value) => value !== preview.rows)
      .toSorted((a, b) => Math.abs(a - preview.rows) - Math.abs(b - preview.rows) || a - b);
  return [
    ...without(known.roles, agent.roles).map((role) =>
      edit('role', `the agent also has the role ${role}`, (at) => ({
        ...at,
        agent: { ...at.agent, roles: [...at.agent.roles, role] },
      })),
    ),
    ...agent.roles.map((role) =>
      edit('role', `the agent does not have the role ${role}`, (at) => ({
        ...at,
        agent: { ...at.agent, roles: at.agent.roles.filter((own) => own !== role) },
      })),
    ),
    ...nearest(known.rows).map((rows) =>
      edit('rows', `it touches ${rows} rows`, (at) => ({ ...at, preview: { ...at.preview, rows } })),
    ),
    ...inputEdits(policy, facts, known.input),
    ...without(known.targets, preview.targets).map((target) =>
      edit('target', `its target is ${target}`, (at) => ({ ...at, preview: { ...at.preview, targets: [target] } })),
    ),
    ...(preview.targets.length === 0
      ? []
      : [
          edit('target', 'its target is one that no rule names', (at) => ({
            ...at,
            preview: { ...at.preview, targets: ['(another)'] },
          })),
        ]),
    ...without(known.operations, [operation]).map((name) =>
      edit('operation', `its operation is ${name}`, (at) => ({ ...at, operation: name })),
    ),
    ...without(known.environments, [tool.environment]).map((environment) =>
      edit('environment', `it happens in ${environment}`, (at) => ({ ...at, tool: { ...at.tool, environment } })),
    ),
    ...historyEdits(policy, facts),
    ...(from.some(({ trust }) => trust === 'untrusted')
      ? [edit('sources', 'no source that is not trusted led to it', trustingOnly)]
      : []),
    ...(preview.schemaChange
      ? [
          edit('schemaChange', 'it does not change a schema', (at) => ({
            ...at,
            preview: { ...at.preview, schemaChange: false },
          })),
        ]
      : []),
  ];
}

/** A count of earlier actions is what a rule compares it with, or just beside. Whatever is done is possible too. */
function historyEdits(policy: Policy, facts: Facts): readonly Edit[] {
  const { history = [] } = facts;
  if (history.length === 0) return [];
  return policy.historyBounds.flatMap(({ fact, count, bound }) => {
    const known = history.find((figure) => figure.fact === fact)?.[count];
    const values = [bound - 1, bound, bound + 1].filter(
      (value) => value >= 0 && value <= MAX_HISTORY_COUNT && value !== known,
    );
    return values.map((value) =>
      edit('history', `${fact} is ${value} ${count}`, (at) => ({
        ...at,
        history: (at.history ?? []).map((figure) => {
          if (figure.fact !== fact) return figure;
          return count === 'done'
            ? { ...figure, done: value, possible: Math.max(figure.possible, value) }
            : { ...figure, done: Math.min(figure.done, value), possible: value };
        }),
      })),
    );
  });
}

function edit(kind: FactChange['kind'], text: string, apply: Edit['apply']): Edit {
  return { kind, text, apply };
}

function trustingOnly(facts: Facts): Facts {
  return { ...facts, from: facts.from?.filter(({ trust }) => trust === 'trusted') ?? [] };
}

function inputEdits(
  policy: Policy,
  { actionType, input = {} }: Facts,
  values: ReturnType<typeof knownValues>['input'],
): readonly Edit[] {
  return [...values].flatMap(([path, known]) =>
    known.flatMap((value) => {
      const changed = withValue(input, path.split('.'), value) as JsonObject;
      const declared = policy.declaredInput(actionType, changed);
      if (declared === undefined) return [];
      const text = `${path} of the input is ${JSON.stringify(value)}`;
      return [
        edit('input', text, (at) => ({
          ...at,
          input: withValue(at.input, path.split('.'), value) as JsonObject,
        })),
      ];
    }),
  );
}
