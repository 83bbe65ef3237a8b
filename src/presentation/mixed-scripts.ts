/**
 * Finds letters that do not belong to the script of the word they stand in, such as the Cyrillic а in `pаyouts`. After the "highly restrictive"
 * level of Unicode TS #39: one script for a word, or the scripts that Chinese, Japanese and Korean are written in together, with Latin.
 */

/** A letter of another script than its word's. */
export interface ForeignLetter {
  readonly index: number;
  readonly letter: string;
  readonly script: string;
}

const WORD = /[\p{L}\p{M}\p{N}_]+/gu;
const LETTER = /\p{L}/gu;
const OF_NO_SCRIPT = /[\p{Script=Common}\p{Script=Inherited}]/u;

/** Those with letters that look like others' first. A letter of any other script is foreign beside every letter of these. */
const SCRIPTS: readonly (readonly [string, RegExp])[] = [
  'Latin',
  'Cyrillic',
  'Greek',
  'Armenian',
  'Cherokee',
  'Coptic',
  'Georgian',
  'Han',
  'Hiragana',
  'Katakana',
  'Hangul',
  'Bopomofo',
  'Arabic',
  'Hebrew',
  'Devanagari',
  'Bengali',
  'Tamil',
  'Telugu',
  'Thai',
].map((name) => [name, new RegExp(`\\p{Script=${name}}`, 'u')]);

/** Fullwidth and mathematical letters, which Unicode counts as Latin or as of no script, and which read as plain ones. */
const STYLED = 'styled Latin';

const TOGETHER: readonly ReadonlySet<string>[] = [
  new Set(['Latin', 'Han', 'Hiragana', 'Katakana']),
  new Set([STYLED, 'Han', 'Hiragana', 'Katakana']),
  new Set(['Latin', 'Han', 'Bopomofo']),
  new Set(['Latin', 'Han', 'Hangul']),
];

/** All of its letters are Latin: no need to look at each. */
const PLAIN = /^\p{ASCII}*$/u;

/** In the order of the text. */
export function foreignLetters(text: string): readonly ForeignLetter[] {
  if (PLAIN.test(text)) return [];
  return [...text.matchAll(WORD)].flatMap(({ 0: word, index }) => foreignIn(word, index));
}

/** The words that mix scripts, each once, with the scripts that are foreign to them. */
export function mixedWords(text: string): ReadonlyMap<string, readonly string[]> {
  const words = new Map<string, readonly string[]>();
  if (PLAIN.test(text)) return words;
  for (const [word] of text.matchAll(WORD)) {
    const scripts = [...new Set(foreignIn(word, 0).map(({ script }) => script))];
    if (scripts.length > 0) words.set(word, scripts);
  }
  return words;
}

function foreignIn(word: string, start: number): readonly ForeignLetter[] {
  if (PLAIN.test(word)) return [];
  const letters = [...word.matchAll(LETTER)].flatMap(({ 0: letter, index }) => {
    const script = scriptOf(letter);
    return script === undefined ? [] : [{ index: start + index, letter, script }];
  });
  const counts = new Map<string, number>();
  for (const { script } of letters) counts.set(script, (counts.get(script) ?? 0) + 1);
  const scripts = [...counts.keys()];
  if (scripts.length < 2 || TOGETHER.some((allowed) => scripts.every((script) => allowed.has(script)))) return [];
  const most = Math.max(...counts.values());
  const own = counts.get('Latin') === most ? 'Latin' : scripts.find((script) => counts.get(script) === most);
  return letters.filter(({ script }) => script !== own);
}

function scriptOf(letter: string): string | undefined {
  const plain = letter.normalize('NFKC');
  // The ordinal signs ª and º are read as what they are.
  if (plain !== letter && /^[A-Za-z]$/.test(plain) && letter !== 'ª' && letter !== 'º') return STYLED;
  if (OF_NO_SCRIPT.test(letter)) return undefined;
  return SCRIPTS.find(([, belongs]) => belongs.test(letter))?.[0] ?? 'another script';
}
