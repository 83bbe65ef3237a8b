/** What became of the catalog between two looks. Pure. */
import type { CatalogFound, TableState } from './catalog-state.js';

/** `definition`: of a watched table. `guard`: of what the radar has made, by which it knows who writes and who changes a definition. */
export interface CatalogChange {
  readonly kind: 'definition' | 'guard';
  /** The table; for what is of the whole database, `function` or `events`. */
  readonly name: string;
  readonly detail: string;
}

/** Sentences of a definition that are told of; the others are counted. */
const MOST_FACTS = 4;
const FACT_CHARACTERS = 160;

const OWN: Readonly<Record<keyof CatalogFound['own'], string>> = {
  function: 'The function that says who writes was changed or removed',
  events: 'The event triggers that say who changes a definition were changed, disabled or removed',
};

/** `isAsked`: whether a table that is gone is to be watched still. `told`: a table's definition before and now, where both are known. */
export function changesBetween(
  before: CatalogFound,
  now: CatalogFound,
  isAsked: (name: string) => boolean,
  told: (name: string) => readonly [before: readonly string[], now: readonly string[]] | undefined,
): readonly CatalogChange[] {
  const changes: CatalogChange[] = [];
  for (const [name, was] of Object.entries(before.tables)) {
    const is = now.tables[name];
    if (is === undefined) {
      if (isAsked(name)) changes.push({ kind: 'definition', name, detail: `${name} is gone` });
      continue;
    }
    if (is.digest !== was.digest)
      changes.push({ kind: 'definition', name, detail: `${name}: ${difference(told(name))}` });
    if (is.oid === was.oid && wasTouched(was, is)) {
      const detail = `The trigger that says who writes ${name} was changed, disabled or removed`;
      changes.push({ kind: 'guard', name, detail });
    }
  }
  for (const part of ['function', 'events'] as const) {
    if (before.own[part] !== '' && before.own[part] !== now.own[part])
      changes.push({ kind: 'guard', name: part, detail: OWN[part] });
  }
  return changes;
}

/** Tables that were not published for a while, or not as they were: somebody took them out and put them back. */
export function republished(before: CatalogFound, now: CatalogFound): readonly string[] {
  return Object.entries(before.tables)
    .filter(([name, { oid, published }]) => {
      const is = now.tables[name];
      return is !== undefined && is.oid === oid && published !== '' && is.published !== published;
    })
    .map(([name]) => name);
}

/** Partitions that came or went are a matter of the definition. */
function wasTouched(was: TableState, is: TableState): boolean {
  return Object.entries(was.triggers).some(([oid, seal]) => {
    const now = is.triggers[oid];
    return seal !== '' && now !== undefined && now !== seal;
  });
}

function difference(told: readonly [before: readonly string[], now: readonly string[]] | undefined): string {
  if (told === undefined) return 'its definition is another than when it was looked at last';
  const [before, now] = told;
  const came = now.filter((fact) => !before.includes(fact));
  const went = before.filter((fact) => !now.includes(fact));
  if (came.length + went.length === 0)
    return 'its columns were defined anew as they were: every value of them may be another';
  const parts = [
    ...(came.length === 0 ? [] : [`now ${listed(came)}`]),
    ...(went.length === 0 ? [] : [`no longer ${listed(went)}`]),
  ];
  return `its definition was changed: ${parts.join('; ')}`;
}

function listed(facts: readonly string[]): string {
  const more = facts.length - MOST_FACTS;
  const shown = facts.slice(0, MOST_FACTS).map((fact) => fact.slice(0, FACT_CHARACTERS).toWellFormed());
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
