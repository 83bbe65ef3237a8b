/** Decides once under a bundle as it is and once with one rule changed, limits included, and says what else would change each. Pure. */
import type { ActionType, Facts, Preview } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import type { JsonObject } from '../../action/json.js';
import type { LimitDemand, LimitFigure, LimitReading } from '../../action/limits.js';
import type { Agent, Authority } from '../../action/principal.js';
import type { Source } from '../../action/proposal.js';
import { explain, type Explanation } from '../../policy/authoring/explain/explain.js';
import { lackingFigures, limitJudgeOf, type LimitedAction } from '../../policy/authoring/explain/judge.js';
import { authorityOf, overlaid } from '../../policy/backtest/redecide.js';
import { bundleContents, bundleFromFiles } from '../../policy/bundle.js';
import { compilePolicy, type Policy } from '../../policy/compile.js';
import { proposedFacts } from '../../policy/enforce.js';
import type { Rule } from '../../policy/rules.js';
import type { BundleFiles } from './outline.js';

/** What is decided: the facts of a recorded action, or a proposal with its context. */
export type Question =
  | {
      readonly kind: 'recorded';
      readonly facts: Facts;
      readonly input: JsonObject;
      readonly traceId?: string;
      /** As of when: the recorded time with the recorded figures of limits; or this time, with the figures of now. */
      readonly asOf: 'record' | { readonly now: string };
    }
  | {
      readonly kind: 'proposed';
      readonly proposal: { readonly tool: string; readonly input: JsonObject; readonly from?: readonly Source[] };
      readonly agent: Agent;
      readonly tool: Facts['tool'];
      readonly actionType: ActionType;
      readonly operation?: string;
      readonly preview?: Partial<Preview>;
      readonly limits?: Facts['limits'];
      readonly now: string;
    };

export interface RuleChange {
  /** The rule that is replaced; absent: the text is added. */
  readonly id?: string;
  /** Cedar, of one or several rules. Empty: the rule is taken out. */
  readonly text: string;
}

/** Where a figure of a limit comes from: the record, what was pasted, the ledger as it is now, or the action itself. */
export type FigureSource = 'record' | 'given' | 'now' | 'action';

export interface PolicyTrial {
  /** Under the bundle as it is. */
  readonly before: TriedDecision;
  /** With the change. */
  readonly after: TriedDecision;
  /** The limits that it falls under, for both alike. */
  readonly limits: readonly (LimitFigure & { readonly from: FigureSource })[];
  /** The time that it is decided at. RFC 3339 UTC. */
  readonly at: string;
  /** Limits of which figures were pasted that the action does not fall under. */
  readonly unasked: readonly string[];
}

export type TriedDecision = Pick<Explanation, 'decision' | 'effect' | 'reason' | 'changes' | 'cut'>;

/** Figures that have to be read first: `tryOut` is asked again with them. */
export interface LacksFigures {
  readonly lacks: readonly LimitDemand[];
}

/** With more rules than this a bundle is tried on the command line. */
const MOST_RULES = 1000;
/** To find what would change a decision. Of each of the two. */
const MOST_DECISIONS = 500;
const ADDED_FILE = 'your-rule.cedar';

/**
 * @param read what the ledger has of counters whose figures the question does not tell
 * @throws CountersignError POLICY_INVALID naming file, line and column; INVALID_INPUT
 */
export function tryOut(
  files: BundleFiles,
  change: RuleChange,
  question: Question,
  read: readonly LimitReading[] = [],
): PolicyTrial | LacksFigures {
  const bundle = bundleFromFiles(files);
  const { rules } = bundleContents(bundle);
  if (rules.length > MOST_RULES) {
    throw new CountersignError('INVALID_INPUT', `The policy has ${rules.length} rules, too many to try one here.`, {
      field: 'policy',
      expected: `at most ${MOST_RULES} rules`,
      fix: 'Use the command line: countersign policy backtest with a changed folder.',
    });
  }
  const policy = compilePolicy(bundle);
  const asked = askedOf(question);
  const action = { ...asked.action, figures: [...read, ...asked.known] };
  const lacks = lackingFigures(policy, action, asked.facts);
  if (lacks.length > 0) return { lacks };
  const changed = compilePolicy(bundleFromFiles(changedFiles(bundle.files, rules, change)));
  const [before, after] = [tried(policy, asked.facts, action), tried(changed, asked.facts, action)];
  const told = new Set(asked.known.map(nameOf));
  const met = new Set(before.limits.map(nameOf));
  return {
    before: decidedIn(before),
    after: decidedIn(after),
    limits: before.limits.map((figure) => ({
      ...figure,
      from: figure.kind === 'depth' ? 'action' : told.has(nameOf(figure)) ? asked.source : 'now',
    })),
    at: asked.facts.now,
    unasked:
      asked.source === 'given' ? asked.known.filter((one) => !met.has(nameOf(one))).map(({ limit }) => limit) : [],
  };
}

function tried(policy: Policy, facts: Facts, action: LimitedAction): Explanation {
  return explain(policy, facts, { judge: limitJudgeOf(policy, action), mostDecisions: MOST_DECISIONS });
}

function decidedIn({ decision, effect, reason, changes, cut }: Explanation): TriedDecision {
  return { decision, effect, reason, changes, cut };
}

function nameOf({ limit, key, kind }: LimitFigure): string {
  return JSON.stringify([limit, key, kind]);
}

interface Asked {
  /** With the whole input. */
  readonly facts: Facts;
  readonly action: { readonly traceId?: string; readonly authority?: Authority };
  readonly known: readonly LimitFigure[];
  readonly source: Extract<FigureSource, 'record' | 'given'>;
}

function askedOf(question: Question): Asked {
  if (question.kind === 'proposed') {
    const { kind: _kind, proposal, limits = [], ...context } = question;
    const facts = { ...proposedFacts(proposal, context), input: proposal.input };
    return { facts, action: {}, known: limits, source: 'given' };
  }
  const { facts, input, traceId, asOf } = question;
  const action = { authority: authorityOf({ facts }), ...(traceId === undefined ? {} : { traceId }) };
  // What the tool made of the input goes before what was proposed: defaults are in it.
  const whole: Facts = { ...facts, input: overlaid(input, facts.input ?? {}) };
  return asOf === 'record'
    ? { facts: whole, action, known: facts.limits ?? [], source: 'record' }
    : { facts: { ...whole, now: asOf.now }, action, known: [], source: 'record' };
}

function changedFiles(files: BundleFiles, rules: readonly Rule[], { id, text }: RuleChange): BundleFiles {
  if (id === undefined) {
    const name = Object.hasOwn(files, ADDED_FILE) ? `x-${ADDED_FILE}` : ADDED_FILE;
    return { ...files, [name]: text };
  }
  const rule = rules.find((one) => one.id === id);
  if (rule === undefined) {
    throw new CountersignError('INVALID_INPUT', `The policy has no rule ${id}.`, {
      field: 'rule',
      expected: 'the id of a rule of the active policy',
      fix: 'Choose one from the list.',
    });
  }
  const { file } = rule.place;
  const whole = Buffer.from(files[file] ?? '', 'utf8');
  const end = rule.offset + Buffer.byteLength(rule.text, 'utf8');
  const parts = [whole.subarray(0, rule.offset), Buffer.from(text, 'utf8'), whole.subarray(end)];
  return { ...files, [file]: Buffer.concat(parts).toString('utf8') };
}
