/**
 * Statements that change a row which others may be changing: those of this process who would wait for it go in one transaction, so that a
 * hot row takes no more than one connection from everybody else.
 */
import { cannotRecord } from '../../action/cannot-record.js';
import { CountersignError } from '../../action/errors.js';
import type { Database, PreparedStatement } from './database.js';

/** More in one transaction would let other workers wait long for the row. */
const MOST = 16;

interface Waiting {
  readonly statement: PreparedStatement<unknown>;
  readonly resolve: (rows: readonly unknown[]) => void;
  readonly reject: (error: unknown) => void;
}

export class StatementBatcher {
  readonly #database: Database;
  /** By row: those who came while a statement on it was under way. */
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Runs the statement at once when none of ours is at that row, else together with the others who wait. It must bear repeating. */
  async rows<Row>(row: string, statement: PreparedStatement<Row>): Promise<readonly Row[]> {
    const waiting = this.#waiting.get(row);
    if (waiting !== undefined) {
      const rows = await new Promise<readonly unknown[]>((resolve, reject) => {
        waiting.push({ statement, resolve, reject });
      });
      return rows as readonly Row[];
    }
    this.#waiting.set(row, []);
    try {
      return await this.#database.rows(statement);
    } finally {
      void this.#next(row);
    }
  }

  async #next(row: string): Promise<void> {
    for (;;) {
      const batch = this.#waiting.get(row)?.splice(0, MOST) ?? [];
      if (batch.length === 0) break;
      await this.#together(batch);
    }
    this.#waiting.delete(row);
  }

  async #together(batch: readonly Waiting[]): Promise<void> {
    if (batch.length > 1) {
      try {
        const results = await this.#inOneTransaction(batch.map(({ statement }) => statement));
        for (const [index, { resolve }] of batch.entries()) resolve(results[index] ?? []);
        return;
      } catch (error) {
        if (error instanceof CountersignError && cannotRecord(error.code)) {
          for (const { reject } of batch) reject(error);
          return;
        }
        // One of them cannot be done, and took the others with it: each for itself, then.
      }
    }
    for (const { statement, resolve, reject } of batch) await this.#database.rows(statement).then(resolve, reject);
  }

  /** All or none, in one round trip. */
  #inOneTransaction(statements: readonly PreparedStatement<unknown>[]): Promise<readonly (readonly unknown[])[]> {
    return this.#database.transaction(async (session) => {
      const begun = session.run('begin');
      const results = statements.map((statement) => session.rows(statement));
      const [, rows] = await Promise.all([begun, Promise.all(results), session.run('commit')]);
      return rows;
    });
  }
}
