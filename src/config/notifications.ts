/** The member `notifications` of the config: which channels there are, and which of them hear what. */
import { z } from 'zod';
import { configInvalid } from '../action/errors-config.js';
import { NAME_PATTERN } from '../action/proposal.js';
import { isThisMachine } from '../http/addresses.js';
import { ALERT_KIND } from '../notify/radar-alert.js';
import type { Channel } from '../notify/channel.js';
import { NOTICE_KINDS, type NoticeKind } from '../notify/notice.js';
import { firstProblem, nonEmpty, whole } from './schema.js';

/** Who hears on which channel that something waits for people. */
export interface NotificationsConfig {
  /** Where people reach the gateway: every notice links to the action's page there. */
  readonly gatewayUrl: string;
  /** Made by `webhook()`, `slack()` and `email()`. */
  readonly channels: readonly Channel[];
  /** Each notice goes to the channels of every route that fits it, once. What fits none goes nowhere. Default: every channel, for DEFAULT_KINDS. */
  readonly routes?: readonly Route[];
  /** Names of the channels that hear of alarms, such as a ledger that cannot take a receipt. Default: every channel. */
  readonly alarms?: readonly string[];
  /** After how long a delivery is given up. Seconds from 1 to 604,800, default 86,400 (a day). */
  readonly giveUpAfterSeconds?: number;
  /** Whether the agent's reasoning goes along, cut and marked as its words. Default true; not where agents may quote data. */
  readonly reasoning?: boolean;
  /**
   * What is said of the action: `facts` names operation, rows and targets, and holds nothing of the input; `tool` is the tool's own line, in
   * which the `http` tool quotes what it sends. Default `facts`.
   */
  readonly summary?: 'facts' | 'tool';
}

/** A condition that is left out fits everything. */
export interface Route {
  /** Any one of these roles may decide. Default any role. */
  readonly roles?: readonly string[];
  /** Default every environment. */
  readonly environments?: readonly string[];
  /** Names of tools. Default every tool. */
  readonly tools?: readonly string[];
  /** Default DEFAULT_KINDS: `asked`, `reminded`, `escalated`, `ended`; and `unexplained`, which is what the radar finds. */
  readonly kinds?: readonly (NoticeKind | typeof ALERT_KIND)[];
  /** Names of channels. */
  readonly channels: readonly string[];
}

const NAME = 'a name: 1 to 63 of A-Z a-z 0-9 . _ -, beginning with a letter or digit';
const texts = z
  .array(nonEmpty('a text that is not empty'), { error: 'a list of texts' })
  .min(1, { error: 'a list that is not empty' });

const channelSchema = z
  .custom<Channel>((value) => typeof (value as Channel | null)?.deliver === 'function', {
    error: 'a channel made by webhook(), slack() or email()',
  })
  .refine(({ name }) => typeof name === 'string' && NAME_PATTERN.test(name), { path: ['name'], error: NAME });

export const notificationsSchema = z
  .strictObject({
    gatewayUrl: z.string({ error: 'the URL where people reach the gateway' }).refine(isGatewayUrl, {
      error: 'a URL of https (or http, to this machine) without credentials and fragment',
    }),
    channels: z.array(channelSchema, { error: 'a list of channels' }).superRefine((channels, context) => {
      const names = channels.map((channel) => channel?.name);
      const twice = names.find((name, index) => names.indexOf(name) < index);
      if (twice !== undefined) {
        context.addIssue({ code: 'custom', message: `a list of channels, without a second one named "${twice}"` });
      }
    }),
    routes: z
      .array(
        z.strictObject({
          roles: texts.optional(),
          environments: texts.optional(),
          tools: texts.optional(),
          kinds: z
            .array(
              z.enum([...NOTICE_KINDS, ALERT_KIND], { error: `one of ${[...NOTICE_KINDS, ALERT_KIND].join(', ')}` }),
            )
            .min(1, { error: 'a list that is not empty' })
            .optional(),
          channels: texts,
        }),
        { error: 'a list of routes' },
      )
      .optional(),
    alarms: z.array(nonEmpty('a text that is not empty'), { error: 'a list of texts' }).optional(),
    giveUpAfterSeconds: whole(1, 604_800, 'seconds').optional(),
    reasoning: z.boolean({ error: 'true or false' }).optional(),
    summary: z.enum(['facts', 'tool'], { error: 'facts or tool' }).optional(),
  })
  .superRefine(({ channels, routes = [], alarms = [] }, context) => {
    const names = channels.map(({ name }) => name);
    if (!alarms.every((name) => names.includes(name))) {
      context.addIssue({ code: 'custom', path: ['alarms'], message: `names of ${names.join(', ')}` });
    }
    for (const [index, route] of routes.entries()) {
      if (route.channels.every((name) => names.includes(name))) continue;
      const path = ['routes', index, 'channels'];
      context.addIssue({ code: 'custom', path, message: `names of ${names.join(', ')}` });
    }
  });

/** What is no such URL is never quoted: it may hold a password. */
function isGatewayUrl(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.username !== '' || url.password !== '' || url.hash !== '') return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isThisMachine(url.hostname));
}

/** @throws CountersignError CONFIG_INVALID */
export function checkNotifications(value: unknown): asserts value is NotificationsConfig {
  if (typeof value !== 'object' || value === null) throw configInvalid('notifications', '{ gatewayUrl, channels }');
  const { error } = notificationsSchema.safeParse(value);
  if (error !== undefined) throw firstProblem(error, 'notifications', 'the config');
}
