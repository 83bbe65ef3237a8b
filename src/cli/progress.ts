/** A bar that grows while something long runs: on stderr, and only where a person looks on. */
import type { Terminal } from './terminal.js';

/** Between two drawings, milliseconds: the bar must not cost more than what it tells of. */
const EVERY_MS = 100;
const WIDTH = 30;

export class Progress {
  readonly #stderr: Terminal['stderr'];
  readonly #what: string;
  readonly #total: number | undefined;
  #done = 0;
  #drawnAt = -Infinity;
  readonly #since = performance.now();

  /** @param total where it is known */
  constructor({ stderr }: Pick<Terminal, 'stderr'>, what: string, total?: number) {
    this.#stderr = stderr;
    this.#what = what;
    this.#total = total;
  }

  advance(): void {
    this.#done++;
    const now = performance.now();
    if (!this.#stderr.isTTY || now - this.#drawnAt < EVERY_MS) return;
    this.#drawnAt = now;
    this.#stderr.write(`\r\u001b[K${this.#line(now)}`);
  }

  /** Takes the bar away: what comes next has the line. */
  end(): void {
    if (this.#drawnAt !== -Infinity) this.#stderr.write('\r\u001b[K');
  }

  #line(now: number): string {
    const rate = Math.round((this.#done * 1000) / Math.max(1, now - this.#since));
    const tail = `${this.#what}, ${rate}/s`;
    if (this.#total === undefined) return `${this.#done} ${tail}`;
    const filled = Math.round((WIDTH * Math.min(this.#done, this.#total)) / Math.max(1, this.#total));
    return `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${this.#done}/${this.#total} ${tail}`;
  }
}
