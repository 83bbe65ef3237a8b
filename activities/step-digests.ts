/** Which records a receipt names: those that the last step opened, and those that they rest on. */
import { digestText } from '../src/action/json.js';
import { distinctRecords, type StepDigest } from '../src/action/step-digest.js';
import type { GrantClaims } from '../src/action/grant.js';
import type { Enforced } from './contract.js';

/** The record of `propose` that a decision rests on, by the decision's own record. */
export function proposedBefore(decided: Pick<Enforced, 'proposed'> | undefined): readonly StepDigest[] {
  return decided?.proposed === undefined ? [] : [{ step: 'propose', digest: decided.proposed }];
}

/** Those of an action that was granted: what the grant rests on, the grant, and what the steps after it sealed. */
export function recordsOf(
  granted: { readonly claims: GrantClaims; readonly token: string } | undefined,
  opened: readonly StepDigest[],
): readonly StepDigest[] {
  if (granted === undefined) return distinctRecords(opened);
  const { claims, token } = granted;
  return distinctRecords([
    ...(claims.records ?? []),
    { step: 'authorize', digest: digestText(token) },
    ...opened.filter(({ step }) => step === 'execute'),
    ...opened,
  ]);
}
