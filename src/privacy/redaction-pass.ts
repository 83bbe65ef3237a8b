/** Redacts one action at a time: what the rules name is marked, and its values are struck out of its texts. */
import type { Decision, Facts, Preview } from '../action/decision.js';
import { withoutUndefined, type Json, type JsonObject } from '../action/json.js';
import type { Outcome } from '../action/outcome.js';
import type { Proposal } from '../action/proposal.js';
import { isRedacted } from '../action/redacted.js';
import type { PatchOperation, Snapshot } from '../action/snapshot.js';
import { pointerOf, tokensOf } from '../tools/http/pointer.js';
import { longestFirst, SHORTEST_REPLACED, spellingsOf, withoutQuoted, type Replacements } from './quoted-values.js';
import { eachScalar, markFields, type Redactions } from './redaction-rules.js';
import { RowNames } from './row-names.js';

const PLAIN_WORD = /^[A-Za-z_]+$/;
const NO_FIELDS: ReadonlySet<string> = new Set();
const same = (text: string): string => text;

/** What the rules of a tool come to. */
export interface Marking {
  /** What stands for one value. */
  token(value: string | number | boolean): string;
  /** A value with its fields changed. */
  fields(value: Json, changes: Redactions): Json;
  /** An input with what the pointers lead to changed. */
  input(input: JsonObject, mark: (value: Json) => Json): JsonObject;
  isField(name: string): boolean;
  /** Whether a path of a difference leads to a field, or below one. */
  leadsToField(path: string): boolean;
}

/** What was seen of an action, to find the values in it that its texts may quote. */
type Seen = Partial<Pick<Outcome, 'facts' | 'pre' | 'post' | 'delta' | 'result'>> & {
  readonly proposal?: Proposal | undefined;
  readonly preview?: Preview | undefined;
};

