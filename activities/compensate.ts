/** Plans compensations: determines what would restore the state before an action, and signs the authorization to propose that. */
import { Context } from '@temporalio/activity';
import { asCountersignError, CountersignError, type ErrorView } from '../src/action/errors.js';
import { digest, type Json, type JsonObject } from '../src/action/json.js';
import { proposerOf, type Outcome, type OutcomeStatus } from '../src/action/outcome.js';
import { sagaDigest, type SagaManifest } from '../src/action/saga.js';
import { parseProposal, proposalDigest, signedProposalDigest, type Proposal } from '../src/action/proposal.js';
import type { Snapshot, State } from '../src/action/snapshot.js';
import { COMPENSATION_PREFIX, compensationActionId } from '../src/action/compensation-ids.js';
import { same } from '../src/tools/expected-rows.js';
import type { Tool } from '../src/tools/tool.js';
import {
  signCompensationAuthorization,
  verifyProposal,
  verifyReceipt,
  COMPENSATION_AUTHORIZATION_TTL_SECONDS,
  type CompensationAuthorizationClaims,
} from '../src/trust/index.js';
import { takeSnapshot } from '../src/verify/index.js';
import { recall } from './snapshots.js';
import type { CompensationRequest, ActionState, CompensationPlan } from './contract.js';
import type { Dependencies } from './deps.js';
import { findTool } from './authenticate.js';
import { heartbeating } from './step.js';

/** Statuses of a compensation attempt that changed nothing: another attempt may follow. */
const WITHOUT_EFFECT: ReadonlySet<OutcomeStatus> = new Set(['denied', 'failed', 'expired', 'cancelled']);

/** Statuses of an action whose effect was made. */
const WITH_EFFECT: ReadonlySet<OutcomeStatus> = new Set(['success', 'mismatch']);

/** Statuses of a saga step after which the other steps are undone. */
const UNSUCCESSFUL: ReadonlySet<string> = new Set<OutcomeStatus>([...WITHOUT_EFFECT, 'mismatch']);

/** The most attempts to undo one action, far more than people will ask for. */
const MAX_ATTEMPTS = 100;

/**
 * Plans the compensation of an action. Nothing in the request is trusted: what was done is taken from the ledger's record, which must match
 * its signed receipt, and the proposal must have the recorded digest. A repeated call returns the same plan while nothing happened in
 * between, and there is never more than one attempt that may have had an effect.
 */
export async function compensate(request: CompensationRequest, deps: Dependencies): Promise<CompensationPlan> {
  try {
    return await heartbeating(() => compensationPlanOf(request, deps));
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (error.retryable || error.code === 'INTERNAL') throw error;
    return { kind: 'impossible', error: error.toJSON() };
  }
}

async function compensationPlanOf(request: CompensationRequest, deps: Dependencies): Promise<CompensationPlan> {
  const proposal = parseProposal(request.proposal);
  const tool = findTool(deps.tools, proposal.tool);
  if (tool.taskQueue !== undefined && tool.taskQueue !== deps.taskQueue) {
    return { kind: 'other_task_queue', taskQueue: tool.taskQueue };
  }
  const cause = await causeOf(request.tenant, proposal, deps);
  await assertRequested(request, proposal, cause, deps);
  const attempt = await nextAttempt(request, proposal.actionId, deps);
  if (attempt.kind !== 'next') return attempt;

  const { pre, post } = await statesOf(cause, deps);
  const parsed = tool.input.parse(proposal.input);
  const input = tool.compensate?.(parsed, pre, post);
  if (input === undefined) return withoutInverse(cause, tool);
  const undo: Proposal = {
    actionId: attempt.actionId,
    tool: tool.name,
    input,
    reasoning: `Undoes ${cause.actionId}.`,
    ...(proposal.traceId === undefined ? {} : { traceId: proposal.traceId }),
  };
  const preDigest = await preDigestForUndo(tool, input, { pre, post }, cause.actionId);
  const iat = Math.floor((await deps.ledger.clock.read()).getTime() / 1000);
  const { agent } = cause.facts;
  const claims: CompensationAuthorizationClaims = {
    tenant: request.tenant,
    cause: { actionId: cause.actionId, receipt: cause.receipt.hash, outcomeDigest: cause.outcomeDigest },
    agent: agent.id,
    ...(agent.owner === undefined ? {} : { owner: agent.owner }),
    tool: tool.name,
    digest: signedProposalDigest(undo),
    preDigest,
    iat,
    exp: iat + COMPENSATION_AUTHORIZATION_TTL_SECONDS,
  };
  return {
    kind: 'proposed',
    request: {
      proposal: undo,
      digest: proposalDigest(undo),
      signature: await signCompensationAuthorization(deps.keyring, claims),
    },
  };
}

