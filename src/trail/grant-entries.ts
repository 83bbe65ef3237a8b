/** Grants that have an entry of their own, because their action took long: each has one, and the receipts of the action name it. */
import { GRANT_USED, type EntryBody } from './entry.js';
import type { TrailProblem } from './problems.js';

export class GrantEntries {
  /** By the action's id: the entries that its grants have, by theirs. */
  readonly #entered = new Map<string, ReadonlyMap<string, number>>();
  readonly #report: (problem: TrailProblem) => void;

  constructor(report: (problem: TrailProblem) => void) {
    this.#report = report;
  }

  take({ seq, kind, subject, grants = [], receipt }: EntryBody): void {
    const entered = this.#entered.get(subject) ?? new Map<string, number>();
    if (kind === GRANT_USED) {
      const own = grants.map(({ jti, entry = seq }) => [jti, entry] as const);
      this.#entered.set(subject, new Map([...own, ...entered]));
      if (own.some(([jti]) => entered.has(jti))) {
        this.#tell(seq, `Entry ${seq} is about a grant that has an entry before it.`);
      }
    } else if (receipt !== undefined) {
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
