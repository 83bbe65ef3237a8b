/** Verifies an exported trail, line by line, with nothing but the public keys: whatever was edited, removed, moved, cut off or forked is found and located. */
import type { CheckpointClaims } from '../action/checkpoint.js';
import { asCountersignError } from '../action/errors.js';
import { digestText, type Digest } from '../action/json.js';
import { verifyCheckpoint, verifyReceipt } from '../trust/index.js';
import { readEntry, type EntryBody } from './entry.js';
import { FORMAT, readLine, type TrailLine } from './format.js';
import type { TrailKeys } from './keys.js';
import { Frontier, leafHash } from './merkle.js';
import type { TrailProblem, TrailProblemCode } from './problems.js';
import { SignatureTimes } from './signatures.js';

export interface TrailReport {
  readonly ok: boolean;
  readonly tenant: string;
  readonly entries: number;
  readonly checkpoints: number;
  /** How many entries a checkpoint covers that fits. Those after it rest on their own signatures, where they have any. */
  readonly covered: number;
  /** Entries whose evidence is not in the file: it was never kept, or erased. */
  readonly withheld: number;
  /** Anchored checkpoints that fit. */
  readonly anchors: number;
  /** The first 100. */
  readonly problems: readonly TrailProblem[];
  readonly problemCount: number;
}

export interface VerifyTrailOptions {
  readonly keys: TrailKeys;
  /** Checkpoints that were kept elsewhere, as compact JWS. */
  readonly anchors?: readonly string[];
}

const MAX_PROBLEMS = 100;

/** @throws what reading the lines throws */
export async function verifyTrail(
  lines: AsyncIterable<string>,
  { keys, anchors = [] }: VerifyTrailOptions,
): Promise<TrailReport> {
  const verification = new Verification(keys);
  await verification.expect(anchors);
  for await (const line of lines) await verification.take(line);
  return verification.finish();
}

class Verification {
  readonly #keys: TrailKeys;
  readonly #times: SignatureTimes;
  readonly #problems: TrailProblem[] = [];
  readonly #anchors = new Map<
    number,
    { readonly jws: string; readonly claims: CheckpointClaims; readonly number: number }[]
  >();
  readonly #tree = new Frontier();
  #problemCount = 0;
  #line = 0;
  #tenant: string | undefined;
  #ended = false;
  /** False once an entry is known to be missing or another: roots then differ for a reason that was told. */
  #comparable = true;
  #entries = 0;
  #last: { readonly seq: number; readonly hash: Digest | null } = { seq: 0, hash: null };
  #receipt: { readonly seq: number; readonly hash: Digest | null } = { seq: 0, hash: null };
  #checkpoints = 0;
  #checkpoint: { readonly size: number; readonly digest: Digest | null } = { size: 0, digest: null };
  #covered = 0;
  #withheld = 0;
  #anchored = 0;

  constructor(keys: TrailKeys) {
    this.#keys = keys;
    this.#times = new SignatureTimes(keys, (problem) => this.#add(problem));
  }

