/** The parts of the sources that are mutated, and the tests that have to notice. Only tests that need no Temporal: each mutant is tried with them. */

export interface Part {
  readonly name: string;
  /** Globs of sources; with `!` in front, those that are left out. */
  readonly mutate: readonly string[];
  /** Globs of tests, in the order in which they are tried. */
  readonly tests: readonly string[];
  /** Whether the tests need a Postgres. */
  readonly postgres?: true;
  /** After how many runs the thread is replaced, with whatever mutants left behind in it. Default 100. */
  readonly runsPerThread?: number;
  /** How long a test may take, milliseconds. Default 15,000: a mutant that never settles takes as long. */
  readonly testTimeoutMs?: number;
  /** Whether a policy that was compiled serves all mutants: only where none of them is in what reads or compiles policies. */
  readonly keepsPolicies?: true;
}

export const PARTS: readonly Part[] = [
  { name: 'trust', mutate: ['src/trust/**/*.ts'], tests: ['test/trust/*.test.ts'] },
  {
    name: 'verify',
    mutate: [
      'src/verify/**/*.ts',
      '!src/verify/evaluator.ts',
      // These two run in a thread of their own, where Stryker cannot switch a mutant on.
      '!src/verify/evaluator-thread.ts',
      '!src/verify/helper-functions.ts',
    ],
    // Without those of the evaluator and the helpers, which take seconds each.
    tests: [
      'test/verify/{decimal,delta,expectation,invariant,sample-frame,semantic,snapshot,states,verify,wait}.test.ts',
    ],
  },
  {
    name: 'evaluator',
    mutate: ['src/verify/evaluator.ts'],
    // Without `evaluator`, which is about what expressions mean, and takes long.
    tests: ['test/verify/runner.test.ts'],
    // A mutant that does not end its threads leaves them running beside those of the next.
    runsPerThread: 20,
    // Many of its mutants never answer.
    testTimeoutMs: 8000,
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
      'test/presentation/{sanitize,secrets}.test.ts',
      'test/trust/{approvals,edits,findings,grants,proposal-signature,receipts,seals,signed-commands}.test.ts',
      'test/verify/{expectation,snapshot}.test.ts',
    ],
  },
  {
    name: 'policy',
    mutate: ['src/policy/{enforce,evaluate,ruling}.ts'],
    tests: ['test/policy/{approval,delegates,enforce,evaluate,history,limits-outcome,ruling}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
  {
    name: 'policy-slices',
    mutate: ['src/policy/{request,scope,slices}.ts'],
    tests: ['test/policy/{requests,slice-index}.test.ts'],
  },
  {
    name: 'policy-compile',
    mutate: ['src/policy/{compile,preparsed-sets}.ts'],
    tests: ['test/policy/{compile,limits-cedar,preparsed-sets}.test.ts'],
  },
  {
    name: 'policy-text',
    mutate: ['src/policy/{annotations,approval,grammar,problems,reason}.ts'],
    tests: ['test/policy/{annotations,approval}.test.ts'],
  },
  {
    name: 'policy-sources',
    mutate: ['src/policy/{cedar,declared-types,located-problems,policy-source,schema-actions}.ts'],
    tests: ['test/policy/{cedar,sources}.test.ts'],
  },
  {
    name: 'policy-files',
    mutate: ['src/policy/{bundle,rules,starter,starter-files}.ts'],
    // Without `endurance`: how deep a policy nests before its parser refuses it depends on the stack, and a thread has a larger one.
    tests: ['test/policy/{rules,bundle}.test.ts'],
  },
  {
    name: 'policy-rollout',
    mutate: ['src/policy/{active,folder,rolled-out}.ts'],
    tests: ['test/policy/{rolled-out,active,folder}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
  {
    name: 'policy-diff',
    mutate: ['src/policy/{diff,scope-text,suggest}.ts'],
    tests: ['test/policy/{diff,suggest}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
  {
    name: 'policy-limits',
    mutate: [
      'src/policy/limits/{amounts,at-limits,beside,caps,counters,figures,from-figures,keys,reading,resolve,settle}.ts',
    ],
    tests: ['test/policy/{limits-cedar,limits-figures,limits-outcome,limits-resolve,ruling}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
  {
    name: 'policy-history',
    mutate: ['src/policy/history/{awaited,beside,claim,figures,keys,resolve}.ts'],
    tests: ['test/policy/{history,history-marks,ruling}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
  {
    name: 'policy-limits-file',
    mutate: ['src/policy/limits/{read,schema}.ts'],
    tests: ['test/policy/limits-file.test.ts'],
  },
  {
    name: 'policy-history-file',
    mutate: ['src/policy/history/{cedar,read,schema,uses}.ts', 'src/policy/limits/{cedar,yaml}.ts'],
    tests: ['test/policy/{history-file,yaml-places}.test.ts'],
  },
  {
    name: 'policy-input',
    mutate: ['src/policy/input/*.ts'],
    tests: ['test/policy/input-types.test.ts'],
  },
  {
    name: 'policy-authoring',
    mutate: [
      'src/policy/authoring/{arguments,expression,format,registered}.ts',
      'src/policy/authoring/lint/{bounds,finding,nearest}.ts',
    ],
    tests: ['test/policy/authoring-parts.test.ts', 'test/policy/format.test.ts'],
  },
  {
    name: 'policy-lint',
    mutate: ['src/policy/authoring/{symbolic,lint/*}.ts', '!src/policy/authoring/lint/{bounds,finding,nearest}.ts'],
    tests: ['test/policy/{symbolic,lint-names,lint-facts,lint-rules,lint-report,lint}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
  {
    name: 'policy-schema',
    mutate: ['src/policy/authoring/schema/*.ts'],
    tests: ['test/policy/{schema-parts,generated-schema}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
  {
    name: 'policy-explain',
    mutate: ['src/policy/authoring/explain/*.ts'],
    tests: ['test/policy/{explain-parts,explain}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
  {
    name: 'policy-tables',
    mutate: ['src/policy/authoring/testing/*.ts'],
    tests: ['test/policy/{tables-parts,tables}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
  {
    name: 'policy-counting',
    mutate: [
      'src/policy/backtest/{change,counter,counters,holdings,lacks,recorded-demands,tally,timeline,windows,world}.ts',
    ],
    // Without the corpus, of which each test decides 2,000 actions, and without the counters beside those of a ledger.
    tests: ['test/policy/backtest/{parts,lacks,counters,breakers}.test.ts'],
  },
  {
    name: 'policy-backtest',
    mutate: ['src/policy/backtest/{backtest,histories,redecide,spent}.ts', 'src/policy/shadow/*.ts'],
    tests: ['test/policy/backtest/{parts,histories,whole}.test.ts', 'test/policy/{shadow,backtest/backtest}.test.ts'],
    keepsPolicies: true,
    runsPerThread: 1000,
  },
];
