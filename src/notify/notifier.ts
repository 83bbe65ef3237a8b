/** The operator's channels, and which of them a notice is for. */
import type { Channel } from './channel.js';
import {
  ASKING,
  NOTICE_KINDS,
  noticeOf,
  type Announcement,
  type Notice,
  type NoticeKind,
  type Story,
} from './notice.js';
import { checkedName, checkedUrl, invalid } from './options.js';

export interface NotificationsConfig {
  /** Where people reach the gateway: every notice links to the action's page there. */
  readonly gatewayUrl: string;
  /** Made by `webhook()`, `slack()` and `email()`. */
  readonly channels: readonly Channel[];
  /** Each notice goes to the channels of every route that fits it, once. What fits none goes nowhere. Default: every channel, for DEFAULT_KINDS. */
  readonly routes?: readonly Route[];
  /** After how long a delivery is given up. Seconds, default 86,400 (a day). */
  readonly giveUpAfterSeconds?: number;
  /** Whether the agent's reasoning goes along, cut and marked as its words. Default true; not where agents may quote data. */
  readonly reasoning?: boolean;
  /**
   * What is said of the action: `facts` names operation, rows and targets, and holds nothing of the input; `tool` is the tool's own line, in
   * which the `http` tool quotes what it sends. Default `facts`.
   */
  readonly summary?: 'facts' | 'tool';
}

/** What is left out fits everything. */
export interface Route {
  /** Any one of these roles may decide. */
  readonly roles?: readonly string[];
  readonly environments?: readonly string[];
  readonly tools?: readonly string[];
  /** Default DEFAULT_KINDS. */
  readonly kinds?: readonly NoticeKind[];
  /** Names of channels. */
  readonly channels: readonly string[];
}

/** `decided` is told only where a route asks for it; Slack's messages are changed anyway. */
export const DEFAULT_KINDS: readonly NoticeKind[] = ['asked', 'reminded', 'escalated', 'ended'];

export class Notifier {
  readonly patienceMs: number;
  readonly #config: NotificationsConfig;
  readonly #channels: ReadonlyMap<string, Channel>;

  /** @throws CountersignError CONFIG_INVALID */
  constructor(config: NotificationsConfig) {
    checkNotifications(config);
    this.#config = config;
    this.#channels = new Map(config.channels.map((channel) => [channel.name, channel]));
    this.patienceMs = (config.giveUpAfterSeconds ?? 86_400) * 1000;
  }

  channel(name: string): Channel | undefined {
    return this.#channels.get(name);
  }

  notice(announcement: Announcement, story: Story, announcedAt: number): Notice {
    const { gatewayUrl, reasoning = true, summary = 'facts' } = this.#config;
    return noticeOf(announcement, story, { gatewayUrl, announcedAt, reasoning, toolSummary: summary === 'tool' });
  }

  /** Names of the channels that a notice is for: by its routes, or because they follow what they were to tell before. */
  channelsFor(notice: Pick<Notice, 'kind' | 'roles' | 'environment' | 'tool'>): readonly string[] {
    const routed = this.#routed(notice);
    if (ASKING.has(notice.kind)) return routed;
    const told = [...ASKING].flatMap((kind) => this.#routed({ ...notice, kind }));
    const following = told.filter((name) => this.#channels.get(name)?.follows === true);
    return [...new Set([...routed, ...following])];
  }

  #routed(notice: Pick<Notice, 'kind' | 'roles' | 'environment' | 'tool'>): readonly string[] {
    const routes: readonly Route[] = this.#config.routes ?? [{ channels: [...this.#channels.keys()] }];
    return [...new Set(routes.filter((route) => fits(route, notice)).flatMap(({ channels }) => channels))];
  }

  async close(): Promise<void> {
    for (const channel of this.#channels.values()) await channel.close?.();
  }
}

function fits(
  { roles, environments, tools, kinds = DEFAULT_KINDS }: Route,
  notice: Pick<Notice, 'kind' | 'roles' | 'environment' | 'tool'>,
): boolean {
  return (
    kinds.includes(notice.kind) &&
    (roles === undefined || roles.some((role) => notice.roles.includes(role))) &&
    (environments === undefined || environments.includes(notice.environment)) &&
    (tools === undefined || tools.includes(notice.tool))
  );
}

const KEYS: ReadonlySet<string> = new Set([
  'gatewayUrl',
  'channels',
  'routes',
  'giveUpAfterSeconds',
  'reasoning',
  'summary',
] satisfies (keyof NotificationsConfig)[]);
const ROUTE_KEYS: ReadonlySet<string> = new Set([
  'roles',
  'environments',
  'tools',
  'kinds',
  'channels',
] satisfies (keyof Route)[]);

/** @throws CountersignError CONFIG_INVALID */
export function checkNotifications(value: unknown): asserts value is NotificationsConfig {
  if (typeof value !== 'object' || value === null) throw invalid('notifications', '{ gatewayUrl, channels }');
  const config = value as Partial<NotificationsConfig>;
  for (const key of Object.keys(config)) if (!KEYS.has(key)) throw invalid(`notifications.${key}`, 'absent');
  checkedUrl(config.gatewayUrl, 'notifications.gatewayUrl', { loopback: true });
  const names = new Set<string>();
  if (!Array.isArray(config.channels)) throw invalid('notifications.channels', 'a list of channels');
  for (const channel of config.channels as Partial<Channel>[]) {
    const name = checkedName(channel?.name, 'notifications.channels');
    if (typeof channel.deliver !== 'function' || names.has(name)) {
      throw invalid('notifications.channels', `a list of channels, without a second one named "${name}"`);
    }
    names.add(name);
  }
  if (config.routes !== undefined && !Array.isArray(config.routes))
    throw invalid('notifications.routes', 'a list of routes');
  for (const [index, route] of (config.routes ?? []).entries())
    checkRoute(route, `notifications.routes.${index}`, names);
  const { giveUpAfterSeconds: seconds, reasoning, summary } = config;
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 1 && seconds <= 7 * 86_400)) {
    throw invalid('notifications.giveUpAfterSeconds', 'a whole number of seconds from 1 to 604800');
  }
  if (reasoning !== undefined && typeof reasoning !== 'boolean')
    throw invalid('notifications.reasoning', 'true or false');
  if (summary !== undefined && summary !== 'facts' && summary !== 'tool') {
    throw invalid('notifications.summary', 'facts or tool');
  }
}

function checkRoute(route: Route, field: string, channels: ReadonlySet<string>): void {
  if (typeof route !== 'object' || route === null) throw invalid(field, '{ channels } with conditions');
  for (const [key, value] of Object.entries(route)) {
    const texts = Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string');
    if (!ROUTE_KEYS.has(key) || !texts)
      throw invalid(`${field}.${key}`, `a list of texts, of ${[...ROUTE_KEYS].join(', ')}`);
  }
  if (route.channels === undefined) throw invalid(`${field}.channels`, 'names of channels');
  const unknown = route.channels.find((name) => !channels.has(name));
  if (unknown !== undefined) throw invalid(`${field}.channels`, `names of ${[...channels].join(', ')}`);
  const strange = route.kinds?.find((kind) => !NOTICE_KINDS.includes(kind));
  if (strange !== undefined) throw invalid(`${field}.kinds`, `of ${NOTICE_KINDS.join(', ')}`);
}
