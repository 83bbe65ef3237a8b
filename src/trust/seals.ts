/**
 * Seals on what one step of an action hands to the next. The records pass through Temporal's history, which whoever has access to Temporal
 * can write; a seal says which step of which action produced a record, on a worker that has the key for that step.
 */
import { CountersignError } from '../action/errors.js';
import { digest, type Digest } from '../action/json.js';
import { signingKey, type Keyring, type KeyRole } from './keys.js';

/**
 * The key that seals each step's records. A worker that has a tool's credentials needs the `tool` key only, so where workers are split it
 * cannot seal a decision.
 */
export const SEAL_KEYS = {
  propose: 'tool',
  capturePreState: 'tool',
  execute: 'tool',
  capturePostState: 'tool',
  enforce: 'grant',
  requestApproval: 'grant',
  authorize: 'grant',
} as const satisfies Record<string, KeyRole>;
export type SealedStep = keyof typeof SEAL_KEYS;

/** Where a record belongs. */
export interface SealContext {
  /** As the Temporal server names the workflow that runs the step. */
  readonly workflowId: string;
  /** Of the action's proposal with the agent's words, as the agent signed it. */
  readonly signedDigest: Digest;
  readonly step: SealedStep;
}

/** An Ed25519 signature (RFC 8032) in base64url. The last of its 86 characters carries two bits. */
const SEAL = /^[A-Za-z0-9_-]{85}[AQgw]$/;

/** Seals a record. @throws CountersignError KEYS_MISSING, INVALID_JSON */
export function sealRecord<Content extends object>(
  keyring: Keyring,
  context: SealContext,
  record: Content,
): Content & { readonly seal: string } {
  const { key } = signingKey(keyring, SEAL_KEYS[context.step]);
  return { ...record, seal: key.sign(sealedBytes(context, digest(record))).toString('base64url') };
}

/** The record and its digest, once it is certain that this step of this action made it. @throws CountersignError SEAL_INVALID */
export function openSealed<Content extends object>(
  keyring: Keyring,
  context: SealContext,
  sealed: (Content & { readonly seal?: unknown }) | undefined,
): { readonly record: Content; readonly digest: Digest } {
  if (typeof sealed !== 'object' || sealed === null) throw sealInvalid(context, 'is missing');
  const { seal, ...record } = sealed;
  if (typeof seal !== 'string' || !SEAL.test(seal)) throw sealInvalid(context, 'has no seal');
  const signature = Buffer.from(seal, 'base64url');
  const recordDigest = digest(record);
  const bytes = sealedBytes(context, recordDigest);
  for (const key of keyring.verify[SEAL_KEYS[context.step]].values()) {
    if (key.verifies(bytes, signature)) return { record: record as unknown as Content, digest: recordDigest };
  }
  throw sealInvalid(context, 'was changed, or is of another action, another step or a worker whose key is not known');
}

/** A line each, none of which can hold a line break; no token that is signed with these keys begins like this. */
function sealedBytes({ workflowId, signedDigest, step }: SealContext, recordDigest: Digest): Buffer {
  return Buffer.from(['countersign-seal-v1', JSON.stringify(workflowId), signedDigest, step, recordDigest].join('\n'));
}

function sealInvalid({ step }: SealContext, what: string): CountersignError {
  return new CountersignError('SEAL_INVALID', `The record of the step ${step} ${what}.`, {
    field: step,
    expected: `the record that ${step} made for this action, with the seal of a worker's ${SEAL_KEYS[step]} key`,
    fix: 'Nothing was done. If keys were rotated, give every worker the public part of the old key; else find out who wrote into this history.',
  });
}
