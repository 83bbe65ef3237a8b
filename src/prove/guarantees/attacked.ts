/** An attempt to have a decision counted that must not count. */
import type { PendingAction } from '../../client/countersign.js';
import { askingAction, codeOf } from '../attempts.js';
import type { Case } from '../cases.js';
import { broken, doesNotApply, holds, type GuaranteeVerdict } from '../verdict.js';
import type { World } from '../world.js';

const FIX = 'This is a fault of Countersign: report it, and freeze what asks people until it is corrected.';

interface Attack {
  /** What is tried: `An approval by a person without the role`. */
  readonly what: string;
  /** The token that is handed in. */
  readonly token: (action: PendingAction, role: string) => Promise<string>;
  readonly codes: readonly string[];
}

/** Holds where the decision is refused, the action waits on, and the tool's system is as it was. */
export async function attacked(
  world: World,
  { what, token, codes }: Attack,
  wanted?: (one: Case) => boolean,
): Promise<GuaranteeVerdict> {
  const asking = await askingAction(world, wanted && { wanted });
  if (typeof asking === 'string') return doesNotApply(asking);
  const { action, cases } = asking;
  const { tenant } = world.parts;
  try {
    const before = await cases.proven.effects();
    const forged = await token(action, roleOf(action));
    const code = await codeOf(() => world.client.decide(action.actionId, forged, tenant));
    const { phase } = await world.client.view(action.actionId, tenant);
    const effects = (await cases.proven.effects()) - before;
    if (code !== undefined && codes.includes(code) && phase === 'pending' && effects === 0) {
      return holds(`${what} was refused (${code}), and the action waits on.`);
    }
    return broken(
      `${what} came to ${code ?? 'a decision that counts'}; the action is ${phase}, with ${effects} effects.`,
      FIX,
    );
  } finally {
    await world.cancel({ actionId: action.actionId, tool: cases.proven.tool.name });
  }
}

/** A role that may decide: where a passkey is asked for, one that needs it. */
export function roleOf(action: PendingAction): string {
  const { requirements } = action.pending.shown;
  const meant = requirements.find(({ passkey }) => passkey === true) ?? requirements[0];
  return meant?.roles[0] ?? '';
}
