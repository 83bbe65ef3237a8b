/** The idempotency of a tool that has several operations. */
import type { Idempotency } from './tool.js';

/** From the least safe on. */
const SAFETY: readonly Idempotency[] = ['none', 'lookup', 'native'];

/** The least safe idempotency of the operations that change something is that of the tool. */
export function leastSafe(changing: readonly { readonly idempotency: Idempotency }[]): Idempotency {
  return SAFETY.find((one) => changing.some(({ idempotency }) => idempotency === one)) ?? 'native';
}
