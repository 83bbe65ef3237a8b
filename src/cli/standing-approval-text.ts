/** Standing approvals and duties, for people. */
import type { RoleDelegation } from '../action/role-delegation.js';
import type { StandingApproval, StandingApprovalUse } from '../action/standing-approval.js';
import { formatDuration } from '../action/duration.js';
import { sanitize } from '../presentation/sanitize.js';
import type { Paint } from './output.js';

export function standingApprovalText(
  given: StandingApproval & { readonly used?: StandingApprovalUse },
  paint: Paint,
): string {
  const { id, agent, tool, operation, environment, maxRows, actions, amounts = {}, used, by, reason } = given;
  const what = `${sanitize(tool)}${operation === undefined ? '' : `:${sanitize(operation)}`}`;
  const where = environment === undefined ? '' : ` in ${sanitize(environment)}`;
  const bounds = [
    ...(maxRows === undefined ? [] : [`at most ${maxRows} rows each`]),
    ...(actions === undefined ? [] : [left(used?.actions, actions, 'actions')]),
    ...Object.entries(amounts).map(([unit, amount]) => left(used?.amounts[unit], amount, sanitize(unit))),
  ];
  return [
    `  ${paint.bold(sanitize(id))}  ${sanitize(agent)} may ${what}${where}${bounds.length === 0 ? '' : `, ${bounds.join(', ')}`}`,
    `    by ${sanitize(by)}: ${sanitize(reason)}`,
    `    ${end(given, paint)}`,
  ].join('\n');
}

export function roleDelegationText(given: RoleDelegation, paint: Paint): string {
  const { id, person, role, since, by, reason } = given;
  const to = Date.parse(since) > Date.now() ? ` from ${sanitize(since)}` : '';
  return [
    `  ${paint.bold(sanitize(id))}  ${sanitize(person)} has the role ${sanitize(role)} for ${sanitize(by)}${to}: ${sanitize(reason)}`,
    `    ${end(given, paint)}`,
  ].join('\n');
}

/** `20 of 50 EUR left`, or `50 EUR` where it is not known what is used. */
function left(used: number | undefined, max: number, unit: string): string {
  if (used === undefined) return `${max} ${unit}`;
  return `${Number(Math.max(0, max - used).toFixed(6))} of ${max} ${unit} left`;
}

function end({ until, ended }: StandingApproval | RoleDelegation, paint: Paint): string {
  if (ended !== undefined) {
    return paint.dim(`ended by ${sanitize(ended.by)} at ${sanitize(ended.at)}: ${sanitize(ended.reason)}`);
  }
  const ms = Date.parse(until) - Date.now();
  return ms > 0
    ? `until ${sanitize(until)}, ${formatDuration(ms)} from now`
    : paint.dim(`over since ${sanitize(until)}`);
}