export class RedactionPass {
  readonly #by: Marking;
  readonly #known: Replacements;
  readonly #rows: RowNames;
  readonly #changes: Redactions = {
    mark: (value) => this.#mark(value),
    text: (text) => this.#text(text),
    name: (name) => this.#name(name),
  };

  constructor(by: Marking, seen: Seen) {
    this.#by = by;
    const known = new Map<string, string>();
    const learn = (value: Json): Json =>
      eachScalar(value, (scalar) => {
        const text = String(scalar);
        if (typeof scalar !== 'boolean' && text.length >= SHORTEST_REPLACED && !isRedacted(text))
          for (const spelled of spellingsOf(text)) known.set(spelled, by.token(scalar));
        return text;
      });
    const look = (value: unknown): void => {
      if (value !== undefined) by.fields(value as Json, { mark: learn, text: same, name: same });
    };
    this.#rows = new RowNames(by);
    const preview = seen.preview ?? seen.facts?.preview;
    if (seen.proposal !== undefined) by.input(seen.proposal.input, learn);
    for (const value of [seen.proposal?.input, preview?.sample, preview?.rehearsal?.rows, seen.result]) look(value);
    for (const snapshot of [seen.pre, seen.post]) {
      for (const state of [snapshot?.state, snapshot?.sample]) {
        look(state);
        if (state !== undefined) this.#rows.learn(state);
      }
    }
    for (const { path, value } of seen.delta?.patch ?? []) {
      if (value === undefined) continue;
      if (by.leadsToField(path)) learn(value);
      else look(value);
      this.#rows.learn({ [tokensOf(path).at(-1) ?? '']: value });
    }
    this.#known = longestFirst(known);
  }

  proposal(proposal: Proposal): Proposal {
    const { input, reasoning, expectedOutcome, expect, claims } = proposal;
    return withoutUndefined({
      ...proposal,
      input: this.#input(input),
      reasoning: reasoning === undefined ? undefined : this.#text(reasoning),
      expectedOutcome: expectedOutcome === undefined ? undefined : this.#text(expectedOutcome),
      expect: this.#texts(expect),
      claims: this.#texts(claims),
    }) as Proposal;
  }

  preview(preview: Preview): Preview {
    const { sample, rehearsal, summary, warnings, refusal } = preview;
    return withoutUndefined({
      ...preview,
      summary: this.#text(summary),
      sample: sample.map((row) => this.#value(row)),
      warnings: this.#texts(warnings),
      refusal: this.#texts(refusal),
      rehearsal: rehearsal && withoutUndefined({ ...rehearsal, rows: rehearsal.rows && this.#value(rehearsal.rows) }),
    }) as Preview;
  }

  outcome(outcome: Outcome): Outcome {
    const { facts, decision, pre, post, delta, result, checks, approvals, error, reason } = outcome;
    // The checks quote states that are not here to be compared with.
    const blind = [pre, post].some((snapshot) => snapshot !== undefined && snapshot.state === undefined);
    const unseen = blind && checks.some(({ ok }) => !ok);
    return withoutUndefined({
      ...outcome,
      reason: unseen ? UNSEEN : this.#text(reason),
      error: error && { ...this.#texts(error), ...(unseen ? { message: UNSEEN } : {}) },
      facts: facts && this.#facts(facts),
      decision: decision && this.#decision(decision),
      approvals: approvals.map((one) => withoutUndefined({ ...one, reason: one.reason && this.#text(one.reason) })),
      pre: pre && this.#snapshot(pre),
      post: post && this.#snapshot(post),
      delta: delta && { ...delta, patch: delta.patch.map((one) => this.#operation(one)) },
      checks: checks.map((one) =>
        withoutUndefined({ ...one, detail: one.detail && (unseen && !one.ok ? UNSEEN : this.#text(one.detail)) }),
      ),
      result: result === undefined ? undefined : this.#value(result),
    }) as Outcome;
  }

  #facts(facts: Facts): Facts {
    const { preview, input } = facts;
    return { ...facts, preview: this.preview(preview), ...(input === undefined ? {} : { input: this.#input(input) }) };
  }

  #decision(decision: Decision): Decision {
    const { reason, violations, errors } = decision;
    return {
      ...decision,
      reason: this.#text(reason),
      violations: violations.map((one) => ({ ...one, reason: this.#text(one.reason) })),
      errors: errors.map((one) => this.#text(one)),
    };
  }

  #snapshot(snapshot: Snapshot): Snapshot {
    const { state, sample } = snapshot;
    return withoutUndefined({
      ...snapshot,
      state: state && this.#value(state),
      sample: sample && this.#value(sample),
    }) as Snapshot;
  }

  #operation(operation: PatchOperation): PatchOperation {
    const { path, value, from } = operation;
    return withoutUndefined({
      ...operation,
      path: this.#path(path),
      value: value === undefined ? undefined : this.#by.leadsToField(path) ? this.#mark(value) : this.#value(value),
      from: from === undefined ? undefined : this.#path(from),
    }) as PatchOperation;
  }

  #input(input: JsonObject): JsonObject {
    return this.#value(this.#by.input(input, (value) => this.#mark(value)));
  }

  #value<T>(value: T): T {
    return this.#by.fields(value as Json, this.#changes) as T;
  }

  /** Texts only, wherever they are in the value. */
  #texts<T>(value: T): T {
    if (value === undefined) return value;
    return markFields(value as Json, NO_FIELDS, { ...this.#changes, name: same }) as T;
  }

  /** What was redacted stays as it is. */
  #mark(value: Json): Json {
    return eachScalar(value, (scalar) => (isRedacted(scalar) ? (scalar as string) : this.#by.token(scalar)));
  }

  #text(text: string): string {
    if (isRedacted(text)) return text;
    return withoutQuoted(text, this.#known);
  }

  #path(path: string): string {
    return this.#name(pointerOf(tokensOf(path).map((token) => this.#rows.renamed(token))));
  }

  /** Rows are named by their keys, which may be secret. A plain word that is no row's key is the name of a column. */
  #name(name: string): string {
    const known = this.#known.filter(([from]) => !PLAIN_WORD.test(from));
    return known.reduce((left, [from, to]) => left.replaceAll(from, to), this.#rows.renamed(name));
  }
}

const UNSEEN = 'What differs is redacted: the states are too large to tell what of it is secret.';
