/** What an action asks of the history facts of its policy, and what it leaves for later actions. Pure. */
import type { Facts } from '../../action/decision.js';
import { CountersignError } from '../../action/errors.js';
import type { HistoryQuery, HistoryReading } from '../../action/history.js';
import type { LimitedProposal } from '../limits/reading.js';
import type { EarlierActions, HistorySet } from './fact.js';
import { marksOf } from './keys.js';

/** The most marks of one action. Targets come from inputs, and each may be a mark of its own. */
const MAX_MARKS = 400;

export interface ResolvedHistory {
  /** One for each fact, in the order of the file. */
  readonly queries: readonly HistoryQuery[];
  /** Sorted. */
  readonly marks: readonly string[];
}

/** With what the ledger found of the queries, in their order. */
export interface ReadHistory extends ResolvedHistory {
  readonly readings: readonly HistoryReading[];
}

/** @throws CountersignError POLICY_ERROR when the action has too many marks */
export function resolveHistory(
  { facts: declared }: HistorySet,
  facts: Facts,
  proposal: LimitedProposal,
): ResolvedHistory {
  const marks = new Set<string>();
  const queries = declared.map((fact): HistoryQuery => {
    if (isOneOf(fact.of, facts)) for (const mark of marksOf(fact, facts, proposal, 'left')) marks.add(mark);
    return {
      fact: fact.id,
      certain: marksOf(fact, facts, proposal, 'certain'),
      possible: marksOf(fact, facts, proposal, 'possible'),
      withinMs: fact.withinMs,
      outcomes: fact.outcomes,
    };
  });
  const asked = queries.reduce((sum, { possible }) => sum + possible.length, 0);
  if (marks.size <= MAX_MARKS && asked <= MAX_MARKS) return { queries, marks: [...marks].sort() };
  throw new CountersignError('POLICY_ERROR', `The action has ${Math.max(marks.size, asked)} marks of history facts.`, {
    field: 'proposal.input',
    expected: `at most ${MAX_MARKS} marks`,
    fix: 'Split the action: each of its targets is a mark of its own.',
  });
}

function isOneOf(of: EarlierActions, { tool, operation, actionType, preview }: Facts): boolean {
  return (
    among(of.tool, [tool.name]) &&
    among(of.operation, [operation]) &&
    among(of.actionType, [actionType]) &&
    among(of.environment, [tool.environment]) &&
    among(of.targets, lowerCase(preview.targets)) &&
    among(of.reads, lowerCase(preview.reads))
  );
}

function among(wanted: readonly string[] | undefined, found: readonly string[]): boolean {
  return wanted === undefined || found.some((value) => wanted.includes(value));
}

/** As they are by contract. A rule must not miss a table by its case. */
function lowerCase(names: readonly string[]): readonly string[] {
  return names.map((name) => name.toLowerCase());
}
