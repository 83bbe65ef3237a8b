/**
 * Feeds a target with its corpus, changed by chance: bytes exchanged, parts cut, doubled, moved, joined with another seed, words set in.
 * fast-check makes the cases, so that one seed gives the same cases anywhere, and shrinks what breaks a promise.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { CORPUS, type Target } from './target.js';

/** A text that takes more of the processor's time than this is a way to stop us: a busy machine is none. Milliseconds. */
const SLOW_MS = 5_000;

export interface Budget {
  readonly cases: number;
  /** Milliseconds. Default: as long as it takes. */
  readonly withinMs?: number;
  readonly seed: number;
}

export interface Found {
  readonly target: string;
  readonly cases: number;
  readonly ms: number;
  /** The smallest text that breaks the promise, and how. */
  readonly broken?: { readonly text: string; readonly why: string };
}

/** The seeds and all that once broke something, by name. */
async function corpusOf({ name }: Target): Promise<readonly string[]> {
  const folder = path.join(CORPUS, name);
  const files = (await readdir(folder)).sort();
  return Promise.all(files.map((file) => readFile(path.join(folder, file), 'utf8')));
}

/** Keeps a text that broke a promise. @returns its file */
export async function keep({ name }: Target, text: string): Promise<string> {
  const file = path.join(CORPUS, name, `found-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

export async function fuzz(target: Target, { cases, withinMs, seed }: Budget): Promise<Found> {
  const began = Date.now();
  const corpus = await corpusOf(target);
  let fed = 0;
  const feed = async (text: string): Promise<void> => {
    fed++;
    const since = process.cpuUsage();
    await target.feed(text);
    const { user, system } = process.cpuUsage(since);
    const took = (user + system) / 1000;
    if (took > SLOW_MS) throw new Error(`It took ${Math.round(took)} ms of the processor's time.`);
  };
  const property = fc.asyncProperty(textsFrom(corpus, target.words), feed);
  const { counterexample, errorInstance } = await fc.check(property, {
    seed,
    numRuns: cases,
    // The corpus itself comes first.
    examples: corpus.map((text) => [text]),
    ...(withinMs === undefined ? {} : { interruptAfterTimeLimit: withinMs, markInterruptAsFailure: false }),
  });
  const broken = counterexample === null ? undefined : { text: counterexample[0], why: String(errorInstance) };
  return { target: target.name, cases: fed, ms: Date.now() - began, ...(broken === undefined ? {} : { broken }) };
}

interface Change {
  readonly kind: 'exchange' | 'cut' | 'double' | 'move' | 'word' | 'join';
  /** Where, and how much, as parts of the whole. */
  readonly at: number;
  readonly length: number;
  readonly to: number;
  readonly word: string;
  readonly other: string;
}

function textsFrom(corpus: readonly string[], words: readonly string[]): fc.Arbitrary<string> {
  const seeds = fc.constantFrom(...corpus);
  const part = fc.double({ min: 0, max: 1, noNaN: true });
  const change: fc.Arbitrary<Change> = fc.record({
    kind: fc.constantFrom('exchange', 'cut', 'double', 'move', 'word', 'join'),
    at: part,
    length: part.map((share) => share ** 3),
    to: part,
    word: fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary', maxLength: 3 })),
    other: seeds,
  });
  const changed = fc
    .tuple(seeds, fc.array(change, { minLength: 1, maxLength: 6 }))
    .map(([text, changes]) => changes.reduce(apply, text));
  return fc.oneof({ weight: 9, arbitrary: changed }, { weight: 1, arbitrary: fc.string({ unit: 'binary' }) });
}

/** Larger than anything that is accepted would only cost time. */
const MAX_LENGTH = 100_000;

function apply(text: string, { kind, at, length, to, word, other }: Change): string {
  const from = Math.floor(at * text.length);
  const end = from + Math.ceil(length * (text.length - from));
  const before = text.slice(0, from);
  const middle = text.slice(from, end);
  const after = text.slice(end);
  switch (kind) {
    case 'exchange':
      return before + word + text.slice(from + 1);
    case 'cut':
      return before + after;
    case 'double':
      return (before + middle.repeat(1 + Math.ceil(to * 20)) + after).slice(0, MAX_LENGTH);
    case 'move': {
      const rest = before + after;
      const place = Math.floor(to * rest.length);
      return rest.slice(0, place) + middle + rest.slice(place);
    }
    case 'word':
      return before + word + middle + after;
    case 'join':
      return (before + other.slice(Math.floor(to * other.length))).slice(0, MAX_LENGTH);
  }
}
