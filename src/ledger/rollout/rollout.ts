/** How policies are rolled out. One ledger is one deployment: one policy is active in it, and at most one shadows that one. */
import type { Digest } from '../../action/json.js';
import type {
  PolicyChange,
  PolicyDivergence,
  PolicyEvidence,
  PolicyWorker,
  ShadowCounts,
  StatedPolicy,
} from '../../action/policy-rollout.js';
import type { Database } from '../database/database.js';
import { addApproval, approvals, type ApprovalQuery, type PolicyApproval } from './approvals.js';
import {
  changePolicy,
  findChange,
  history,
  placed,
  publish,
  states,
  type ChangeRequest,
  type Placed,
  type Publication,
} from './changes.js';
import { divergences, noteShadow, shadowCounts, type DivergenceQuery, type ShadowBatch } from './divergences.js';
import { addEvidence, evidence, type NewEvidence } from './evidence.js';
import { policyReceipts } from './shown-changes.js';
import { forgetWorker, reportWorker, workers, type WorkerReport } from './workers.js';

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). Further errors are named with each. */
export class Rollout {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Makes a draft of a bundle that the ledger keeps. One that has a state keeps it. Idempotent. */
  publish(publication: Publication): Promise<{ readonly policy: StatedPolicy; readonly made: boolean }> {
    return publish(this.#database, publication);
  }

  /**
   * Makes a change that people ordered. All changes are made one after another; the same `id` again is the same change.
   *
   * @returns undefined where another change came first, so that `seq` is not the next number any more: then sign anew
   * @throws CountersignError POLICY_CONFLICT when the bundle is in no state for the change
   */
  change(request: ChangeRequest): Promise<PolicyChange | undefined> {
    return changePolicy(this.#database, request);
  }

  /** The change that was made under this id, if it was. */
  find(id: string): Promise<PolicyChange | undefined> {
    return findChange(this.#database, id);
  }

  /** Of every bundle that has a state, the latest change first. */
  states(): Promise<readonly StatedPolicy[]> {
    return states(this.#database);
  }

  /** What workers are to run, and what shows which changes were made. One round trip of a few index lookups. */
  placed(): Promise<Placed> {
    return placed(this.#database);
  }

  /** The latest receipts of changes of policies, the latest first. */
  policyReceipts(): Promise<readonly string[]> {
    return policyReceipts(this.#database);
  }

  /** The policy that decides. Undefined until the first one is promoted. */
  async active(): Promise<Digest | undefined> {
    return (await this.placed()).policies.find(({ state }) => state === 'active')?.digest;
  }

  /** The latest first, at most `limit`; of one bundle, or of all. */
  history(of: { readonly digest?: Digest; readonly limit?: number } = {}): Promise<readonly PolicyChange[]> {
    return history(this.#database, of);
  }

  /** Keeps a person's yes to a promotion that needs several people. Idempotent. */
  approve(approval: PolicyApproval): Promise<void> {
    return addApproval(this.#database, approval);
  }

  /** In the order in which they were given. */
  approvals(query: ApprovalQuery): Promise<readonly PolicyApproval[]> {
    return approvals(this.#database, query);
  }

  /** Keeps what a backtest found. Idempotent. @throws CountersignError INVALID_INPUT when the summary is over 16 KiB */
  addEvidence(adding: NewEvidence): Promise<void> {
    return addEvidence(this.#database, adding);
  }

  /** What backtests found about the candidate against the baseline, the latest first. */
  evidence(candidate: Digest, baseline: Digest): Promise<readonly PolicyEvidence[]> {
    return evidence(this.#database, candidate, baseline);
  }

  /** Adds what a worker counted of the policy in shadow. Not idempotent: a retry after a lost reply counts twice. */
  noteShadow(batch: ShadowBatch): Promise<void> {
    return noteShadow(this.#database, batch);
  }

  /** Where a policy in shadow decided otherwise, the most frequent first. */
  divergences(query: DivergenceQuery): Promise<readonly PolicyDivergence[]> {
    return divergences(this.#database, query);
  }

  /** How often the policy that is in shadow (or another one) was evaluated, beside each active policy, the latest first. */
  shadowCounts(candidate?: Digest): Promise<readonly ShadowCounts[]> {
    return shadowCounts(this.#database, candidate);
  }

  /** Keeps what a worker says that it runs. */
  report(report: WorkerReport): Promise<void> {
    return reportWorker(this.#database, report);
  }

  /** Forgets a worker that stops. */
  forget(worker: string): Promise<void> {
    return forgetWorker(this.#database, worker);
  }

  /** What each worker runs. One that was killed is among them, as silent, for an hour. */
  workers(): Promise<readonly PolicyWorker[]> {
    return workers(this.#database);
  }
}
