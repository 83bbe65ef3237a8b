/** What Cedar says is wrong, as problems of a bundle with their places. */
import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs';
import { locationAt, type SourceLocation } from './cedar.js';
import type { BundleProblem } from './problems.js';

export function pushAll(
  problems: BundleProblem[],
  errors: readonly DetailedError[],
  toProblem: (error: DetailedError) => BundleProblem,
): void {
  for (const error of errors) problems.push(toProblem(error));
}

export function locate(error: DetailedError, file: string, text: string): BundleProblem {
  const source = error.sourceLocations?.[0];
  return {
    at: source === undefined ? file : locationAt(file, text, source.start),
    message: error.message,
    ...(typeof source?.label === 'string' ? { expected: source.label } : {}),
    fix: error.help ?? 'Correct the line named.',
  };
}

/** Cedar saw the policy's text alone: its places count from the policy's first byte. */
export function locateIn(
  { place, offset }: { readonly place: SourceLocation; readonly offset: number },
  error: DetailedError,
  fileText: string,
): BundleProblem {
  const { file } = place;
  const source = error.sourceLocations?.[0];
  const at = source === undefined ? place : locationAt(file, fileText, offset + source.start);
  return { ...locate(error, file, fileText), at };
}
