/** Rows before and after, side by side. What differs is marked by words and signs as well as by colour. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import type { Changes, RowChange, ValueChange } from '../action/changes.js';
import { count, plural } from './format.js';
import { Sanitized, Value } from './sanitized-text.js';

/** What happens to a row, as a sign and in words for those who do not see it. */
interface Mark {
  readonly sign: string;
  readonly word: string;
}

const MARKS: Readonly<Record<RowChange['kind'], Mark>> = {
  change: { sign: '~', word: 'changes' },
  remove: { sign: '−', word: 'is removed' },
  add: { sign: '+', word: 'is added' },
  read: { sign: '·', word: 'is read' },
};

export function RowDiff({ changes }: { readonly changes: Changes }): JSX.Element {
  const { rows, columns, changed, more, foreseen, kind } = changes;
  return (
    <>
      <div class="scroll" tabindex={0} role="region" aria-label="Rows that it would touch">
        <table class={`diff ${kind}`}>
          <thead>
            <tr>
              <th scope="col">
                <span class="visually-hidden">What happens to the row</span>
              </th>
              {columns.map((name) => (
                <th scope="col" {...(changed.has(name) ? { class: 'changed' } : {})}>
                  <Sanitized text={name} max={60} />
                  {changed.has(name) ? <span class="tag">changes</span> : null}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Row row={row} columns={columns} changed={changed} />
            ))}
          </tbody>
        </table>
      </div>
      {more > 0 ? (
        <p class="note">… and {plural(more, 'more row')}, not shown. They are part of the action too.</p>
      ) : null}
      {foreseen ? null : (
        <p class="note">These are the rows as they are now. The statement computes their new values in the database.</p>
      )}
    </>
  );
}

function Row({
  row: { kind, before, after },
  columns,
  changed,
}: {
  readonly row: RowChange;
  readonly columns: readonly string[];
  readonly changed: ReadonlySet<string>;
}): JSX.Element {
  return (
    <tr class={kind}>
      <RowMark {...MARKS[kind]} />
      {columns.map((name) => (
        <td {...(changed.has(name) ? { class: 'changed' } : {})}>
          {changed.has(name) ? (
            <FromTo before={before?.[name]} after={after?.[name]} />
          ) : (
            <Value value={(before ?? after)?.[name]} max={80} />
          )}
        </td>
      ))}
    </tr>
  );
}

/** A value that stays what it is says so: an update that changes nothing must not look like one that does. */
function FromTo({ before, after }: { readonly before: unknown; readonly after: unknown }): JSX.Element {
  if (before !== undefined && JSON.stringify(before) === JSON.stringify(after)) {
    return (
      <>
        <Value value={before} max={80} /> <span class="same">unchanged</span>
      </>
    );
  }
  return (
    <span class="fromto">
      <del>
        <span class="visually-hidden">was </span>
        <Value value={before} max={80} />
      </del>
      <span class="arrow" aria-hidden="true">
        →
      </span>
      <ins>
        <span class="visually-hidden">becomes </span>
        <Value value={after} max={80} />
      </ins>
    </span>
  );
}

/** At most this many changed values are shown; all of them are in the record. */
const MAX_VALUES = 100;

/** What was found to have changed, value by value. */
export function ValueDiff({
  changes,
  operations,
}: {
  readonly changes: readonly ValueChange[];
  readonly operations: number;
}): JSX.Element {
  const shown = changes.slice(0, MAX_VALUES);
  const hidden = operations - shown.length;
  return (
    <>
      <div class="scroll" tabindex={0} role="region" aria-label="Values that changed">
        <table class="diff values">
          <thead>
            <tr>
              <th scope="col">
                <span class="visually-hidden">What happened to it</span>
              </th>
              <th scope="col">Object</th>
              <th scope="col">Field</th>
              <th scope="col">Before</th>
              <th scope="col">After</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((change) => (
              <ValueRow change={change} />
            ))}
          </tbody>
        </table>
      </div>
      {hidden > 0 ? <p class="note">… and {count(hidden)} more, not shown.</p> : null}
    </>
  );
}

const MADE: Readonly<Record<ValueChange['kind'], Mark>> = {
  change: { sign: '~', word: 'changed' },
  remove: { sign: '−', word: 'removed' },
  add: { sign: '+', word: 'added' },
};

function ValueRow({ change: { kind, object, field, before, after } }: { readonly change: ValueChange }): JSX.Element {
  return (
    <tr class={kind}>
      <RowMark {...MADE[kind]} />
      <td>
        <Sanitized text={object} max={80} />
      </td>
      <td>
        <Sanitized text={field} max={60} />
      </td>
      <ValueCell absent={kind === 'add'}>
        <del>
          <Value value={before} />
        </del>
      </ValueCell>
      <ValueCell absent={kind === 'remove'}>
        <ins>
          <Value value={after} />
        </ins>
      </ValueCell>
    </tr>
  );
}

function ValueCell({ absent, children }: { readonly absent: boolean; readonly children?: Child }): JSX.Element {
  return <td>{absent ? <span class="null">—</span> : children}</td>;
}

function RowMark({ sign, word }: Mark): JSX.Element {
  return (
    <th scope="row" class="mark">
      <span aria-hidden="true">{sign}</span>
      <span class="visually-hidden">{word}</span>
    </th>
  );
}
