/** Effects that the tools' systems recorded and the ledger does not know as made: what a ledger restored to an earlier state has lost. */
import { workflowNameOf } from '../action/idempotency-key.js';
import type { Actions, ActionStanding } from '../ledger/index.js';
import type { RecordedEffectKey, Tool } from '../tools/tool.js';

export interface UnrecordedEffect {
  readonly tool: string;
  readonly tenant: string;
  readonly actionId: string;
  /** When the system recorded it. RFC 3339 UTC. */
  readonly at: string;
  /** What the ledger says instead: it has no such action, no use of a grant for it, or an outcome by which nothing was done. */
  readonly ledger: 'no action' | 'no use of a grant' | 'denied' | 'expired' | 'cancelled' | 'failed';
}

export interface UnrecordedOptions {
  readonly ledger: { readonly actions: Pick<Actions, 'standings'> };
  /** Those that keep no record of their effects are passed over. */
  readonly tools: readonly Pick<Tool, 'name' | 'effects'>[];
  /** Effects from before are not looked at. */
  readonly since: Date;
  readonly signal: AbortSignal;
}

/** How many effects are asked about at once. */
const PAGE = 500;

/** Effects that are being made are none of these: the use of the grant is in the ledger before there is one. @throws CountersignError when ledger or tool do not answer */
export async function* unrecordedEffects(options: UnrecordedOptions): AsyncGenerator<UnrecordedEffect> {
  const { tools, since, signal } = options;
  for (const tool of tools) {
    if (tool.effects === undefined) continue;
    let page: RecordedEffectKey[] = [];
    for await (const effect of tool.effects.since(since, { signal })) {
      page.push(effect);
      if (page.length < PAGE) continue;
      yield* unrecordedOf(tool.name, page, options);
      page = [];
    }
    yield* unrecordedOf(tool.name, page, options);
  }
}

async function* unrecordedOf(
  tool: string,
  effects: readonly RecordedEffectKey[],
  { ledger }: UnrecordedOptions,
): AsyncGenerator<UnrecordedEffect> {
  // A key of another form was not made by an action.
  const named = effects.flatMap(({ key, at }) => {
    const name = workflowNameOf(key);
    return name === undefined ? [] : [{ ...name, at }];
  });
  if (named.length === 0) return;
  const standings = await ledger.actions.standings(named);
  const byName = new Map(standings.map((one) => [`${one.tenant}/${one.actionId}`, one]));
  for (const { tenant, actionId, at } of named) {
    const says = contradiction(byName.get(`${tenant}/${actionId}`));
    if (says !== undefined) yield { tool, tenant, actionId, at: at.toISOString(), ledger: says };
  }
}

function contradiction(standing: ActionStanding | undefined): UnrecordedEffect['ledger'] | undefined {
  if (standing === undefined) return 'no action';
  switch (standing.status) {
    case 'open':
      return standing.uses === 0 ? 'no use of a grant' : undefined;
    case 'denied':
    case 'expired':
    case 'cancelled':
    case 'failed':
      return standing.status;
    case 'success':
    case 'mismatch':
    case 'unknown':
      return undefined;
  }
}
