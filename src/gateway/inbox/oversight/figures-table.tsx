/** A table of figures: a name in each row, and columns of numbers. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';

export function FiguresTable({
  label,
  what,
  columns,
  children,
}: {
  /** For people who hear the page. */
  readonly label: string;
  /** What the rows are: `approver`. */
  readonly what: string;
  readonly columns: readonly string[];
  readonly children: Child;
}): JSX.Element {
  return (
    <div class="scroll" tabindex={0} role="region" aria-label={label}>
      <table class="figures">
        <thead>
          <tr>
            <th scope="col">{what}</th>
            {columns.map((column) => (
              <th scope="col" class="number">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
