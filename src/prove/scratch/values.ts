/** A value for a column, made up of its type, its checks and a number. */
import type { Json } from '../../action/json.js';

export interface ColumnShape {
  readonly name: string;
  /** As the catalog calls it: `int4`, `varchar`; of a domain, what it is over. */
  readonly type: string;
  readonly notNull: boolean;
  /** The most characters. */
  readonly length: number | null;
  /** False where the database gives it a value by itself. */
  readonly given: boolean;
  readonly default: boolean;
  readonly array: boolean;
  /** Whether it is part of a unique index. */
  readonly unique: boolean;
  /** Whether it is part of a foreign key. */
  readonly foreign: boolean;
  readonly labels: readonly string[] | null;
  /** Texts of the checks on it. */
  readonly checks: readonly string[] | null;
}

/** The nth value. Different numbers give different values where the type has as many. */
export function valueFor(column: ColumnShape, n: number): Json {
  const { type, labels, array } = column;
  if (array) return [];
  if (labels !== null && labels.length > 0) return labels[n % labels.length] as string;
  const allowed = literalsIn(column.checks ?? []);
  if (isTextual(type)) return allowed[n % Math.max(1, allowed.length)] ?? textFor(column, n);
  switch (type) {
    case 'int2':
      return n % 32_000;
    case 'int4':
    case 'int8':
    case 'numeric':
    case 'float4':
    case 'float8':
      return n;
    case 'bool':
      return n % 2 === 0;
    case 'uuid':
      return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
    case 'date':
      return day(n);
    case 'timestamp':
    case 'timestamptz':
      return `${day(n)}T12:00:00Z`;
    case 'time':
      return '12:00:00';
    case 'interval':
      return `${n} minutes`;
    case 'json':
    case 'jsonb':
      return { n };
    case 'inet':
    case 'cidr':
      return `192.0.2.${n % 256}`;
    default:
      return null;
  }
}

export function isTextual(type: string): boolean {
  return ['text', 'varchar', 'bpchar', 'citext', 'name'].includes(type);
}

function textFor({ name, length, checks }: ColumnShape, n: number): string {
  const isAddress = /mail/i.test(name) || (checks ?? []).some((check) => check.includes('@'));
  const text = isAddress ? `prove-${n}@example.com` : `prove ${n}`;
  return length === null || text.length <= length ? text : n.toString(36).slice(-length);
}

function day(n: number): string {
  return new Date(Date.UTC(2026, 0, 1) + (n % 3650) * 86_400_000).toISOString().slice(0, 10);
}

/** What a check lists: `status = ANY (ARRAY['new'::text, 'paid'::text])`. */
function literalsIn(checks: readonly string[]): readonly string[] {
  return checks.flatMap((check) =>
    /\bANY\b|=/.test(check) && !/~|<>|length/.test(check)
      ? [...check.matchAll(/'((?:[^']|'')*)'/g)].map(([, text = '']) => text.replaceAll("''", "'"))
      : [],
  );
}
