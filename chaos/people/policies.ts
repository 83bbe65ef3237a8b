/** How the operator changes the policy: by saving a file that workers watch, or by signed commands, of which workers learn from the ledger. */
import { randomUUID } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { asCountersignError } from '../../src/action/errors.js';
import type { Digest } from '../../src/action/json.js';
import type { Countersign } from '../../src/client/countersign.js';
import { bundleFromFiles, loadBundle } from '../../src/policy/index.js';
import { signCommand } from '../../src/trust/index.js';
import type { Chance } from '../chance.js';
import { TENANT, type World } from '../world/world.js';
import { insist } from './insist.js';

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
const MOOD_FILE = 'mood.cedar';

/** How long a command may take while servers break, milliseconds. Whether it was carried out after that, nobody knows. */
const ORDERED_MS = 8_000;
const TRIES = 60;

export class PolicyFolder {
  readonly #folder: string;

  constructor(world: World) {
    this.#folder = world.places.policies;
  }

  async change(chance: Chance): Promise<string> {
    const mood = pick(chance);
    await this.#write(MOODS[mood]);
    return mood;
  }

  /** Saves a half-written rule, and notices after a while. */
  async break(forMs: number): Promise<{ mended: Promise<void> }> {
    await this.#write(BROKEN);
    return { mended: delay(forMs).then(() => this.restore()) };
  }

  async restore(): Promise<void> {
    await this.#write(MOODS.calm);
  }

  async #write(text: string): Promise<void> {
    const draft = `${this.#folder}.${randomUUID()}`;
    await writeFile(draft, text);
    await rename(draft, path.join(this.#folder, MOOD_FILE));
  }
}

type PolicyOrder = 'promote_policy' | 'roll_back_policy' | 'shadow_policy';

export class PolicyRollout {
  readonly #world: World;
  readonly #client: Countersign;

  constructor(world: World, client: Countersign) {
    this.#world = world;
    this.#client = client;
  }

  /** What it did, in words, with what came of it. */
  async change(chance: Chance): Promise<string> {
    const mood = pick(chance);
    return `${mood}: ${await this.#order('promote_policy', await this.#publish(MOODS[mood]))}`;
  }

  /** To what was active before. Undefined where nothing was. */
  async rollBack(): Promise<string | undefined> {
    const { rollout } = this.#world.ledger;
    const active = await rollout.active().catch(() => undefined);
    const changes = active === undefined ? [] : await rollout.history({ digest: active }).catch(() => []);
    const before = changes.find(({ digest, replaced }) => digest === active && replaced !== undefined)?.replaced;
    return before === undefined ? undefined : this.#order('roll_back_policy', before);
  }

  async shadow(chance: Chance): Promise<string> {
    const mood = pick(chance);
    return `${mood}: ${await this.#order('shadow_policy', await this.#publish(MOODS[mood]))}`;
  }

  /** Until it is so. */
  async restore(): Promise<void> {
    const calm = await this.#publish(MOODS.calm);
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      if ((await this.#world.ledger.rollout.active().catch(() => undefined)) === calm) return;
      await this.#order('promote_policy', calm);
    }
    throw new Error('the policy of the beginning cannot be promoted any more');
  }

  /** The bytes are the same for the same mood, and so is the digest. */
  async #publish(mood: string): Promise<Digest> {
    const { ledger, places } = this.#world;
    const { files } = await loadBundle(places.policies);
    const { digest, files: all } = bundleFromFiles({ ...files, [MOOD_FILE]: mood });
    await insist(() => ledger.content.putPolicy(digest, all));
    await insist(() => ledger.rollout.publish({ digest, by: 'ada', reason: 'chaos' }));
    return digest;
  }

  async #order(kind: PolicyOrder, subject: Digest): Promise<string> {
    const { ledger, people } = this.#world;
    try {
      const replaces = await ledger.rollout.active();
      const command = {
        kind,
        tenant: TENANT,
        subject,
        reason: 'chaos',
        ...(replaces === undefined ? {} : { replaces }),
      };
      await this.#client.submitCommand(await signCommand(people.admin, command), { timeoutMs: ORDERED_MS });
      return 'done';
    } catch (error) {
      return asCountersignError(error).code;
    }
  }
}

function pick(chance: Chance): keyof typeof MOODS {
  return chance.pick(Object.keys(MOODS) as (keyof typeof MOODS)[]);
}
