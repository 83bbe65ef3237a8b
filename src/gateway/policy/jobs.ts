/** What the gateway asks of policies: each a pure function of texts, which a thread can be asked for. */
import { bundleFromFiles } from '../../policy/bundle.js';
import { compilePolicy } from '../../policy/compile.js';
import { diffPolicies, type PolicyDifference } from '../../policy/diff.js';
import { outlineOf, type BundleFiles, type BundleOutline } from './outline.js';
import type { LimitReading } from '../../action/limits.js';
import { tryOut, type LacksFigures, type PolicyTrial, type Question, type RuleChange } from './trial.js';

export interface Jobs {
  readonly outline: { readonly asks: { readonly files: BundleFiles }; readonly answers: BundleOutline };
  readonly diff: {
    readonly asks: { readonly from: BundleFiles; readonly to: BundleFiles };
    readonly answers: readonly PolicyDifference[];
  };
  readonly trial: {
    readonly asks: {
      readonly files: BundleFiles;
      readonly change: RuleChange;
      readonly question: Question;
      readonly read?: readonly LimitReading[];
    };
    readonly answers: PolicyTrial | LacksFigures;
  };
}

export type Job = { readonly [kind in keyof Jobs]: { readonly kind: kind } & Jobs[kind]['asks'] }[keyof Jobs];

/** @throws CountersignError POLICY_INVALID, INVALID_INPUT */
export function work(job: Job): Jobs[Job['kind']]['answers'] {
  switch (job.kind) {
    case 'outline':
      return outlineOf(job.files);
    case 'diff':
      return diffPolicies(compilePolicy(bundleFromFiles(job.from)), compilePolicy(bundleFromFiles(job.to))).differences;
    case 'trial':
      return tryOut(job.files, job.change, job.question, job.read);
  }
}
