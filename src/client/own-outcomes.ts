/** Whose outcome an agent may be answered with, and which of those that were recorded. */
import type { Client } from '@temporalio/client';
import { CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import { proposerOf, type Outcome } from '../action/outcome.js';
import { isProposedUnder } from '../action/principal.js';
import type { TemporalSettings } from '../environment.js';
import { recordedOutcome } from './command-client.js';
import { conflict } from './failures.js';
import type { Signing } from './signing.js';

interface NamedAction {
  readonly tenant: string;
  readonly actionId: string;
}

export class OwnOutcomes {
  readonly #temporal: Client;
  readonly #settings: TemporalSettings;
  readonly #signing: Signing;

  constructor(temporal: Client, settings: TemporalSettings, signing: Signing) {
    this.#temporal = temporal;
    this.#settings = settings;
    this.#signing = signing;
  }

  /**
   * The outcome of a call: it must be of this proposal, and of this agent or one under it. Another proposal under the same id is a conflict, and
   * so is the same call by another agent, who may not see what it came to. Only where a workflow was ended from outside may the answer be
   * another's and the record still this one's.
   *
   * @throws CountersignError ACTION_CONFLICT
   */
  async of(call: NamedAction & { readonly digest: Digest }, answered: Outcome): Promise<Outcome> {
    if (this.#isOf(call.digest, answered)) return this.latest(answered);
    const recorded = await this.#recorded(call);
    if (recorded !== undefined && this.#isOf(call.digest, recorded)) return recorded;
    throw conflict(call.actionId);
  }

  /** @param proposer of the action, as its worker verified it @throws CountersignError ACTION_CONFLICT where that is another agent */
  assertOwn(actionId: string, proposer: string): void {
    if (!this.#isOwn(proposer)) throw conflict(actionId);
  }

  /** A workflow that was ended from outside has no outcome; its action may have one by now. @throws the error, when it has none */
  async insteadOf(error: unknown, action: NamedAction): Promise<Outcome> {
    const ended = error instanceof CountersignError && error.code === 'EFFECT_UNKNOWN';
    const recorded = ended ? await this.#recorded(action) : undefined;
    if (recorded === undefined) throw error;
    return recorded;
  }

  /** A person may have resolved what the action's workflow had to leave unknown. */
  async latest(outcome: Outcome): Promise<Outcome> {
    if (outcome.status !== 'unknown') return outcome;
    return (await this.#recorded(outcome)) ?? outcome;
  }

  #isOf(digest: Digest, outcome: Outcome): boolean {
    if (outcome.proposalDigest !== digest || outcome.error?.code === 'ACTION_CONFLICT') return false;
    const proposer = proposerOf(outcome);
    return proposer === undefined || this.#isOwn(proposer);
  }

  #isOwn(proposer: string): boolean {
    return isProposedUnder(this.#signing.agent.id, proposer);
  }

  #recorded(action: NamedAction): Promise<Outcome | undefined> {
    return recordedOutcome(this.#temporal, this.#settings, action);
  }
}
