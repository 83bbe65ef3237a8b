/** Reads the log of one database through its replication slot. */
import type { Gap, Observed, RadarReader, Remembered } from '../../../radar/source.js';
import type { PostgresDatabase, PostgresSession } from '../connection.js';
import { isConnectionLost, sqlState } from '../failure.js';
import type { CatalogState } from './catalog-state.js';
import { ensureCoverage, isAsked, publicationsOf, tablesOf, type Coverage } from './coverage.js';
import { DefinitionWatch } from './definition-watch.js';
import { EventTriggers } from './event-triggers.js';
import { runFixed } from './fixed-session.js';
import type { WatchedTables } from './watched.js';
import { lsnOf, lsnText, transactionsOf, type Decoded } from './decode.js';
import { lostGap, takenGap, withdrawnGap } from './gaps.js';
import { slotName, type RadarSettings } from './settings.js';
import { advance, assertLogical, createSlot, dropSlot, isCut, peek, radarFailure, slotStanding } from './slot.js';
import type { SlotStanding } from './slot.js';

export interface PostgresSource {
  readonly settings: RadarSettings;
  readonly watched: WatchedTables;
  readonly database: PostgresDatabase;
  /** Makes the table of effects where it is missing: the log must say when one is recorded. */
  readonly prepare: (signal: AbortSignal) => Promise<void>;
}

/** How often it is looked how the tables are defined and whether every one is still published: with every tenth look. At least so often, in milliseconds. */
const COVERAGE_EVERY_LOOKS = 10;
const COVERAGE_EVERY_MS = 10_000;

