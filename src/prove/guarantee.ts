/** A named guarantee, and the attempt to break it. */
import type { GuaranteeVerdict } from './verdict.js';
import type { World } from './world.js';

export const FAMILIES = [
  'keys',
  'identity',
  'policy',
  'effects',
  'grants',
  'approvals',
  'passkeys',
  'gateway',
  'controls',
  'privacy',
  'record',
] as const;
type Family = (typeof FAMILIES)[number];

interface Named {
  /** For reports, and for `--only`: stable. */
  readonly id: string;
  readonly family: Family;
  /** One sentence. */
  readonly promise: string;
}

interface Immediate extends Named {
  /** Tries to break it, on the real pipeline. What it throws means that it could not be tried. */
  check(world: World): Promise<GuaranteeVerdict>;
}

/** Waits for what has begun to run out, and judges it. */
export type JudgeAtEnd = () => Promise<GuaranteeVerdict>;

/** About time that runs out. All of them are begun before the first is judged, so that they run out at once. */
export interface Timed extends Named {
  begin(world: World): Promise<JudgeAtEnd>;
}

export type Guarantee = Immediate | Timed;

/** Checks each in its turn. */
export class Checks {
  readonly #world: World;
  readonly #timed: readonly Timed[];
  #begun: ReadonlyMap<Timed, Promise<JudgeAtEnd>> | undefined;

  constructor(world: World, guarantees: readonly Guarantee[]) {
    this.#world = world;
    this.#timed = guarantees.filter((one) => 'begin' in one);
  }

  async check(guarantee: Guarantee): Promise<GuaranteeVerdict> {
    if ('check' in guarantee) return guarantee.check(this.#world);
    this.#begun ??= await this.#begin();
    const judge = await this.#begun.get(guarantee);
    if (judge === undefined) throw new Error(`${guarantee.id} was not begun.`);
    return judge();
  }

  /** What is judged first is begun last: whatever the others have done to the tools' systems by then is not taken for its own. */
  async #begin(): Promise<ReadonlyMap<Timed, Promise<JudgeAtEnd>>> {
    const begun = new Map<Timed, Promise<JudgeAtEnd>>();
    for (const one of this.#timed.toReversed()) {
      const judge = one.begin(this.#world);
      begun.set(one, judge);
      await judge.catch(() => {});
    }
    return begun;
  }
}
