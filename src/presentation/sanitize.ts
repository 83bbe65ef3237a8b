/** Text from agents and from systems they can write to, made harmless for a terminal: nothing in it can move, colour, hide or reverse. */
import { struckOut } from '../action/secrets.js';
import { blankText, cutPieces, piecesOf, type Piece } from './text-pieces.js';

const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

interface SanitizeOptions {
  /** Longer text is cut, and says so. Characters, default 2000. */
  readonly max?: number;
}

/** How much of the end of a long text stays, so that what matters cannot hide behind what does not. */
const TAIL = 80;
/** A text that is cut to less than this loses its end: there is no room for both. */
const WITH_TAIL = 200;

/**
 * One line of text that can do nothing but be read. What is unsafe is not dropped but shown as its code point, `\u{202E}`, so that
 * two texts never look the same because of it; so is a letter of another script than its word's. A long blank is told in words.
 */
export function sanitize(text: string, { max = 2000 }: SanitizeOptions = {}): string {
  const { head, hidden, tail } = cutPieces(piecesOf(text), max, max < WITH_TAIL ? 0 : TAIL);
  if (hidden === 0) return spelled(head);
  return `${spelled(head)}… (${hidden} more characters)${tail.length === 0 ? '' : ` …${spelled(tail)}`}`;
}

/** The same for text of several lines. */
export function sanitizeLines(
  text: string,
  { max = 4000, maxLines = 40 }: SanitizeOptions & { maxLines?: number } = {},
): string[] {
  const normal = text.replaceAll(/\r\n|\r/g, '\n');
  const { head, hidden } = cutPieces(piecesOf(normal, { lines: true }), max, 0);
  const lines = spelled(head).replaceAll('\t', '  ').split('\n');
  const shown = lines.slice(0, maxLines);
  const more = lines.length - shown.length;
  if (more > 0) shown.push(`… (${more} more lines)`);
  if (hidden > 0) shown.push(`… (${hidden} more characters)`);
  if (more > 0 || hidden > 0) shown.push(`…${tailOf(normal)}`);
  return shown;
}

/** The end of a text, on one line. */
export function tailOf(text: string): string {
  const { tail } = cutPieces(piecesOf(text.trimEnd()), TAIL, TAIL);
  return spelled(tail.length === 0 ? piecesOf(text.trimEnd()) : tail);
}

function spelled(pieces: readonly Piece[]): string {
  return pieces
    .map((piece) => {
      if (typeof piece === 'string') return piece;
      if (piece.kind === 'blank') return `⟨${blankText(piece.text)}⟩`;
      if (piece.kind === 'secret') return `⟨${struckOut(piece.name ?? 'secret')}⟩`;
      return NAMED[piece.text] ?? `\\u{${(piece.text.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
    })
    .join('');
}
