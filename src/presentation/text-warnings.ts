/** Says what people should look at twice before they decide: texts whose end is out of sight, and names that only look like others. */
import type { Json } from '../action/json.js';
import type { Shown } from '../action/outcome.js';
import { mixedWords } from './mixed-scripts.js';
import { sanitize, tailOf } from './sanitize.js';
import { piecesOf } from './text-pieces.js';

/** A longer text is not seen at one glance: the pages fold it. Characters. */
const LONG = 1500;
/** How many warnings are given; the texts themselves are shown in any case. */
const MAX_WARNINGS = 8;

const TARGET = 'the name of a target';
const INPUT = 'a text of the input';
const SAID = 'what the agent says';

interface Place {
  /** `input.sql`, or whose words it is. */
  readonly where: string;
  readonly text: string;
  /** The place without anything of the input. */
  readonly label: string;
  /** Whether it is part of what would be done, rather than of what is said about it. */
  readonly acts: boolean;
}

/** @param options.quote whether parts of the input may be quoted: not where they must not be read, as in a notification */
export function textWarnings(shown: Shown, { quote }: { readonly quote: boolean }): readonly string[] {
  const found = placesOf(shown).flatMap((place) => warningsOf(place, quote));
  const distinct = [...new Set(found)];
  if (distinct.length <= MAX_WARNINGS) return distinct;
  return [...distinct.slice(0, MAX_WARNINGS), `and ${distinct.length - MAX_WARNINGS} more texts to look at twice`];
}

function placesOf({ proposal, preview }: Shown): readonly Place[] {
  const { reasoning, expectedOutcome, claims, from = [], expect, input } = proposal;
  const said = [
    reasoning,
    expectedOutcome,
    claims === undefined ? undefined : JSON.stringify(claims),
    ...from.map(({ source }) => source),
  ];
  return [
    ...[...preview.targets, ...preview.reads].map((text) => ({
      where: TARGET,
      label: TARGET,
      text,
      acts: true,
    })),
    ...textsIn(input, 'input'),
    ...textsIn((expect ?? null) as Json, 'expect'),
    ...said.flatMap((text) => (text === undefined ? [] : [{ where: SAID, label: SAID, text, acts: false }])),
  ];
}

function textsIn(value: Json, where: string): readonly Place[] {
  if (typeof value === 'string') return [{ where, label: INPUT, text: value, acts: true }];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item: Json, at) => textsIn(item, `${where}[${at}]`));
  return Object.entries(value).flatMap(([name, item]) => [
    { where: `a name in ${where}`, label: INPUT, text: name, acts: true },
    ...textsIn(item, `${where}.${name}`),
  ]);
}

function warningsOf({ where, label, text, acts }: Place, quote: boolean): readonly string[] {
  const place = quote ? sanitize(where, { max: 80 }) : label;
  const blanks = piecesOf(text, { lines: true }).flatMap((piece) =>
    typeof piece !== 'string' && piece.kind === 'blank' ? [Array.from(piece.text).length] : [],
  );
  return [
    ...(acts && text.length > LONG
      ? [`${place} has ${text.length} characters${quote ? `; it ends in: ${tailOf(text)}` : ': read it to its end'}`]
      : []),
    ...(blanks.length > 0
      ? [`${place} holds ${Math.max(...blanks)} blank characters in a row, and goes on after them`]
      : []),
    ...[...mixedWords(text)].map(
      ([word, scripts]) =>
        `${place} mixes scripts${quote ? `: ${sanitize(word, { max: 80 })}` : ''} (${scripts.join(', ')})`,
    ),
  ];
}
