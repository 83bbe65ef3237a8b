/** Hostile text on a terminal. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sanitize, sanitizeLines } from '../../src/presentation/sanitize.js';

/** What no terminal may get from others: anything but printable characters. */
const ALIVE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/u;

describe('inert text', () => {
  test.each([
    ['an escape sequence that clears the screen', '\u001b[2J\u001b[Happroved', '\\u{1B}[2J\\u{1B}[Happroved'],
    [
      'a hyperlink (OSC 8)',
      '\u001b]8;;http://evil\u0007ok\u001b]8;;\u0007',
      '\\u{1B}]8;;http://evil\\u{7}ok\\u{1B}]8;;\\u{7}',
    ],
    ['an eight-bit control sequence introducer', '\u009b31mred', '\\u{9B}31mred'],
    ['a carriage return that overwrites the line', 'DELETE users\rselect 1', 'DELETE users\\rselect 1'],
    ['a new line that forges an entry of its own', 'ok\n✓ approved by ann', 'ok\\n✓ approved by ann'],
    ['a right-to-left override', 'invoice\u202efdp.exe', 'invoice\\u{202E}fdp.exe'],
    ['isolates', '\u2066a\u2069', '\\u{2066}a\\u{2069}'],
    ['a NUL', 'a\u0000b', 'a\\u{0}b'],
    ['backspaces', 'no\b\byes', 'no\\u{8}\\u{8}yes'],
    ['zero-width characters between look-alikes', 'ad\u200bmin', 'ad\\u{200B}min'],
    ['tag characters that smuggle a hidden text', 'hi\u{e0041}', 'hi\\u{E0041}'],
    ['a lone surrogate', 'a\ud800b', 'a\\u{D800}b'],
    ['a Hangul filler, drawn as nothing', 'a\u3164b', 'a\\u{3164}b'],
  ])('shows %s as what it is', (_, hostile, harmless) => {
    expect(sanitize(hostile)).toBe(harmless);
  });

  test('leaves the scripts of the world and symbols alone', () => {
    const texts = ['Überweisung an Zoë', '返金 120 €', 'возврат', 'استرداد', 'धनवापसी', '✓ 🚀 ⚠️', 'a\u0301'];
    for (const text of texts) expect(sanitize(text)).toBe(text);
  });

  test('marks stacked on one letter do not run over other lines', () => {
    const shown = sanitize(`a${'\u0301'.repeat(500)}`, { max: Infinity });
    expect(/\p{M}{5}/u.test(shown)).toBe(false);
    expect(shown).toContain('\\u{301}');
  });

  test('100 KB of escapes and bidi characters become a short line that says how much is missing', () => {
    const shown = sanitize('\u001b[31m\u202e'.repeat(17_000));
    expect(ALIVE.test(shown)).toBe(false);
    expect(shown).toMatch(/… \(100000 more characters\)$/);
  });

  test('a cut never splits a character in two', () => {
    expect(sanitize('ab🚀cd', { max: 3 })).toBe('ab… (4 more characters)');
  });

  test('any text whatever is harmless, and two different texts stay different', () => {
    const anything = fc.string({ unit: 'binary', maxLength: 60 });
    fc.assert(
      fc.property(anything, anything, (a, b) => {
        const [x, y] = [sanitize(a), sanitize(b)];
        expect(ALIVE.test(x)).toBe(false);
        // Only a text that spells an escape itself can look like the escape of another.
        const spelled = a.includes('\\') || b.includes('\\');
        expect(a === b || spelled || x !== y).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('inert lines', () => {
  test('keep the lines and indentation of a text, and nothing else', () => {
    expect(sanitizeLines('one\r\n\ttwo\u001b[1A\nthree\rfour')).toEqual(['one', '  two\\u{1B}[1A', 'three', 'four']);
  });

  test('too many lines are cut, and counted', () => {
    expect(sanitizeLines('x\n'.repeat(100), { maxLines: 2 })).toEqual(['x', 'x', '… (99 more lines)']);
  });
});
