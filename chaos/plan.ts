/** What the agents will propose and how they will behave: made from the seed before anything runs. */
import type { JsonObject } from '../src/action/json.js';
import type { Expect } from '../src/action/proposal.js';
import { Chance } from './chance.js';

export const AGENTS = 20;
const SKUS = 12;

/** What one proposal would change, in the terms of the journals. */
export interface Intent {
  /** `pay`, `refund`, `payout`, `order`, `stock`, `remove`. */
  readonly what: string;
  readonly content: JsonObject;
  /** What budgets count. */
  readonly amount: number;
}

export interface PlannedProposal {
  readonly actionId: string;
  readonly tool: string;
  readonly input: JsonObject;
  readonly expect?: Expect;
  readonly reasoning: string;
}

/**
 * - `once`: proposes and waits;
 * - `twice`: two callers propose the same at once;
 * - `again`: proposes it once more after its end;
 * - `conflict`: somebody proposes another content under the same id at the same time;
 * - `cancel`: takes it back after a moment.
 */
export type Manner = 'once' | 'twice' | 'again' | 'conflict' | 'cancel';

export interface PlannedAction {
  readonly actionId: string;
  readonly agent: string;
  readonly manner: Manner;
  readonly proposal: PlannedProposal;
  /** Absent for what changes nothing or must be denied. */
  readonly intent?: Intent;
  /** With `conflict`. */
  readonly rival?: { readonly proposal: PlannedProposal; readonly intent: Intent };
  /** With `cancel`, milliseconds. */
  readonly cancelAfterMs: number;
}

/** Where workers take their policy from. */
export const POLICY_SOURCES = ['folder', 'ledger'] as const;
export type PolicySource = (typeof POLICY_SOURCES)[number];

export interface Plan {
  readonly seed: string;
  readonly policies: PolicySource;
  readonly agents: readonly { readonly id: string; readonly roles: readonly string[] }[];
  readonly actions: readonly PlannedAction[];
}

export type Kind = 'pay' | 'refund' | 'payout' | 'order' | 'stock' | 'remove' | 'look' | 'forbidden' | 'nonsense';

type Weights<Name extends string> = Readonly<Partial<Record<Name, number>>>;

const MANNERS: Weights<Manner> = { once: 70, twice: 8, again: 8, conflict: 6, cancel: 8 };

const WEIGHTS: Weights<Kind> = {
  pay: 28,
  refund: 16,
  payout: 8,
  order: 14,
  stock: 14,
  remove: 8,
  look: 6,
  forbidden: 4,
  nonsense: 2,
};

/** How long the real system may take to show an effect. Longer than the stalest answer of the payment service. */
const EVENTUALLY_MS = 1_500;

/** `weights`: how often which kind of action is proposed; `manners` likewise. `agents`: how many. `policies`: default as the seed has it. */
export function makePlan(
  seed: string,
  count: number,
  {
    weights = WEIGHTS,
    manners = MANNERS,
    agents: many = AGENTS,
    policies = new Chance(seed).of('policies').pick(POLICY_SOURCES),
  }: {
    readonly weights?: Weights<Kind>;
    readonly manners?: Weights<Manner>;
    readonly agents?: number;
    readonly policies?: PolicySource | undefined;
  } = {},
): Plan {
  const chance = new Chance(seed).of('plan');
  const agents = Array.from({ length: many }, (_, i) => ({
    id: `agent-${i + 1}`,
    roles: ['billing', 'clerk', ...(i % 4 === 0 ? ['junior'] : [])],
  }));
  const actions = Array.from({ length: count }, (_, i): PlannedAction => {
    const own = chance.of(`action ${i}`);
    const actionId = `act-${i + 1}`;
    const kind = own.weighted<Kind>(weights);
    const made = propose(kind, actionId, own);
    const drawn = own.weighted<Manner>(manners);
    const manner = drawn === 'conflict' && made.intent === undefined ? 'once' : drawn;
    const rival = manner === 'conflict' ? propose(kind, actionId, own.of('rival')) : undefined;
    return {
      actionId,
      agent: agents[i % many]?.id ?? '',
      manner,
      ...made,
      ...(rival?.intent === undefined ? {} : { rival: { proposal: rival.proposal, intent: rival.intent } }),
      cancelAfterMs: own.int(0, 1_200),
    };
  });
  return { seed, policies, agents, actions };
}

interface Made {
  readonly proposal: PlannedProposal;
  readonly intent?: Intent;
}

function propose(kind: Kind, actionId: string, chance: Chance): Made {
  const common = { actionId, reasoning: `The plan says so: ${kind}.` };
  switch (kind) {
    case 'pay':
    case 'refund':
    case 'payout': {
      const body = { account: `account-${chance.int(1, 40)}`, amount: chance.int(5, 50), reference: actionId };
      const expect = { cel: 'size(post.made) == 1', withinMs: EVENTUALLY_MS };
      return {
        proposal: { ...common, tool: 'payments', input: { op: kind, body }, expect },
        intent: { what: kind, content: { account: body.account, amount: body.amount }, amount: body.amount },
      };
    }
    case 'order': {
      const row = { reference: actionId, sku: sku(chance), qty: chance.int(1, 9) };
      return {
        proposal: { ...common, tool: 'shop-db', input: { op: 'insert', table: 'orders', rows: [row] } },
        intent: { what: kind, content: { sku: row.sku, qty: row.qty }, amount: 1 },
      };
    }
    case 'stock': {
      const content = { sku: sku(chance), taken: chance.int(1, 3) };
      const sql = 'UPDATE stock SET qty = qty - $1::int, touched_by = $2 WHERE sku = $3';
      return {
        proposal: {
          ...common,
          tool: 'shop-db',
          input: { op: 'sql', sql, params: [content.taken, actionId, content.sku] },
        },
        intent: { what: kind, content, amount: 1 },
      };
    }
    case 'remove': {
      const part = chance.int(1, 2);
      return {
        proposal: {
          ...common,
          tool: 'shop-db',
          input: { op: 'delete', table: 'sessions', where: { reference: actionId, part } },
        },
        intent: { what: kind, content: { part }, amount: 1 },
      };
    }
    case 'look':
      return chance.happens(0.5)
        ? {
            proposal: {
              ...common,
              tool: 'shop-db',
              input: { op: 'select', table: 'stock', where: { sku: sku(chance) } },
            },
          }
        : { proposal: { ...common, tool: 'payments', input: { op: 'find', query: { reference: actionId } } } };
    case 'forbidden':
      return {
        proposal: {
          ...common,
          tool: 'shop-db',
          input: { op: 'delete', table: 'customers', where: { id: chance.int(1, 9) } },
        },
      };
    case 'nonsense':
      return chance.happens(0.5)
        ? { proposal: { ...common, tool: 'crm', input: {} } }
        : {
            proposal: { ...common, tool: 'payments', input: { op: 'pay', body: { amount: -1, reference: actionId } } },
          };
  }
}

function sku(chance: Chance): string {
  return `sku-${chance.int(1, SKUS)}`;
}

export const ALL_SKUS: readonly string[] = Array.from({ length: SKUS }, (_, i) => `sku-${i + 1}`);
