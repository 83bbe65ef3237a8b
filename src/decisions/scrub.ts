/** Scrubs personal data out of decision records, by rules: values become stable pseudonyms, or are removed. */
import { createHmac } from 'node:crypto';
import type { DecisionRecord } from '../action/decision-record.js';
import { canonical, type Json } from '../action/json.js';
import { pointerOf } from './pointer.js';
import type { ScrubRule, ScrubRules } from './scrub-rules.js';

/** A shorter text occurs in others by chance. Characters. */
const SHORTEST_REPLACED = 4;

/**
 * The record without what the rules name, and with `scrubbed` saying what that was. The same value becomes the same pseudonym in every
 * record under one salt, so that agents, people and counters stay as distinct as they were. A pseudonymised text is replaced wherever else
 * it stands in the record: in a reason, in the key of a counter.
 */
export function scrubRecord(record: DecisionRecord, { salt, rules }: ScrubRules): DecisionRecord {
  const found: string[] = [];
  const names = new Map<string, string>();
  const pseudonym = (value: Json): Json | undefined => {
    if (typeof value !== 'string') return undefined;
    const name = `p-${createHmac('sha256', salt ?? '')
      .update(canonical(value))
      .digest('hex')
      .slice(0, 16)}`;
    if (value.length >= SHORTEST_REPLACED) {
      names.set(value, name);
      names.set(encodeURIComponent(value), name);
    }
    return name;
  };
  const visit = (value: Json, path: readonly string[]): Json | undefined => {
    const rule = path.length === 0 || isKept(path) ? undefined : rules.find((one) => matches(one, path));
    if (rule !== undefined) return scrubbed(value, path, rule.do);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value))
      return value.flatMap((item: Json, index) => listed(visit(item, [...path, String(index)])));
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, item]: [string, Json]) => {
        const left = visit(item, [...path, key]);
        return left === undefined ? [] : [[key, left]];
      }),
    );
  };
  const scrubbed = (value: Json, path: readonly string[], how: ScrubRule['do']): Json | undefined => {
    found.push(pointerOf(path));
    if (how === 'remove') return undefined;
    if (Array.isArray(value)) return value.flatMap((item: Json) => listed(pseudonym(item)));
    // Another value than a text has no pseudonym of its kind.
    return pseudonym(value);
  };
  const left = visit(record as unknown as Json, []) as unknown as DecisionRecord;
  if (found.length === 0) return record;
  const replaced = everywhere(
    left as unknown as Json,
    [...names].sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1)),
  );
  return {
    ...(replaced as unknown as DecisionRecord),
    scrubbed: [...new Set([...(record.scrubbed ?? []), ...found])].sort(),
  };
}

/** What a record cannot be without: without it nothing could be decided again, or put into order. */
const KEPT: ReadonlySet<string> = new Set([
  'v',
  'tenant',
  'actionId',
  'proposalDigest',
  'status',
  'attempted',
  'decidedAt',
  'endedAt',
  'receipt',
]);

function isKept([first = '']: readonly string[]): boolean {
  return KEPT.has(first);
}

function listed(item: Json | undefined): readonly Json[] {
  return item === undefined ? [] : [item];
}

function matches(rule: ScrubRule, path: readonly string[]): boolean {
  if ('column' in rule) return path.at(-1) === rule.column && READ_FROM.has(path[0] ?? '');
  return rule.at.length === path.length && rule.at.every((part, index) => part === '*' || part === path[index]);
}

/** Where the columns of a target can stand. */
const READ_FROM: ReadonlySet<string> = new Set(['proposal', 'facts', 'result']);

/** A short name of hex digits may stand in a digest by chance. */
const DIGEST = /^sha256:[0-9a-f]{64}$/;

function everywhere(value: Json, names: readonly (readonly [string, string])[]): Json {
  if (typeof value === 'string') {
    return DIGEST.test(value) ? value : names.reduce((text, [from, to]) => text.replaceAll(from, to), value);
  }
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item: Json) => everywhere(item, names));
  return Object.fromEntries(Object.entries(value).map(([key, item]: [string, Json]) => [key, everywhere(item, names)]));
}
