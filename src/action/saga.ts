/** Several actions that succeed together or are undone: how a saga stands, and what became of each undoing. */
import type { ErrorView } from './errors.js';
import { digest, type Digest } from './json.js';
import type { CompensationStatus, ReceiptRef } from './outcome.js';
import type { OutcomeStatus } from './outcome-status.js';

/** More steps belong in several sagas. */
export const MAX_SAGA_STEPS = 20;

/** Of all proposals of a saga together, canonical bytes: they are carried in one message. */
export const MAX_SAGA_BYTES = 1024 * 1024;

/** What an agent signs of a saga: which proposals shall succeed together. No proposal has this shape, so neither passes for the other. */
export interface SagaManifest {
  readonly traceId: string;
  readonly steps: readonly { readonly actionId: string; readonly digest: Digest }[];
}

export function sagaDigest({ traceId, steps }: SagaManifest): Digest {
  return digest({ saga: traceId, steps: steps.map((step) => ({ actionId: step.actionId, digest: step.digest })) });
}

/** One action of a saga, as it stands. */
export interface SagaStep {
  readonly actionId: string;
  readonly tool: string;
  /** `waiting`: not begun; `skipped`: never will be, because a step before it did not succeed. */
  readonly status: 'waiting' | 'running' | 'skipped' | OutcomeStatus;
  /** That of its outcome. Absent until it has one. */
  readonly reason?: string;
  /** Why it did not succeed. Absent until that is known, and of a step that did. */
  readonly error?: ErrorView;
  /** Of its outcome. */
  readonly receipt?: ReceiptRef;
}

/** How the undoing of one action stands. */
export interface CompensationView {
  readonly tenant: string;
  /** The id of the action that is undone. */
  readonly cause: string;
  readonly status: 'running' | 'needs_person' | CompensationStatus;
  /** The action that undid it, or that tried to last. */
  readonly actionId?: string;
  /** One sentence: what was done, or why it could not be. */
  readonly reason: string;
  /** Of the action that undid it. */
  readonly receipt?: ReceiptRef;
  /** What a person who left it at that signed. */
  readonly acceptedBy?: { readonly by: string; readonly reason: string; readonly receipt: ReceiptRef };
}

/** What a person is waited for. */
export interface WaitsFor {
  /** Of the action that waits for an approval, whose outcome is unknown, or whose undoing failed. */
  readonly actionId: string;
  readonly kind: 'approval' | 'unknown' | 'compensation';
  readonly reason: string;
}

/** How a saga ends. `SagaView.status` says what each of them means. */
export type SagaStatus = 'success' | 'compensated' | 'compensation_failed';

/** How a saga stands: what became of each step, and of undoing those that were done. */
export interface SagaView {
  /**
   * `success`: every step succeeded; `compensated`: one did not, and whatever had been done is undone; `compensation_failed`: a person
   * accepted that something could not be undone; `needs_person`: it waits for one (`waitsFor`).
   */
  readonly status: 'running' | 'compensating' | 'needs_person' | SagaStatus;
  readonly tenant: string;
  readonly traceId: string;
  /** Of its manifest. */
  readonly digest: Digest;
  readonly reason: string;
  readonly steps: readonly SagaStep[];
  /** In the order in which they were begun: the last step's first. */
  readonly compensations: readonly CompensationView[];
  /** What it needs a person for. Absent while it needs nobody. */
  readonly waitsFor?: WaitsFor;
}
