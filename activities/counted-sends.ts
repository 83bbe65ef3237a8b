/** The sends of an effect, as the ledger counts them and lets one attempt make them. */
import { Context } from '@temporalio/activity';
import { CountersignError } from '../src/action/errors.js';
import type { GrantClaims } from '../src/action/grant.js';
import type { GrantHolder, SendRefusal } from '../src/ledger/index.js';
import { DEFAULT_SENDS, Sends, type Instant, type SendCounter } from '../src/tools/sends.js';
import type { Dependencies } from './deps.js';
import { overtaken, type Passed } from './grant-gate.js';
import { workflowIdentity } from './step.js';

/** The sends of the action. The ledger counts them, because a worker that dies must not forget what it sent. */
export function sendsOf({ tool, claims, sent }: Passed, since: Instant, { ledger }: Dependencies): Sends {
  const bound = tool.sends ?? DEFAULT_SENDS;
  const holder = holderOf(claims);
  const counter: SendCounter = {
    async count() {
      const counted = await ledger.grants.countSend({ ...holder, stretchMs: bound.withinMs });
      if (typeof counted === 'string') throw mayNotSend(counted);
      return counted;
    },
    async confirm() {
      const refusal = await ledger.grants.sendRefused(holder);
      if (refusal !== undefined) throw mayNotSend(refusal);
    },
  };
  return new Sends(bound, counter, sent && { ...sent, since });
}

/** This attempt, as the ledger knows it. */
export function holderOf({ jti, tenant, actionId }: GrantClaims): GrantHolder {
  return { jti, tenant, actionId, usedBy: workflowIdentity().activity, attempt: Context.current().info.attempt };
}

function mayNotSend(refusal: SendRefusal): CountersignError {
  if (refusal === 'overtaken') return overtaken();
  const what = refusal === 'ended' ? 'The action has ended' : 'The grant was returned';
  return new CountersignError('GRANT_REPLAYED', `${what}; nothing is sent in its name any more.`);
}
