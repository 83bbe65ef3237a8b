/** Tries again while a server is away. */
import { setTimeout as delay } from 'node:timers/promises';

const TRIES = 60;

export async function insist<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (attempt >= TRIES) throw error;
      await delay(500);
    }
  }
}
