/** The shape of limits.yaml, and the small grammars of its texts. */
import { z } from 'zod';
import { LIMIT_SCOPES, type LimitScope, type LimitWindow } from '../../action/limits.js';
import { NAME_PATTERN } from '../../action/proposal.js';
import { parseApprovals } from '../approval.js';
import { GrammarError } from '../grammar.js';
import { DAY_SECONDS, parseSeconds } from '../../action/duration.js';
import type { AtLimit } from './resolved.js';

export const MAX_LIMITS = 100;
export const LIMIT_ID = /^[a-z0-9-]{1,64}$/;
const MAX_WINDOW_SECONDS = 366 * DAY_SECONDS;
const LONGEST_WAIT_SECONDS = DAY_SECONDS;

const DURATION = 'a time such as 30s, 15m, 4h or 7d';
const CEL_OVER = 'a CEL expression over agent, tool, actionType, operation, input, preview, trace';

const WHOLE = (least: number, most: string) => `a whole number from ${least} to ${most}`;
const EXACT = '2^53-1';

/** What each field must contain, for errors. The key is `kind.field` where the kinds differ. */
const EXPECTED: Readonly<Record<string, string>> = {
  kind: 'budget, count, rate, concurrency, breaker or depth',
  scope: `one of ${LIMIT_SCOPES.join(', ')}, or a list of them`,
  when: `${CEL_OVER}, that is true or false`,
  amount: `${CEL_OVER}, that is a number`,
  settled: `${CEL_OVER}, result, that is a number`,
  unit: 'a unit such as EUR: at most 63 of A-Z, a-z, 0-9, ., _ and -, the first a letter or digit',
  window: '"1d", "sliding 1h" or "forever"; at most 366 days',
  timezone: 'a name of the IANA database such as Europe/Berlin, with a fixed window of whole days',
  'breaker.window': `${DURATION}, at most 366 days`,
  per: `${DURATION}, at most 366 days`,
  open: `${DURATION}, at most 366 days`,
  'budget.max': `a number from 0 to ${EXACT}`,
  'count.max': WHOLE(0, EXACT),
  'depth.max': WHOLE(0, '64'),
  max: WHOLE(1, EXACT),
  burst: WHOLE(1, EXACT),
  minimum: WHOLE(1, '1,000,000'),
  probes: WHOLE(1, '1,000'),
  ratio: 'a number over 0 and at most 1',
  atLimit: '"deny", "queue for 30s" (at most a day) or "approve by role|other role, quorum=2, ttl=4h"',
};

export function expectedOf(kind: string, field: string): string {
  return EXPECTED[`${kind}.${field}`] ?? EXPECTED[field] ?? 'another value';
}

const AT_LIMIT_FIX =
  'Write deny, queue for 30s, approve by finance, or approve by finance|lead, quorum=2, ttl=4h, in quotes if you like.';

/** A text that `parse` reads. An error of `parse` becomes an error of the field. */
function read<Value>(parse: (text: string) => Value) {
  return z.string().transform((text, context): Value => {
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof GrammarError)) throw error;
      context.addIssue({ code: 'custom', message: error.message, params: { fix: error.fix } });
      return z.NEVER;
    }
  });
}

function seconds(text: string, most: number, what: string): number {
  const found = parseSeconds(text);
  if (found !== undefined && found <= most) return found;
  throw new GrammarError(`${JSON.stringify(text.slice(0, 40))} is not ${what}`, `Write ${what}.`);
}

function parseWindow(text: string): LimitWindow | undefined {
  if (text === 'forever') return undefined;
  const sliding = /^sliding +(?=\S)/.exec(text)?.[0];
  const length = sliding === undefined ? text : text.slice(sliding.length);
  const found = seconds(length, MAX_WINDOW_SECONDS, 'a window such as 1d, sliding 1h or forever, of at most 366 days');
  return { kind: sliding === undefined ? 'fixed' : 'sliding', ms: found * 1000 };
}

