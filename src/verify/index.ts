/** Verification: what an effect was meant to do, compared with the real system read back. */
export { createDelta, fullPatch, MAX_PATCH_CHARS, MAX_PATCH_OPERATIONS } from './delta.js';
export { ExpectationRunner, type ExpectationRunnerOptions, type ExpectationValues } from './evaluator.js';
export { compileExpectation, MAX_EXPECTATION_LENGTH, type Expectation } from './expectation.js';
export { MAX_SNAPSHOT_BYTES, takeSnapshot, type TakenSnapshot } from './snapshot.js';
export { allHold, verifyEffect, type Verification } from './verify.js';
