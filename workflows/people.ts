/** The people's part of an action: what they are shown, what they signed, whom else the wait reaches, and when it is over. */
import { condition, log, workflowInfo } from '@temporalio/workflow';
import type { ActionRequest, ApprovalCheck, Pending, Stopped } from '../activities/contract.js';
import type { Facts, Requirement } from '../src/action/decision.js';
import type { ErrorView } from '../src/action/errors.js';
import { escalatedTo, milestonesOf, type Milestone } from '../src/action/milestones.js';
import type { ApprovalRecord, DecideReply, PendingView, Phase } from '../src/action/outcome.js';
import type { Proposal } from '../src/action/proposal.js';
import { progress, repeatsEarlier, type ApprovalProgress } from '../src/action/quorum.js';
import { announce, type Announcement } from './announce.js';
import { errorView, refusal, refuse } from './failures.js';
import { reportToParent } from './child-status.js';
import { people } from './steps.js';
import { showPending, tellPending } from './temporal-ui.js';

/** How many refused decisions the view keeps. */
const REFUSED_KEPT = 20;

interface Signed {
  readonly token: string;
  readonly record: ApprovalRecord;
  /** The action that the person made of this one. */
  readonly edited?: ActionRequest;
}

/** The action whose people these are. */
export interface DecidingAction {
  readonly tenant: string;
  readonly actionId: string;
  readonly phase: Phase;
  readonly cancelRequested: boolean;
  readonly request: ActionRequest;
}

export class People {
  readonly #action: DecidingAction;
  #pending: PendingView | undefined;
  #facts: Facts | undefined;
  /** Approvals that were given before anybody asked. */
  #standing: readonly ApprovalRecord[] = [];
  #signed: readonly Signed[] = [];
  #refused: readonly ErrorView[] = [];
  /** When the action was first shown. Milliseconds since the epoch. */
  #since: number | undefined;
  /** The wait is over, and no decision is taken any more. */
  #over = false;
  #announces = false;
  /** One for each announcement, settled when it has begun. */
  #announcements: Promise<void>[] = [];

  constructor(action: DecidingAction) {
    this.#action = action;
  }

  get pending(): PendingView | undefined {
    return this.#pending;
  }

