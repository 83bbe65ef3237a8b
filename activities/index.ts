/** The activities of a worker, each bound to what it stands on. */
import type { Steps } from './contract.js';
import { checkApproval } from './approvals.js';
import { carryOut } from './carry-out.js';
import { compensate, standing } from './compensate.js';
import { conclude } from './conclude.js';
import type { Dependencies, FaultPoint } from './deps.js';
import { fulfil } from './fulfil.js';
import { giveUp, notify, route } from './notify.js';
import { prepare } from './prepare.js';
import { recordedOutcome, reconcile } from './reconcile.js';
import { Recent } from './recent.js';
import { alive, asActivity } from './step.js';
import { Turns } from './turns.js';

/** `places`: how many proposals of those who are refused again and again may wait for their turn at once. */
export function createActivities(given: Omit<Dependencies, 'recent' | 'turns'>, places = 50): Steps {
  const deps: Dependencies = { ...given, recent: new Recent(), turns: new Turns(places) };
  const { faults } = deps;
  const step = <T>(name: Interruptible, body: () => Promise<T>): Promise<T> =>
    asActivity(async () => {
      await faults.at(`${name}.begin`);
      const done = await body();
      await faults.at(`${name}.end`);
      return done;
    });
  return {
    prepare: (request, approvals, options = {}) => step('prepare', () => prepare(request, approvals, options, deps)),
    checkApproval: (check) => step('checkApproval', () => checkApproval(check, deps)),
    execute: (proposal, grant) => step('execute', () => carryOut(proposal, grant, deps)),
    conclude: (conclusion) => step('conclude', () => alive(() => conclude(conclusion, deps))),
    fulfil: (statement) => step('fulfil', () => fulfil(statement, deps)),
    reconcile: (options) => step('reconcile', () => reconcile(options, deps)),
    compensate: (request) => step('compensate', () => compensate(request, deps)),
    standing: (tenant, actionId) => asActivity(() => standing(tenant, actionId, deps)),
    recordedOutcome: (tenant, actionId) => asActivity(() => recordedOutcome(tenant, actionId, deps)),
    route: (announcement) => asActivity(() => route(announcement, deps)),
    notify: (announcement, channel) => asActivity(() => alive(() => notify(announcement, channel, deps))),
    giveUp: (announcement, channel, reason) => asActivity(() => giveUp(announcement, channel, reason, deps)),
  };
}

/** The activities that leave something behind. */
type Interruptible = Extract<FaultPoint, `${string}.begin`> extends `${infer Name}.begin` ? Name : never;

export {
  FAULT_POINTS,
  type Dependencies,
  type Fatigue,
  type FaultPoint,
  type Settings,
  type StatementRoles,
} from './deps.js';
