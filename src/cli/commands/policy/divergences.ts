/** `countersign policy divergences`: what the policy in shadow would have decided otherwise. */
import type { Command } from 'commander';
import { CountersignError } from '../../../action/errors.js';
import type { DivergentSide, PolicyDivergence, ShadowCounts } from '../../../action/policy-rollout.js';
import { sanitize } from '../../../presentation/sanitize.js';
import { examples, run } from '../../command.js';
import type { Context } from '../../context.js';
import { wholeNumber } from '../../whole-number.js';
import { findPolicy } from './find-policy.js';

interface DivergencesOptions {
  readonly tenant?: string;
  readonly limit: number;
}

export function policyDivergences(group: Command): void {
  group
    .command('divergences')
    .argument('[digest]', 'the policy that is or was in shadow; default: the one that is now')
    .description(
      'show where the policy in shadow decides otherwise than the active one: how often, by which rules, for whom',
    )
    .option('--tenant <tenant>', 'only of this tenant; default: of all')
    .option('--limit <n>', 'how many kinds at most', wholeNumber('--limit', 1, 1000), 20)
    .addHelpText('after', examples('countersign policy divergences', 'countersign policy divergences 3f2a91 --json'))
    .action(run(divergences));
}

async function divergences(
  context: Context,
  name: string | undefined,
  { tenant, limit }: DivergencesOptions,
): Promise<void> {
  const { rollout } = await context.ledger();
  const policy =
    name === undefined
      ? (await rollout.states()).find(({ state }) => state === 'shadow')
      : await findPolicy(rollout, name);
  if (policy === undefined) {
    throw new CountersignError('NOT_FOUND', 'No policy is in shadow.', {
      field: 'digest',
      expected: 'a policy that is or was in shadow',
      fix: 'Put one there: countersign policy shadow <digest> --reason "…"',
    });
  }
  const [counts, found] = await Promise.all([
    rollout.shadowCounts(policy.digest),
    rollout.divergences({ candidate: policy.digest, tenant, limit }),
  ]);
  const { out } = context;
  out.result({ policy, counts, divergences: found }, () =>
    [
      `${policy.digest} (${policy.state})`,
      ...(counts.length === 0 ? ['was not evaluated yet'] : counts.map(countsText)),
      ...found.map(divergenceText),
    ].join('\n'),
  );
}

function countsText({ baseline, evaluated, diverged, errors, unlisted, dropped, meanMs, maxMs }: ShadowCounts): string {
  const more = [
    ...(errors === 0 ? [] : [`${errors} could not be decided`]),
    ...(unlisted === 0 ? [] : [`${unlisted} are not listed`]),
    ...(dropped === 0 ? [] : [`${dropped} more were not evaluated, because a worker had too much to do`]),
  ];
  const cost = `${meanMs.toFixed(1)} ms each, ${maxMs.toFixed(1)} ms at most`;
  return `beside ${baseline}: ${diverged} of ${evaluated} decisions differ (${cost})${more.map((text) => `; ${text}`).join('')}`;
}

function divergenceText({ kind, tenant, tool, agent, live, shadow, count, examples: few }: PolicyDivergence): string {
  const who = `${sanitize(agent)} of ${sanitize(tenant)} with ${sanitize(tool)}`;
  return [
    '',
    `${count} ×  ${kind}: ${sideText(live)} becomes ${sideText(shadow)}, for ${who}`,
    ...few.map(
      ({ actionId, liveReason, shadowReason }) =>
        `     ${sanitize(actionId)}: ${sanitize(liveReason)} → ${sanitize(shadowReason)}`,
    ),
  ].join('\n');
}

function sideText({ effect, rules }: DivergentSide): string {
  return rules.length === 0 ? effect : `${effect} (${rules.map((rule) => sanitize(rule)).join(', ')})`;
}
