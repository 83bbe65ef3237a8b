/** `countersign limits`: what is left of every limit, from the ledger's counters and the policy's own figures. */
import type { Command } from 'commander';
import type { LimitCounter } from '../../action/hold.js';
import type { Policy } from '../../policy/index.js';
import { examples, run } from '../command.js';
import { configuredBundle, type ConfiguredBundle } from '../configured-bundle.js';
import { optionalConfig } from '../optional-config.js';
import type { Context } from '../context.js';
import { sanitize } from '../../presentation/sanitize.js';
import type { Paint } from '../output.js';
import { usageError } from '../usage-error.js';

interface LimitsOptions {
  readonly tenant?: string;
  readonly policies?: string;
  readonly config?: string;
}

/** A counter, and what the policy makes of it. */
type Shown = LimitCounter & {
  readonly max?: number;
  readonly unit?: string;
  readonly left?: number;
  readonly text: string;
};

export function limits(program: Command): void {
  program
    .command('limits')
    .argument('[limit]', 'only this one: its id in limits.yaml')
    .description('show what remains of each limit; needs the ledger')
    .option('--tenant <tenant>', "only of this tenant; default: the credential's, else all")
    .option('--policies <folder>', "the policy folder that declares the limits; default: the config's")
    .option('--config <file>', 'the config; default: COUNTERSIGN_CONFIG, else countersign.config.mjs if it is there')
    .addHelpText(
      'after',
      examples(
        'countersign limits',
        'countersign limits refunds-per-day --tenant acme --policies ./policies',
        `countersign limits --json | jq '.counters[] | select(.left == 0)'`,
      ),
    )
    .action(run(showLimits));
}

async function showLimits(context: Context, only: string | undefined, options: LimitsOptions): Promise<void> {
  const declaring = await declaringBundle(context, options);
  const { compilePolicy, counterFigure, limitText } = await import('../../policy/index.js');
  const policy: Policy | undefined = declaring === undefined ? undefined : compilePolicy(declaring.bundle);
  const tenant = await context.tenant(options.tenant);
  const ledger = await context.ledger();
  const meant = ({ limit }: { limit: string }): boolean => only === undefined || limit === only;
  const declared = (policy?.limits.limits ?? []).filter(({ id }) => meant({ limit: id }));
  const counters: Shown[] = (await ledger.limits.counters(tenant === undefined ? {} : { tenant }))
    .filter(meant)
    .map((counter) => ({ ...counter, ...counterFigure(counter, declared) }));
  const texts = declared.map((limit) => ({ id: limit.id, kind: limit.kind, text: limitText(limit) }));
  const { out } = context;
  out.result(
    {
      policy: policy === undefined ? null : { folder: declaring?.from, digest: policy.digest },
      limits: texts,
      counters,
    },
    () => {
      const lines = texts.flatMap(({ id, text }) => [
        `${out.paint.bold(sanitize(id))}  ${out.paint.dim(sanitize(text))}`,
        ...under(
          counters.filter(({ limit }) => limit === id),
          tenant,
          out.paint,
        ),
      ]);
      const others = counters.filter(({ limit }) => !texts.some(({ id }) => id === limit));
      if (others.length > 0) {
        lines.push(
          out.paint.dim(policy === undefined ? 'counted:' : 'not in this policy (delegations, earlier limits):'),
        );
        lines.push(...under(others, tenant, out.paint));
      }
      return lines.length === 0 ? out.paint.dim('no limits are declared, and nothing was counted') : lines.join('\n');
    },
  );
  if (declaring?.from === undefined && !out.json) {
    out.note('No policy folder was given and there is no config, so maximums are not shown. Add --policies FOLDER.');
  }
}

function under(counters: readonly Shown[], tenant: string | undefined, paint: Paint): readonly string[] {
  if (counters.length === 0) return [paint.dim('  nothing was counted yet')];
  return counters.map((counter) => {
    const whose = tenant === undefined ? `${paint.dim(sanitize(counter.tenant))}  ` : '';
    const full = counter.left === 0 || counter.state === 'open';
    const text = sanitize(counter.text);
    return `  ${whose}${full ? paint.red(text) : text}`;
  });
}

/** Undefined when nothing says which. @throws CountersignError USAGE, CONFIG_INVALID */
async function declaringBundle(
  context: Context,
  { policies, config }: LimitsOptions,
): Promise<ConfiguredBundle | undefined> {
  if (policies !== undefined) {
    if (config === undefined) return configuredBundle(context, { policies });
    throw usageError('The policy folder was given twice.', {
      field: '--policies',
      expected: 'either --policies FOLDER or --config FILE',
      fix: 'Leave one of them out.',
    });
  }
  const loaded = await optionalConfig(context, config);
  return loaded === undefined ? undefined : configuredBundle(context, loaded);
}
