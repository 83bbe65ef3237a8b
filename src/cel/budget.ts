/** What an evaluation may still take. Once it exceeds a limit it stays exceeded, whatever the expression makes of the error. */

export interface CelLimits {
  /** Syntax nodes that the turns of comprehensions may evaluate, in all. */
  readonly steps: number;
  /** Characters of a text that `+` makes. */
  readonly text: number;
  /** Items of a list that `+`, map or filter make. */
  readonly items: number;
  /** Characters of a text that a pattern is matched against. */
  readonly matched: number;
  /** Time, looked at on every turn of a comprehension. */
  readonly milliseconds: number;
}

export class Budget {
  readonly limits: CelLimits;
  #steps = 0;
  #deadline = Infinity;
  #exceeded: string | undefined;

  constructor(limits: CelLimits) {
    this.limits = limits;
  }

  /** Starts counting anew. */
  begin(): void {
    this.#steps = this.limits.steps;
    this.#deadline = performance.now() + this.limits.milliseconds;
    this.#exceeded = undefined;
  }

  /** Which limit was exceeded, since `begin`. */
  get exceeded(): string | undefined {
    return this.#exceeded;
  }

  /** For functions whose cost is in the data, not in the program. */
  charge(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) this.exceed(`more than ${this.limits.steps} steps`);
  }

  /** Looks at the time. */
  checkTime(): void {
    if (performance.now() > this.#deadline) this.exceed(`more than ${this.limits.milliseconds} ms`);
  }

  /** Returns a list that is not too long. */
  bounded<List extends { readonly size: number }>(list: List): List {
    return list.size > this.limits.items ? this.exceed(`a list of more than ${this.limits.items} items`) : list;
  }

  exceed(limit: string): never {
    this.#exceeded ??= limit;
    throw new Error(limit);
  }
}
