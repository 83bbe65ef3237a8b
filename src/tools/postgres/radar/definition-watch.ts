/**
 * Sees to it that a change of what is watched, or of what the radar has made, is told. The log says who did it where the event triggers are;
 * the catalog, compared from look to look, says that it was done in any case. What the log has said is not told twice.
 */
import { digest, digestText, type Json, type JsonObject } from '../../../action/json.js';
import type { ObservedDefinition } from '../../../radar/source.js';
import type { PostgresSession } from '../connection.js';
import { changesBetween, republished, type CatalogChange } from './catalog-changes.js';
import {
  catalogStateIn,
  definitionsOf,
  sealsOf,
  type CatalogFound,
  type CatalogState,
  type NamedTable,
  type SealNames,
} from './catalog-state.js';
import { lsnOf, type DecodedDefinitions } from './decode.js';
import { concernOf } from './definition-concern.js';
import { runFixed } from './fixed-session.js';
import { RADAR_APPLICATION } from './messages.js';
import type { TransactionSnapshot } from './transaction-snapshot.js';
import { ToldDefinitions } from './told-definitions.js';

interface Look {
  readonly state: CatalogState;
  readonly changes: readonly FoundChange[];
  /** Everything that is in `state` was committed before here. An LSN. */
  readonly lsn: string;
  /** What this saw is in `state`. */
  readonly snapshot: TransactionSnapshot;
  readonly at: Date;
}

/** Who finds the same anew, after a death or beside another, names it the same. */
type FoundChange = CatalogChange & { readonly position: string };

export interface LookRequest {
  readonly system: string;
  readonly tables: readonly NamedTable[];
  readonly names: SealNames;
  readonly isAsked: (name: string) => boolean;
  /** Puts right what of the radar's own is missing, and says which tables there are then. */
  readonly repair: () => Promise<readonly NamedTable[]>;
}

export class DefinitionWatch {
  /** As it was when everything before was told. */
  #known: CatalogState | undefined;
  #look: Look | undefined;
  /** By table: the sentences of its definition, as this process saw them last. */
  #facts = new Map<string, { readonly digest: string; readonly facts: readonly string[] }>();
  readonly #told: ToldDefinitions;
  #user = '';
  #saved = '';

  /** `told`: what `remembered` did not have yet when the log said it (`told`). */
  constructor(remembered: JsonObject | undefined, told: Json | undefined) {
    this.#known = catalogStateIn(remembered);
    this.#told = new ToldDefinitions(told);
    this.#saved = JSON.stringify(this.#known);
  }

