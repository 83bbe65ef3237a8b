/** The judge: decides from the evidence alone, without a look at how it came about. What each word means is in docs/chaos.md. */
import { digest } from '../src/action/json.js';
import type { OutcomeStatus } from '../src/action/outcome.js';
import { DEFAULT_SENDS } from '../src/tools/sends.js';
import type { Effect, Evidence, Proposed, Recorded } from './evidence.js';
import { FAULTS, type Fault, type Finding } from './finding.js';
import { groupBy } from './groups.js';
import { overspending } from './overspending.js';

export interface Verdict {
  readonly proposed: number;
  readonly succeeded: number;
  readonly denied: number;
  readonly mismatch: number;
  readonly unknown: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly expired: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly overspent: number;
  readonly oversent: number;
  readonly unexplained: number;
  readonly receiptsValid: boolean;
  readonly findings: readonly Finding[];
}

/** How many effects an outcome may stand for. */
const EFFECTS: Readonly<Record<OutcomeStatus, { readonly least: number; readonly most: number }>> = {
  success: { least: 1, most: 1 },
  // What was read back is not what was promised; or nobody knows.
  mismatch: { least: 0, most: 1 },
  unknown: { least: 0, most: 1 },
  failed: { least: 0, most: 0 },
  denied: { least: 0, most: 0 },
  expired: { least: 0, most: 0 },
  cancelled: { least: 0, most: 0 },
};

/** What an outcome leaves of an action's holds. A rate's token and a breaker's slot come to an end in any case. */
const HOLDS: Readonly<Record<OutcomeStatus, readonly string[]>> = {
  success: ['consumed', 'released'],
  mismatch: ['consumed', 'released'],
  unknown: ['kept', 'consumed', 'released'],
  failed: ['released', 'consumed'],
  denied: ['released', 'consumed'],
  expired: ['released', 'consumed'],
  cancelled: ['released', 'consumed'],
};

/** A freeze is effective on every worker within a second, and a busy machine gets two more. Milliseconds. */
const FREEZE_SLACK_MS = 3_000;

/** What a tool sends of one action at most, unless its config says otherwise: the tools of the run do not. */
const MAX_SENDS = DEFAULT_SENDS.max;

interface Case {
  readonly actionId: string;
  readonly proposals: readonly Proposed[];
  readonly recorded: Recorded | undefined;
  /** How it ended, wherever that is written; undefined when it did not. */
  readonly ended: OutcomeStatus | undefined;
  readonly effects: readonly Effect[];
}

export function judge(evidence: Evidence): Verdict {
  const findings: Finding[] = [];
  const cases = casesOf(evidence);
  for (const one of cases) {
    findings.push(
      ...judgeEffects(one),
      ...judgeHolds(one, evidence),
      ...judgeAnswers(one, evidence),
      ...judgeReceipts(one, evidence),
    );
  }
  findings.push(...strangeEffects(evidence), ...strangeRecords(evidence), ...frozenEffects(evidence));
  findings.push(...strangePolicies(evidence));
  findings.push(...overspending(evidence), ...retryStorms(evidence));
  findings.push(...evidence.receipts.problems.map((what): Finding => ({ fault: 'receipts', actionId: '', what })));

  const ended = (status: OutcomeStatus): number => cases.filter((one) => one.ended === status).length;
  const faults = (fault: Fault): number => findings.filter((finding) => finding.fault === fault).length;
  return {
    proposed: cases.length,
    succeeded: ended('success'),
    denied: ended('denied'),
    mismatch: ended('mismatch'),
    unknown: ended('unknown'),
    failed: ended('failed'),
    cancelled: ended('cancelled'),
    expired: ended('expired'),
    lost: faults('lost'),
    duplicated: faults('duplicated'),
    overspent: faults('overspent'),
    oversent: faults('oversent'),
    unexplained: faults('unexplained'),
    receiptsValid: evidence.receipts.valid && !findings.some(({ fault }) => fault === 'receipts'),
    findings,
  };
}

