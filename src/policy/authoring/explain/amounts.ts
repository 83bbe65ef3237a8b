/** The largest smaller numbers of an action that limits would let pass: found by deciding again, so whatever a limit computes from them. */
import type { Facts } from '../../../action/decision.js';
import type { Json, JsonObject } from '../../../action/json.js';
import type { JudgedEffect, Judgement } from './judge.js';
import { withValue } from './known.js';

/** A number of the action, and the action with another one. */
export interface Amount {
  readonly kind: 'input' | 'rows';
  readonly value: number;
  readonly text: (value: number) => string;
  readonly apply: (facts: Facts, value: number) => Facts;
}

const MOST_NUMBERS = 20;
const DEEPEST = 6;
/** Of amounts that are not whole. */
const FRACTIONS = 100;

/** Whether a limit stands in the way, or has people asked. */
export function isAtLimit({ effect, decision }: Judgement): boolean {
  const { code, requirements } = decision;
  if (effect === 'queue' || code === 'LIMIT_EXCEEDED') return true;
  return requirements.some(({ policy }) => policy.startsWith('limit:'));
}

/** What can be made smaller: the rows it touches, and the numbers of its input. */
export function amountsOf({ preview, input = {} }: Facts): readonly Amount[] {
  const rows: Amount = {
    kind: 'rows',
    value: preview.rows,
    text: (value) => `it touches ${value} rows`,
    apply: (facts, value) => ({ ...facts, preview: { ...facts.preview, rows: value } }),
  };
  const numbers = numbersIn(input).map(({ path, value: written }): Amount => ({
    kind: 'input',
    value: written,
    text: (value) => `${path.join('.')} of the input is ${value}`,
    apply: (facts, value) => ({ ...facts, input: withValue(facts.input, path, value) as JsonObject }),
  }));
  return [rows, ...numbers].filter(({ value }) => value > 0 && value <= Number.MAX_SAFE_INTEGER / FRACTIONS);
}

/**
 * The largest number below the action's own with the effect that 0 has; undefined where that is not another one. Limits let less pass
 * where they let more pass, so halving finds it.
 */
export function largestSmaller(
  value: number,
  differs: (effect: JudgedEffect) => boolean,
  effectAt: (value: number) => JudgedEffect | undefined,
): number | undefined {
  const none = effectAt(0);
  if (none === undefined || !differs(none)) return undefined;
  const parts = Number.isInteger(value) ? 1 : FRACTIONS;
  let [passes, stands] = [0, Math.ceil(value * parts)];
  while (stands - passes > 1) {
    const middle = Math.floor((passes + stands) / 2);
    const effect = effectAt(middle / parts);
    if (effect === undefined) return undefined;
    if (effect === none) passes = middle;
    else stands = middle;
  }
  return passes / parts;
}

function numbersIn(input: JsonObject): readonly { readonly path: readonly string[]; readonly value: number }[] {
  const found: { path: readonly string[]; value: number }[] = [];
  const look = (value: Json | undefined, path: readonly string[]): void => {
    if (found.length >= MOST_NUMBERS || path.length > DEEPEST) return;
    if (typeof value === 'number') found.push({ path, value });
    else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [name, item] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
        look(item, [...path, name]);
    }
  };
  look(input, []);
  return found;
}