  /** Looks at the catalog, has it put right, and looks again. @returns tables whose changes may not have been published meanwhile */
  async look(session: PostgresSession, request: LookRequest, signal: AbortSignal): Promise<readonly string[]> {
    const { system, tables, names, isAsked, repair } = request;
    if (this.#known !== undefined && this.#known.system !== system) {
      this.#known = undefined;
      this.#look = undefined;
    }
    const before = new Map(this.#facts);
    const { found, snapshot } = await this.#stateOf(session, system, tables, names, signal);
    const { lsn, at, user } = await placeOf(session, signal);
    this.#user = user;
    const put = await sealsOf(session, await repair(), names, signal);
    // What was found and is not told yet is not looked for again. Nor is the first look made anew before it is settled: where each read looks, since
    // reads are far apart, none would ever be, and nothing compared.
    if (this.#look !== undefined && (this.#look.changes.length > 0 || this.#known === undefined)) return [];
    const known = this.#known;
    // What a look before has said of publications is not said again, settled or not.
    const published = this.#look?.state ?? known;
    const both = (name: string) => {
      const [was, is] = [before.get(name), this.#facts.get(name)];
      const wasKnown = was !== undefined && was.digest === known?.tables[name]?.digest;
      return wasKnown && is !== undefined ? ([was.facts, is.facts] as const) : undefined;
    };
    const changes =
      known === undefined
        ? []
        : changesBetween(known, found, isAsked, both).map((change) => ({
            ...change,
            position: positionOf(change, known, found),
          }));
    const entries = Object.entries(found.tables).map(([name, table]) => [
      name,
      { ...table, ...put.tables.get(table.oid) },
    ]);
    const now = { system, tables: Object.fromEntries(entries) as CatalogState['tables'], own: put.own };
    const state = { ...now, since: known !== undefined && isSame(known, now) ? known.since : lsn };
    this.#look = { state, changes, lsn, snapshot, at };
    return published === undefined ? [] : republished(published, found);
  }

  async #stateOf(
    session: PostgresSession,
    system: string,
    tables: readonly NamedTable[],
    names: SealNames,
    signal: AbortSignal,
  ): Promise<{ readonly found: CatalogFound; readonly snapshot: TransactionSnapshot }> {
    const seals = await sealsOf(session, tables, names, signal);
    const definitions = await definitionsOf(session, tables, [], signal);
    const isNew = ({ name, oid }: NamedTable) => this.#facts.get(name)?.digest !== definitions.get(oid)?.digest;
    const inFull = tables.filter(isNew).map(({ oid }) => oid);
    const full = inFull.length === 0 ? undefined : await definitionsOf(session, tables, inFull, signal);
    const states: [string, CatalogState['tables'][string]][] = [];
    for (const { name, oid } of tables) {
      const definition = full?.get(oid) ?? definitions.get(oid);
      const seal = seals.tables.get(oid);
      // Gone while it was looked at.
      if (definition === undefined || seal === undefined) continue;
      if (definition.facts !== undefined) this.#facts.set(name, { digest: definition.digest, facts: definition.facts });
      states.push([name, { oid, digest: definition.digest, ...seal }]);
    }
    const found = { system, tables: Object.fromEntries(states), own: seals.own };
    return { found, snapshot: seals.snapshot };
  }

  /** What the log says of definitions that matter here. Saying it again changes nothing. */
  hear(decoded: readonly DecodedDefinitions[], slot: string): readonly ObservedDefinition[] {
    if (decoded.length === 0) return [];
    const isTold = [this.#known, this.#look?.state].some((state) => state !== undefined && state.own.events !== '');
    const tables = new Map(
      [this.#known, this.#look?.state].flatMap((state) =>
        Object.entries(state?.tables ?? {}).flatMap(([name, { oid, triggers }]) =>
          [oid, ...Object.keys(triggers)].map((number) => [number, name] as const),
        ),
      ),
    );
    return decoded.flatMap(({ position, at, transaction, messages }) => {
      const others = messages.filter(
        ({ writer }) => writer.user !== this.#user || writer.application !== RADAR_APPLICATION,
      );
      return (['definition', 'guard'] as const).flatMap((kind): readonly ObservedDefinition[] => {
        const concerns = others.flatMap((message) => {
          const concern = concernOf(message, tables, slot);
          return concern?.kind === kind ? [{ message, name: concern.name }] : [];
        });
        if (concerns.length === 0) return [];
        // One session made the transaction: who else is named in it was put there, by whoever is named beside them.
        const writers = distinct(others.map(({ writer }) => writer));
        // Where nothing of ours says who, anybody can have said it.
        if (isTold) for (const { name } of concerns) this.#told.add(kind, name, { writers, transaction });
        const changes = distinct(
          concerns.map(({ message: { tag, identity } }) => ({ table: identity, operation: tag })),
        );
        return [{ kind, position: `${position}/${kind}`, at, transaction, changes, writers }];
      });
    });
  }

  /** What the last look found and the log does not say, once the log was read to behind it. Undefined before. */
  settled(readTo: bigint): { readonly found: readonly ObservedDefinition[]; readonly state: CatalogState } | undefined {
    const look = this.#look;
    if (look === undefined || readTo < lsnOf(look.lsn)) return undefined;
    const found = look.changes
      .filter(({ kind, name }) => this.#told.writersOf(kind, name) === undefined)
      .map(({ kind, name, detail, position }): ObservedDefinition => {
        // Whoever changed the table may have touched the trigger by that.
        const writers = this.#told.writersOf('definition', name) ?? [];
        const changes = [{ table: name, operation: kind === 'guard' ? 'change of what the radar made' : 'definition' }];
        return { kind, position, at: look.at, changes, writers, detail };
      });
    return { found, state: look.state };
  }

  /** To be remembered with what was settled; undefined where that is remembered as it is. */
  memoryOf(state: CatalogState): JsonObject | undefined {
    return JSON.stringify(state) === this.#saved ? undefined : (state as unknown as JsonObject);
  }

  /** To be remembered as well: what the log has said and the catalog, as it is remembered, has not. `settled`: with what a look has settled. */
  told(settled: boolean): readonly JsonObject[] {
    return this.#told.remembered(settled ? this.#look?.snapshot : undefined);
  }

  /** What was settled is recorded. */
  confirmed(state: CatalogState): void {
    this.#known = state;
    this.#saved = JSON.stringify(state);
    const look = this.#look;
    if (look?.state !== state) return;
    this.#look = undefined;
    this.#told.looked(look.snapshot);
  }
}

/** Names a change by what it was before, and since when, and by what it is: the same change made again later has another name. */
function positionOf({ kind, name }: CatalogChange, { since }: CatalogState, { tables, own }: CatalogFound): string {
  const table = tables[name];
  const is = kind === 'definition' ? table?.digest : (table?.triggers ?? own[name as keyof CatalogState['own']]);
  return `${kind}/${since}/${name}/${digestText(JSON.stringify(is ?? null)).slice(-16)}`;
}

function isSame({ since: _since, ...before }: CatalogState, now: CatalogFound): boolean {
  // What was remembered may come back in another order.
  return digest(before) === digest(now);
}

/** A commit of its own has the log flushed up to here, which an idle server would leave for seconds. */
async function placeOf(
  session: PostgresSession,
  signal: AbortSignal,
): Promise<{ readonly lsn: string; readonly at: Date; readonly user: string }> {
  const text = `SELECT pg_logical_emit_message(true, 'countersign.radar.look', '')::text, extract(epoch from clock_timestamp()) * 1000, session_user`;
  const [result] = await runFixed(session, [{ text }], signal);
  const [lsn, at, user] = result?.rows[0] ?? [];
  return { lsn: lsn ?? '', at: new Date(Number(at)), user: user ?? '' };
}

function distinct<T extends object>(values: readonly T[]): readonly T[] {
  return [...new Map(values.map((value) => [JSON.stringify(value), value])).values()];
}