/** Whether the run is as it must be, for any seed. */
export function passes(verdict: Verdict): boolean {
  return verdict.receiptsValid && FAULTS.every((fault) => verdict[fault] === 0);
}

function casesOf(evidence: Evidence): readonly Case[] {
  const proposals = groupBy(evidence.proposed, ({ actionId }) => actionId);
  const effects = groupBy(evidence.effects, ({ actionId }) => actionId);
  const records = new Map(evidence.recorded.map((recorded) => [recorded.actionId, recorded]));
  return [...proposals].map(([actionId, proposed]) => {
    const recorded = records.get(actionId);
    return {
      actionId,
      proposals: proposed,
      recorded,
      ended: endOf(actionId, recorded, evidence),
      effects: effects.get(actionId) ?? [],
    };
  });
}

function endOf(actionId: string, recorded: Recorded | undefined, evidence: Evidence): OutcomeStatus | undefined {
  if (recorded !== undefined) return recorded.status === 'open' ? undefined : recorded.status;
  // Refused before anybody knew who asks: the receipt is in a chain of its own.
  if (strangerRefused(actionId, evidence)) return 'denied';
  // The run itself ended the workflow before it had come so far that there was anything to record.
  return evidence.terminated.includes(actionId) ? 'cancelled' : undefined;
}

function strangerRefused(actionId: string, { receipts }: Evidence): boolean {
  return receipts.claims.some(
    (claim) => claim.tenant.startsWith('_') && claim.actionId === actionId && claim.status === 'denied',
  );
}

function judgeEffects({ actionId, proposals, recorded, ended, effects }: Case): readonly Finding[] {
  const places = effects.map(({ system, where }) => `${system}: ${where}`).join('; ');
  if (ended === undefined) {
    const state =
      recorded === undefined ? 'the ledger does not know it' : `it is still open, ${recorded.uses} grants used`;
    return [
      { fault: 'lost', actionId, what: `it never got an outcome: ${state}${places === '' ? '' : ` (${places})`}` },
    ];
  }
  const findings: Finding[] = [];
  const { least, most } = EFFECTS[ended];
  const intent = proposals.find(({ digest }) => digest === recorded?.digest)?.intent;
  if (effects.length > 1) {
    findings.push({ fault: 'duplicated', actionId, what: `${effects.length} effects of one action (${places})` });
  } else if (effects.length > most) {
    findings.push({ fault: 'unexplained', actionId, what: `it is ${ended}, and there is an effect (${places})` });
  }
  if (intent !== undefined && effects.length < least) {
    findings.push({ fault: 'lost', actionId, what: `it is a ${ended}, and its effect is nowhere` });
  }
  const [effect] = effects;
  if (effect !== undefined && !isMeant(effect, intent)) {
    findings.push({ fault: 'unexplained', actionId, what: `what happened is not what was granted (${places})` });
  }
  return findings;
}

function isMeant(effect: Effect, intent: Proposed['intent']): boolean {
  return intent !== undefined && intent.what === effect.what && digest(intent.content) === digest(effect.content);
}

/** An action that has ended holds nothing any more, unless nobody knows its effect. */
function judgeHolds({ actionId, ended }: Case, { holds }: Evidence): readonly Finding[] {
  if (ended === undefined) return [];
  const of = holds.filter((hold) => hold.actionId === actionId);
  return of.flatMap(({ limit, status, kind }): Finding[] => {
    const sums = kind === 'budget' || kind === 'count';
    const right =
      HOLDS[ended].includes(status) &&
      !(sums && (ended === 'success' || ended === 'mismatch') && status !== 'consumed') &&
      !(sums && EFFECTS[ended].most === 0 && status === 'consumed');
    return right
      ? []
      : [{ fault: 'unexplained', actionId, what: `it is ${ended}, and its hold on ${limit} is ${status}` }];
  });
}

