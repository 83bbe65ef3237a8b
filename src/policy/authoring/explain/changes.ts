/** The smallest changes of an action that would change its decision, found by deciding again: nothing is guessed. */
import type { Facts } from '../../../action/decision.js';
import type { JsonObject } from '../../../action/json.js';
import type { Policy } from '../../compile.js';
import { amountsOf, isAtLimit, largestSmaller, type Amount } from './amounts.js';
import type { Judge, JudgedEffect, Judgement } from './judge.js';
import { knownValues, withValue } from './known.js';

/** One change of the facts, or of what people say. */
export interface FactChange {
  readonly kind:
    'approval' | 'role' | 'rows' | 'input' | 'target' | 'operation' | 'environment' | 'sources' | 'schemaChange';
  /** `the agent also has the role admin_user`. */
  readonly text: string;
}

export interface Counterfactual {
  /** One, or two together. */
  readonly changes: readonly FactChange[];
  readonly effect: JudgedEffect;
  /** The decision's reason then. */
  readonly reason: string;
}

export interface Counterfactuals {
  readonly changes: readonly Counterfactual[];
  /** More could be tried than was, or was found than is listed. */
  readonly cut: boolean;
}

type Edit = FactChange & { readonly apply: (facts: Facts) => Facts };

const MAX_SHOWN = 20;
const RANK: Readonly<Record<JudgedEffect, number>> = { deny: 0, require_approval: 1, queue: 2, allow: 3 };

/**
 * Every single change with another effect. When none of them makes the action more possible than it is, and it is not allowed, pairs are tried too.
 * The values are those that the policy's rules speak of, and the numbers just beside them; at a limit, also the largest number that it lets
 * pass. In the order of their kinds: the same facts give the same answer.
 */
export function counterfactuals(
  policy: Policy,
  facts: Facts,
  judged: Judgement,
  judge: Judge,
  mostDecisions: number,
): Counterfactuals {
  const edits = editsOf(policy, facts);
  const search = new Search(facts, judged.effect, judge, mostDecisions);
  const better = ({ effect }: Counterfactual): boolean => RANK[effect] > RANK[judged.effect];
  const singles = [
    ...approvalOf(judged),
    ...nearestOnly([
      ...(isAtLimit(judged) ? amountsOf(facts).flatMap((amount) => search.lower(amount)) : []),
      ...edits.flatMap((edit) => search.decide([edit])),
    ]),
  ];
  const pairs = (): readonly Counterfactual[] =>
    edits.flatMap((first, index) => edits.slice(index + 1).flatMap((second) => search.decide([first, second])));
  const enough = singles.some(better) || judged.effect === 'allow';
  const found = enough ? singles : [...singles, ...pairs().filter(better)];
  return { changes: found.slice(0, MAX_SHOWN), cut: search.cut || found.length > MAX_SHOWN };
}

/** Of several numbers of rows with the same effect, the nearest one, which comes first. */
function nearestOnly(found: readonly Counterfactual[]): readonly Counterfactual[] {
  const seen = new Set<JudgedEffect>();
  return found.filter(({ changes, effect }) => {
    if (changes[0]?.kind !== 'rows') return true;
    if (seen.has(effect)) return false;
    seen.add(effect);
    return true;
  });
}

class Search {
  /** Whether something was not tried because too much was. */
  cut = false;
  readonly #facts: Facts;
  readonly #effect: JudgedEffect;
  readonly #judge: Judge;
  #left: number;

  constructor(facts: Facts, effect: JudgedEffect, judge: Judge, mostDecisions: number) {
    this.#facts = facts;
    this.#effect = effect;
    this.#judge = judge;
    this.#left = mostDecisions;
  }

  decide(edits: readonly Edit[]): readonly Counterfactual[] {
    // Of two edits of one kind the second would only replace the first, but for roles.
    if (new Set(edits.map(({ kind }) => kind)).size < edits.length) return [];
    const judged = this.#judged(edits.reduce((facts, { apply }) => apply(facts), this.#facts));
    if (judged === undefined || judged.effect === this.#effect) return [];
    const { effect, reason } = judged;
    return [{ changes: edits.map(({ kind, text }) => ({ kind, text })), effect, reason }];
  }

  /** The least that the number has to be lowered to make the action more possible. */
  lower(amount: Amount): readonly Counterfactual[] {
    const at = (value: number) => this.#judged(amount.apply(this.#facts, value));
    const value = largestSmaller(
      amount.value,
      (effect) => RANK[effect] > RANK[this.#effect],
      (tried) => at(tried)?.effect,
    );
    return value === undefined
      ? []
      : this.decide([{ kind: amount.kind, text: amount.text(value), apply: (facts) => amount.apply(facts, value) }]);
  }

  #judged(facts: Facts): Judgement | undefined {
    if (this.#left-- > 0) return this.#judge(facts);
    this.cut = true;
    return undefined;
  }
}

/** A decision that asks for people becomes an allow when they say yes: the worker then enforces the same rules with their approvals. */
function approvalOf({ effect, decision: { requirements } }: Judgement): readonly Counterfactual[] {
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
