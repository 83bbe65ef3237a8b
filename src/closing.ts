/** What a process has opened, to be closed in order. */
export class Closing {
  readonly #steps: (() => Promise<unknown> | void)[] = [];

  add(step: () => Promise<unknown> | void): void {
    this.#steps.push(step);
  }

  /** Closes what was opened, the last first. A second call has nothing left to close. */
  async close(): Promise<void> {
    for (const step of this.#steps.splice(0).toReversed()) await step();
  }
}
