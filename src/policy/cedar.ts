/** Instances of Cedar's WebAssembly module, and the source locations of its errors. */
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import type * as CedarModule from '@cedar-policy/cedar-wasm/nodejs';

export type Cedar = typeof CedarModule;

// V8 in Node 20 and 22 aborts the whole process ("Fatal error, unreachable code", in Deoptimizer::DoComputeBuiltinContinuation) when
// optimized code, into which it inlined a call to WebAssembly that returns a reference, is deoptimized while that call runs. All of
// Cedar's calls return one. The flag turns that inlining off; it costs nothing measurable here and is known to Node 20 to 26.
setFlagsFromString('--no-turbo-inline-js-wasm-calls');

/**
 * Makes a new instance of Cedar with its own memory. This takes 10 to 20 ms.
 *
 * The process does not share one instance, because a text that nests too deeply overflows the module's stack, and from then on every call
 * into that instance fails. With an instance each, a bad bundle cannot break the active policy. It is also the only way to free memory:
 * what was preparsed into an instance is never freed, but an unused instance is garbage-collected.
 */
export function newCedar(): Cedar {
  // A new `require` each time, because a `require` keeps references to everything that it loaded.
  const load = createRequire(import.meta.url);
  const path = load.resolve('@cedar-policy/cedar-wasm/nodejs');
  const before = load.cache[path];
  delete load.cache[path];
  try {
    return load(path) as Cedar;
  } finally {
    if (before === undefined) delete load.cache[path];
    else load.cache[path] = before;
  }
}

/** A place in a file of a bundle. Lines and columns count from 1, columns in characters. */
export interface SourceLocation {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Converts an offset in UTF-8 bytes, as Cedar counts, to a place in the file. */
export function locationAt(file: string, text: string, bytes: number): SourceLocation {
  const before = Buffer.from(text).subarray(0, bytes).toString();
  const lineStart = before.lastIndexOf('\n') + 1;
  return { file, line: before.split('\n').length, column: Array.from(before.slice(lineStart)).length + 1 };
}

/** Formats a place as `production.cedar:12:3`. */
export function locationText(place: SourceLocation): string {
  return `${place.file}:${place.line}:${place.column}`;
}
