/** Any interleaving of placing, settling, resolving, passing time, dying connections and reconciling, against plain bookkeeping. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { CountersignError } from '../../src/action/errors.js';
import type { HoldSettlement } from '../../src/action/limits.js';
import type { Ledger } from '../../src/ledger/index.js';
import { LIMIT_NAMES, LIMITS, LimitWorld, type Asked } from './limit-world.js';
import { endConnections, startLedger, times, type TestLedger } from './support.js';
import { runs } from '../support/properties.js';

let at: TestLedger;
/** The clients whose connections die. */
let doomed: Ledger;

beforeAll(async () => {
  at = await startLedger();
  doomed = await at.another({ poolSize: 4 });
});
afterAll(() => at.stop());

const IDS = ['a-0', 'a-1', 'a-2', 'a-3', 'a-4', 'a-5', 'a-6', 'a-7'];

type Step =
  | { readonly kind: 'admit'; readonly id: string; readonly asked: readonly Asked[]; readonly times: number }
  | { readonly kind: 'burst'; readonly ids: readonly string[]; readonly asked: readonly Asked[] }
  | { readonly kind: 'settle'; readonly id: string; readonly holds: HoldSettlement; readonly times: number }
  | {
      readonly kind: 'resolve';
      readonly id: string;
      readonly holds: HoldSettlement;
      readonly disposition: 'consume' | 'release';
    }
  | { readonly kind: 'race'; readonly id: string; readonly asked: readonly Asked[]; readonly holds: HoldSettlement }
  | {
      readonly kind: 'die';
      readonly id: string;
      readonly asked: readonly Asked[];
      readonly holds?: HoldSettlement | undefined;
      readonly turns: number;
    }
  | { readonly kind: 'pass'; readonly slots: number }
  | { readonly kind: 'reconcile' };

const id = fc.constantFrom(...IDS);
const asked = fc.uniqueArray(fc.constantFrom(...LIMIT_NAMES), { maxLength: LIMIT_NAMES.length }).chain((names) =>
  fc.tuple(
    ...names.map((name) =>
      fc.record({
        name: fc.constant(name),
        cents: fc.oneof({ weight: 4, arbitrary: fc.integer({ min: 0, max: 400 }) }, fc.integer({ min: 0, max: 1100 })),
        over: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      }),
    ),
  ),
) as fc.Arbitrary<Asked[]>;
const holds: fc.Arbitrary<HoldSettlement> = fc
  .record({
    disposition: fc.constantFrom('consume', 'release', 'keep'),
    result: fc.constantFrom('good', 'bad', undefined),
    spent: fc.option(fc.integer({ min: 0, max: 600 }), { nil: undefined }),
  })
  .map(({ disposition, result, spent }) => ({
    disposition,
    ...(result === undefined ? {} : { result }),
    ...(spent === undefined
      ? {}
      : { amounts: { [LIMITS.good(0).limit]: spent / 100, [LIMITS.sliding(0).limit]: Math.floor(spent / 2) / 100 } }),
  })) as fc.Arbitrary<HoldSettlement>;
const repeats = fc.constantFrom(1, 1, 1, 2, 3);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('admit' as const), id, asked, times: repeats }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('burst' as const), ids: fc.constant(IDS), asked }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('settle' as const), id, holds, times: repeats }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('resolve' as const),
      id,
      holds,
      disposition: fc.constantFrom('consume', 'release'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('race' as const), id, asked, holds }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('die' as const),
      id,
      asked,
      holds: fc.option(holds, { nil: undefined }),
      turns: fc.integer({ min: 0, max: 12 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), slots: fc.constantFrom(1, 7, 31, 32, 33, 100) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reconcile' as const) }) },
);

async function take(world: LimitWorld, step: Step): Promise<void> {
  const { ledger } = at;
  switch (step.kind) {
    case 'admit': {
      // Delivered more than once, at once: the first to come through places, the others find it there.
      const said = await times(step.times, () => world.admit(ledger, step.id, step.asked));
      const [first] = said;
      if (said.length === 1 && first !== undefined) world.admitted(step.id, step.asked, first);
      else for (const one of said) world.take(step.id, step.asked, one);
      if (new Set(said.map(({ kind }) => kind)).size !== 1) throw new Error('one admission, and two answers');
      return;
    }
    case 'burst': {
      const fresh = step.ids.filter((id) => world.action(id).state === 'new');
      const said = await Promise.all(fresh.map(async (id) => [id, await world.admit(ledger, id, step.asked)] as const));
      for (const [id, one] of said) world.take(id, step.asked, one);
      return;
    }
    case 'settle': {
      if (world.action(step.id).state === 'new') return;
      await times(step.times, () => world.settle(ledger, step.id, step.holds));
      world.ended(step.id, step.holds);
      return;
    }
    case 'resolve': {
      if (world.action(step.id).state !== 'unknown') return;
      return world.resolve(ledger, step.id, { ...step.holds, disposition: step.disposition });
    }
    case 'race': {
      // Whichever is first: an action that has ended holds nothing.
      if (world.action(step.id).state !== 'open') return;
      const [said] = await Promise.all([
        world.admit(ledger, step.id, step.asked),
        world.settle(ledger, step.id, step.holds),
      ]);
      world.take(step.id, step.asked, said);
      world.ended(step.id, step.holds);
      return;
    }
    case 'die': {
      const { state } = world.action(step.id);
      const settles = state === 'open' ? step.holds : undefined;
      if (state !== 'new' && settles === undefined) return;
      const call = settles ? world.settle(doomed, step.id, settles) : world.admit(doomed, step.id, step.asked);
      const result = call.catch((error: unknown) => {
        if (!(error instanceof CountersignError) || error.code !== 'LEDGER_UNAVAILABLE') throw error;
      });
      for (let turn = 0; turn < step.turns; turn++) await new Promise(setImmediate);
      await endConnections(at.pool);
      await result;
      // Whatever was heard: done wholly or not at all, and asking again finds out.
      if (settles) {
        await world.settle(ledger, step.id, settles);
        world.ended(step.id, settles);
      } else {
        world.take(step.id, step.asked, await world.admit(ledger, step.id, step.asked));
      }
      return;
    }
    case 'pass':
      return world.pass(step.slots);
    case 'reconcile':
      return world.endAll();
  }
}

describe('whatever happens, in whatever order', () => {
  test('what is counted is what was placed and ended: never overspent, never negative, nothing left behind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }), async (steps) => {
        const world = new LimitWorld(at);
        for (const one of steps) {
          await take(world, one);
          await world.check();
        }
        await world.endAll();
      }),
      { numRuns: runs(12) },
    );
  }, 300_000);
});
