/** The figures and findings of oversight in words, the same on the command line and on the page. */
import { formatDuration } from '../action/duration.js';
import {
  HARDLY_READ_SECONDS,
  type OversightFigures,
  type OversightFinding,
  type OversightGroup,
} from '../action/oversight.js';

export function yesText({ yesRate }: OversightFigures): string {
  return yesRate === undefined ? '-' : `${Math.round(yesRate * 100)} %`;
}

export function secondsText(value: number | undefined): string {
  return value === undefined ? '-' : formatDuration(Math.round(value) * 1000);
}

/** Each reads on from the name. */
export const FINDING_TEXTS: Readonly<Record<OversightFinding, (group: OversightGroup) => string>> = {
  always_yes: ({ decisions }) => `said yes to all of ${decisions}`,
  fast: ({ medianSeconds }) =>
    `took ${secondsText(medianSeconds)} in the median: under ${HARDLY_READ_SECONDS} seconds, or under a quarter of everybody's time`,
  more_yes_than_before: (group) =>
    `said yes to ${yesText(group)}, and to ${yesText(group.before)} in the period before`,
  faster_than_before: ({ medianSeconds, before }) =>
    `took ${secondsText(medianSeconds)}, and ${secondsText(before.medianSeconds)} in the period before`,
  too_fast: ({ tooFast }) =>
    `decided too fast ${tooFast === 1 ? 'once' : `${tooFast} times`}, against the approval rate limit`,
};