/** An IANA name. Abbreviations and offsets are left out: they mean other things to other readers, and none of them knows when clocks change. */
const TIMEZONE = /^(UTC|[A-Z][A-Za-z_]+(\/[A-Z][A-Za-z0-9_+-]*)+)$/;

function parseTimezone(text: string): string {
  if (TIMEZONE.test(text) && isTimezone(text)) return text;
  throw new GrammarError(
    `${JSON.stringify(text.slice(0, 40))} is not a time zone`,
    'Write a name of the IANA database: Europe/Berlin.',
  );
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** Only days begin at another time elsewhere. */
function checkTimezone(
  { window, timezone }: { readonly window?: LimitWindow | undefined; readonly timezone?: string | undefined },
  context: z.RefinementCtx,
): void {
  if (timezone === undefined) return;
  if (window?.kind === 'fixed' && window.ms % (DAY_SECONDS * 1000) === 0) return;
  const message = 'only a fixed window of whole days has a time zone';
  context.addIssue({
    code: 'custom',
    path: ['timezone'],
    message,
    params: { fix: 'Write window: 1d, or take timezone out.' },
  });
}

function parseAtLimit(text: string): AtLimit {
  if (text === 'deny') return { kind: 'deny' };
  const [, verb, rest = ''] = /^(queue for|approve by) +(\S.*)$/.exec(text) ?? [];
  try {
    if (verb === 'queue for') {
      const longest = seconds(rest, LONGEST_WAIT_SECONDS, 'a time such as 30s or 10m, of at most a day');
      return { kind: 'queue', maxWaitMs: longest * 1000 };
    }
    if (verb === 'approve by') return { kind: 'approve', approvals: parseApprovals(rest) };
  } catch (error) {
    if (error instanceof GrammarError) throw new GrammarError(error.message, AT_LIMIT_FIX);
    throw error;
  }
  throw new GrammarError(`${JSON.stringify(text.slice(0, 80))} is nothing that can happen at a limit`, AT_LIMIT_FIX);
}

const duration = read((text) => seconds(text, MAX_WINDOW_SECONDS, `${DURATION}, of at most 366 days`) * 1000);
const whole = (least: number, most = Number.MAX_SAFE_INTEGER) => z.number().int().min(least).max(most);
const scopeName = z.enum(LIMIT_SCOPES);
const cel = z.string();

const scope = z
  .union([scopeName, z.array(scopeName).min(1)])
  .transform((given): readonly LimitScope[] => LIMIT_SCOPES.filter((name) => [given].flat().includes(name)));

const counted = { scope, when: cel.optional(), atLimit: read(parseAtLimit).optional() };

const windowed = { window: read(parseWindow), timezone: read(parseTimezone).optional() };

export const limitSchema = z.discriminatedUnion('kind', [
  z
    .strictObject({
      kind: z.literal('budget'),
      ...counted,
      max: z.number().min(0).max(Number.MAX_SAFE_INTEGER),
      unit: z.string().regex(NAME_PATTERN),
      amount: cel,
      settled: cel.optional(),
      ...windowed,
    })
    .superRefine(checkTimezone),
  z.strictObject({ kind: z.literal('count'), ...counted, max: whole(0), ...windowed }).superRefine(checkTimezone),
  z.strictObject({ kind: z.literal('rate'), ...counted, max: whole(1), per: duration, burst: whole(1).optional() }),
  z.strictObject({ kind: z.literal('concurrency'), ...counted, max: whole(1) }),
  z.strictObject({
    kind: z.literal('breaker'),
    ...counted,
    window: duration,
    minimum: whole(1, 1_000_000),
    ratio: z.number().gt(0).max(1),
    open: duration,
    probes: whole(1, 1000).optional(),
  }),
  z.strictObject({ kind: z.literal('depth'), when: cel.optional(), max: whole(0, 64) }),
]);

export type LimitShape = z.infer<typeof limitSchema>;

/** The fields of each kind of limit. */
export const FIELDS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  limitSchema.options.map((option) => [option.shape.kind.value, Object.keys(option.shape)]),
);
