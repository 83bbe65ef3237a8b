/** Exact decimal arithmetic over numbers as they are written. */

/** `digits` × 10^-`scale`. */
export interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

export const ZERO: Decimal = { digits: 0n, scale: 0 };

const WRITTEN = /^([+-]?)(\d{0,200})(?:\.(\d{0,200}))?(?:[eE]([+-]?\d{1,3}))?$/;

/** Parses a number as it is written. @throws Error when the value is not a number */
export function parseDecimal(value: unknown): Decimal {
  if (typeof value === 'bigint') return { digits: value, scale: 0 };
  const text = typeof value === 'number' ? String(value) : value;
  const parts = typeof text === 'string' ? WRITTEN.exec(text) : null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts ?? [];
  if (whole + fraction === '') throw new Error(`not a number: ${String(text).slice(0, 40)}`);
  const digits = BigInt(sign + whole + fraction);
  const scale = fraction.length - Number(exponent);
  return scale >= 0 ? { digits, scale } : { digits: digits * 10n ** BigInt(-scale), scale: 0 };
}

export function add(left: Decimal, right: Decimal): Decimal {
  const [one, other, scale] = aligned(left, right);
  return { digits: one + other, scale };
}

/** |left - right| */
export function distance(left: Decimal, right: Decimal): Decimal {
  const [one, other, scale] = aligned(left, right);
  return { digits: absolute(one - other), scale };
}

export function isAtMost(value: Decimal, most: Decimal): boolean {
  const [one, other] = aligned(value, most);
  return one <= other;
}

/** Converts to the nearest double, which may be infinite. */
export function toDouble({ digits, scale }: Decimal): number {
  const text = absolute(digits)
    .toString()
    .padStart(scale + 1, '0');
  const point = text.length - scale;
  return Number(`${digits < 0n ? '-' : ''}${text.slice(0, point)}.${text.slice(point)}0`);
}

/** Brings both to the larger scale. */
function aligned(left: Decimal, right: Decimal): [left: bigint, right: bigint, scale: number] {
  const scale = Math.max(left.scale, right.scale);
  const raised = ({ digits, scale: from }: Decimal): bigint =>
    from === scale ? digits : digits * 10n ** BigInt(scale - from);
  return [raised(left), raised(right), scale];
}

function absolute(digits: bigint): bigint {
  return digits < 0n ? -digits : digits;
}
