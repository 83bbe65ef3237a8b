/** A time limit that is kept, whatever becomes of the garbage. */

/**
 * Node lets go of a timeout that nothing but `AbortSignal.any` refers to, and then it never fires (nodejs/node#57736). So each is kept
 * for as long as the signal that it is to abort.
 */
const timeouts = new WeakMap<AbortSignal, AbortSignal>();

/** Aborts with the signal given, or after so many milliseconds with a TimeoutError. */
export function timeoutSignal(signal: AbortSignal, ms: number): AbortSignal {
  const timeout = AbortSignal.timeout(ms);
  const either = AbortSignal.any([signal, timeout]);
  timeouts.set(either, timeout);
  return either;
}
