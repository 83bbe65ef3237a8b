/** The operator's channels, and the choice of those that a notice is for. */
import { checkNotifications, type NotificationsConfig, type Route } from '../config/notifications.js';
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
