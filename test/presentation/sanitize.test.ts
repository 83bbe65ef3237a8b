/** Hostile text on a terminal. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../../src/action/json.js';
import type { Shown } from '../../src/action/outcome.js';
import { oneLine } from '../../src/notify/one-line.js';
import { sanitize, sanitizeLines } from '../../src/presentation/sanitize.js';
import { textWarnings } from '../../src/presentation/text-warnings.js';

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
    const texts = [
      'Überweisung an Zoë',
      '返金 120 €',
      'возврат',
      'استرداد',
      'धनवापसी',
      '✓ 🚀 ⚠️',
      'a\u0301',
      'SQLを実行する',
      '한국어SQL',
      'IT-отдел, 1ª vez, 5 m²',
      '    indented\u3000once',
    ];
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
    expect(shown).toMatch(/… \(100000 more characters\) …/);
    expect(shown.length).toBeLessThan(20_000);
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

const BLANKS: readonly (readonly [string, string])[] = [
  ['spaces', ' '],
  ['no-break spaces', '\u00A0'],
  ['ideographic spaces', '\u3000'],
  ['braille blanks', '\u2800'],
  ['em spaces', '\u2003'],
  ['zero-width spaces', '\u200B'],
  ['zero-width joiners', '\u200D'],
  ['word joiners', '\u2060'],
  ['soft hyphens', '\u00AD'],
  ['Hangul fillers', '\u3164'],
  ['null noteheads', '\u{1D159}'],
  ['variation selectors', '\uFE0F'],
  ['tabs', '\t'],
  ['line feeds', '\n'],
  ['carriage returns', '\r'],
  ['all of them in turn', ' \u3000\u2800\u200B\t\n\u00A0'],
];

describe('a text whose end is out of sight', () => {
  test.each(BLANKS)('padded with %s: how many there are is said, and what comes after them is shown', (_, blank) => {
    const padded = `DELETE FROM t WHERE id = 1${blank.repeat(3000)}OR true`;
    const told = /^DELETE FROM t WHERE id = 1⟨\d{4,5} blank characters: U\+[^⟩]+⟩OR true$/;
    expect(sanitize(padded)).toMatch(told);
    expect(sanitizeLines(padded).join('\n')).toMatch(told);
    expect(oneLine(padded, 200)).toMatch(told);
  });

  test('a blank that could stand for nothing is spelled even alone', () => {
    expect(sanitize('admin\u2800')).toBe(String.raw`admin\u{2800}`);
  });

  test('of 5,000 characters: its end is shown beside what is left out', () => {
    const long = `DELETE FROM t WHERE id IN (${'1, '.repeat(1660)}1) OR true`;
    expect(sanitize(long)).toMatch(/^DELETE FROM t .*… \(\d+ more characters\) ….*OR true$/);
    expect(sanitizeLines(long).at(-1)).toMatch(/^….*OR true$/);
    expect(sanitizeLines(`${'x\n'.repeat(100)}OR true`).at(-1)).toMatch(/^….*OR true$/);
    expect(oneLine(long, 300)).toMatch(/^DELETE .*… .*OR true$/);
    expect(oneLine(long, 300).length).toBeLessThanOrEqual(300);
  });
});

describe('a name that mixes scripts', () => {
  test.each([
    ['a Cyrillic а', 'p\u0430youts', String.raw`p\u{430}youts`],
    ['a Greek ο', 'acc\u03BFunts', String.raw`acc\u{3BF}unts`],
    ['a fullwidth letter', '\uFF50ayouts', String.raw`\u{FF50}ayouts`],
    ['a mathematical letter', '\u{1D429}ayouts', String.raw`\u{1D429}ayouts`],
    ['a Latin letter in a Cyrillic word', 'счёt', String.raw`счё\u{74}`],
    ['a Cherokee letter', 'o\u13DEders', String.raw`o\u{13DE}ders`],
    ['parts that an underscore joins', 'pay_\u0430', String.raw`pay_\u{430}`],
  ])('has %s spelled', (_, name, spelled) => {
    expect(sanitize(`update ${name} now`)).toBe(`update ${spelled} now`);
  });
});

describe('what people are told to look at twice', () => {
  const shown = (input: JsonObject, more: Partial<Shown['proposal']> = {}, targets: readonly string[] = ['t']): Shown =>
    ({
      proposal: { actionId: 'a', tool: 'shop-db', input, ...more },
      preview: { rows: 1, targets, reads: [], schemaChange: false, sample: [], summary: '' },
    }) as unknown as Shown;

  test('is nothing for what is seen at one glance', () => {
    const plain = shown(
      { op: 'sql', sql: 'SELECT 1\n    FROM t' },
      { reasoning: 'x'.repeat(9000), claims: { a: 'b' } },
    );
    expect(textWarnings(plain, { quote: true })).toEqual([]);
  });

  test('is a long statement with its end, a padded text and a name that mixes scripts', () => {
    const sql = `DELETE FROM t WHERE id IN (${'1, '.repeat(1660)}1) OR true`;
    const input = { sql, where: { 'p\u0430y': `x${'\u3000'.repeat(1000)}y` } };
    const risky = shown(input, { reasoning: 'fine' }, ['p\u0430youts']);
    expect(textWarnings(risky, { quote: true })).toEqual([
      String.raw`the name of a target mixes scripts: p\u{430}youts (Cyrillic)`,
      expect.stringMatching(/^input\.sql has \d+ characters; it ends in: .*OR true$/),
      String.raw`a name in input.where mixes scripts: p\u{430}y (Cyrillic)`,
      String.raw`input.where.p\u{430}y holds 1000 blank characters in a row, and goes on after them`,
    ]);
    // Where the input must not be read, nothing of it is.
    const unquoted = textWarnings(risky, { quote: false });
    expect(unquoted).toHaveLength(4);
    expect(unquoted.join()).not.toMatch(/OR true|payouts|youts/);
  });

  test('stays a short list, whatever there is', () => {
    const input = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`k${n}`, `p\u0430y${n}`]));
    expect(textWarnings(shown(input), { quote: true })).toHaveLength(9);
  });
});

describe('inert lines', () => {
  test('keep the lines and indentation of a text, and nothing else', () => {
    expect(sanitizeLines('one\r\n\ttwo\u001b[1A\nthree\rfour')).toEqual(['one', '  two\\u{1B}[1A', 'three', 'four']);
  });

  test('too many lines are cut, and counted', () => {
    expect(sanitizeLines('x\n'.repeat(100), { maxLines: 2 })).toEqual([
      'x',
      'x',
      '… (99 more lines)',
      expect.stringMatching(/^….*x$/),
    ]);
  });
});
