/** Enters the grants of slow actions into the audit trails, signs what was added since the last time, and puts the signatures where they are anchored. */
import { Context } from '@temporalio/activity';
import { checkpointRound } from '../src/trail/round.js';
import type { CheckpointRound } from './contract.js';
import type { Dependencies } from './deps.js';
import { heartbeating } from './step.js';

/** What one trail has wrong keeps no other from its checkpoint; the next round tries again. */
export async function checkpointTrails({ ledger, keyring, anchors = [] }: Dependencies): Promise<CheckpointRound> {
  const context = Context.current();
  // An anchor may take longer for one checkpoint than a worker may be silent.
  const { entered, checkpoints, problems } = await heartbeating(() =>
    checkpointRound({ ledger, keyring, anchors, signal: context.cancellationSignal }),
  );
  for (const { tenant, error } of problems) {
    context.log.error('an audit trail has no checkpoint, or it is not anchored, or lacks grants', {
      tenant,
      ...error.toJSON(),
    });
  }
  return {
    entered,
    tenants: checkpoints.length,
    made: checkpoints.filter(({ made }) => made).length,
    problems: problems.map(({ tenant, error }) => ({ tenant, ...error.toJSON() })),
  };
}