  get approvals(): readonly ApprovalRecord[] {
    return [...this.#standing, ...this.#signed.map(({ record }) => record)];
  }

  /** Decisions that came and were refused, newest last. */
  get refused(): readonly ErrorView[] {
    return this.#refused;
  }

  /** The decisions signed so far for what is shown now. */
  get tokens(): readonly string[] {
    return this.#signed.map(({ token }) => token);
  }

  /** The action that somebody made of this one: it ends with that, so there is one. */
  get edited(): ActionRequest | undefined {
    return this.#signed.find(({ edited }) => edited !== undefined)?.edited;
  }

  /** Shows what would be done now, instead of what was shown before. */
  show({ shown, shownDigest, plan, counting, dropped, announce = false }: Pending): void {
    this.#signed = this.#signed.filter(({ token }) => counting.includes(token));
    this.#standing = plan.approvals.filter((approval) => approval.standingApproval !== undefined);
    for (const error of dropped) this.#refuse(error);
    this.#facts = plan.facts;
    this.#over = false;
    this.#announces = announce;

    const now = Date.now();
    this.#since ??= now;
    const maxWaitMs = Math.min(...shown.requirements.map(({ ttlSeconds }) => ttlSeconds)) * 1000;
    this.#pending = {
      shown,
      shownDigest,
      decision: plan.decision,
      expiresAt: new Date(now + maxWaitMs).toISOString(),
      since: new Date(this.#since).toISOString(),
      ...escalated(shown.requirements, this.#waitedSeconds()),
    };
  }

  /** Nobody is asked any more. */
  close(): void {
    this.#pending = undefined;
  }

  /**
   * Waits for the people who were shown it. Returns why the action stops here, or undefined when the decisions signed satisfy every
   * requirement: then all is prepared again, under the policy and on the state of that moment.
   */
  async decided(): Promise<Stopped | undefined> {
    const { decision, expiresAt } = this.#mustBePending();
    this.#display(showPending);
    this.#announce('asked');
    const childStatus = { actionId: this.#action.actionId, kind: 'approval', reason: decision.reason } as const;
    await reportToParent({ ...childStatus, waits: true });
    await this.#waitUntil(Date.parse(expiresAt));
    this.#over = true;
    const ended = this.#progress();
    if (ended.state !== 'waiting') this.#announce('decided');
    await reportToParent({ ...childStatus, waits: false });
    return this.#stopped(ended, expiresAt);
  }

  /** Tells those who were asked that the action has ended. Settles when the telling has begun. */
  async sendFinalNotification(): Promise<void> {
    this.#announce('ended');
    await Promise.all(this.#announcements);
  }

  /** Takes a decision. @throws ApplicationFailure with APPROVAL_*, PASSKEY_*, CREDENTIAL_REVOKED, EDIT_INVALID or NOT_PENDING */
  async decide(token: string, edited?: Proposal): Promise<DecideReply> {
    const { shown, shownDigest, decision } = this.#mustBeOpen();
    let signed: Signed;
    try {
      const { tenant, actionId, agent, requirements } = shown;
      const { policyDigest } = decision;
      const about = { tenant, actionId, agent };
      signed = await this.#check({ token, shown: about, shownDigest, requirements, policyDigest }, edited);
    } catch (failure) {
      throw refusal(errorView(failure));
    }
    // Another decision may have ended the wait, or the state may have moved, while this one was checked.
    if (this.#mustBeOpen().shownDigest !== shownDigest) {
      throw refuse(
        'APPROVAL_STALE',
        'What is shown changed while the decision was checked.',
        'Look again and decide anew.',
      );
    }
    const { record, edited: instead } = signed;
    if (!this.#repeats(record)) this.#signed = [...this.#signed, signed];
    const { state } = this.#progress();
    // At once, and not when the wait notices: what comes in the same moment must not make another answer of it.
    if (state !== 'waiting') this.#over = true;
    return { recorded: record, state, ...(instead === undefined ? {} : { revisedBy: instead.proposal.actionId }) };
  }

  async #check(check: ApprovalCheck, edited: Proposal | undefined): Promise<Signed> {
    const { token } = check;
    if (edited === undefined) return { token, record: await people.checkApproval(check) };
    const { tenant, request: original } = this.#action;
    // A step of a saga is part of a whole: what took its place would stay when the rest is undone.
    if (workflowInfo().parent?.workflowId.startsWith(`saga/${tenant}/`) === true) {
      throw refuse('EDIT_INVALID', 'A step of a saga cannot be edited.', 'Deny it, and ask for another saga.');
    }
    const { record, request } = await people.checkEdit({ ...check, original, edited });
    return { token, record, edited: request };
  }

  /** One decision per person: repeating it adds nothing, to the count or to what is kept. */
  #repeats(record: ApprovalRecord): boolean {
    const before = this.#signed.map((signed) => signed.record);
    const { approver, verdict } = record;
    if (!before.some((said) => said.approver === approver && said.verdict === verdict)) return false;
    const { requirements } = this.#mustBePending().shown;
    // It may have been escalated to them since, or come with a passkey now.
    return repeatsEarlier(requirements, before, record);
  }

  /** The same, for those who cannot be answered: what is refused is listed. */
  async decideUnanswered(token: string, edited?: Proposal): Promise<void> {
    try {
      await this.decide(token, edited);
    } catch (refused) {
      this.#refuse(errorView(refused));
    }
  }

  /** Refuses what comes when nobody is asked. Has no effect: an update's validator may call it. */
  assertAsked(): void {
    this.#mustBePending();
    if (this.#over) throw this.#notAsked();
  }

  /** Until it is decided, cancelled or too late: reminding people, and letting others decide, on the way. */
  async #waitUntil(until: number): Promise<void> {
    const { shown } = this.#mustBePending();
    const now = Date.now();
    for (const milestone of milestonesOf(shown.requirements, { since: this.#since ?? now, shownAt: now, until })) {
      if (await this.#decidedBy(milestone.at)) return;
      this.#reach(milestone);
    }
    await this.#decidedBy(until);
  }

  async #decidedBy(at: number): Promise<boolean> {
    const over = (): boolean => this.#progress().state !== 'waiting' || this.#action.cancelRequested;
    await condition(over, Math.max(1, at - Date.now()));
    // Also where it was decided in the very moment when time was up.
    return over();
  }

  /** As of its own time: a worker may come to it later. */
  #reach({ kind, roles, at }: Milestone): void {
    const pending = this.#mustBePending();
    const needed = new Set(this.#progress(at).missing.flatMap((missing) => missing.roles));
    if (kind === 'reminded') return this.#announce(kind, [...needed]);
    this.#pending = { ...pending, ...escalated(pending.shown.requirements, this.#waitedSeconds(at)) };
    this.#display(tellPending);
    // Nobody is troubled for a requirement that is met already.
    const others = roles.filter((role) => needed.has(role));
    if (others.length > 0) this.#announce(kind, others);
  }

  #announce(kind: Announcement['kind'], roles?: readonly string[]): void {
    if (!this.#announces) return;
    const { tenant, actionId } = this.#action;
    const n = this.#announcements.length;
    this.#announcements.push(announce({ tenant, actionId, n, kind, ...(roles === undefined ? {} : { roles }) }));
  }

  #waitedSeconds(at = Date.now()): number {
    return (at - (this.#since ?? at)) / 1000;
  }

  #display(show: (pending: PendingView, facts: Facts) => void): void {
    if (this.#pending !== undefined && this.#facts !== undefined) show(this.#pending, this.#facts);
  }

  #progress(at = Date.now()): ApprovalProgress {
    return progress(this.#pending?.shown.requirements ?? [], this.approvals, this.#waitedSeconds(at));
  }

  /** A no that counts ends the action as that, also where it was cancelled in the same moment: whoever said it was told so. */
  #stopped({ state }: ApprovalProgress, expiresAt: string): Stopped | undefined {
    const { cancelRequested } = this.#action;
    switch (state) {
      case 'approved':
        return cancelRequested ? { kind: 'cancelled', during: 'pipeline' } : undefined;
      case 'waiting':
        return cancelRequested ? { kind: 'cancelled', during: 'approval' } : { kind: 'expired', expiresAt };
      case 'denied':
      case 'changes_requested': {
        const { edited } = this;
        return { kind: 'decided', tokens: this.tokens, ...(edited === undefined ? {} : { edited: edited.proposal }) };
      }
    }
  }

  #mustBePending(): PendingView {
    if (this.#pending !== undefined) return this.#pending;
    throw this.#notAsked();
  }

  /** A decision that comes when the others have been counted would be answered as if it did. */
  #mustBeOpen(): PendingView {
    const pending = this.#mustBePending();
    if (this.#over) throw this.#notAsked();
    return pending;
  }

  #notAsked(): Error {
    const { actionId, phase } = this.#action;
    const state = this.#over && phase === 'pending' ? 'decided' : phase;
    return refuse('NOT_PENDING', `Action ${actionId} is ${state}: it is not waiting for a person.`);
  }

  #refuse(error: ErrorView): void {
    log.warn('decision refused', { code: error.code });
    this.#refused = [...this.#refused, error].slice(-REFUSED_KEPT);
  }
}

function escalated(requirements: readonly Requirement[], waitedSeconds: number): Pick<PendingView, 'escalated'> {
  const roles = escalatedTo(requirements, waitedSeconds);
  return roles.length === 0 ? {} : { escalated: roles };
}