  async expect(anchors: readonly string[]): Promise<void> {
    for (const [index, jws] of anchors.entries()) {
      const number = index + 1;
      try {
        const claims = await verifyCheckpoint(this.#keys.keyring, jws);
        this.#anchors.set(claims.size, [...(this.#anchors.get(claims.size) ?? []), { jws, claims, number }]);
      } catch (error) {
        this.#report('anchor_signature', number, `Anchor ${number} does not verify: ${messageOf(error)}.`);
      }
    }
  }

  async take(text: string): Promise<void> {
    this.#line++;
    const line = readLine(text);
    if (this.#line === 1) return this.#begin(line);
    if (line === undefined || line.type === 'trail' || this.#ended) {
      this.#report('line', this.#line, `Line ${this.#line} is none that a trail has there.`);
      return;
    }
    switch (line.type) {
      case 'entry':
        return this.#takeEntry(line);
      case 'checkpoint':
        return this.#takeCheckpoint(line.jws);
      case 'end':
        return this.#end(line);
    }
  }

  finish(): TrailReport {
    if (!this.#ended)
      this.#report('end', this.#last.seq, `The file ends after entry ${this.#last.seq}, without its end.`);
    for (const [size, anchors] of this.#anchors) {
      for (const { claims, number } of anchors) this.#compareTenant(claims, number);
      if (size > this.#last.seq) this.#tellTruncated(size, 'An anchored checkpoint');
    }
    this.#times.finish();
    return {
      ok: this.#problemCount === 0,
      tenant: this.#tenant ?? '',
      entries: this.#entries,
      checkpoints: this.#checkpoints,
      covered: this.#covered,
      withheld: this.#withheld,
      anchors: this.#anchored,
      problems: this.#problems,
      problemCount: this.#problemCount,
    };
  }

  #begin(line: TrailLine | undefined): void {
    if (line?.type === 'trail') this.#tenant = line.tenant;
    else this.#report('format', 1, `The first line is not that of a trail of the format ${FORMAT}.`);
  }

  async #takeEntry({ seq, hash, entry, evidence }: Extract<TrailLine, { type: 'entry' }>): Promise<void> {
    this.#entries++;
    const leaf = leafHash(entry);
    const computed: Digest = `sha256:${leaf.toString('hex')}`;
    if (hash !== computed) this.#report('entry_hash', seq, `The text of entry ${seq} is not what its hash is of.`);
    const body = readEntry(entry);
    if (body === undefined) {
      this.#report('entry_shape', seq, `Entry ${seq} is none.`);
      this.#comparable = false;
      this.#last = { seq, hash: computed };
      return;
    }
    this.#tenant ??= body.tenant;
    if (body.tenant !== this.#tenant) this.#report('entry_tenant', seq, `Entry ${seq} is of another tenant.`);
    if (body.seq !== seq) this.#report('entry_seq', seq, `The entry stored as ${seq} says that it is ${body.seq}.`);
    const expected = this.#last.seq + 1;
    if (body.seq < expected) {
      this.#report('order', body.seq, `Entry ${body.seq} comes after entry ${expected - 1}: repeated or out of order.`);
      return;
    }
    if (body.seq > expected) {
      this.#comparable = false;
      this.#report('missing', expected, missing('Entry', 'Entries', expected, body.seq - 1));
    } else if (body.prev !== this.#last.hash) {
      this.#report('entry_link', seq, `Entry ${seq} does not name the entry before it.`);
    }
    this.#last = { seq: body.seq, hash: computed };
    this.#tree.append(leaf);
    await this.#takeEvidence(body, evidence);
    this.#compareAnchors();
  }

  async #takeEvidence(body: EntryBody, evidence: string | undefined): Promise<void> {
    const { seq, kind, digest, receipt } = body;
    if (evidence === undefined) this.#withheld++;
    else if (digestText(evidence) !== digest) {
      this.#report('evidence', seq, `The evidence of entry ${seq} is not what its digest is of.`);
    } else if (kind === 'receipt') await this.#takeReceipt(body, evidence);
    if (receipt === undefined) return;
    const next = this.#receipt.seq + 1;
    if (receipt !== next) {
      this.#report(
        'receipt_missing',
        seq,
        `Entry ${seq} is about receipt ${receipt}, and receipt ${next} has no entry before it.`,
      );
    }
    this.#receipt = { seq: receipt, hash: digest };
  }

  async #takeReceipt({ seq, tenant, subject, receipt }: EntryBody, jws: string): Promise<void> {
    try {
      const claims = await verifyReceipt(this.#keys.keyring, jws);
      if (claims.tenant !== tenant || claims.seq !== receipt || !isOf(claims.actionId, subject)) {
        this.#report('receipt_place', seq, `The receipt of entry ${seq} is of another tenant, action or number.`);
      } else if (claims.seq === this.#receipt.seq + 1 && claims.prev !== this.#receipt.hash) {
        this.#report('receipt_link', seq, `The receipt of entry ${seq} does not name the receipt before it.`);
      }
      this.#times.judge(jws, claims.iat, seq, seq);
    } catch (error) {
      this.#report('receipt_signature', seq, `The receipt of entry ${seq} does not verify: ${messageOf(error)}.`);
    }
  }

  async #takeCheckpoint(jws: string): Promise<void> {
    this.#checkpoints++;
    const { seq } = this.#last;
    let claims: CheckpointClaims;
    try {
      claims = await verifyCheckpoint(this.#keys.keyring, jws);
    } catch (error) {
      this.#report(
        'checkpoint_signature',
        seq,
        `The checkpoint after entry ${seq} does not verify: ${messageOf(error)}.`,
      );
      return;
    }
    const { size, tenant, prev } = claims;
    const before = this.#checkpoint;
    if (tenant !== this.#tenant) {
      this.#report('checkpoint_tenant', size, `The checkpoint over ${size} entries is of another tenant.`);
      return;
    }
    if (size <= before.size || size < seq) {
      this.#report(
        'checkpoint_order',
        size,
        `The checkpoint over ${size} entries comes after ${seq} entries and a checkpoint over ${before.size}.`,
      );
      return;
    }
    if (prev !== before.digest) {
      this.#report('checkpoint_link', size, `The checkpoint over ${size} entries does not name the one before it.`);
    }
    this.#checkpoint = { size, digest: digestText(jws) };
    this.#times.judge(jws, claims.iat, size, size);
    if (size > seq) return this.#tellTruncated(size, 'A checkpoint');
    if (!this.#comparable) return;
    if (this.#fits(claims)) {
      this.#covered = size;
      this.#times.vouch(jws, claims, false);
    } else {
      this.#comparable = false;
      this.#report('root', size, `Entries ${before.size + 1} to ${size} are not all those that were signed.`);
    }
  }

