/** The operator: freezes and lifts, changes the policies (also wrongly), and says what became of what nobody could know. */
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError } from '../../src/action/errors.js';
import { Countersign } from '../../src/client/countersign.js';
import type { FreezeScope } from '../../src/action/freeze.js';
import { signCommand } from '../../src/trust/index.js';
import type { Chance } from '../chance.js';
import { TENANT, type World } from '../world/world.js';
import { insist } from './insist.js';
import { PolicyFolder, PolicyRollout } from './policies.js';

export class Operator {
  readonly policy: PolicyFolder | PolicyRollout;
  readonly #world: World;
  readonly #client: Countersign;

  private constructor(world: World, client: Countersign) {
    this.#world = world;
    this.#client = client;
    this.policy = world.places.policySource === 'ledger' ? new PolicyRollout(world, client) : new PolicyFolder(world);
  }

  static async hire(world: World): Promise<Operator> {
    return new Operator(world, await Countersign.connect({ ...world.temporal }));
  }

  /** Returns at once after the freeze was set; the lift follows after `forMs`. */
  async freeze(scope: FreezeScope, forMs: number): Promise<{ lifted: Promise<void> }> {
    const { ledger } = this.#world;
    const set = await insist(() => ledger.controls.freeze({ tenant: TENANT, scope, reason: 'chaos', by: 'olga' }));
    return { lifted: delay(forMs).then(() => this.#lift(set.id)) };
  }

  async thawAll(): Promise<void> {
    const active = await insist(() => this.#world.ledger.controls.freezes({ activeOnly: true }));
    for (const { id } of active) await this.#lift(id);
  }

  /** By the operator's signed command, as people do; when nobody answers that, by hand. */
  async #lift(id: number): Promise<void> {
    const command = await signCommand(this.#world.people.operator, {
      kind: 'unfreeze',
      tenant: TENANT,
      subject: String(id),
      reason: 'the incident is over',
    });
    try {
      await this.#client.submitCommand(command, { timeoutMs: 5_000 });
    } catch {
      await insist(() => this.#world.ledger.controls.unfreeze(id, { by: 'olga', reason: 'by hand' }));
    }
  }

  /** Whatever it is changed by. */
  changePolicy(chance: Chance): Promise<string> {
    return this.policy.change(chance);
  }

  restorePolicy(): Promise<void> {
    return this.policy.restore();
  }

  /** Says whether it happened, which the operator found out from the system itself. */
  async resolve(actionId: string, happened: boolean): Promise<string> {
    const command = await signCommand(this.#world.people.operator, {
      kind: 'resolve',
      tenant: TENANT,
      subject: actionId,
      verdict: happened ? 'happened' : 'did_not_happen',
      reason: 'The journal of the payment service says so.',
    });
    try {
      await this.#client.submitCommand(command, { timeoutMs: 15_000 });
      return 'resolved';
    } catch (error) {
      return asCountersignError(error).code;
    }
  }

  async leave(): Promise<void> {
    await this.#client.close();
  }
}
