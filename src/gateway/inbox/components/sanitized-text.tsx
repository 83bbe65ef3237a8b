/** Text from agents and from systems they can write to, as it may stand on a page: it can be read, and do nothing else. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import { struckOut } from '../../../action/secrets.js';
import { blankText, codePoint, cutPieces, piecesOf, type Mark, type Piece } from '../../../presentation/text-pieces.js';

/** Text is markup for nobody here: JSX escapes it. What is left is what a reader would not notice. */
function drawn(pieces: readonly Piece[]): Child[] {
  return pieces.map((piece) => (typeof piece === 'string' ? piece : <Odd mark={piece} />));
}

const NAMES: Readonly<Record<string, string>> = {
  '\n': 'line feed',
  '\r': 'carriage return',
  '\t': 'tab',
  '\u001B': 'escape',
  '\u00AD': 'soft hyphen',
  '\u200B': 'zero width space',
  '\u200C': 'zero width non-joiner',
  '\u200D': 'zero width joiner',
  '\u200E': 'left-to-right mark',
  '\u200F': 'right-to-left mark',
  '\u202A': 'left-to-right embedding',
  '\u202B': 'right-to-left embedding',
  '\u202C': 'pop directional formatting',
  '\u202D': 'left-to-right override',
  '\u202E': 'right-to-left override',
  '\u2066': 'left-to-right isolate',
  '\u2067': 'right-to-left isolate',
  '\u2068': 'first strong isolate',
  '\u2069': 'pop directional isolate',
  '\uFEFF': 'zero width no-break space',
};

/** What would not be noticed: a character by its code point, a long blank in words. */
function Odd({ mark: { kind, text, script, name = 'secret' } }: { readonly mark: Mark }): JSX.Element {
  if (kind === 'blank') return <span class="odd">{blankText(text)}</span>;
  if (kind === 'secret') return <span class="odd">{struckOut(name)}</span>;
  const title =
    kind === 'foreign'
      ? `“${text}”, a letter of another script than the word it stands in: ${script ?? 'unknown'}`
      : (NAMES[text] ?? 'a character that is not seen');
  return (
    <span class="odd" title={title}>
      {codePoint(text)}
    </span>
  );
}

/** How much of the end of a long text is shown, so that what matters cannot hide behind what does not. */
const TAIL = { line: 30, block: 300 } as const;

/** One line. Longer text is cut, says so and shows its end. It cannot turn around what stands beside it. */
export function Sanitized({ text, max = 300 }: { readonly text: string; readonly max?: number }): JSX.Element {
  const { head, hidden, tail } = cutPieces(piecesOf(text), max, max < 2 * TAIL.line ? 0 : TAIL.line);
  if (hidden === 0) return <bdi>{drawn(head)}</bdi>;
  return (
    <bdi>
      {drawn(head)}
      <span class="cut">… {hidden.toLocaleString('en')} more …</span>
      {drawn(tail)}
    </bdi>
  );
}

/** How many lines are shown of a text that is folded, and how many of its end. */
const LINES = { head: 24, tail: 4 } as const;

/** Several lines, in a block of their own. What is long is folded away between its beginning and its end, not left out. */
export function SanitizedBlock({
  text,
  max = 1500,
  code = false,
  label = 'The whole text',
}: {
  readonly text: string;
  readonly max?: number;
  readonly code?: boolean;
  /** What the unfolded text is called, where a page has several. */
  readonly label?: string;
}): JSX.Element {
  const normal = text.replaceAll(/\r\n/g, '\n');
  const kind = code ? 'block code' : 'block';
  const lines = normal.split('\n');
  const whole = piecesOf(normal, { lines: true });
  const { hidden } = cutPieces(whole, max, 0);
  const isLong = hidden > 0 || drawnLines(whole) > LINES.head + LINES.tail;
  if (!isLong) return <div class={kind}>{drawn(whole)}</div>;
  const { head } = cutPieces(piecesOf(lines.slice(0, LINES.head).join('\n'), { lines: true }), max - TAIL.block, 0);
  const end = piecesOf(
    lines
      .slice(-LINES.tail)
      .join('\n')
      .slice(-8 * TAIL.block)
      .toWellFormed(),
    { lines: true },
  );
  const { tail } = cutPieces(end, TAIL.block, TAIL.block);
  return (
    <div class="folded">
      <div class={kind}>
        {drawn(head)}
        <span class="cut"> … folded here; it ends in … </span>
        {drawn(tail.length === 0 ? end : tail)}
      </div>
      <details>
        <summary>
          Show all {normal.length.toLocaleString('en')} characters
          {lines.length > 1 ? ` on ${lines.length.toLocaleString('en')} lines` : ''}
        </summary>
        <div class={`${kind} whole`} tabindex={0} role="region" aria-label={label}>
          {drawn(whole)}
        </div>
      </details>
    </div>
  );
}

/** Long blanks are told in words, on one line. */
function drawnLines(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, piece) => sum + (typeof piece === 'string' ? piece.split('\n').length - 1 : 0), 1);
}

/** Any JSON value on one line. */
export function Value({ value, max = 160 }: { readonly value: unknown; readonly max?: number }): JSX.Element {
  if (value === null) return <span class="null">null</span>;
  if (value === undefined) return <span class="null">—</span>;
  if (typeof value === 'string')
    return value === '' ? <span class="null">empty</span> : <Sanitized text={value} max={max} />;
  if (varies(value)) return <span class="null">differs each time</span>;
  return <Sanitized text={JSON.stringify(value)} max={max} />;
}

/** Whether a rehearsal marked the value as one that differs each time. */
function varies(value: unknown): boolean {
  return typeof value === 'object' && value !== null && '$varies' in value && Object.keys(value).length === 1;
}
