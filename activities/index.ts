/** The activities of a worker, each bound to its dependencies. */
import { ledgerIsWhole, tellAlarm } from './alarm.js';
import { authorize } from './authorize.js';
import { begunBefore, decideBatch } from './batch.js';
import { decideCanary, endCanary, openCanary, previewCanary } from './canary.js';
import { drawByScheduleInForce } from './canary-schedule.js';
import { capturePostState } from './capture-post-state.js';
import { capturePreState } from './capture-pre-state.js';
import { checkpointTrails } from './checkpoint-trail.js';
import { checkApproval } from './approvals.js';
import { checkEdit } from './check-edit.js';
import { compensate, actionState } from './compensate.js';
import type { Activities } from './contract.js';
import type { Dependencies, FaultPoint } from './deps.js';
import { decideDryRun, previewDryRun } from './dry-run.js';
import { enforce } from './enforce.js';
import { execute } from './execute.js';
import { executeCommand } from './execute-command.js';
import { giveUp, notify, route } from './notify.js';
import { propose } from './propose.js';
import { recordedOutcome, reconcile } from './reconcile.js';
import { purge } from './purge.js';
import { RefusalThrottle } from './refusal-throttle.js';
import { requestApproval } from './request-approval.js';
import { settle } from './settle.js';
import { asActivity, heartbeating } from './step.js';
import { verify } from './verify.js';

/** `maxThrottled`: how many proposals may wait at the same time because their agents were refused repeatedly. */
export function createActivities(dependencies: Omit<Dependencies, 'refusals'>, maxThrottled = 50): Activities {
  const deps: Dependencies = { ...dependencies, refusals: new RefusalThrottle(maxThrottled) };
  const { faults } = deps;
  const step = <T>(name: Interruptible, body: () => Promise<T>): Promise<T> =>
    asActivity(async () => {
      await faults.at(`${name}.begin`);
      const result = await body();
      await faults.at(`${name}.end`);
      return result;
    });
  return {
    propose: (request) => step('propose', () => propose(request, deps)),
    enforce: (input) => step('enforce', () => enforce(input, deps)),
    capturePreState: (input) => step('capturePreState', () => capturePreState(input, deps)),
    requestApproval: (input) => step('requestApproval', () => requestApproval(input, deps)),
    authorize: (input) => step('authorize', () => authorize(input, deps)),
    execute: (proposal, grant) => step('execute', () => execute(proposal, grant, deps)),
    capturePostState: (input) => step('capturePostState', () => heartbeating(() => capturePostState(input, deps))),
    verify: (input) => step('verify', () => heartbeating(() => verify(input, deps))),
    settle: (input) => step('settle', () => heartbeating(() => settle(input, deps))),
    previewDryRun: (request) => asActivity(() => previewDryRun(request, deps)),
    decideDryRun: (input) => asActivity(() => decideDryRun(input, deps)),
    begunBefore: (tenant, agent, actions) => asActivity(() => begunBefore(tenant, agent, actions, deps)),
    decideBatch: (actions) => step('decideBatch', () => decideBatch(actions, deps)),
    checkApproval: (check) => step('checkApproval', () => checkApproval(check, deps)),
    checkEdit: (check) => step('checkApproval', () => checkEdit(check, deps)),
    previewCanary: (ticket) => step('previewCanary', () => heartbeating(() => previewCanary(ticket, deps))),
    openCanary: (input) => step('openCanary', () => heartbeating(() => openCanary(input, deps))),
    decideCanary: (token) => step('decideCanary', () => heartbeating(() => decideCanary(token, deps))),
    endCanary: (ending) => step('endCanary', () => heartbeating(() => endCanary(ending, deps))),
    drawCanaries: () => step('drawCanaries', () => drawByScheduleInForce(deps)),
    executeCommand: (command) => step('executeCommand', () => executeCommand(command, deps)),
    reconcile: (options) => step('reconcile', () => reconcile(options, deps)),
    checkpointTrails: () => asActivity(() => checkpointTrails(deps)),
    purge: (options) => asActivity(() => purge(options, deps)),
    compensate: (request) => step('compensate', () => compensate(request, deps)),
    actionState: (tenant, actionId) => asActivity(() => actionState(tenant, actionId, deps)),
    recordedOutcome: (tenant, actionId) => asActivity(() => recordedOutcome(tenant, actionId, deps)),
    route: (announcement) => asActivity(() => route(announcement, deps)),
    notify: (announcement, channel) => asActivity(() => heartbeating(() => notify(announcement, channel, deps))),
    tellAlarm: (telling) => asActivity(() => tellAlarm(telling, deps)),
    ledgerIsWhole: (tenant) => asActivity(() => ledgerIsWhole(tenant, deps)),
    giveUp: (announcement, channel, reason) => asActivity(() => giveUp(announcement, channel, reason, deps)),
  };
}

/** The activities that a test can interrupt at their beginning and end. */
type Interruptible = Extract<FaultPoint, `${string}.begin`> extends `${infer Name}.begin` ? Name : never;

export { FAULT_POINTS, type Dependencies, type ApprovalRateLimit, type FaultPoint, type CommandRoles } from './deps.js';
