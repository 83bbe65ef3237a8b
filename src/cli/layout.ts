/** How text is laid out on a terminal: pages of labelled facts, quoted blocks, tables. */
import { sanitize, sanitizeLines } from '../presentation/sanitize.js';
import type { Paint } from './output.js';

/** What a page is drawn with. */
export interface Pen {
  readonly paint: Paint;
  readonly width: number;
  /** Nothing is left out, however long: for people who answer for what they see. */
  readonly full: boolean;
}

const INDENT = '  ';
const LABEL_WIDTH = 11;
/** A table wider than the terminal becomes one line of JSON per row. */
const MAX_COLUMNS = 12;

export class Page {
  readonly pen: Pen;
  readonly #lines: string[] = [];

  constructor(pen: Pen) {
    this.pen = pen;
  }

  /** A line as it is: its parts must be sanitized already. */
  line(text = ''): void {
    this.#lines.push(text);
  }

  /** One entry of the timeline. */
  entry(title: string, aside = '', mark = '●'): void {
    this.#lines.push('', `${mark} ${this.pen.paint.bold(title)}${aside === '' ? '' : `  ${aside}`}`);
  }

  /** A labelled line; further lines stand under the first. Lines must be sanitized already. */
  fact(label: string, ...lines: readonly string[]): void {
    const [first = '', ...more] = lines;
    this.#lines.push(`${INDENT}${this.pen.paint.dim(label.padEnd(LABEL_WIDTH))} ${first}`);
    for (const line of more) this.#lines.push(`${INDENT}${' '.repeat(LABEL_WIDTH)} ${line}`);
  }

  /** Somebody's own words, whatever they hold, behind a bar that says where they end. */
  quote(label: string, by: string, text: string): void {
    const limits = this.pen.full ? { max: Infinity, maxLines: Infinity } : {};
    const bar = this.pen.paint.dim('│');
    this.fact(label, this.pen.paint.dim(by), ...sanitizeLines(text, limits).map((line) => `${bar} ${line}`));
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

/** Any JSON value on one line. */
export function compact(value: unknown, max = 160): string {
  return sanitize(typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? 'nothing'), { max });
}

/** Names in a list, or a word for none. */
export function listed(names: readonly string[], none = 'none'): string {
  return names.length === 0 ? none : names.map((name) => sanitize(name)).join(', ');
}

/**
 * Rows under their column names, aligned. Cells are sanitized here; `colour` sees them after that.
 *
 * @returns lines; one line of JSON per row when a table would be too wide
 */
export function table(
  rows: readonly Readonly<Record<string, unknown>>[],
  pen: Pen,
  colour: (column: string, text: string) => string = (_, text) => text,
): string[] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const max = pen.full ? Infinity : 40;
  const cells = rows.map((row) => columns.map((column) => cell(row[column], max)));
  const headers = columns.map((column) => sanitize(column, { max: 40 }));
  const widths = headers.map((header, i) => Math.max(...[header, ...cells.map((row) => row[i] ?? '')].map(lengthOf)));
  const total = widths.reduce((sum, width) => sum + width + 2, 0);
  if (columns.length > MAX_COLUMNS || total > Math.max(pen.width - 16, 60)) {
    return rows.map((row) => compact(row, pen.full ? Infinity : 400));
  }
  const padding = (text: string, i: number): string => ' '.repeat(Math.max(0, (widths[i] ?? 0) - lengthOf(text)));
  const draw = (row: readonly string[], dress: (text: string, i: number) => string): string =>
    row
      .map((text, i) => dress(text, i) + padding(text, i))
      .join('  ')
      .trimEnd();
  return [
    pen.paint.dim(draw(headers, (text) => text)),
    ...cells.map((row) => draw(row, (text, i) => colour(columns[i] ?? '', text))),
  ];
}

function cell(value: unknown, max: number): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return sanitize(value, { max });
  return compact(value, max);
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}
