/**
 * Grants that have an entry of their own, because their action took long: each has one, and the receipts of the action name it. Those whose action
 * has no receipt are open: an effect may have been made under them, and nothing says how it ended.
 */
import { GRANT_USED, type EntryBody } from './entry.js';
import type { TrailProblem } from './problems.js';

/** A grant that was used, of an action that has no receipt in the trail. */
export interface OpenGrant {
  /** The number of the entry that says so. */
  readonly entry: number;
  readonly actionId: string;
  readonly jti: string;
  /** RFC 3339 UTC, the database's time. */
  readonly usedAt: string;
}

export class GrantEntries {
  /** By the action's id: the entries that its grants have, by theirs. */
  readonly #entered = new Map<string, ReadonlyMap<string, number>>();
  /** By the number of their entry. */
  readonly #open = new Map<number, OpenGrant>();
  readonly #report: (problem: TrailProblem) => void;

  constructor(report: (problem: TrailProblem) => void) {
    this.#report = report;
  }

  /** In the order of their entries. */
  get open(): readonly OpenGrant[] {
    return [...this.#open.values()];
  }

  take({ seq, kind, at, subject, grants, receipt }: EntryBody): void {
    // A receipt without the list ends no action: it is for a command, or refuses another proposal under the action's id.
    if (grants === undefined) return;
    const entered = this.#entered.get(subject) ?? new Map<string, number>();
    if (kind === GRANT_USED) {
      const own = grants.map(({ jti, entry = seq }) => [jti, entry] as const);
      this.#entered.set(subject, new Map([...own, ...entered]));
      for (const { jti, usedAt = at } of grants)
        this.#open.set(seq, { entry: seq, actionId: subject, jti, usedAt: String(usedAt) });
      if (own.some(([jti]) => entered.has(jti))) {
        this.#tell(seq, `Entry ${seq} is about a grant that has an entry before it.`);
      }
    } else if (receipt !== undefined) {
      for (const entry of entered.values()) this.#open.delete(entry);
      const named = new Map(grants.flatMap(({ jti, entry }) => (entry === undefined ? [] : [[jti, entry]])));
      const same = named.size === entered.size && [...entered].every(([jti, entry]) => named.get(jti) === entry);
      if (!same)
        this.#tell(seq, `The receipt of entry ${seq} does not name the entries that grants of its action have.`);
    }
  }

  #tell(at: number, problem: string): void {
    this.#report({ code: 'grant_entry', at, problem });
  }
}

/** Whether it was used before then. One whose time cannot be read was. */
export function isOverdue({ usedAt }: OpenGrant, before: Date): boolean {
  return !(Date.parse(usedAt) >= before.getTime());
}
