/** Adds up changes to a report. */
import type { DecisionEffect } from '../../action/decision.js';
import type { DecisionRecord } from '../../action/decision-record.js';
import { digest, type Digest } from '../../action/json.js';
import { CHANGE_KINDS, type ChangeKind } from './change.js';
import { sum } from './counter.js';
import {
  ASSUMPTIONS,
  type BacktestReport,
  type DecisionChange,
  type Day,
  type Exhausted,
  type Group,
  type Money,
  type Undecided,
} from './report.js';

/** How many examples of a group are named, and how many digests and units a summary holds. */
const EXAMPLES = 5;
const MOST_DIGESTS = 20;
const MOST_UNITS = 10;

type Counts = Record<DecisionEffect, number>;

export class Tally {
  readonly #changes: DecisionChange[] = [];
  readonly #undecided = new Map<string, string[]>();
  readonly #exhausted = new Map<string, Exhausted>();
  readonly #days = new Map<string, { before: Counts; after: Counts; changed: number }>();
  readonly #digests = new Set<Digest>();
  #decisions = 0;
  #beforePolicy = 0;
  #redecided = 0;
  #toTheLetter = 0;
  #from: string | undefined;
  #to: string | undefined;

  record({ decidedAt, decision }: DecisionRecord): void {
    this.#decisions++;
    this.#from ??= decidedAt;
    this.#to = decidedAt;
    if (decision !== undefined) this.#digests.add(decision.policyDigest);
  }

  beforePolicy(): void {
    this.#beforePolicy++;
  }

  undecided({ tenant, actionId }: DecisionRecord, why: string): void {
    this.#addUndecided(`${tenant}/${actionId}`, why);
  }

  /** An action of which there is no record. */
  unread(name: string, why: string): void {
    this.#decisions++;
    this.#addUndecided(name, why);
  }

  redecided(
    decidedAt: string,
    before: DecisionEffect,
    after: DecisionEffect,
    letter: boolean,
    change?: DecisionChange,
  ): void {
    this.#redecided++;
    if (letter && change === undefined) this.#toTheLetter++;
    const day = this.#day(decidedAt.slice(0, 10));
    day.before[before]++;
    day.after[after]++;
    if (change === undefined) return;
    day.changed++;
    this.#changes.push(change);
  }

  exhausted(
    { limit, key, tenant }: Pick<Exhausted, 'limit' | 'key' | 'tenant'>,
    at: string,
    asked?: Exhausted['asked'],
  ): void {
    const id = JSON.stringify([tenant, limit, key]);
    const known = this.#exhausted.get(id);
    const before = known?.asked?.amount ?? 0;
    this.#exhausted.set(id, {
      limit,
      key,
      tenant,
      firstAt: known?.firstAt ?? at,
      lastAt: at,
      actions: (known?.actions ?? 0) + 1,
      ...(asked === undefined ? {} : { asked: { unit: asked.unit, amount: sum(before, asked.amount) } }),
    });
  }

  report(candidate: Digest): BacktestReport {
    const changes = this.#changes;
    const undecided = [...this.#undecided].map(([why, ids]): Undecided => ({
      why,
      count: ids.length,
      examples: ids.slice(0, EXAMPLES),
    }));
    const body = {
      assumptions: ASSUMPTIONS,
      groups: groupsOf(changes),
      exhausted: [...this.#exhausted.values()].sort(
        (a, b) => compare(a.firstAt, b.firstAt) || compare(a.limit, b.limit) || compare(a.key, b.key),
      ),
      undecided: undecided.sort((a, b) => b.count - a.count || compare(a.why, b.why)),
      days: this.#dayList(),
      changes,
    };
    const summary = {
      v: 1 as const,
      candidate,
      recordedUnder: [...this.#digests].sort().slice(0, MOST_DIGESTS),
      ...(this.#from === undefined ? {} : { from: this.#from }),
      ...(this.#to === undefined ? {} : { to: this.#to }),
      decisions: this.#decisions,
      beforePolicy: this.#beforePolicy,
      redecided: this.#redecided,
      same: this.#redecided - changes.length,
      toTheLetter: this.#toTheLetter,
      undecided: undecided.reduce((all, { count }) => all + count, 0),
      changes: byKind((kind) => changes.filter((change) => change.kind === kind).length),
      amounts: byKind((kind) => firstUnits(sumOf(changes.filter((change) => change.kind === kind)))),
      exhausted: body.exhausted.length,
    };
    return { summary: { ...summary, report: digest({ summary, ...body }) }, ...body };
  }

  #addUndecided(name: string, why: string): void {
    const found = this.#undecided.get(why) ?? [];
    this.#undecided.set(why, found);
    found.push(name);
  }

  #day(day: string): { before: Counts; after: Counts; changed: number } {
    const known = this.#days.get(day);
    if (known !== undefined) return known;
    const none = (): Counts => ({ allow: 0, require_approval: 0, deny: 0 });
    const made = { before: none(), after: none(), changed: 0 };
    this.#days.set(day, made);
    return made;
  }

  #dayList(): readonly Day[] {
    return [...this.#days].sort(([a], [b]) => compare(a, b)).map(([day, counts]) => ({ day, ...counts }));
  }
}

function byKind<T>(of: (kind: ChangeKind) => T): Record<ChangeKind, T> {
  return Object.fromEntries(CHANGE_KINDS.map((kind) => [kind, of(kind)])) as Record<ChangeKind, T>;
}

function groupsOf(changes: readonly DecisionChange[]): readonly Group[] {
  const groups = new Map<string, { by: Group['by']; name: string; kind: ChangeKind; changes: DecisionChange[] }>();
  const put = (by: Group['by'], name: string, change: DecisionChange): void => {
    const id = JSON.stringify([by, name, change.kind]);
    const group = groups.get(id) ?? { by, name, kind: change.kind, changes: [] };
    groups.set(id, group);
    group.changes.push(change);
  };
  for (const change of changes) {
    for (const rule of change.rules) put('rule', rule, change);
    put('agent', change.agent, change);
    put('tool', change.tool, change);
  }
  const rank = (by: Group['by']): number => ['rule', 'agent', 'tool'].indexOf(by);
  return [...groups.values()]
    .map(({ changes: own, ...group }) => ({
      ...group,
      count: own.length,
      amounts: sumOf(own),
      examples: own.slice(0, EXAMPLES).map(({ tenant, actionId }) => `${tenant}/${actionId}`),
    }))
    .sort(
      (a, b) =>
        CHANGE_KINDS.indexOf(a.kind) - CHANGE_KINDS.indexOf(b.kind) ||
        rank(a.by) - rank(b.by) ||
        b.count - a.count ||
        compare(a.name, b.name),
    );
}

function sumOf(changes: readonly DecisionChange[]): Money {
  const sums = new Map<string, number>();
  for (const { amounts } of changes) {
    for (const [unit, amount] of Object.entries(amounts)) sums.set(unit, sum(sums.get(unit) ?? 0, amount));
  }
  return Object.fromEntries([...sums].sort(([a], [b]) => compare(a, b)));
}

function firstUnits(money: Money): Money {
  return Object.fromEntries(Object.entries(money).slice(0, MOST_UNITS));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
