/** What a target of the fuzzer is, and how it says that a promise was broken. */
import path from 'node:path';
import { CountersignError } from '../../src/action/errors.js';

/** Feeds one text. Resolves when the promise was kept: the text was taken as it should be, or refused with a code. Else it rejects. */
type Feed = (text: string) => void | Promise<void>;

export interface Target {
  /** The folder of its corpus. */
  readonly name: string;
  readonly feed: Feed;
  /** Words that matter to it, which chance would hardly spell. */
  readonly words: readonly string[];
}

export const CORPUS = path.join(import.meta.dirname, 'corpus');

export function holds(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`The promise is broken: ${what}.`);
}

/** A refusal has a code, and is never a fault of ours. */
export async function refusedOr<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof CountersignError && error.code !== 'INTERNAL') return undefined;
    throw error;
  }
}
