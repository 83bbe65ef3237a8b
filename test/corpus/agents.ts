/** The scripted agents of the corpus: what each proposes, one action after another, and what people say of it. Seeded, so that it is always the same. */
import type { ProposalInput } from '../../src/client/countersign.js';

export interface ScriptedAgent {
  readonly id: string;
  readonly roles: readonly string[];
  readonly actions: number;
  /** The nth proposal. `order` makes an order of 100 that was paid. */
  propose(n: number, random: () => number, order: () => string): ProposalInput;
}

/** A number from 0 to 1 after another, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const pick = <T>(random: () => number, items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
const between = (random: () => number, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1));

const shop = (input: Record<string, unknown>): ProposalInput => ({
  tool: 'shop-db',
  input: input as ProposalInput['input'],
});
const select = (random: () => number, tables: readonly string[]): ProposalInput =>
  shop({ op: 'select', table: pick(random, tables), where: { id: between(random, 1, 400) } });

/** Rows 1 to `count` of a table, by their keys. */
const some = (random: () => number, count: number): number[] => {
  const first = between(random, 1, 300);
  return Array.from({ length: count }, (_, index) => first + index);
};

function reader(id: string): ScriptedAgent {
  return {
    id,
    roles: ['read_only_user'],
    actions: 220,
    propose(n, random) {
      // Now and then it tries what it may not.
      if (n % 12 === 5)
        return shop({ op: 'update', table: 'orders', set: { status: 'seen' }, where: { id: between(random, 1, 400) } });
      if (n % 40 === 17) return shop({ op: 'delete', table: 'sessions', where: { id: { in: some(random, 30) } } });
      return select(random, ['orders', 'customers', 'sessions']);
    },
  };
}

function writer(id: string): ScriptedAgent {
  return {
    id,
    roles: ['read_write_user'],
    actions: 230,
    propose(n, random) {
      if (n % 17 === 3) return shop({ op: 'delete', table: 'sessions', where: { id: between(random, 1, 400) } });
      if (n % 23 === 7)
        return shop({
          op: 'update',
          table: 'customers',
          set: { plan: `p${n}` },
          where: { id: { in: some(random, 25) } },
        });
      if (n % 3 === 0) return select(random, ['orders', 'customers']);
      const table = pick(random, ['orders', 'customers']);
      const set = table === 'orders' ? { status: `s${n}` } : { plan: `p${n}` };
      return shop({ op: 'update', table, set, where: { id: { in: some(random, between(random, 1, 12)) } } });
    },
  };
}

function admin(id: string): ScriptedAgent {
  return {
    id,
    roles: ['admin_user'],
    actions: 200,
    propose(n, random) {
      if (n % 19 === 2) return shop({ op: 'delete', table: 'users', where: { id: between(random, 1, 400) } });
      if (n % 11 === 4)
        return shop({
          op: 'update',
          table: 'sessions',
          set: { note: `n${n}` },
          where: { id: { in: some(random, 30) } },
        });
      if (n % 4 === 1) return shop({ op: 'insert', table: 'audit', rows: [{ id: `${id}-${n}`, note: 'kept' }] });
      return select(random, ['orders', 'users', 'sessions']);
    },
  };
}

function billing(id: string): ScriptedAgent {
  return {
    id,
    roles: ['billing'],
    actions: 190,
    propose(n, random, order) {
      const refund = (orderId: string, amount: number): ProposalInput => ({
        tool: 'payments',
        input: { op: 'refund', path: { id: orderId }, body: { amount } },
      });
      if (n % 5 === 2) return { tool: 'payments', input: { op: 'getOrder', path: { id: order() } } };
      if (n % 29 === 8)
        return { tool: 'payments', input: { op: 'noteOrder', path: { id: order() }, body: { note: 'hm' } } };
      // More than was paid: the service refuses it.
      if (n % 13 === 6) return refund(order(), between(random, 101, 130));
      return refund(order(), n % 9 === 0 ? between(random, 80, 100) : between(random, 1, 60));
    },
  };
}

function clerk(id: string): ScriptedAgent {
  return {
    id,
    roles: ['clerk'],
    actions: 170,
    propose(n, random) {
      const note = `${id}-${between(random, 1, 12)}`;
      if (n % 8 === 5) return { tool: 'notes', input: { tool: 'read_note', arguments: { id: `${id}-0` } } };
      return { tool: 'notes', input: { tool: 'write_note', arguments: { id: note, text: `text ${n}` } } };
    },
  };
}

export const AGENTS: readonly ScriptedAgent[] = [
  reader('reader-1'),
  reader('reader-2'),
  writer('writer-1'),
  writer('writer-2'),
  admin('admin-1'),
  admin('admin-2'),
  billing('billing-1'),
  billing('billing-2'),
  clerk('clerk-1'),
  clerk('clerk-2'),
];

/** What the people say of the nth action that waits for them. */
export function verdictOf(n: number): 'yes' | 'no' | 'cancel' {
  return (['yes', 'yes', 'no', 'yes', 'yes', 'cancel'] as const)[n % 6] ?? 'no';
}
