/** The operator's channels, and the choice of those that a notice is for. */
import { checkNotifications, type NotificationsConfig, type Route } from '../config/notifications.js';
import { ALERT_KIND } from './radar-alert.js';
import type { Channel } from './channel.js';
import { ASKING, noticeOf, type Announcement, type Notice, type NoticeKind, type ActionSummary } from './notice.js';

/** The kinds that a route covers by default. `decided` needs a route that names it; Slack messages are updated anyway. */
export const DEFAULT_KINDS: readonly NoticeKind[] = ['asked', 'reminded', 'escalated', 'ended'];

export class Notifier {
  readonly maxWaitMs: number;
  readonly #config: NotificationsConfig;
  readonly #channels: ReadonlyMap<string, Channel>;

  /** @throws CountersignError CONFIG_INVALID */
  constructor(config: NotificationsConfig) {
    checkNotifications(config);
    this.#config = config;
    this.#channels = new Map(config.channels.map((channel) => [channel.name, channel]));
    this.maxWaitMs = (config.giveUpAfterSeconds ?? 86_400) * 1000;
  }

  channel(name: string): Channel | undefined {
    return this.#channels.get(name);
  }

  notice(announcement: Announcement, action: ActionSummary, announcedAt: number): Notice {
    const { gatewayUrl, reasoning = true, summary = 'facts' } = this.#config;
    return noticeOf(announcement, action, { gatewayUrl, announcedAt, reasoning, toolSummary: summary === 'tool' });
  }

  /** Names of the channels that a notice is for: by the routes, or because they asked people about the action and follow it. */
  channelsFor(notice: Pick<Notice, 'kind' | 'roles' | 'environment' | 'tool'>): readonly string[] {
    const routed = this.#routed(notice);
    if (ASKING.has(notice.kind)) return routed;
    const asking = [...ASKING].flatMap((kind) => this.#routed({ ...notice, kind }));
    const following = asking.filter((name) => this.#channels.get(name)?.follows === true);
    return [...new Set([...routed, ...following])];
  }

  /** Names of the channels that are told of alarms. */
  get alarmChannels(): readonly string[] {
    return this.#config.alarms ?? [...this.#channels.keys()];
  }

  #routed(notice: Pick<Notice, 'kind' | 'roles' | 'environment' | 'tool'>): readonly string[] {
    const { kind } = notice;
    const routes = this.#routes.filter(({ kinds = DEFAULT_KINDS }) => kinds.includes(kind));
    return [...new Set(routes.filter((route) => concerns(route, notice)).flatMap(({ channels }) => channels))];
  }

  /** Where people and receivers reach the gateway. */
  get gatewayUrl(): string {
    return this.#config.gatewayUrl;
  }

  /** The channels that hear of the radar: those of every route that fits, unless it is for other kinds. */
  alertChannels(about: {
    readonly tool: string;
    readonly environment: string;
    readonly roles: readonly string[];
  }): readonly AlertChannel[] {
    const names = this.#routes
      .filter(({ kinds = [ALERT_KIND] }) => kinds.includes(ALERT_KIND))
      .filter((route) => concerns(route, about))
      .flatMap(({ channels }) => channels);
    return [...new Set(names)].flatMap((name) => {
      const channel = this.#channels.get(name);
      return channel !== undefined && hearsAlerts(channel) ? [channel] : [];
    });
  }

  get #routes(): readonly Route[] {
    return this.#config.routes ?? [{ channels: [...this.#channels.keys()] }];
  }

  async close(): Promise<void> {
    for (const channel of this.#channels.values()) await channel.close?.();
  }
}

type AlertChannel = Channel & Required<Pick<Channel, 'alert'>>;

function hearsAlerts(channel: Channel): channel is AlertChannel {
  return channel.alert !== undefined;
}

function concerns(
  { roles, environments, tools }: Route,
  about: Pick<Notice, 'roles' | 'environment' | 'tool'>,
): boolean {
  return (
    (roles === undefined || roles.some((role) => about.roles.includes(role))) &&
    (environments === undefined || environments.includes(about.environment)) &&
    (tools === undefined || tools.includes(about.tool))
  );
}
