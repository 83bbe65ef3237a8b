/** The event triggers that say in the log who changes a definition. Where the radar may not make them, that somebody did is seen all the same. */
import pg from 'pg';
import type { PostgresSession } from '../connection.js';
import { sqlState } from '../failure.js';
import { DEFINITION_SOURCE, EVENT_TRIGGERS, eventTriggerStatements } from './definition-source.js';
import { runFixed } from './fixed-session.js';
import { locking, unless } from './locking.js';
import type { WatchedTables } from './watched.js';

const NAMES = Object.values(EVENT_TRIGGERS).map((name) => `'${name}'`);
/** A condition of SQL: both are there, and right. */
const ARE_THERE = `(SELECT count(*) FROM pg_event_trigger e JOIN pg_proc f ON f.oid = e.evtfoid WHERE e.evtname IN (${NAMES.join(', ')}) AND e.evtenabled = 'A'
  AND f.prosrc = $source$${DEFINITION_SOURCE}$source$ AND f.prosecdef AND f.proconfig IS NOT NULL AND f.proowner = e.evtowner) = ${NAMES.length}`;

export class EventTriggers {
  /** Whether it was tried in vain: to no purpose again with the same role. */
  #mayNot = false;

  /** @returns what is not seen without them */
  async ensure(
    session: PostgresSession,
    { effectsSchema }: WatchedTables,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const [found] = await runFixed(session, [{ text: `SELECT ${ARE_THERE}` }], signal);
    if (found?.rows[0]?.[0] === 't') return [];
    if (this.#mayNot) return [unseen()];
    try {
      const statements = eventTriggerStatements(`${pg.escapeIdentifier(effectsSchema)}.note_definition`);
      await locking(session, unless(ARE_THERE, statements), signal);
      return [];
    } catch (error) {
      // Held by somebody: it is tried again.
      if (sqlState(error) === '55P03') return [unseen()];
      if (sqlState(error) !== '42501') throw error;
      this.#mayNot = true;
      return [unseen()];
    }
  }
}

function unseen(): string {
  return 'definitions: that one was changed is seen within ten seconds, and not who did it. Let the role of the radar make event triggers (a superuser may), or have an administrator run what docs/radar.md says.';
}