export class PostgresRadarReader implements RadarReader {
  readonly #source: PostgresSource;
  /** What was confirmed last, by whichever reader. */
  #memory: {
    readonly slot?: string;
    readonly system?: string;
    readonly position?: string;
    /** When it was read up to there, by the database's clock. RFC 3339. */
    readonly readAt?: string;
    readonly watched: readonly string[];
  };
  #session: PostgresSession | undefined;
  #coverage: (Coverage & { readonly at: number }) | undefined;
  readonly #definitions: DefinitionWatch;
  readonly #eventTriggers = new EventTriggers();
  /** What the definitions were when what is to be confirmed was read. */
  #settled: CatalogState | undefined;
  /** Why the slot was given up here, until that is recorded. */
  #givenUp: string | undefined;

  constructor(source: PostgresSource, { memory, catalog }: Remembered) {
    this.#source = source;
    const { slot, system, position, readAt, watched, told } = memory ?? {};
    this.#definitions = new DefinitionWatch(catalog, told);
    this.#memory = {
      ...(typeof slot === 'string' ? { slot } : {}),
      ...(typeof system === 'string' ? { system } : {}),
      ...(typeof position === 'string' ? { position } : {}),
      ...(typeof readAt === 'string' ? { readAt } : {}),
      watched: Array.isArray(watched) ? watched.map(String) : [],
    };
  }

  read(signal: AbortSignal): Promise<Observed> {
    return this.#with(async (session) => {
      const { settings } = this.#source;
      const slot = settings.slot ?? slotName(settings.tool, await databaseName(session, signal));
      const standing = await slotStanding(session, slot, signal);
      const lost = this.#whyLost(standing);
      if (lost !== undefined) {
        if (standing.exists) await dropSlot(session, slot, signal);
        this.#givenUp = lost;
      }
      if (lost !== undefined || !standing.exists) return await this.#begun(session, slot, standing, signal);
      const coverage = await this.#covered(session, slot, standing.system, signal);
      const since = this.#memory.system === standing.system && this.#memory.slot === slot ? this.#memory.position : '';
      const gaps = [...takenGap(since, standing), ...withdrawnGap(this.#memory.position, coverage.withdrawn, standing)];
      return await this.#decoded(session, slot, standing, coverage, gaps, signal);
    }, signal);
  }

  confirm(observed: Observed, signal: AbortSignal): Promise<void> {
    return this.#with(async (session) => {
      const { slot, position, readAt } = observed.memory as { slot: string; position: string; readAt: string };
      // The ledger has it, whether or not the database hears of it.
      this.#memory = { slot, system: observed.system, position, readAt, watched: observed.watched };
      if (this.#settled !== undefined) this.#definitions.confirmed(this.#settled);
      this.#settled = undefined;
      if (position === '') await this.#begin(session, slot, observed.system, signal);
      else await advance(session, slot, position, signal);
      this.#givenUp = undefined;
      if (this.#coverage !== undefined) this.#coverage = { ...this.#coverage, withdrawn: [] };
    }, signal);
  }

  guard(signal: AbortSignal): Promise<void> {
    return this.#with(async (session) => {
      const { slot } = this.#memory;
      if (slot === undefined) return;
      const standing = await slotStanding(session, slot, signal);
      const lost = this.#whyLost(standing);
      if (lost === undefined || !standing.exists) return;
      await dropSlot(session, slot, signal);
      this.#givenUp = lost;
    }, signal);
  }

  async close(): Promise<void> {
    this.#session?.release();
    this.#session = undefined;
    await this.#source.database.close();
  }

  /** Why the slot is of no use any more, or must not be kept any longer. */
  #whyLost({ exists, lost, lagBytes }: SlotStanding): string | undefined {
    if (!exists) return undefined;
    if (lost) return 'the database removed what the slot still needed (max_slot_wal_keep_size)';
    const { maxLagBytes } = this.#source.settings;
    if (lagBytes <= maxLagBytes) return undefined;
    return `the database kept ${lagBytes} bytes of log for it, and maxLagBytes is ${maxLagBytes}: the slot was dropped rather than the disk filled`;
  }

  /** There is no slot. Where there was one before, what was written since is not known: that is recorded before another is made. */
  async #begun(session: PostgresSession, slot: string, standing: SlotStanding, signal: AbortSignal): Promise<Observed> {
    await assertLogical(session, this.#source.settings.tool, signal);
    const { position: since } = this.#memory;
    const { system, flushed } = standing;
    const { watched } = this.#memory;
    const wasWatched =
      since !== undefined && since !== '' && this.#memory.system === system && this.#memory.slot === slot;
    return {
      system,
      writes: [],
      definitions: [],
      gaps: wasWatched ? [lostGap(since, standing, this.#givenUp)] : [],
      position: flushed,
      memory: { ...readOf(standing, slot, watched), position: '', told: this.#definitions.told(false) },
      more: true,
      watched,
      unseen: [],
    };
  }

  /** The publications first: the log is read by the catalog as it was then. */
  async #begin(session: PostgresSession, slot: string, system: string, signal: AbortSignal): Promise<void> {
    this.#coverage = undefined;
    await this.#source.prepare(signal);
    await this.#covered(session, slot, system, signal);
    const position = await createSlot(session, slot, this.#source.settings.tool, signal);
    if (position !== undefined) this.#memory = { ...this.#memory, position };
    if (this.#coverage !== undefined)
      this.#coverage = { ...(this.#coverage as Coverage & { at: number }), withdrawn: [] };
  }

  async #covered(session: PostgresSession, slot: string, system: string, signal: AbortSignal): Promise<Coverage> {
    const now = performance.now();
    const everyMs = Math.min(COVERAGE_EVERY_MS, COVERAGE_EVERY_LOOKS * this.#source.settings.everyMs);
    if (this.#coverage !== undefined && now - this.#coverage.at < everyMs) return this.#coverage;
    const before = this.#coverage?.watched ?? this.#memory.watched;
    const { watched } = this.#source;
    const names = publicationsOf(slot);
    let coverage: Coverage | undefined;
    const republished = await this.#definitions.look(
      session,
      {
        system,
        tables: await tablesOf(session, watched, names, signal),
        names: { publications: Object.values(names), effectsSchema: watched.effectsSchema },
        isAsked: (name) => isAsked(watched, name),
        repair: async () => {
          const { unseen, ...rest } = await ensureCoverage(session, watched, { slot, before }, signal);
          const more = watched.triggers ? await this.#eventTriggers.ensure(session, watched, signal) : [];
          coverage = { ...rest, unseen: [...unseen, ...more] };
          return rest.tables;
        },
      },
      signal,
    );
    if (coverage === undefined) throw new TypeError('nothing was put right');
    const withdrawn = [...new Set([...coverage.withdrawn, ...republished])];
    this.#coverage = { ...coverage, withdrawn, at: now };
    return this.#coverage;
  }

  async #decoded(
    session: PostgresSession,
    slot: string,
    standing: SlotStanding,
    { watched, unseen }: Coverage,
    gaps: readonly Gap[],
    signal: AbortSignal,
  ): Promise<Observed> {
    const { flushed, lagBytes, system } = standing;
    const { full, inserts } = publicationsOf(slot);
    const { effectsSchema } = this.#source.watched;
    const effects = `"${effectsSchema.replaceAll('"', '""')}".effects`;
    let rows: readonly Decoded[];
    try {
      rows = await peek(session, { slot, upTo: flushed, publications: [full, inserts], effects }, signal);
    } catch (error) {
      // The log is read by the catalog of then, and there were no publications then: it cannot be read past that.
      if (sqlState(error) !== '42704') throw error;
      await dropSlot(session, slot, signal);
      this.#givenUp = 'somebody dropped the publications';
      return await this.#begun(session, slot, standing, signal);
    }
    const { position: judged = '', readAt = '' } = this.#memory.system === system ? this.#memory : {};
    const before = readAt === '' ? undefined : { lsn: lsnOf(judged), at: new Date(readAt) };
    const { writes, definitions, end, messages } = transactionsOf(rows, before);
    const cut = isCut(messages);
    const upTo = cut ? 0n : lsnOf(flushed);
    const readTo = end !== undefined && end > upTo ? end : upTo;
    const position = lsnText(readTo);
    const heard = this.#definitions.hear(definitions, slot);
    // What the catalog has become by that is what is compared from now on.
    if (heard.length > 0 && this.#coverage !== undefined) this.#coverage = { ...this.#coverage, at: -Infinity };
    const settled = this.#definitions.settled(readTo);
    this.#settled = settled?.state;
    const catalog = settled === undefined ? undefined : this.#definitions.memoryOf(settled.state);
    return {
      system,
      writes,
      definitions: [...heard, ...(settled?.found ?? [])],
      gaps,
      position,
      memory: { ...readOf(standing, slot, watched), position, told: this.#definitions.told(settled !== undefined) },
      ...(catalog === undefined ? {} : { catalog }),
      more: cut,
      lagBytes,
      watched,
      unseen,
    };
  }

  async #with<T>(work: (session: PostgresSession) => Promise<T>, signal: AbortSignal): Promise<T> {
    const { database, settings } = this.#source;
    try {
      this.#session ??= await database.session();
      return await work(this.#session);
    } catch (error) {
      if (isConnectionLost(error) || signal.aborted) {
        this.#session?.release(true);
        this.#session = undefined;
      }
      throw radarFailure(error, settings.tool);
    }
  }
}

/** What is remembered of a read, but for up to where it was. */
function readOf({ system, now }: SlotStanding, slot: string, watched: readonly string[]) {
  return { slot, system, readAt: now.toISOString(), watched: [...watched] };
}

async function databaseName(session: PostgresSession, signal: AbortSignal): Promise<string> {
  const [result] = await runFixed(session, [{ text: 'SELECT current_database()' }], signal);
  return result?.rows[0]?.[0] ?? '';
}
