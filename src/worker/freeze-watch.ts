/** Tells running effects of a freeze. It looks only while there are effects that have been running for a while. */
import type { FreezeWatch, Watch, Watched } from '../../activities/deps.js';
import type { Controls } from '../ledger/index.js';
import type { Freeze } from '../action/freeze.js';
import { isUndoAgent } from '../action/compensation-ids.js';

/** How often the ledger is asked, and how long an effect runs before it is asked at all. Milliseconds. */
const EVERY_MS = 250;

interface Running extends Watched {
  readonly since: number;
  readonly controller: AbortController;
  freeze: Freeze | undefined;
}

/**
 * An effect passed its last check of freezes when it began; this is for the freeze that comes after. Most effects are over before
 * anybody looks, and cost nothing here but an entry in a set. A ledger that does not answer is asked again: what it cannot tell stops
 * nothing that was granted.
 */
export class LedgerFreezeWatch implements FreezeWatch {
  readonly #controls: Pick<Controls, 'freezes'>;
  readonly #running = new Set<Running>();
  #timer: NodeJS.Timeout | undefined;

  constructor(controls: Pick<Controls, 'freezes'>) {
    this.#controls = controls;
  }

  begin({ tenant, agent, tool, targets }: Watched): Watch {
    const controller = new AbortController();
    const one: Running = { tenant, agent, tool, targets, since: performance.now(), controller, freeze: undefined };
    this.#running.add(one);
    this.#plan();
    return {
      signal: controller.signal,
      get freeze() {
        return one.freeze;
      },
      end: () => void this.#running.delete(one),
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#running.clear();
  }

  #plan(): void {
    if (this.#timer !== undefined || this.#running.size === 0) return;
    this.#timer = setTimeout(() => {
      void this.#look().finally(() => {
        this.#timer = undefined;
        this.#plan();
      });
    }, EVERY_MS);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const now = performance.now();
    const long = [...this.#running].some(({ since, freeze }) => freeze === undefined && now - since >= EVERY_MS);
    if (!long) return;
    let freezes: readonly Freeze[];
    try {
      freezes = await this.#controls.freezes({ activeOnly: true });
    } catch {
      return;
    }
    for (const one of this.#running) {
      if (one.freeze !== undefined) continue;
      one.freeze = freezes.find((freeze) => stops(freeze, one));
      if (one.freeze !== undefined) one.controller.abort(new Error(`frozen: ${one.freeze.reason}`));
    }
  }
}

/** The same question that the ledger answers at admission and at the use of a grant. A delegate's id begins with its delegator's and a slash. */
function stops({ tenant, scope: { kind, value = '' } }: Freeze, subject: Watched): boolean {
  if (tenant !== '*' && tenant !== subject.tenant) return false;
  switch (kind) {
    case 'all':
      return true;
    case 'tenant':
      return value === subject.tenant;
    case 'agent':
      return value === subject.agent || (subject.agent.startsWith(`${value}/`) && !isUndoAgent(subject.agent));
    case 'tool':
      return value === subject.tool;
    case 'target':
      return subject.targets.some((target) => target.toLowerCase() === value.toLowerCase());
  }
}
