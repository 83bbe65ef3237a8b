/** Whether a command that the log tells of concerns what is watched, or what the radar has made. Pure. */
import type { CatalogChange } from './catalog-changes.js';
import type { DefinitionMessage } from './messages.js';
import { publicationsOf } from './coverage.js';
import { RADAR_TRIGGER } from './trigger-source.js';

type Concern = Pick<CatalogChange, 'kind' | 'name'>;

/** `tables`: the names of watched tables, by their numbers and those of their partitions. */
export function concernOf(
  { tag, type, identity, relation, root }: DefinitionMessage,
  tables: ReadonlyMap<string, string>,
  slot: string,
): Concern | undefined {
  if (type === 'function')
    return /\.note_(?:writer|definition)\(\)$/.test(identity) ? { kind: 'guard', name: 'function' } : undefined;
  if (type === 'publication' || type === 'publication relation') {
    // A table that is dropped leaves its publications by that.
    if (!tag.endsWith(' PUBLICATION')) return undefined;
    const ours = Object.values(publicationsOf(slot)).some(
      (name) => identity === name || identity.endsWith(` in publication ${name}`),
    );
    return ours ? { kind: 'guard', name: 'publication' } : undefined;
  }
  const table = tables.get(relation ?? '') ?? tables.get(root ?? '');
  if (table === undefined) return undefined;
  // Another radar of the same database may make it.
  const isGuard = type === 'trigger' && identity.startsWith(`${RADAR_TRIGGER} on `);
  if (!isGuard) return { kind: 'definition', name: table };
  return tag === 'CREATE TRIGGER' ? undefined : { kind: 'guard', name: table };
}
