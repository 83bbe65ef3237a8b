/** The operator's channels, and which of them a notice is for. */
import { checkNotifications, type NotificationsConfig, type Route } from '../config/notifications.js';
import type { Channel } from './channel.js';
import { ASKING, noticeOf, type Announcement, type Notice, type NoticeKind, type ActionSummary } from './notice.js';

/** `decided` is told only where a route asks for it; Slack's messages are changed anyway. */
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

  notice(announcement: Announcement, story: ActionSummary, announcedAt: number): Notice {
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
