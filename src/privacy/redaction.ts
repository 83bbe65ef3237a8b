/**
 * Redacts what is recorded for good and shown to people: each value that the rules of a tool name becomes a digest under a key. Equal values
 * of a tenant's tool have equal digests, so that differences can still be told; whoever has no key cannot try values out.
 */
import { createHmac, hkdfSync } from 'node:crypto';
import type { Decision, Facts, Preview } from '../action/decision.js';
import { CountersignError } from '../action/errors.js';
import { canonical, digest, withoutUndefined, type Json, type JsonObject } from '../action/json.js';
import type { Outcome, Shown } from '../action/outcome.js';
import type { Proposal } from '../action/proposal.js';
import { isRedacted, REDACTED_PREFIX } from '../action/redacted.js';
import type { PatchOperation, Snapshot } from '../action/snapshot.js';
import { tokensOf } from '../tools/http/pointer.js';
import { ENCRYPTED, EncryptingCodec, KEY_ID } from './payload-codec.js';
import type { PayloadKeys } from './payload-keys.js';
import { eachScalar, markAt, markFields, type Redactions, type RedactionRules } from './redaction-rules.js';

/** A shorter text occurs in others by chance. Characters. */
const SHORTEST_REPLACED = 4;

const PLAIN_WORD = /^[A-Za-z_]+$/;
const NO_FIELDS: ReadonlySet<string> = new Set();
const same = (text: string): string => text;

export class Redaction {
  readonly #keys: PayloadKeys;
  readonly #codec: EncryptingCodec;
  readonly #tools: ReadonlyMap<string, RedactionRules>;

  constructor(keys: PayloadKeys, tools: Readonly<Record<string, RedactionRules>>) {
    this.#keys = keys;
    this.#codec = new EncryptingCodec(keys);
    this.#tools = new Map(Object.entries(tools));
  }

  /** Encrypts what has to come back as it was, as JSON. */
  async seal(state: Json): Promise<Json> {
    const [{ metadata, data } = {}] = await this.#codec.encode([{ data: Buffer.from(canonical(state)) }]);
    return {
      key: Buffer.from(metadata?.[KEY_ID] ?? []).toString(),
      encrypted: Buffer.from(data ?? []).toString('base64'),
    };
  }

  /** @throws CountersignError PAYLOAD_KEY_UNKNOWN, PAYLOAD_INVALID */
  async unseal(sealed: Json): Promise<Json> {
    const { key = '', encrypted = '' } = sealed as { readonly key?: string; readonly encrypted?: string };
    const metadata = { encoding: Buffer.from(ENCRYPTED), [KEY_ID]: Buffer.from(key) };
    const [payload] = await this.#codec.decode([{ metadata, data: Buffer.from(encrypted, 'base64') }]);
    return JSON.parse(Buffer.from(payload?.data ?? []).toString()) as Json;
  }

  /** Undefined where nothing of the tool is redacted. */
  of(tenant: string, tool: string): Redactor | undefined {
    const rules = this.#tools.get(tool);
    if (rules === undefined) return undefined;
    const salt = canonical([tenant, tool]);
    const key = hkdfSync('sha256', this.#keys.current.key, salt, 'countersign redaction', 32);
    return new Redactor(rules, new Uint8Array(key));
  }
}

/** What was seen of an action, to find the values in it that its texts may quote. */
type Seen = Partial<Pick<Outcome, 'facts' | 'pre' | 'post' | 'delta' | 'result'>> & {
  readonly proposal?: Proposal | undefined;
  readonly preview?: Preview | undefined;
};

/** For one tool of one tenant. */
export class Redactor {
  readonly #fields: ReadonlySet<string>;
  readonly #pointers: readonly (readonly string[])[];
  readonly #key: Uint8Array;

  constructor({ fields = [], input = [] }: RedactionRules, key: Uint8Array) {
    this.#fields = new Set(fields);
    this.#pointers = input.map(tokensOf);
    this.#key = key;
  }

  proposal(proposal: Proposal): Proposal {
    return new Pass(this, { proposal }).proposal(proposal);
  }

  shown(shown: Shown): Shown {
    const { proposal, preview } = shown;
    const pass = new Pass(this, { proposal, preview });
    return { ...shown, proposal: pass.proposal(proposal), preview: pass.preview(preview), redacted: true };
  }

