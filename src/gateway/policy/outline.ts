/** A bundle as pages show it: plain data, so that it can be made in a thread and kept. */
import type { Digest } from '../../action/json.js';
import { bundleContents, bundleFromFiles } from '../../policy/bundle.js';
import { approvalsText } from '../../policy/diff.js';
import { limitText } from '../../policy/limits/counters.js';
import type { Rule } from '../../policy/rules.js';
import { scopeText } from '../../policy/scope-text.js';

export type BundleFiles = Readonly<Record<string, string>>;

export interface RuleOutline {
  readonly id: string;
  readonly effect: 'permit' | 'forbid';
  /** `READ by members of role support on any tool`. */
  readonly scope: string;
  /** The template of its reason. */
  readonly reason?: string;
  /** Who can lift it, of a soft forbid. */
  readonly liftedBy?: string;
  readonly constraints: readonly string[];
  /** Its Cedar. */
  readonly text: string;
  readonly file: string;
  readonly line: number;
}

export interface LimitOutline {
  readonly id: string;
  /** `500 EUR in 1d for each agent; at the limit: deny`. */
  readonly text: string;
}

export interface BundleOutline {
  readonly digest: Digest;
  /** In the order of files and lines. */
  readonly rules: readonly RuleOutline[];
  readonly limits: readonly LimitOutline[];
}

/** @throws CountersignError POLICY_INVALID */
export function outlineOf(files: BundleFiles): BundleOutline {
  const bundle = bundleFromFiles(files);
  const { rules, limits } = bundleContents(bundle);
  return {
    digest: bundle.digest,
    rules: rules.map(outlined),
    limits: limits.limits.map((limit) => ({ id: limit.id, text: limitText(limit) })),
  };
}

function outlined({ id, effect, json, reason, approvals, constraints, text, place }: Rule): RuleOutline {
  return {
    id,
    effect,
    scope: scopeText(json),
    ...(reason === undefined ? {} : { reason }),
    ...(approvals === undefined ? {} : { liftedBy: approvalsText(approvals) }),
    constraints: constraints.map(({ name, value }) => `${name}=${value}`),
    text,
    file: place.file,
    line: place.line,
  };
}
