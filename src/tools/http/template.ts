/**
 * URL templates: fixed text and references in braces, filled so that no value can leave its place. In a path, `{ids}`, `{.ids}`, `{;ids}` and,
 * with `*`, `{ids*}`, `{.ids*}` and `{;ids*}` take a list or an object too (RFC 6570, sections 3.2.2, 3.2.5 and 3.2.7).
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
  /** Whether each item of a list is written like that, and each member of an object as `name=value`, rather than all with commas between. */
  readonly exploded: boolean;
  /** Whether the value may hold slashes, which are percent-encoded. */
  readonly slashes: boolean;
}

/** A text in a URL: a value alone, an item of a list, or a member of an object, which has a name. */
interface Item {
  readonly name?: string;
  readonly text: string;
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
  readonly expressions: readonly Expression[];
}

const EXPRESSION = /^(?<operator>[.;]?)(?<name>[A-Za-z_][\w-]*(\.[\w-]+)*)(?<exploded>\*?)$/;
/** Fixed text: unreserved characters and sub-delims of RFC 3986. It has no percent signs, because it is written as it is sent. */
const FIXED = /^[A-Za-z0-9\-._~!$&'()*+,;=:@]*$/;
/** Characters that a server, a proxy or a second decoding could take for the end of a segment, or for more than text. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const UNSAFE = /[/\\%?#\u0000-\u001f\u007f-\u009f\u2028\u2029]/u;

const NONE: ReadonlySet<string> = new Set();

/** Parses a template. `slashes`: the names in `path` whose values may hold slashes. @throws CountersignError CONFIG_INVALID */
export function parseTemplate(source: string, field: string, slashes = NONE): Template {
  const invalid = (problem: string): CountersignError =>
    new CountersignError('CONFIG_INVALID', `${field} ${problem}: ${source}`, {
      field,
      expected: 'a path such as /orders/{id}/refunds, perhaps with a query such as ?expand=items',
      fix: 'Correct the template.',
    });
  const [path = '', query, ...more] = source.split('?');
  if (more.length > 0 || !path.startsWith('/')) throw invalid('is not a path with at most one query');
  const expressions: Expression[] = [];
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
      const [root, ...names] = reference;
      const expression = {
        reference,
        operator: operator as Expression['operator'],
        exploded: exploded === '*',
        slashes: !inQuery && root === 'path' && slashes.has(names.join('.')),
      };
      expressions.push(expression);
      return expression;
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
    references: expressions.map(({ reference }) => reference),
    expressions,
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

/**
 * What stands in a URL in the place of a reference: the value or, in `path`, the items of a list or the members of an object. Undefined when
 * there is none.
 */
function itemsAt(scope: TemplateScope, reference: Reference): readonly Item[] | undefined {
  const value = valueAt(scope, reference) ?? null;
  const isStructure = reference[0] === 'path' && typeof value === 'object' && value !== null;
  const named: readonly (readonly [string | undefined, Json])[] = !isStructure
    ? [[undefined, value]]
    : Array.isArray(value)
      ? (value as readonly Json[]).map((item) => [undefined, item] as const)
      : Object.entries(value);
  const items = named.map(([name, item]): Item | undefined => {
    if (item === null || typeof item === 'object') return undefined;
    return { ...(name === undefined ? {} : { name }), text: String(item) };
  });
  return items.length === 0 || items.includes(undefined) ? undefined : items.filter((item) => item !== undefined);
}

/** Why the values of a scope cannot stand in their places in the URL, by reference. */
export function placeProblems(
  { expressions }: Template,
  scope: TemplateScope,
): readonly (readonly [reference: Reference, problem: string])[] {
  return expressions.flatMap((expression) => {
    const items = itemsAt(scope, expression.reference);
    if (items === undefined) return [[expression.reference, 'is needed for the URL'] as const];
    const texts = items.flatMap(({ name, text }) => (name === undefined ? [text] : [name, text]));
    const problem = texts.flatMap((text) => segmentProblem(text, expression.slashes) ?? [])[0];
    if (problem !== undefined) return [[expression.reference, problem] as const];
    const value = valueAt(scope, expression.reference);
    // A dot stays a dot when it is encoded, so that what follows it would be another item.
    const runsOver = expression.operator === '.' && expression.exploded && typeof value === 'object';
    return runsOver && texts.some((text) => text.includes('.'))
      ? [[expression.reference, 'holds a dot, which separates the items'] as const]
      : [];
  });
}

export function valueAt(scope: TemplateScope, [name = '', ...members]: Reference): Json | undefined {
  return Object.hasOwn(scope, name) ? at(scope[name], members) : undefined;
}

/** Why a value may not stand in a path; undefined when it may. */
function segmentProblem(value: string, slashes: boolean): string | undefined {
  // Whoever decodes it too early must not be led upwards.
  if (slashes) return value.split('/').flatMap((part) => segmentProblem(part, false) ?? [])[0];
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
    write: (expression: Expression, items: readonly Item[]) => string | undefined,
  ): string | undefined => {
    const texts = parts.map((part) => {
      if (typeof part === 'string') return part;
      const items = usable(scope, part.reference);
      return items && write(part, items);
    });
    return texts.includes(undefined) ? undefined : texts.join('');
  };
  const listed = (_expression: Expression, items: readonly Item[]): string | undefined =>
    items.some(({ name }) => name !== undefined) ? undefined : items.map(({ text }) => text).join(',');
  const segments = template.segments.map(({ parts }) => fill(parts, written));
  const query = template.query.map(({ name, parts }) => [name, fill(parts, listed)] as const);
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

/** The items of a reference. A value from the service that cannot be part of a URL counts as absent; it is not the agent's mistake. */
function usable(scope: TemplateScope, reference: Reference): readonly Item[] | undefined {
  const items = itemsAt(scope, reference);
  return reference[0] === 'result' && items?.some(({ text }) => segmentProblem(text, false) !== undefined) === true
    ? undefined
    : items;
}

function written(expression: Expression, items: readonly Item[]): string {
  const { reference, operator, exploded } = expression;
  const own = reference.at(-1) ?? '';
  const pairs = items.map(({ name, text }) => {
    const encoded = encodeSegment(text, expression);
    return name === undefined ? [encoded] : [encodeSegment(name, expression), encoded];
  });
  if (!exploded) return `${operator === ';' ? `;${own}=` : operator}${pairs.flat().join(',')}`;
  const parts = pairs.map((pair) => (operator === ';' && pair.length === 1 ? [own, ...pair] : pair).join('='));
  return operator + parts.join(operator === '' ? ',' : operator);
}

function encodeSegment(value: string, { reference, slashes }: Expression): string {
  // Countersign makes the key of a tenant and an action id. It is one value, although it contains a slash.
  if (reference[0] !== 'key' && segmentProblem(value, slashes) !== undefined) throw leaves(reference.join('.'));
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
