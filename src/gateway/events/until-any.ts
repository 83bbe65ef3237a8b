/** Work that ends when one of several signals aborts. */

/**
 * The signal that `work` gets aborts with the first of `signals`. Nothing stays behind on them afterwards: one of them lasts as long as the
 * process, and `AbortSignal.any` would leave something on it for every request.
 */
export async function untilAny<T>(
  signals: readonly AbortSignal[],
  work: (over: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  for (const signal of signals) {
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
  }
  try {
    return await work(controller.signal);
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort);
  }
}
