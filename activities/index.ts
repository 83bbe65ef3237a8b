/** The activities of a worker, each bound to what it stands on. */
import type { Steps } from './contract.js';
import { checkApproval } from './authorize.js';
import { carryOut } from './carry-out.js';
import { conclude } from './conclude.js';
import type { Dependencies } from './deps.js';
import { fulfil } from './fulfil.js';
import { prepare } from './prepare.js';
import { recordedOutcome, reconcile } from './reconcile.js';
import { Recent } from './recent.js';
import { asActivity } from './step.js';

export function createActivities(given: Omit<Dependencies, 'recent'>): Steps {
  const deps: Dependencies = { ...given, recent: new Recent() };
  return {
    prepare: (request, approvals, options = {}) => asActivity(() => prepare(request, approvals, options, deps)),
    checkApproval: (check) => asActivity(() => checkApproval(check, deps)),
    execute: (proposal, grant) => asActivity(() => carryOut(proposal, grant, deps)),
    conclude: (conclusion) => asActivity(() => conclude(conclusion, deps)),
    fulfil: (statement) => asActivity(() => fulfil(statement, deps)),
    reconcile: (options) => asActivity(() => reconcile(options, deps)),
    recordedOutcome: (tenant, actionId) => asActivity(() => recordedOutcome(tenant, actionId, deps)),
  };
}

export type { Dependencies, FaultPoint, Settings, StatementRoles } from './deps.js';