  #fits({ root, head }: CheckpointClaims): boolean {
    return root === `sha256:${this.#tree.root().toString('hex')}` && head === this.#last.hash;
  }

  #compareAnchors(): void {
    if (!this.#comparable) return;
    for (const { jws, claims, number } of this.#anchors.get(this.#last.seq) ?? []) {
      if (claims.tenant !== this.#tenant) continue;
      if (this.#fits(claims)) {
        this.#anchored++;
        this.#times.vouch(jws, claims, true);
      } else {
        this.#report(
          'fork',
          claims.size,
          `The first ${claims.size} entries are not those of anchor ${number}: another trail was shown there.`,
        );
      }
    }
  }

  #compareTenant({ tenant }: CheckpointClaims, number: number): void {
    if (tenant !== this.#tenant) this.#report('anchor_tenant', number, `Anchor ${number} is of another tenant.`);
  }

  #tellTruncated(size: number, what: string): void {
    this.#report(
      'truncated',
      size,
      `${what} covers ${size} entries, and the trail ends with entry ${this.#last.seq} there.`,
    );
  }

  #end({ entries, checkpoints }: Extract<TrailLine, { type: 'end' }>): void {
    this.#ended = true;
    if (entries === this.#entries && checkpoints === this.#checkpoints) return;
    const told = `The file says ${entries} entries and ${checkpoints} checkpoints`;
    this.#report('end', this.#last.seq, `${told}, and has ${this.#entries} and ${this.#checkpoints}.`);
  }

  #report(code: TrailProblemCode, at: number, problem: string): void {
    this.#add({ code, at, problem });
  }

  #add(problem: TrailProblem): void {
    this.#problemCount++;
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem);
  }
}

/** A refusal before anybody was known is in a chain of its own, whose entries name the tenant that was claimed too. */
function isOf(actionId: string, subject: string): boolean {
  return subject === actionId || subject.endsWith(`/${actionId}`);
}

function missing(one: string, many: string, from: number, to: number): string {
  return from === to ? `${one} ${from} is missing.` : `${many} ${from} to ${to} are missing.`;
}

function messageOf(error: unknown): string {
  return asCountersignError(error).message;
}