  /** An outcome whose proposal is not at hand. */
  outcome(outcome: Outcome): Outcome {
    return new Pass(this, outcome).outcome(outcome);
  }

  /** The outcome and the proposal as they are recorded: the one names the other by its digest. */
  record(outcome: Outcome, proposal: Proposal): { readonly outcome: Outcome; readonly proposal: Proposal } {
    const pass = new Pass(this, { ...outcome, proposal });
    const kept = pass.proposal(proposal);
    return { outcome: { ...pass.outcome(outcome), redacted: { proposal: digest(kept) } }, proposal: kept };
  }

  /** What stands for one value. */
  token(value: string | number | boolean): string {
    const mac = createHmac('sha256', this.#key).update(canonical(value)).digest('base64url');
    return `${REDACTED_PREFIX}${mac.slice(0, 22)}`;
  }

  fields(value: Json, changes: Redactions): Json {
    return markFields(value, this.#fields, changes);
  }

  input(input: JsonObject, mark: (value: Json) => Json): JsonObject {
    return this.#pointers.reduce<Json>((value, pointer) => markAt(value, pointer, mark), input) as JsonObject;
  }

  /** Whether a path of a difference leads to a field, or below one. */
  leadsToField(path: string): boolean {
    return tokensOf(path).some((token) => this.#fields.has(token));
  }
}

/** One action at a time: its own values are struck out of its texts. */
class Pass {
  readonly #by: Redactor;
  /** Texts to what stands for them, the longest first. */
  readonly #known: readonly (readonly [string, string])[];
  readonly #changes: Redactions = {
    mark: (value) => this.#mark(value),
    text: (text) => this.#text(text),
    name: (name) => this.#name(name),
  };

  constructor(by: Redactor, seen: Seen) {
    this.#by = by;
    const known = new Map<string, string>();
    const learn = (value: Json): Json =>
      eachScalar(value, (scalar) => {
        const text = String(scalar);
        if (typeof scalar !== 'boolean' && text.length >= SHORTEST_REPLACED && !isRedacted(text))
          known.set(text, by.token(scalar));
        return text;
      });
    const look = (value: unknown): void => {
      if (value !== undefined) by.fields(value as Json, { mark: learn, text: same, name: same });
    };
    const preview = seen.preview ?? seen.facts?.preview;
    if (seen.proposal !== undefined) by.input(seen.proposal.input, learn);
    for (const value of [seen.proposal?.input, preview?.sample, preview?.rehearsal?.rows, seen.result]) look(value);
    for (const snapshot of [seen.pre, seen.post]) for (const state of [snapshot?.state, snapshot?.sample]) look(state);
    for (const { path, value } of seen.delta?.patch ?? [])
      if (value !== undefined && by.leadsToField(path)) learn(value);
    this.#known = [...known].sort(([one], [other]) => other.length - one.length || (one < other ? -1 : 1));
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
      path: this.#name(path),
      value: value === undefined ? undefined : this.#by.leadsToField(path) ? this.#mark(value) : this.#value(value),
      from: from === undefined ? undefined : this.#name(from),
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
    return this.#known.reduce((left, [from, to]) => left.replaceAll(from, to), text);
  }

  /** Rows are named by their keys, which may be secret; a plain word is the name of a column. */
  #name(name: string): string {
    const known = this.#known.filter(([from]) => !PLAIN_WORD.test(from));
    return known.reduce((left, [from, to]) => left.replaceAll(from, to), name);
  }
}

const UNSEEN = 'What differs is redacted: the states are too large to tell what of it is secret.';

/** Nobody may do something with what stands for a value. @throws CountersignError INVALID_INPUT */
export function refuseRedacted(input: JsonObject): void {
  let found = false;
  eachScalar(input, (scalar) => {
    found ||= isRedacted(scalar);
    return '';
  });
  if (!found) return;
  throw new CountersignError('INVALID_INPUT', 'The input holds a redacted value, and no tool can act on it.', {
    field: 'proposal.input',
    expected: 'the values themselves',
    fix: 'Propose with the values. What is redacted cannot be edited by people: ask the agent for changes instead.',
  });
}
