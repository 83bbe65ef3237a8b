/** The operator: freezes and lifts, rewrites the policies (also wrongly), and says what became of what nobody could know. */
import { randomUUID } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError } from '../../src/action/errors.js';
import { Countersign } from '../../src/client/countersign.js';
import type { FreezeScope } from '../../src/action/freeze.js';
import { signCommand } from '../../src/trust/index.js';
import type { Chance } from '../chance.js';
import { TENANT, type World } from '../world/world.js';

const MOODS = {
  calm: '// Nothing special today.\n',
  'no-orders': `@id("no-orders-by-three")
@reason("agent-3 orders nothing now")
forbid (principal == Countersign::Agent::"agent-3", action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("orders") };\n`,
  'large-payments-supervised': `@id("payments-supervised")
@reason("payments need somebody of finance now")
@approval("finance, ttl=6s")
forbid (principal in Countersign::Role::"junior", action == Countersign::Action::"CALL_API", resource)
when { context.operation == "pay" };\n`,
  'payouts-need-three': `@id("payouts-need-more")
@reason("payouts need a third person now")
@approval("finance|lead, quorum=3, ttl=8s")
forbid (principal, action == Countersign::Action::"CALL_API", resource)
when { context.operation == "payout" };\n`,
} as const;

const BROKEN = '@id("half-written")\nforbid (principal, action, resource';

/** How often something is tried again while a server is away. */
const TRIES = 60;

export class Operator {
  readonly #world: World;
  readonly #client: Countersign;

  private constructor(world: World, client: Countersign) {
    this.#world = world;
    this.#client = client;
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

  async changePolicy(chance: Chance): Promise<string> {
    const mood = chance.pick(Object.keys(MOODS) as (keyof typeof MOODS)[]);
    await this.#write(MOODS[mood]);
    return mood;
  }

  /** Saves a half-written rule, and notices after a while. */
  async breakPolicy(forMs: number): Promise<{ mended: Promise<void> }> {
    await this.#write(BROKEN);
    return { mended: delay(forMs).then(() => this.restorePolicy()) };
  }

  async restorePolicy(): Promise<void> {
    await this.#write(MOODS.calm);
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

  async #write(text: string): Promise<void> {
    const file = path.join(this.#world.places.policies, 'mood.cedar');
    const draft = `${this.#world.places.policies}.${randomUUID()}`;
    await writeFile(draft, text);
    await rename(draft, file);
  }
}

async function insist<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      if (attempt >= TRIES) throw error;
      await delay(500);
    }
  }
}
