/**
 * URL templates: fixed text and references in braces, filled so that no value can leave its place. In a path, `{ids}`, `{.ids}`, `{;ids}` and,
 * with `*`, `{.ids*}` and `{;ids*}` take a list too (RFC 6570, sections 3.2.2, 3.2.5 and 3.2.7).
 */
import { CountersignError } from '../../action/errors.js';
import type { Json } from '../../action/json.js';
import { at } from './pointer.js';

/** The values that references can lead to. */
export type TemplateScope = Readonly<Record<string, Json | undefined>>;

/** A reference such as `path.id`: a name in the scope, then members. A name alone is looked up in `path`, except `key`. */
export type Reference = readonly string[];

interface Expression {
  readonly reference: Reference;
  /** How a value is written: alone, after a dot, or as `;name=value`. */
  readonly operator: '' | '.' | ';';
  /** Whether each item of a list is written like that, rather than all with commas between them. */
  readonly exploded: boolean;
}

interface Segment {
  readonly parts: readonly (string | Expression)[];
}

export interface Template {
  readonly source: string;
  readonly path: string;
  readonly segments: readonly Segment[];
  readonly query: readonly { readonly name: string; readonly parts: Segment['parts'] }[];
  readonly references: readonly Reference[];
}

const EXPRESSION = /^(?<operator>[.;]?)(?<name>[A-Za-z_][\w-]*(\.[\w-]+)*)(?<exploded>\*?)$/;
/** Fixed text: unreserved characters and sub-delims of RFC 3986. It has no percent signs, because it is written as it is sent. */
const FIXED = /^[A-Za-z0-9\-._~!$&'()*+,;=:@]*$/;
/** Characters that a server, a proxy or a second decoding could take for the end of a segment, or for more than text. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const UNSAFE = /[/\\%?#\u0000-\u001f\u007f-\u009f\u2028\u2029]/u;

/** Parses a template. @throws CountersignError CONFIG_INVALID */
export function parseTemplate(source: string, field: string): Template {
  const invalid = (problem: string): CountersignError =>
    new CountersignError('CONFIG_INVALID', `${field} ${problem}: ${source}`, {
      field,
      expected: 'a path such as /orders/{id}/refunds, perhaps with a query such as ?expand=items',
      fix: 'Correct the template.',
    });
  const [path = '', query, ...more] = source.split('?');
  if (more.length > 0 || !path.startsWith('/')) throw invalid('is not a path with at most one query');
  const references: Reference[] = [];
  const partsOf = (text: string, inQuery = false): (string | Expression)[] => {
    const pieces = text.split(/[{}]/);
    if (pieces.length % 2 === 0) throw invalid('has a brace too many or too few');
    return pieces.map((piece, index) => {
      if (index % 2 === 0) {
        if (!FIXED.test(piece)) throw invalid('holds a character that must not stand in a URL as it is');
        return piece;
      }
      const { operator = '', name, exploded } = EXPRESSION.exec(piece)?.groups ?? {};
      if (name === undefined || (inQuery && piece !== name)) throw invalid(`has no name in {${piece}}`);
      const reference = referenceOf(name);
      references.push(reference);
      return { reference, operator: operator as Expression['operator'], exploded: exploded === '*' };
    });
  };
  const segments = path
    .slice(1)
    .split('/')
    .map((segment) => ({ parts: partsOf(segment) }));
  const isEmpty = ({ parts }: Segment): boolean => parts.length === 1 && parts[0] === '';
  // The URLs of some services end with a slash.
  if (
    segments.slice(0, -1).some(isEmpty) ||
    segments.some(({ parts }) => parts.every((part) => typeof part === 'string') && isDots(parts.join('')))
  ) {
    throw invalid('has an empty segment, or one that is "." or ".."');
  }
  const pairs = query === undefined || query === '' ? [] : query.split('&');
  return {
    source,
    path,
    segments,
    query: pairs.map((pair) => {
      const [name = '', value = '', ...rest] = pair.split('=');
      if (rest.length > 0 || name === '' || !FIXED.test(name)) throw invalid('has a query that is not name=value');
      return { name, parts: partsOf(value, true) };
    }),
    references,
  };
}

export function referenceOf(text: string): Reference {
  const names = text.split('.');
  return names.length === 1 && text !== 'key' ? ['path', text] : names;
}

/** The text, number or boolean that a reference leads to, as a text; undefined when it is none of them. */
export function scalarAt(scope: TemplateScope, reference: Reference): string | undefined {
  const value = valueAt(scope, reference);
  return value === undefined || value === null || typeof value === 'object' ? undefined : String(value);
}

/** The texts that stand in a URL: the one that a reference leads to, or, in `path`, those of a list. Undefined when there are none. */
export function textsAt(scope: TemplateScope, reference: Reference): readonly string[] | undefined {
  const value = valueAt(scope, reference);
  const items = reference[0] === 'path' && Array.isArray(value) ? (value as readonly Json[]) : [value ?? null];
  if (items.length === 0 || items.some((item) => item === null || typeof item === 'object')) return undefined;
  return items.map(String);
}

export function valueAt(scope: TemplateScope, [name = '', ...members]: Reference): Json | undefined {
  return Object.hasOwn(scope, name) ? at(scope[name], members) : undefined;
}

/** Why a value may not stand in a path; undefined when it may. */
export function segmentProblem(value: string): string | undefined {
  if (value === '') return 'is empty';
  if (!value.isWellFormed() || UNSAFE.test(value)) return 'holds a character that could end its place in the URL';
  if (isDots(value)) return 'means another place in the URL';
  return undefined;
}

/**
 * Fills a template and returns the URL below `base`; undefined when a reference leads nowhere.
 *
 * @throws CountersignError INVALID_INPUT: a value would leave its segment
 */
export function expand(
  template: Template,
  base: URL,
  scope: TemplateScope,
  more: readonly (readonly [string, string])[] = [],
): URL | undefined {
  const fill = (
    parts: Segment['parts'],
    write: (expression: Expression, texts: readonly string[]) => string,
  ): string | undefined => {
    let text = '';
    for (const part of parts) {
      const texts = typeof part === 'string' ? [part] : usable(scope, part.reference);
      if (texts === undefined) return undefined;
      text += typeof part === 'string' ? part : write(part, texts);
    }
    return text;
  };
  const segments = template.segments.map(({ parts }) => fill(parts, written));
  const query = template.query.map(
    ({ name, parts }) => [name, fill(parts, (_expression, texts) => texts.join(','))] as const,
  );
  if (segments.includes(undefined) || query.some(([, value]) => value === undefined)) return undefined;

  const path = `${base.pathname.replace(/\/$/, '')}/${segments.join('/')}`;
  const url = new URL(base.origin);
  url.pathname = path;
  // URL parsing resolves dots and converts backslashes. If it changed the path, the URL is not the one that the template names.
  if (url.pathname !== path || segments.some((segment) => isDots(segment ?? ''))) throw leaves('path');
  for (const [name, value] of query) url.searchParams.append(name, value ?? '');
  for (const [name, value] of more) url.searchParams.append(name, value);
  return url;
}

/** The texts of a reference. A value from the service that cannot be part of a URL counts as absent; it is not the agent's mistake. */
function usable(scope: TemplateScope, reference: Reference): readonly string[] | undefined {
  const texts = textsAt(scope, reference);
  return reference[0] === 'result' && texts?.some((text) => segmentProblem(text) !== undefined) === true
    ? undefined
    : texts;
}

function written({ reference, operator, exploded }: Expression, texts: readonly string[]): string {
  const encoded = texts.map((text) => encodeSegment(text, reference));
  if (operator === ';') {
    const name = reference.at(-1) ?? '';
    return exploded ? encoded.map((text) => `;${name}=${text}`).join('') : `;${name}=${encoded.join(',')}`;
  }
  return operator + encoded.join(operator === '.' && exploded ? '.' : ',');
}

function encodeSegment(value: string, reference: Reference): string {
  // Countersign makes the key of a tenant and an action id. It is one value, although it contains a slash.
  if (reference[0] !== 'key' && segmentProblem(value) !== undefined) throw leaves(reference.join('.'));
  return encodeURIComponent(value);
}

function leaves(field: string): CountersignError {
  return new CountersignError('INVALID_INPUT', `The value of ${field} would lead to another place in the URL.`, {
    field: `proposal.input.${field}`,
    expected: 'a text without / \\ % ? # and control characters that is not . or ..',
    fix: 'Give the plain identifier.',
  });
}

function isDots(text: string): boolean {
  return text === '.' || text === '..';
}
