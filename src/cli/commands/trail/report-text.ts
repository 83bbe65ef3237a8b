/** What `countersign trail verify` says of a trail, for people. */
import type { TrailReport } from '../../../trail/report.js';
import { sanitize } from '../../../presentation/sanitize.js';
import type { Paint } from '../../output.js';

export function reportText(report: TrailReport, paint: Paint): string {
  const { ok, tenant, entries, checkpoints, covered, withheld, anchors, problems, problemCount } = report;
  const lines = [
    `${ok ? paint.green('✓') : paint.red('✗')} ${paint.bold(sanitize(tenant))}  ${entries} entries, ${checkpoints} checkpoints, signed up to entry ${covered}`,
    `    ${paint.dim(`${anchors} anchors fit; ${withheld} entries come without what their digest is of`)}`,
    ...stampLines(report, paint),
    ...openLines(report, paint),
    ...problems.map(({ code, at, problem }) => `    ${paint.red(code)} #${at}  ${sanitize(problem)}`),
  ];
  if (problemCount > problems.length) lines.push(`    … ${problemCount - problems.length} more`);
  return lines.join('\n');
}

function openLines({ openGrants, openGrantCount }: TrailReport, paint: Paint): string[] {
  if (openGrantCount === 0) return [];
  const one = openGrantCount === 1;
  const lines = [
    paint.yellow(`${openGrantCount} ${one ? 'grant was' : 'grants were'} used, and the action has no receipt yet:`),
    ...openGrants.map(
      ({ entry, actionId, jti, usedAt }) =>
        `  #${entry}  ${sanitize(actionId)}  used ${sanitize(usedAt)} (grant ${sanitize(jti)})`,
    ),
  ];
  if (openGrantCount > openGrants.length) lines.push(`  … ${openGrantCount - openGrants.length} more`);
  return lines.map((line) => `    ${line}`);
}

/** How many time stamps are written out, the last ones: a long trail has thousands. `--json` has all. */
const STAMPS_SHOWN = 10;

function stampLines({ timestamps, timestampsUnchecked }: TrailReport, paint: Paint): string[] {
  const earlier = timestamps.length - STAMPS_SHOWN;
  return [
    ...(timestampsUnchecked === 0
      ? []
      : [paint.yellow(`${timestampsUnchecked} time stamps were not checked: name whom to trust with --timestamp-ca`)]),
    ...(earlier > 0 ? [paint.dim(`${earlier} earlier time stamps verify`)] : []),
    ...timestamps
      .slice(-STAMPS_SHOWN)
      .map(
        ({ size, existedAt, authority }) =>
          `${size} entries existed at ${existedAt} at the latest, says ${sanitize(authority)}`,
      ),
  ].map((line) => `    ${line}`);
}
