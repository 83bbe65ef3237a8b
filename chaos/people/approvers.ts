/** People who decide, too many at once, too late, twice, without the right, or against each other. */
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError } from '../../src/action/errors.js';
import type { PendingView } from '../../src/action/outcome.js';
import { Countersign } from '../../src/client/countersign.js';
import { signApproval, type Credential } from '../../src/trust/index.js';
import { Chance } from '../chance.js';
import { TENANT, type World } from '../world/world.js';

/**
 * - `all-at-once`: everybody who may says yes at the same time, some of them twice;
 * - `against-each-other`: one says yes while another says no;
 * - `late`: the yes comes after it expired;
 * - `bystander`: somebody without the role says yes, then those who may;
 * - `other-content`: a yes to something that was not shown, then a real one;
 * - `silence`: nobody says anything.
 */
export type Reaction = 'all-at-once' | 'against-each-other' | 'no' | 'late' | 'bystander' | 'other-content' | 'silence';

/** Longer than any approval of the run's policies may take, milliseconds. */
const TOO_LATE_MS = 9_000;
const LOOK_EVERY_MS = 250;

export class Approvers {
  readonly reactions = new Map<Reaction, number>();
  readonly #world: World;
  readonly #seed: string;
  readonly #client: Countersign;
  readonly #attended = new Map<string, Promise<void>>();
  #over = false;

  private constructor(world: World, seed: string, client: Countersign) {
    this.#world = world;
    this.#seed = seed;
    this.#client = client;
  }

  static async gather(world: World, seed: string): Promise<Approvers> {
    return new Approvers(world, seed, await Countersign.connect({ ...world.temporal }));
  }

  /** Somebody looks after this action until it needs nobody any more. */
  attend(actionId: string): void {
    if (!this.#attended.has(actionId)) this.#attended.set(actionId, this.#lookAfter(actionId));
  }

  async leave(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#attended.values());
    await this.#client.close();
  }

  async #lookAfter(actionId: string): Promise<void> {
    const seen = new Set<string>();
    for (; !this.#over; await delay(LOOK_EVERY_MS)) {
      try {
        const { phase, pending } = await this.#client.view(actionId, TENANT);
        if (phase === 'ended') return;
        if (pending === undefined || seen.has(pending.shownDigest)) continue;
        seen.add(pending.shownDigest);
        await this.#react(actionId, pending, new Chance(this.#seed).of(`people ${actionId} ${seen.size}`));
      } catch {
        // A server is away: they look again.
      }
    }
  }

  async #react(actionId: string, pending: PendingView, chance: Chance): Promise<void> {
    const reaction = chance.weighted<Reaction>({
      'all-at-once': 50,
      'against-each-other': 12,
      no: 8,
      late: 8,
      bystander: 8,
      'other-content': 8,
      silence: 6,
    });
    this.reactions.set(reaction, (this.reactions.get(reaction) ?? 0) + 1);
    const { finance, lead, bystander } = this.#world.people;
    const [fay, finn, frida] = finance as [Credential, Credential, Credential];
    const yes = (by: Credential): Promise<void> => this.#say(actionId, pending.shownDigest, by, 'approve');
    const no = (by: Credential): Promise<void> => this.#say(actionId, pending.shownDigest, by, 'deny');
    const everybody = (): Promise<unknown> => Promise.all([fay, finn, frida, lead, fay, finn].map(yes));
    switch (reaction) {
      case 'all-at-once':
        await everybody();
        return;
      case 'against-each-other':
        await Promise.all([yes(fay), no(finn), yes(frida)]);
        return;
      case 'no':
        return no(frida);
      case 'late':
        await delay(TOO_LATE_MS);
        await everybody();
        return;
      case 'bystander':
        await yes(bystander);
        await everybody();
        return;
      case 'other-content':
        await this.#say(actionId, pending.shown.proposalDigest, fay, 'approve');
        await everybody();
        return;
      case 'silence':
        return;
    }
  }

  /** What is refused (too late, not theirs to say, a server away) was worth a try. */
  async #say(
    actionId: string,
    shownDigest: PendingView['shownDigest'],
    by: Credential,
    verdict: 'approve' | 'deny',
  ): Promise<void> {
    const token = await signApproval(by, { tenant: TENANT, actionId, shownDigest, verdict });
    await this.#client.decide(actionId, token, TENANT).catch((error: unknown) => asCountersignError(error));
  }
}