/** What an agent was told at the end is what is recorded; only a person's word on an unknown outcome may change it. */
function judgeAnswers({ actionId, ended, recorded }: Case, { told }: Evidence): readonly Finding[] {
  const statuses: readonly string[] = Object.keys(EFFECTS);
  return told
    .filter((answer) => answer.actionId === actionId && statuses.includes(answer.answer))
    .filter(({ answer }) => answer !== ended && !(answer === 'unknown' && recorded?.resolved === true))
    .map(({ answer }) => ({
      fault: 'unexplained',
      actionId,
      what: `its agent was told ${answer}, and it is recorded as ${ended ?? 'nothing'}`,
    }));
}

/** Every recorded outcome has a receipt that says the same. */
function judgeReceipts({ actionId, recorded, ended }: Case, { receipts }: Evidence): readonly Finding[] {
  if (recorded === undefined || ended === undefined) return [];
  const own = receipts.claims.filter((claim) => claim.actionId === actionId && claim.code !== 'ACTION_CONFLICT');
  const last = own.at(-1);
  const expected = recorded.resolved ? 2 : 1;
  if (own.length === expected && last?.status === ended) return [];
  const says = own.map(({ status }) => status).join(', ') || 'none';
  return [{ fault: 'receipts', actionId, what: `it is ${ended}, and its receipts are: ${says}` }];
}

/** Something changed in the name of no action that was ever proposed. */
function strangeEffects({ effects, proposed }: Evidence): readonly Finding[] {
  const known = new Set(proposed.map(({ actionId }) => actionId));
  return effects
    .filter(({ actionId }) => !known.has(actionId))
    .map(({ system, what, where, actionId }) => ({
      fault: 'unexplained',
      actionId,
      what: `${what} on ${system} without any proposal, grant or receipt (${where})`,
    }));
}

function strangeRecords({ recorded, proposed }: Evidence): readonly Finding[] {
  const known = new Set(proposed.map(({ actionId, digest }) => `${actionId} ${digest}`));
  return recorded
    .filter(({ actionId, digest }) => !known.has(`${actionId} ${digest}`))
    .map(({ actionId }) => ({ fault: 'unexplained', actionId, what: 'the ledger has an action that nobody proposed' }));
}

/** Whatever comes between, an action is decided by a policy that people put in force. */
function strangePolicies({ receipts, inForce }: Evidence): readonly Finding[] {
  return receipts.claims
    .filter(({ policy }) => policy !== undefined && inForce?.includes(policy) === false)
    .map(({ actionId, policy }) => ({
      fault: 'unexplained',
      actionId,
      what: `it was decided by the policy ${policy}, which nobody put in force`,
    }));
}

/** A system was sent the same action more often than the bound on sends allows. */
function retryStorms({ sends }: Evidence): readonly Finding[] {
  return [...groupBy(sends, ({ actionId }) => actionId)]
    .filter(([, received]) => received.length > MAX_SENDS)
    .map(([actionId, received]) => ({
      fault: 'oversent',
      actionId,
      what: `it was sent ${received.length} times (${received.map(({ where }) => where).join('; ')})`,
    }));
}

function frozenEffects({ effects, proposed, freezes }: Evidence): readonly Finding[] {
  const agents = new Map(proposed.map(({ actionId, agent }) => [actionId, agent]));
  return effects.flatMap((effect): Finding[] => {
    const at = Date.parse(effect.at);
    const stopped = freezes.find(
      ({ agent, system, what, from, until }) =>
        (agent === undefined || agents.get(effect.actionId) === agent) &&
        (system === undefined || effect.system === system) &&
        (what === undefined || effect.what === what) &&
        at > Date.parse(from) + FREEZE_SLACK_MS &&
        (until === undefined || at < Date.parse(until)),
    );
    if (stopped === undefined) return [];
    const what = `${effect.what} on ${effect.system} under a freeze of ${stopped.scope} (${effect.where})`;
    return [{ fault: 'unexplained', actionId: effect.actionId, what }];
  });
}
