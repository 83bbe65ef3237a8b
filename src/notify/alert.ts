/** What people are told of the radar's alerts: what was written, where and by whom, and no value of any row. */
import type { RadarAlert } from '../action/radar.js';
import { digest } from '../action/json.js';
import { oneLine } from './one-line.js';
import { moment } from './text.js';

/** The kind of route that hears of the radar. */
export const ALERT_KIND = 'unexplained';

export interface AlertNotice {
  /** The name of the tool. */
  readonly tool: string;
  readonly environment: string;
  /** The title: `Writes past Countersign: 3 on shop-db`. */
  readonly title: string;
  /** How many alerts this tells of. */
  readonly count: number;
  /** One line for each, the first ten. */
  readonly lines: readonly string[];
  /** The URL of the radar's page, which requires a login. */
  readonly link: string;
  /** When the last of them was recorded. RFC 3339 UTC. */
  readonly at: string;
}

const MAX = { line: 300, lines: 10 } as const;

/** @param alerts at least one */
export function alertNoticeOf(
  alerts: readonly RadarAlert[],
  {
    tool,
    environment,
    gatewayUrl,
  }: { readonly tool: string; readonly environment: string; readonly gatewayUrl: string },
): AlertNotice {
  const count = alerts.length;
  const gaps = alerts.filter(({ kind }) => kind === 'gap').length;
  const what = gaps === count ? 'The radar could not look' : 'Writes past Countersign';
  return {
    tool: oneLine(tool, 80),
    environment: oneLine(environment, 80),
    title: `${what}: ${count} on ${oneLine(tool, 80)}`,
    count,
    lines: [
      ...alerts.slice(0, MAX.lines).map((alert) => oneLine(lineOf(alert), MAX.line)),
      ...(count > MAX.lines ? [`and ${count - MAX.lines} more`] : []),
    ],
    link: new URL('radar', gatewayUrl.endsWith('/') ? gatewayUrl : `${gatewayUrl}/`).href,
    at: alerts.at(-1)?.foundAt ?? '',
  };
}

function lineOf({ at, detail, writers }: RadarAlert): string {
  return `${moment(at)}  ${detail}${writers.length === 0 ? '' : ` By ${writersText(writers)}.`}`;
}

/** `app (orders-service), ann`. */
export function writersText(writers: RadarAlert['writers']): string {
  return writers.map(({ user, application }) => (application === '' ? user : `${user} (${application})`)).join(', ');
}

/** The same for every attempt to tell the same on a channel. */
export function alertDeliveryId(source: string, ids: readonly number[], channel: string): string {
  return `ntc_${digest({ source, ids, channel }).slice('sha256:'.length, 'sha256:'.length + 48)}`;
}
