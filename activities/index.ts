/** The activities of a worker, each bound to what it stands on. */
import type { Steps } from './contract.js';
import { checkApproval } from './authorize.js';
import { conclude } from './conclude.js';
import type { Dependencies } from './deps.js';
import { execute } from './execute.js';
import { prepare } from './prepare.js';
import { asActivity } from './step.js';

export function createActivities(deps: Dependencies): Steps {
  return {
    prepare: (request, approvals) => asActivity(() => prepare(request, approvals, deps)),
    checkApproval: (check) => asActivity(() => checkApproval(check, deps)),
    execute: (proposal, grant) => asActivity(() => execute(proposal, grant, deps)),
    conclude: (conclusion) => asActivity(() => conclude(conclusion, deps)),
  };
}

export type { Dependencies, FaultPoint, Settings } from './deps.js';
