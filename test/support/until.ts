/** Waits for a condition by asking again, and says what it last saw when it gives up. */
import { setTimeout as delay } from 'node:timers/promises';

/** It asks again soon, and then ever less often: each question costs a server its time. What is due within a second is looked for at least every 50 ms. */
const FIRST_MS = 25;
const LONGEST_MS = 250;
const LOOKS = 20;

export async function until<T>(
  look: () => Promise<T>,
  holds: (seen: T) => boolean,
  { withinMs = 60_000, everyMs }: { withinMs?: number; everyMs?: number } = {},
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (let waitMs = FIRST_MS; ; waitMs = Math.min(waitMs * 1.5, LONGEST_MS, withinMs / LOOKS)) {
    const seen = await look();
    if (holds(seen)) return seen;
    if (Date.now() > deadline)
      throw new Error(`not within ${withinMs} ms; last seen: ${JSON.stringify(seen).slice(0, 500)}`);
    await delay(everyMs ?? waitMs);
  }
}
