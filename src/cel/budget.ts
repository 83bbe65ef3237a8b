/** Counts what an evaluation costs. A limit stays exceeded, even when the expression ignores the resulting error. */

export interface CelLimits {
  /** The most syntax nodes that all iterations of comprehensions may evaluate together. */
  readonly steps: number;
  /** The longest text that `+` may make, in characters. */
  readonly text: number;
  /** The longest list that `+`, `map` or `filter` may make, in items. */
  readonly items: number;
  /** The longest text that a pattern is matched against, in characters. */
  readonly matched: number;
  /** The longest time, checked in every iteration of a comprehension. */
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

  /** Starts counting from zero. */
  begin(): void {
    this.#steps = this.limits.steps;
    this.#deadline = performance.now() + this.limits.milliseconds;
    this.#exceeded = undefined;
  }

  /** The first limit exceeded since `begin`; undefined when none was. */
  get exceeded(): string | undefined {
    return this.#exceeded;
  }

  /** Adds steps for a function whose cost depends on the data rather than on the program. */
  charge(steps: number): void {
    this.#steps -= steps;
    if (this.#steps < 0) this.exceed(`more than ${this.limits.steps} steps`);
  }

  /** Checks the time limit. */
  checkTime(): void {
    if (performance.now() > this.#deadline) this.exceed(`more than ${this.limits.milliseconds} ms`);
  }

  /** Returns the list, unless it is too long. */
  bounded<List extends { readonly size: number }>(list: List): List {
    return list.size > this.limits.items ? this.exceed(`a list of more than ${this.limits.items} items`) : list;
  }

  exceed(limit: string): never {
    this.#exceeded ??= limit;
    throw new Error(limit);
  }
}
