/** Waits for a condition by asking again, and says what it last saw when it gives up. */
import { setTimeout as delay } from 'node:timers/promises';

export async function until<T>(
  look: () => Promise<T>,
  holds: (seen: T) => boolean,
  { withinMs = 60_000, everyMs = 25 }: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() > deadline)
      throw new Error(`not within ${withinMs} ms; last seen: ${JSON.stringify(seen).slice(0, 500)}`);
    await delay(everyMs);
  }
}
