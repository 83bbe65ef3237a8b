/** Text from agents and from systems they can write to, as it may stand on a page: it can be read, and do nothing else. */
import type { Child } from 'hono/jsx';
import type { JSX } from 'hono/jsx/jsx-runtime';
import { UNSAFE, STACKED_MARKS } from '../../../presentation/sanitize.js';

/** Text is markup for nobody here: JSX escapes it. What is left are characters that hide, reverse or overprint others. */
function pieces(text: string, keepLines: boolean): Child[] {
  const found: Child[] = [];
  let rest = 0;
  const odd = new RegExp(`${UNSAFE.source}|${STACKED_MARKS.source}`, 'gu');
  for (const { 0: character, index } of text.matchAll(odd)) {
    if (keepLines && (character === '\n' || character === '\t')) continue;
    if (index > rest) found.push(text.slice(rest, index));
    found.push(<Odd character={character} />);
    rest = index + character.length;
  }
  if (rest < text.length) found.push(text.slice(rest));
  return found;
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

/** A character that would not be seen, shown by its code point. */
function Odd({ character }: { readonly character: string }): JSX.Element {
  const code = `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  const name = NAMES[character];
  return (
    <span class="odd" title={name === undefined ? 'a character that is not seen' : name}>
      {code}
    </span>
  );
}

/** Never between the halves of a surrogate pair. */
function cut(text: string, max: number): string {
  const code = text.charCodeAt(max - 1);
  return text.slice(0, code >= 0xd800 && code <= 0xdbff ? max - 1 : max);
}

/** One line. Longer text is cut, and says so. It cannot turn around what stands beside it. */
export function Sanitized({ text, max = 300 }: { readonly text: string; readonly max?: number }): JSX.Element {
  if (text.length <= max) return <bdi>{pieces(text, false)}</bdi>;
  const kept = cut(text, max);
  return (
    <bdi>
      {pieces(kept, false)}
      <span class="cut">… {(text.length - kept.length).toLocaleString('en')} more</span>
    </bdi>
  );
}

/** Several lines, in a block of their own. What is long is folded away, not left out. */
export function SanitizedBlock({
  text,
  max = 1500,
  code = false,
}: {
  readonly text: string;
  readonly max?: number;
  readonly code?: boolean;
}): JSX.Element {
  const normal = text.replaceAll(/\r\n/g, '\n');
  const kind = code ? 'block code' : 'block';
  const lines = normal.split('\n');
  const short = cut(lines.slice(0, 24).join('\n'), Math.min(max, normal.length));
  if (short.length >= normal.length) return <div class={kind}>{pieces(normal, true)}</div>;
  return (
    <div class="folded">
      <div class={kind}>
        {pieces(short, true)}
        <span class="cut"> …</span>
      </div>
      <details>
        <summary>
          Show all {normal.length.toLocaleString('en')} characters
          {lines.length > 1 ? ` on ${lines.length.toLocaleString('en')} lines` : ''}
        </summary>
        <div class={`${kind} whole`} tabindex={0} role="region" aria-label="The whole text">
          {pieces(normal, true)}
        </div>
      </details>
    </div>
  );
}

/** Any JSON value on one line. */
export function Value({ value, max = 160 }: { readonly value: unknown; readonly max?: number }): JSX.Element {
  if (value === null) return <span class="null">null</span>;
  if (value === undefined) return <span class="null">—</span>;
  if (typeof value === 'string')
    return value === '' ? <span class="null">empty</span> : <Sanitized text={value} max={max} />;
  return <Sanitized text={JSON.stringify(value)} max={max} />;
}
