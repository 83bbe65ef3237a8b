/**
 * Redacts what is recorded for good and shown to people: each value that the rules of a tool name becomes a digest under a key. Equal values
 * of a tenant's tool have equal digests, so that differences can still be told; whoever has no key cannot try values out.
 */
import { createHmac, hkdfSync, type KeyObject } from 'node:crypto';
import { CountersignError } from '../action/errors.js';
import { canonical, digest, type Json, type JsonObject } from '../action/json.js';
import type { Outcome, Shown } from '../action/outcome.js';
import type { Proposal } from '../action/proposal.js';
import type { SubjectKeys } from '../ledger/index.js';
import { isRedacted, REDACTED_PREFIX } from '../action/redacted.js';
import { tokensOf } from '../tools/http/pointer.js';
import { EncryptingCodec } from './payload-codec.js';
import type { PayloadKeys } from './payload-keys.js';
import { RedactionPass, type Marking } from './redaction-pass.js';
import { keyOf, newKey, seal, subjectIn, subjectKeys, unseal } from './subjects.js';
import { eachScalar, markAt, markFields, type Redactions, type RedactionRules } from './redaction-rules.js';

/** Where keys of subjects are kept. */
export type Subjects = Pick<SubjectKeys, 'current' | 'at'>;

export class Redaction {
  readonly #keys: PayloadKeys;
  readonly #codec: EncryptingCodec;
  readonly #subjects: Subjects;
  readonly #tools: ReadonlyMap<string, RedactionRules>;
  readonly #known: ReadonlySet<string> | undefined;
  readonly #all: RedactionRules;

  /** @param known the names of the tools that there are. Default: nobody says */
  constructor(
    keys: PayloadKeys,
    tools: Readonly<Record<string, RedactionRules>>,
    subjects: Subjects,
    known?: readonly string[],
  ) {
    this.#keys = keys;
    this.#codec = new EncryptingCodec(keys);
    this.#subjects = subjects;
    this.#tools = new Map(Object.entries(tools));
    this.#known = known && new Set(known);
    this.#all = allOf([...this.#tools.values()]);
  }

  /** A name that no tool has may be meant for any: what was proposed to it is recorded too, and redacted as it would be for each of them. */
  #rulesOf(tool: string): RedactionRules | undefined {
    return this.#tools.get(tool) ?? (this.#known?.has(tool) === false ? this.#all : undefined);
  }

  /** Undefined where nothing of the tool is redacted. Of an action whose input is not at hand, nobody is known whom it is about. */
  of(tenant: string, tool: string): Redactor | undefined {
    const rules = this.#rulesOf(tool);
    return rules && this.#redactor(rules, this.#keys, { tenant, tool });
  }

  /** As `of`, under a key of whomever the input is about, where the rules say where that stands. @throws CountersignError LEDGER_UNAVAILABLE */
  async about(tenant: string, { tool, input }: Pick<Proposal, 'tool' | 'input'>): Promise<Redactor | undefined> {
    const rules = this.#rulesOf(tool);
    const subject = rules && subjectIn(input, rules);
    if (rules === undefined || subject === undefined) return this.of(tenant, tool);
    const [name] = this.namesOf(tenant, subject);
    const { generation, wrapped } = await this.#subjects.current(tenant, name, () => seal(newKey(), this.#codec));
    const keys = subjectKeys(`${name}/${generation}`, await unseal(wrapped, this.#codec));
    return this.#redactor(rules, keys, { tenant, tool });
  }

  /** What a subject's key is kept under: by the key in use, and by those before it. */
  namesOf(tenant: string, subject: string): readonly [string, ...string[]] {
    const name = (secret: KeyObject): string => {
      const key = hkdfSync('sha256', secret, canonical([tenant]), 'countersign subject', 32);
      return createHmac('sha256', new Uint8Array(key)).update(subject).digest('base64url');
    };
    const { current, byId } = this.#keys;
    return [name(current.key), ...[...byId.values()].filter((key) => key !== current.key).map(name)];
  }

  /** Decrypts what a redactor sealed. @throws CountersignError PAYLOAD_KEY_UNKNOWN, also where it was erased; PAYLOAD_INVALID; LEDGER_UNAVAILABLE */
  async unseal(tenant: string, sealed: Json): Promise<Json> {
    const [name, generation] = keyOf(sealed).split('/');
    if (generation === undefined || name === undefined) return unseal(sealed, this.#codec);
    const found = await this.#subjects.at(tenant, name, Number(generation));
    if (found === undefined) throw erased();
    return unseal(sealed, new EncryptingCodec(subjectKeys(keyOf(sealed), await unseal(found.wrapped, this.#codec))));
  }

  #redactor(rules: RedactionRules, keys: PayloadKeys, { tenant, tool }: { tenant: string; tool: string }): Redactor {
    const key = hkdfSync('sha256', keys.current.key, canonical([tenant, tool]), 'countersign redaction', 32);
    return new Redactor(rules, new Uint8Array(key), new EncryptingCodec(keys));
  }
}

/** For one tool of one tenant. */
export class Redactor implements Marking {
  readonly #fields: ReadonlySet<string>;
  readonly #pointers: readonly (readonly string[])[];
  readonly #key: Uint8Array;
  readonly #codec: EncryptingCodec;

  constructor({ fields = [], input = [] }: RedactionRules, key: Uint8Array, codec: EncryptingCodec) {
    this.#fields = new Set(fields.map((name) => name.toLowerCase()));
    this.#pointers = input.map(tokensOf);
    this.#key = key;
    this.#codec = codec;
  }

  /** Encrypts what has to come back as it was, as JSON. */
  seal(state: Json): Promise<Json> {
    return seal(state, this.#codec);
  }

  proposal(proposal: Proposal): Proposal {
    return new RedactionPass(this, { proposal }).proposal(proposal);
  }

  shown(shown: Shown): Shown {
    const { proposal, preview } = shown;
    const pass = new RedactionPass(this, { proposal, preview });
    return { ...shown, proposal: pass.proposal(proposal), preview: pass.preview(preview), redacted: true };
  }

  /** An outcome whose proposal is not at hand. */
  outcome(outcome: Outcome): Outcome {
    return new RedactionPass(this, outcome).outcome(outcome);
  }

  /** The outcome and the proposal as they are recorded: the one names the other by its digest. */
  record(outcome: Outcome, proposal: Proposal): { readonly outcome: Outcome; readonly proposal: Proposal } {
    const pass = new RedactionPass(this, { ...outcome, proposal });
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

  isField(name: string): boolean {
    return this.#fields.has(name.toLowerCase());
  }

  /** Whether a path of a difference leads to a field, or below one. */
  leadsToField(path: string): boolean {
    return tokensOf(path).some((token) => this.isField(token));
  }
}

function allOf(rules: readonly RedactionRules[]): RedactionRules {
  const [fields, input, subject] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for (const one of rules) {
    for (const field of one.fields ?? []) fields.add(field);
    for (const pointer of one.input ?? []) input.add(pointer);
    for (const pointer of one.subject ?? []) subject.add(pointer);
  }
  return { fields: [...fields], input: [...input], subject: [...subject] };
}

function erased(): CountersignError {
  return new CountersignError('PAYLOAD_KEY_UNKNOWN', 'What was kept of this state was erased.', {
    field: 'subject',
    fix: 'Nothing brings it back, and what rests on it cannot be done any more.',
  });
}

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
