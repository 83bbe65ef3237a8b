/** The member `oversight` of the config: canaries, which show whether people look at what they decide. */
import { z } from 'zod';
import type { CanaryTemplate } from '../action/canary.js';
import { canaryTemplateSchema } from '../action/canary-template.js';
import { digest, type JsonObject } from '../action/json.js';
import { NAME_PATTERN, TENANT_PATTERN } from '../action/proposal.js';
import { nonEmpty, whole } from './schema.js';

/** How it is shown that people look at what they decide. */
export interface OversightConfig {
  /** Approval requests that should be refused, sent to see whether they are. Default none. */
  readonly canaries?: CanariesConfig;
}

/** Which canaries there are, and how often one is sent. */
export interface CanariesConfig {
  /** By name: what can be sent with `countersign canary send <name>`, and is sent where `perWeek` says so. */
  readonly templates?: Readonly<Record<string, ScheduledCanary>>;
  /** How many are sent to each of `tenants` by themselves, in the mean of a week, at times that nobody knows. From 0 to 50, default 0. */
  readonly perWeek?: number;
  /** Tenants to whose people they are sent by themselves. */
  readonly tenants?: readonly string[];
  /** How many a tenant gets in seven days at most, however they are sent. From 1 to 100, default 10. */
  readonly mostPerWeek?: number;
  /**
   * How many one person may come to decide in 24 hours. While somebody decided so many, those that wait counted in, none is sent to their
   * tenant. From 1 to 20, default 3.
   */
  readonly mostPerPersonPerDay?: number;
  /** When they are sent by themselves: on these days, between these hours. Default 9 to 17 in UTC, from Monday to Friday. */
  readonly hours?: {
    /** The first hour, from 0 to 23. */
    readonly from: number;
    /** The hour before which the last is sent, from 1 to 24. */
    readonly to: number;
    /** A time zone of the IANA: `Europe/Berlin`. Default UTC. */
    readonly timeZone?: string;
    /** Days of the week. Default Monday to Friday. */
    readonly days?: readonly Day[];
  };
}

const DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;
type Day = (typeof DAYS)[number];

export const WORKING_DAYS: readonly Day[] = DAYS.slice(0, 5);

export interface ScheduledCanary extends CanaryTemplate {
  /** Why it should be refused. Told to people afterwards. */
  readonly reason: string;
}

/** With what holds where the config says nothing else. */
export type CanarySettings = Required<CanariesConfig>;

const MOST_PER_WEEK = 10;
const MOST_PER_PERSON_PER_DAY = 3;

export function canarySettingsOf({ canaries }: OversightConfig = {}): CanarySettings {
  const hours = { from: 9, to: 17 };
  return {
    templates: {},
    perWeek: 0,
    tenants: [],
    mostPerWeek: MOST_PER_WEEK,
    mostPerPersonPerDay: MOST_PER_PERSON_PER_DAY,
    hours,
    ...canaries,
  };
}

/** What workers have to agree on, by member. The contents of templates are compared, and kept nowhere but in the config. */
export function canaryScheduleOf({ templates, hours, ...bounds }: CanarySettings): JsonObject {
  // What is left out may also be undefined.
  const plain = (content: ScheduledCanary): JsonObject => JSON.parse(JSON.stringify(content)) as JsonObject;
  const contents = Object.entries(templates).map(([name, content]) => [name, digest(plain(content))] as const);
  const { from, to, timeZone = 'UTC', days = WORKING_DAYS } = hours;
  return {
    ...bounds,
    tenants: bounds.tenants.toSorted(),
    hours: { from, to, timeZone, days: days.toSorted() },
    templates: Object.fromEntries(contents),
  };
}

/** The members in which two schedules differ, by name. */
export function differingMembers(one: JsonObject, other: JsonObject): readonly string[] {
  const names = [...new Set([...Object.keys(one), ...Object.keys(other)])].toSorted();
  return names.filter((name) => digest(one[name] ?? null) !== digest(other[name] ?? null));
}

const hour = whole(0, 24, 'the day');

export const oversightSchema = z.strictObject({
  canaries: z
    .strictObject({
      templates: z
        .record(
          z.string().regex(NAME_PATTERN, { error: 'names of 1 to 63 of A-Z a-z 0-9 . _ -' }),
          z.strictObject({ ...canaryTemplateSchema.shape, reason: nonEmpty('why it should be refused').max(2000) }),
        )
        .optional(),
      perWeek: whole(0, 50, 'canaries').optional(),
      tenants: z
        .array(z.string().regex(TENANT_PATTERN, { error: 'names of tenants' }), { error: 'a list of tenants' })
        .optional(),
      mostPerWeek: whole(1, 100, 'canaries').optional(),
      mostPerPersonPerDay: whole(1, 20, 'canaries').optional(),
      hours: z
        .strictObject({
          from: hour,
          to: hour,
          timeZone: z.string().refine(isTimeZone, { error: 'a time zone, such as Europe/Berlin' }).optional(),
          days: z
            .array(z.enum(DAYS, { error: `days of ${DAYS.join(', ')}` }), { error: 'a list of days' })
            .min(1, 'at least one day')
            .refine((days) => new Set(days).size === days.length, { error: 'each day once' })
            .optional(),
        })
        .refine(({ from, to }) => from < to, { path: ['to'], error: 'an hour after `from`' })
        .optional(),
    } satisfies Record<keyof CanariesConfig, z.ZodType>)
    .superRefine(({ perWeek = 0, templates = {}, tenants = [], mostPerWeek = MOST_PER_WEEK }, context) => {
      if (perWeek === 0) return;
      if (perWeek > mostPerWeek) {
        const message = `no more than \`mostPerWeek\`, which is ${mostPerWeek}`;
        context.addIssue({ code: 'custom', path: ['perWeek'], message });
      }
      if (Object.keys(templates).length === 0) {
        context.addIssue({
          code: 'custom',
          path: ['templates'],
          message: 'at least one template, where `perWeek` is set',
        });
      }
      if (tenants.length === 0) {
        context.addIssue({ code: 'custom', path: ['tenants'], message: 'at least one tenant, where `perWeek` is set' });
      }
    })
    .optional(),
} satisfies Record<keyof OversightConfig, z.ZodType>);

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
