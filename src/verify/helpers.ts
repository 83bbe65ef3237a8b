/** The functions that expectations and invariants have in addition to those of CEL. helper-functions.ts computes them. */
import type { CelHelper } from '../cel/program.js';

const STATES = ['pre', 'post'] as const;

/** Helpers on any data. */
export const DATA_HELPERS = [
  ['rows', { arguments: [1, 1], reads: [], yields: 'list' }],
  ['sum', { arguments: [1, 2], reads: [], yields: 'number' }],
  ['approx', { arguments: [3, 3], reads: [], yields: 'boolean' }],
] as const satisfies readonly (readonly [string, CelHelper<never>])[];

/** Helpers on the states before and after. */
export const CHANGE_HELPERS = [
  ['added', { arguments: [1, 1], reads: STATES, yields: 'list' }],
  ['removed', { arguments: [1, 1], reads: STATES, yields: 'list' }],
  ['updated', { arguments: [1, 1], reads: STATES, yields: 'list' }],
  ['changed', { arguments: [1, 8], reads: STATES, yields: 'boolean' }],
  ['unchanged', { arguments: [1, 8], reads: STATES, yields: 'boolean' }],
] as const satisfies readonly (readonly [string, CelHelper<'pre' | 'post'>])[];
