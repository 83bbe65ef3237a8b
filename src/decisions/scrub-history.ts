/**
 * Scrubs the payloads of a Temporal history, by the rules that name columns: a history as `temporal workflow show --output json` writes it, which
 * still replays, since workflow code goes by none of these values. Payloads that a codec made unreadable stay as they are.
 */
import { createHmac } from 'node:crypto';
import { canonical, type Json } from '../action/json.js';
import type { ScrubRules } from './scrub-rules.js';

export function scrubHistory(history: Json, { salt, rules }: ScrubRules): Json {
  const columns = new Map(rules.flatMap((rule) => ('column' in rule ? [[rule.column, rule.do] as const] : [])));
  const names = new Map<string, string>();
  const scrubbed = (value: Json): Json => {
    if (Array.isArray(value)) return value.map((item: Json) => scrubbed(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, item]: [string, Json]) => {
        const how = columns.get(name);
        if (how === undefined) return [[name, scrubbed(item)]];
        if (how === 'remove' || typeof item !== 'string') return [];
        const pseudonym = `p-${createHmac('sha256', salt ?? '')
          .update(canonical(item))
          .digest('hex')
          .slice(0, 16)}`;
        if (item.length >= SHORTEST_REPLACED) names.set(item, pseudonym);
        return [[name, pseudonym]];
      }),
    );
  };
  const once = inPayloads(history, scrubbed);
  const found = [...names].sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1));
  const replaced = (value: Json): Json => {
    if (typeof value === 'string') return found.reduce((text, [from, to]) => text.replaceAll(from, to), value);
    if (Array.isArray(value)) return value.map((item: Json) => replaced(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]: [string, Json]) => [name, replaced(item)]));
  };
  return found.length === 0 ? once : inPayloads(once, replaced);
}

/** A shorter text occurs in others by chance. Characters. */
const SHORTEST_REPLACED = 4;
const PLAIN = Buffer.from('json/plain').toString('base64');

/** The history with each payload of plain JSON changed. */
function inPayloads(value: Json, change: (content: Json) => Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => inPayloads(item, change));
  if (typeof value !== 'object' || value === null) return value;
  const { metadata, data, ...rest } = value as { metadata?: { encoding?: Json }; data?: Json };
  if (metadata?.encoding === PLAIN && typeof data === 'string') {
    const content = JSON.parse(Buffer.from(data, 'base64').toString('utf8')) as Json;
    const text = JSON.stringify(change(content));
    return { ...rest, metadata: metadata as Json, data: Buffer.from(text).toString('base64') };
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, item]: [string, Json]) => [name, inPayloads(item, change)]),
  );
}
