/** Takes a text apart into what can be read as it is and what a reader would not notice: the base of everything that shows untrusted text. */
import { secretsIn } from '../action/secrets.js';
import { foreignLetters } from './mixed-scripts.js';

/**
 * What is not shown as it is:
 * - `hidden`: a character that is not drawn, or that moves, hides, reverses or overprints others;
 * - `blank`: so many characters without ink that what follows them would be out of sight;
 * - `foreign`: a letter of another script than its word's;
 * - `secret`: a secret of a known format, which is not shown at all.
 */
export interface Mark {
  readonly kind: 'hidden' | 'blank' | 'foreign' | 'secret';
  readonly text: string;
  /** Of `foreign`. */
  readonly script?: string;
  /** What it is, of `secret`. */
  readonly name?: string;
}

export type Piece = string | Mark;

/**
 * Control and format characters (escape sequences begin with one; bidi overrides and zero-width characters are others), private
 * and unassigned code points, lone surrogates, and whatever else is by default not drawn. U+FE0F only makes a symbol colourful.
 */
const UNSAFE = String.raw`(?!\uFE0F)[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]`;

/** More marks than any script stacks on one letter: they would be drawn over the lines above and below. */
const STACKED_MARKS = String.raw`(?<=\p{M}{4})\p{M}`;

/** Characters without ink, each of them: also those that no property tells (the empty braille pattern, the null notehead). */
const INKLESS = String.raw`[\s\p{Z}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2800\u{1D159}]`;

/** A run of fewer is spelled or shown one by one. */
const SHORTEST_RUN = 16;
/** In a block of lines: code is indented, and paragraphs stand apart. */
const LONGEST_INDENTATION = 64;
const MOST_EMPTY_LINES = 8;

const ODD = new RegExp(`${INKLESS}{${SHORTEST_RUN},}|${UNSAFE}|${STACKED_MARKS}`, 'gu');

/** Blanks that no property tells to be one: a single one would pass for nothing at the end of a word. */
const EMPTY_GLYPHS = /[\u2800\u{1D159}]/gu;

/** @param options.lines the text keeps its line feeds and tabs */
export function piecesOf(text: string, { lines = false }: { readonly lines?: boolean } = {}): readonly Piece[] {
  const marks: Placed[] = [
    ...secretsIn(text).map(({ index, text: secret, name }) => ({
      index,
      mark: { kind: 'secret', text: secret, name } as const,
    })),
    ...[...text.matchAll(ODD)].flatMap(({ 0: found, index }) => oddMarks(found, index, lines)),
    ...[...text.matchAll(EMPTY_GLYPHS)].map(({ 0: found, index }) => hidden(found, index)),
    ...foreignLetters(text).map(({ letter, index, script }) => ({
      index,
      mark: { kind: 'foreign', text: letter, script } as const,
    })),
  ].sort((a, b) => a.index - b.index || b.mark.text.length - a.mark.text.length);
  const pieces: Piece[] = [];
  let rest = 0;
  for (const { index, mark } of marks) {
    // Within a run that is marked as a whole.
    if (index < rest) continue;
    if (index > rest) pieces.push(text.slice(rest, index));
    pieces.push(mark);
    rest = index + mark.text.length;
  }
  if (rest < text.length) pieces.push(text.slice(rest));
  return pieces;
}

interface Placed {
  readonly index: number;
  readonly mark: Mark;
}

function hidden(text: string, index: number): Placed {
  return { index, mark: { kind: 'hidden', text } };
}

function oddMarks(found: string, index: number, lines: boolean): readonly Placed[] {
  const length = Array.from(found).length;
  const feeds = found.split('\n').length - 1;
  const tolerable = lines && length < LONGEST_INDENTATION && feeds <= MOST_EMPTY_LINES;
  if (length >= SHORTEST_RUN && !tolerable) return [{ index, mark: { kind: 'blank', text: found } }];
  const single = new RegExp(UNSAFE, 'gu');
  const odd = length === 1 ? [{ 0: found, index: 0 }] : [...found.matchAll(single)];
  return odd
    .filter(({ 0: character }) => !(lines && (character === '\n' || character === '\t')))
    .map(({ 0: character, index: at }) => hidden(character, index + at));
}

/** `3,000 blank characters: U+3000`. */
export function blankText(run: string): string {
  const counts = new Map<string, number>();
  const characters = Array.from(run);
  for (const character of characters) counts.set(character, (counts.get(character) ?? 0) + 1);
  const kinds = [...counts].slice(0, MAX_KINDS).map(([character, count]) => {
    const times = counts.size === 1 ? '' : ` ×${count}`;
    return `${codePoint(character)}${times}`;
  });
  const more = counts.size > MAX_KINDS ? ` and ${counts.size - MAX_KINDS} more kinds` : '';
  return `${characters.length} blank characters: ${kinds.join(', ')}${more}`;
}

const MAX_KINDS = 4;

/** `U+202E`. */
export function codePoint(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The beginning and the end of what is too long, and how much is between them. Marks count as one character. */
export interface Cut {
  readonly head: readonly Piece[];
  /** Characters that are left out. */
  readonly hidden: number;
  readonly tail: readonly Piece[];
}

/** @param max how many characters stay, `tail` of them at the end */
export function cutPieces(pieces: readonly Piece[], max: number, tail: number): Cut {
  const total = pieces.reduce((sum, piece) => sum + widthOf(piece), 0);
  if (total <= max) return { head: pieces, hidden: 0, tail: [] };
  const head = firstOf(pieces, max - tail);
  const last = tail === 0 ? [] : lastOf(pieces, tail);
  const kept = [...head, ...last].reduce((sum, piece) => sum + widthOf(piece), 0);
  return { head, hidden: total - kept, tail: last };
}

function widthOf(piece: Piece): number {
  return typeof piece === 'string' ? piece.length : 1;
}

function firstOf(pieces: readonly Piece[], max: number): readonly Piece[] {
  const kept: Piece[] = [];
  let room = max;
  for (const piece of pieces) {
    if (room <= 0) break;
    kept.push(typeof piece === 'string' && piece.length > room ? beginningOf(piece, room) : piece);
    room -= widthOf(piece);
  }
  return kept;
}

function lastOf(pieces: readonly Piece[], max: number): readonly Piece[] {
  const kept: Piece[] = [];
  let room = max;
  for (const piece of pieces.toReversed()) {
    if (room <= 0) break;
    kept.unshift(typeof piece === 'string' && piece.length > room ? endOf(piece, room) : piece);
    room -= widthOf(piece);
  }
  return kept;
}

/** Never between the halves of a surrogate pair. */
function beginningOf(text: string, length: number): string {
  return text.slice(0, length).replace(/[\ud800-\udbff]$/, '');
}

function endOf(text: string, length: number): string {
  return text.slice(-length).replace(/^[\udc00-\udfff]/, '');
}
