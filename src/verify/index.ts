/** Verification: compares what an effect was meant to do with the real system. */
export { createDelta, fullPatch, MAX_PATCH_CHARS, MAX_PATCH_OPERATIONS } from './delta.js';
export { describeOutcome, MAX_DESCRIPTION_LENGTH } from './outcome-description.js';
export { ExpectationRunner, type ExpectationRunnerOptions, type ExpectationValues } from './evaluator.js';
export { compileExpectation, compileExpectations, MAX_EXPECTATION_LENGTH, type Expectation } from './expectation.js';
export { MAX_SAMPLE_BYTES, sampleCheck, takeSample, type Sample } from './sample-frame.js';
export {
  checkInvariants,
  compileInvariants,
  rehearseInvariants,
  type Invariant,
  type InvariantOptions,
} from './invariant.js';
export { rehearsedState } from './rehearsed-state.js';
export { SemanticMatcher, type SemanticOptions } from './semantic.js';
export { loadVerification, type VerificationConfig, type VerificationSettings } from './settings.js';
export { MAX_SNAPSHOT_BYTES, takeSnapshot, type TakenSnapshot } from './snapshot.js';
export { allHold, verifyEffect, type Verification } from './verify.js';
export { awaitChecks, deadlinesOf, type Clock, type Deadlines } from './wait.js';
