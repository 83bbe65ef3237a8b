/** The parts of the sources that are mutated, and the tests that have to notice. Only tests that need no Temporal: each mutant is tried with them. */

export interface Part {
  readonly name: string;
  /** Globs of sources; with `!` in front, those that are left out. */
  readonly mutate: readonly string[];
  /** Globs of tests. */
  readonly tests: readonly string[];
  /** Whether the tests need a Postgres. */
  readonly postgres?: true;
}

export const PARTS: readonly Part[] = [
  { name: 'trust', mutate: ['src/trust/**/*.ts'], tests: ['test/trust/*.test.ts'] },
  {
    name: 'verify',
    // These two run in a thread of their own, where Stryker cannot switch a mutant on.
    mutate: ['src/verify/**/*.ts', '!src/verify/evaluator-thread.ts', '!src/verify/helper-functions.ts'],
    tests: ['test/verify/!(actions).test.ts'],
  },
  {
    name: 'gate',
    mutate: ['activities/execute.ts', 'activities/grant-gate.ts', 'activities/constraints.ts', 'src/tools/sends.ts'],
    tests: ['test/hazards/gate.test.ts', 'test/tools/sends.test.ts'],
    postgres: true,
  },
  {
    name: 'action',
    mutate: ['src/action/**/*.ts'],
    tests: [
      'test/action/*.test.ts',
      'test/trust/{approvals,edits,findings,grants,proposal-signature,receipts,seals,signed-commands}.test.ts',
      'test/policy/{approval,bundle,evaluate,history,limits-file,limits-outcome}.test.ts',
      'test/presentation/{sanitize,secrets}.test.ts',
      'test/verify/{expectation,snapshot}.test.ts',
      'test/hazards/gate.test.ts',
    ],
    postgres: true,
  },
];
