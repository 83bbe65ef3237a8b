/** What all steps share: sealed records, errors as Temporal failures, and the identity of the running workflow. */
import { ApplicationFailure, Context } from '@temporalio/activity';
import { asCountersignError, CountersignError } from '../src/action/errors.js';
import { assertJson, digest, type Digest } from '../src/action/json.js';
import { proposalDigest, signedProposalDigest, type Proposal } from '../src/action/proposal.js';
import type { Redactor } from '../src/privacy/redaction.js';
import type { StepDigest } from '../src/action/step-digest.js';
import { openSealed, sealRecord, type SealedStep } from '../src/trust/index.js';
import type { ActionRequest, Refused, Sealed, StepRecord } from './contract.js';
import type { Dependencies } from './deps.js';

/** The content of a record, without its times. */
type Content<Record> = Record extends StepRecord ? Omit<Record, keyof StepRecord> : never;

/** One run of a step: it times the step, seals what it hands on, and opens what other steps handed it. */
export class StepRun {
  readonly #step: SealedStep;
  /** Of the whole proposal: a record belongs to the words too that people are shown. */
  readonly #signedDigest: Digest;
  readonly #keyring: Dependencies['keyring'];
  readonly #clock: Dependencies['ledger']['clock'];
  readonly #start = performance.now();
  readonly #opened: StepDigest[] = [];

  constructor(step: SealedStep, proposal: Proposal, { keyring, ledger }: Pick<Dependencies, 'keyring' | 'ledger'>) {
    this.#step = step;
    this.#signedDigest = signedDigestOf(proposal);
    this.#keyring = keyring;
    this.#clock = ledger.clock;
  }

  get tookMs(): number {
    return Math.round((performance.now() - this.#start) * 10) / 10;
  }

  /** The records of other steps that this one has opened. */
  get opened(): readonly StepDigest[] {
    return this.#opened;
  }

  /** Seals the step's record. */
  seal<Record extends StepRecord>(content: Content<Record>): Sealed<Record> {
    const record = { ...content, at: this.#clock.now().getTime(), tookMs: this.tookMs };
    return sealRecord(this.#keyring, this.#context(this.#step), record) as unknown as Sealed<Record>;
  }

  /**
   * Seals a refusal. An error that may pass by itself, or is a fault of ours, is thrown instead, so that Temporal retries the step.
   *
   * @throws CountersignError the error itself, when it is retryable or INTERNAL
   */
  refuse(thrown: unknown, context: Pick<Refused, 'facts' | 'decision'> = {}): Sealed<Refused> {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    return this.seal<Refused>({ kind: 'refused', step: this.#step, error: error.toJSON(), ...context });
  }

  /** Opens the record of another step of this action. @throws CountersignError SEAL_INVALID */
  open<Record extends StepRecord>(step: SealedStep, sealed: Sealed<Record> | undefined): Record {
    const { record, digest } = openSealed<Record>(this.#keyring, this.#context(step), sealed);
    this.#opened.push({ step, digest });
    return record;
  }

  #context(step: SealedStep) {
    const { tenant, actionId } = workflowIdentity();
    return { workflowId: `${tenant}/${actionId}`, signedDigest: this.#signedDigest, step };
  }
}

/**
 * The proposal that the records of an action belong to. It was validated before any record was sealed, and no record opens beside another
 * one, words included. A proposal that is not the one that the request identifies is not read any further.
 *
 * @throws CountersignError SEAL_INVALID
 */
export function sealedProposal({ proposal, digest: expected }: ActionRequest): Proposal {
  const untrusted: unknown = proposal;
  assertJson(untrusted, 'proposal');
  if (proposalDigest(proposal) === expected) return proposal;
  throw new CountersignError('SEAL_INVALID', 'The proposal is not the one that the records are of.', {
    field: 'proposal',
    expected,
    fix: 'Propose through the client library.',
  });
}

/** What redacts what is recorded and shown of this action. Undefined where nothing is redacted. @throws CountersignError LEDGER_UNAVAILABLE */
export async function redactorOf(
  { proposal }: Pick<ActionRequest, 'proposal'>,
  { redaction }: Pick<Dependencies, 'redaction'>,
): Promise<Redactor | undefined> {
  return redaction?.about(workflowIdentity().tenant, proposal);
}

/** A proposal that is not JSON gets the digest of `null`. No step takes it, and the first one says why. */
function signedDigestOf(untrusted: Proposal): Digest {
  try {
    assertJson(untrusted, 'proposal');
    return signedProposalDigest(untrusted);
  } catch {
    return digest(null);
  }
}

/** Runs the body of an activity. Its errors reach the workflow as an ApplicationFailure with the error view as its detail. */
export async function asActivity<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (thrown) {
    if (thrown instanceof ApplicationFailure) throw thrown;
    const error = asCountersignError(thrown);
    throw ApplicationFailure.create({
      message: error.message,
      type: error.code,
      // An internal error may be transient. Every other error states whether a retry is of use.
      nonRetryable: error.code !== 'INTERNAL' && !error.retryable,
      ...(error.retryable && error.retryAfterMs !== undefined ? { nextRetryDelay: error.retryAfterMs } : {}),
      details: [error.toJSON()],
      ...(thrown instanceof Error ? { cause: thrown } : {}),
    });
  }
}

/** How often a slow step sends a heartbeat, so that its worker does not count as dead. Below every heartbeat timeout. Milliseconds. */
const HEARTBEAT_EVERY_MS = 1_000;

/** Sends heartbeats while the body runs, so that a killed worker is noticed. A local activity sends none. */
export async function heartbeating<T>(body: () => Promise<T>): Promise<T> {
  const context = Context.current();
  if (context.info.isLocal) return body();
  const timer = setInterval(() => context.heartbeat(), HEARTBEAT_EVERY_MS);
  try {
    return await body();
  } finally {
    clearInterval(timer);
  }
}

/** The tenant and action of the running workflow, by the workflow id that the Temporal server states. `activity` names this activity. */
export function workflowIdentity(): { tenant: string; actionId: string; activity: string } {
  const { workflowExecution, activityId } = Context.current().info;
  if (workflowExecution === undefined) throw new CountersignError('INTERNAL', 'The step runs outside a workflow.');
  const { workflowId, runId } = workflowExecution;
  const slash = workflowId.indexOf('/');
  return {
    tenant: workflowId.slice(0, slash),
    actionId: workflowId.slice(slash + 1),
    activity: `${runId}/${activityId}`,
  };
}
