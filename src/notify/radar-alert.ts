/** What people are told of the radar's alerts: what was written, where and by whom, and no value of any row. */
import { RADAR_ALERT_KINDS, type RadarAlert } from '../action/radar.js';
import { digest } from '../action/json.js';
import type { Alert } from './alert.js';
import { oneLine } from './one-line.js';
import { moment } from './text.js';

/** The kind of route that hears of the radar. */
export const ALERT_KIND = 'unexplained';

/** Of the worst of them: writes before definitions before gaps. */
const TITLES: Readonly<Record<RadarAlert['kind'], string>> = {
  write: 'Writes past Countersign',
  definition: 'Definitions changed past Countersign',
  gap: 'The radar could not look',
};

const MAX = { line: 300, lines: 10 } as const;

/** @param alerts at least one */
export function alertOfRadar(
  alerts: readonly RadarAlert[],
  about: { readonly tool: string; readonly environment: string; readonly gatewayUrl: string },
): Alert {
  const { gatewayUrl } = about;
  const [tool, environment] = [oneLine(about.tool, 80), oneLine(about.environment, 80)];
  const count = alerts.length;
  const worst = RADAR_ALERT_KINDS.find((one) => alerts.some(({ kind }) => kind === one)) ?? 'write';
  const title = `${TITLES[worst]}: ${count} on ${tool}`;
  const lines = [
    ...alerts.slice(0, MAX.lines).map((alert) => oneLine(lineOf(alert), MAX.line)),
    ...(count > MAX.lines ? [`and ${count - MAX.lines} more`] : []),
  ];
  const link = new URL('radar', gatewayUrl.endsWith('/') ? gatewayUrl : `${gatewayUrl}/`).href;
  return {
    type: `radar.${ALERT_KIND}`,
    at: alerts.at(-1)?.foundAt ?? '',
    subject: tool,
    title,
    environment,
    lines,
    link,
    data: { tool, environment, title, count, lines, link },
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