/** An action whose effect was made, with everything that is needed to undo it. */
type MadeAction = Outcome &
  Required<Pick<Outcome, 'facts' | 'pre' | 'receipt'>> & {
    readonly outcomeDigest: CompensationAuthorizationClaims['digest'];
    /** When its receipt was signed. */
    readonly recordedAt: Date;
  };

async function causeOf(tenant: string, proposal: Proposal, { ledger, keyring }: Dependencies): Promise<MadeAction> {
  const { actionId } = proposal;
  if (actionId.startsWith(COMPENSATION_PREFIX))
    throw cannot(`${actionId} undid another action, and is not undone itself.`);
  const record = await ledger.actions.find(tenant, actionId);
  const { outcome } = record ?? {};
  if (outcome === undefined || record?.digest !== proposalDigest(proposal)) {
    throw cannot(`The ledger has no outcome of this proposal as ${actionId}.`, 'NOT_FOUND');
  }
  if (!WITH_EFFECT.has(outcome.status)) throw cannot(`${actionId} is ${outcome.status}: there is no effect to undo.`);
  const { receipt, facts, pre } = outcome;
  if (receipt === undefined || facts === undefined || pre === undefined) {
    throw cannot(`The record of ${actionId} does not say what there was before.`);
  }
  const { receipt: _receipt, ...recorded } = outcome;
  const outcomeDigest = digest(recorded);
  for await (const { seq, hash, jws } of ledger.receipts.list(tenant, { after: receipt.seq - 1 })) {
    const signed = await verifyReceipt(keyring, jws);
    if (seq === receipt.seq && hash === receipt.hash && signed.outcomeDigest === outcomeDigest) {
      return { ...outcome, receipt, facts, pre, outcomeDigest, recordedAt: new Date(signed.iat * 1000) };
    }
    break;
  }
  throw cannot(`What is recorded of ${actionId} is not what its receipt was signed for.`, 'RECEIPTS_BROKEN');
}

/**
 * Undoing is an effect too, and whoever can start workflows must not be able to cause one at will. The agent must have requested it
 * beforehand, in what it signed, and the ledger must show that its condition has come true: a mismatch, or a step of the same saga that did
 * not succeed.
 *
 * @throws CountersignError AGENT_UNVERIFIED
 */
async function assertRequested(
  { tenant, saga }: CompensationRequest,
  proposal: Proposal,
  cause: MadeAction,
  { keyring, ledger }: Dependencies,
): Promise<void> {
  if (cause.status === 'mismatch' && proposal.onMismatch === 'compensate') return;
  if (saga === undefined) throw cannot(`Nobody wanted ${cause.actionId} undone.`, 'AGENT_UNVERIFIED');
  const manifest = sagaDigest(saga);
  // Verified as of when the step was done, because a credential may expire while a saga waits for people.
  const { agent } = await verifyProposal(keyring, saga.signature, { digest: manifest, now: cause.recordedAt });
  const ofSaga = saga.steps.some((step) => step.actionId === cause.actionId && step.digest === cause.proposalDigest);
  if (!ofSaga || agent.tenant !== tenant || agent.id !== cause.facts.agent.id) {
    throw cannot(`${cause.actionId} is no step of the saga ${saga.traceId}.`, 'AGENT_UNVERIFIED');
  }
  const now = await ledger.clock.read();
  const stillValid = await verifyProposal(keyring, saga.signature, { digest: manifest, now }).then(
    () => true,
    () => false,
  );
  for (const step of saga.steps) {
    const record = await ledger.actions.find(tenant, step.actionId);
    // A step that was not proposed yet will be refused once the credential that signed it is no longer valid.
    if (record === undefined ? !stillValid : isUnsuccessful(record, step, agent.id)) return;
  }
  throw cannot(`No step of the saga ${saga.traceId} has failed: ${cause.actionId} stays.`, 'AGENT_UNVERIFIED');
}

type Recorded = NonNullable<Awaited<ReturnType<Dependencies['ledger']['actions']['find']>>>;

/** Also where another proposal, or another agent's, has the id of the step: then the saga's own was refused. */
function isUnsuccessful(
  { digest: recorded, status, outcome }: Recorded,
  step: SagaManifest['steps'][number],
  agent: string,
): boolean {
  const proposer = outcome && proposerOf(outcome);
  return recorded !== step.digest || UNSUCCESSFUL.has(status) || (proposer !== undefined && proposer !== agent);
}

/** The id of the next attempt, or the state of the last one: still under way, or how it ended. */
async function nextAttempt(
  { tenant, retryOf }: CompensationRequest,
  cause: string,
  { ledger }: Dependencies,
): Promise<
  { readonly kind: 'next'; readonly actionId: string } | Extract<CompensationPlan, { kind: 'ended' | 'underway' }>
> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const actionId = compensationActionId(cause, attempt);
    const record = await ledger.actions.find(tenant, actionId);
    if (record === undefined) return { kind: 'next', actionId };
    const { outcome } = record;
    if (outcome === undefined) return { kind: 'underway', actionId };
    if (!WITHOUT_EFFECT.has(outcome.status)) return { kind: 'ended', outcome };
    const next = await ledger.actions.find(tenant, compensationActionId(cause, attempt + 1));
    if (next === undefined && retryOf !== actionId) return { kind: 'ended', outcome };
  }
  throw cannot(`It was tried ${MAX_ATTEMPTS} times to undo ${cause}.`);
}

/** Loads the captured states, and checks that they are those that the receipt was signed for. */
async function statesOf({ tenant, actionId, pre, post }: MadeAction, deps: Dependencies) {
  if (post === undefined) throw cannot(`What ${actionId} left was never read: nobody can say what to put back.`);
  const load = async (snapshot: Snapshot): Promise<State> => {
    const state = await recall(tenant, snapshot, deps);
    if (takeSnapshot(state, 0).snapshot.digest === snapshot.digest) return state;
    throw cannot(`A state captured for ${actionId} is not the one that was recorded.`, 'RECEIPTS_BROKEN');
  };
  return { pre: await load(pre), post: await load(post) };
}

/** There is nothing to undo only where visibly nothing changed. An API call may have changed something that was not captured. */
function withoutInverse({ actionId, checks, facts, pre, post }: MadeAction, tool: Tool): CompensationPlan {
  const { actionType } = facts;
  if (actionType === 'READ') return { kind: 'nothing', reason: `${actionId} only read.` };
  const elsewhere = checks.some(({ name, ok }) => !ok && name.startsWith('frame'));
  if (actionType !== 'CALL_API' && post?.digest === pre.digest && !elsewhere) {
    return { kind: 'nothing', reason: `${actionId} left everything as it was.` };
  }
  throw cannot(`The tool ${tool.name} has no way to undo what ${actionId} did.`);
}

/**
 * Captures the state in which the compensation would start, checks that the action left it so, and returns its digest. A change after this
 * capture is noticed later, because the compensation captures its own pre-state and compares the digests.
 *
 * @throws CountersignError STATE_CHANGED
 */
async function preDigestForUndo(
  tool: Tool,
  undo: JsonObject,
  cause: { readonly pre: State; readonly post: State },
  actionId: string,
): Promise<CompensationAuthorizationClaims['preDigest']> {
  const { cancellationSignal: signal } = Context.current();
  const now = await tool.capture(tool.input.parse(undo), {}, { signal });
  const changed = changedSince(cause, now);
  if (changed === undefined) return takeSnapshot(now, 0).snapshot.digest;
  throw new CountersignError(
    'STATE_CHANGED',
    `${changed} is not as ${actionId} left it: undoing would overwrite that.`,
    {
      field: changed,
      expected: `what ${actionId} left`,
      fix: 'Look at what changed it; then try again, or accept that it is not undone.',
    },
  );
}

/** The first object that is not as the action left it, such as `orders/7`. A target that only one of them captured is not compared. */
function changedSince(cause: { readonly pre: State; readonly post: State }, now: State): string | undefined {
  for (const [target, objects] of Object.entries(now)) {
    if (!Object.hasOwn(cause.post, target) && !Object.hasOwn(cause.pre, target)) continue;
    const [before, left, found] = [keyed(cause.pre[target]), keyed(cause.post[target]), keyed(objects)];
    const key = [...new Set([...Object.keys(left), ...Object.keys(found)])].find((name) => {
      const current = own(found, name);
      // The current capture may leave out an object that the action did not change.
      if (current === undefined) return !same(own(left, name), own(before, name));
      return !same(current, own(left, name));
    });
    if (key !== undefined) return `${target}/${key}`;
  }
  return undefined;
}

function keyed(objects: Json | undefined): Readonly<Record<string, Json>> {
  if (objects === undefined) return {};
  if (typeof objects === 'object' && objects !== null && !Array.isArray(objects)) return objects as JsonObject;
  return { '': objects };
}

function own(objects: Readonly<Record<string, Json>>, name: string): Json | undefined {
  return Object.hasOwn(objects, name) ? objects[name] : undefined;
}

function cannot(message: string, code: ErrorView['code'] = 'TOOL_FAILED'): CountersignError {
  return new CountersignError(code, message, {
    fix: 'Put it right by hand; then accept that it is not undone by Countersign.',
  });
}

/** The workflow is queried before the ledger is read, so that whatever it recorded before it ended is found there. */
export async function actionState(
  tenant: string,
  actionId: string,
  { ledger, workflows }: Dependencies,
): Promise<ActionState> {
  const state = await workflows.state(`${tenant}/${actionId}`);
  const record = await ledger.actions.find(tenant, actionId);
  if (record?.outcome !== undefined) return { kind: 'ended', outcome: record.outcome };
  if (state === 'running') return { kind: 'running' };
  return { kind: 'lost', ...(record === undefined ? {} : { admitted: true }) };
}
