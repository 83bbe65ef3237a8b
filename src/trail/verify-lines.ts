/** Verifies an exported trail, line by line, with nothing but the public keys: whatever was edited, removed, moved, cut off or forked is found and located. */
import type { CheckpointClaims } from '../action/checkpoint.js';
import { asCountersignError } from '../action/errors.js';
import { digestText, type Digest } from '../action/json.js';
import { verifyCheckpoint } from '../trust/index.js';
import { AnchoredCheckpoints, type AnchorLine } from './anchored.js';
import { readEntry } from './entry.js';
import { Evidence } from './evidence.js';
import { GrantEntries, isOverdue } from './grant-entries.js';
import { FORMAT, readLine, type TrailLine } from './format.js';
import type { TrailKeys } from './keys.js';
import { Frontier, leafHash } from './merkle.js';
import type { TrailProblem, TrailProblemCode } from './problems.js';
import { MOST_LISTED, Problems, type TrailReport } from './report.js';
import { SignatureTimes } from './signatures.js';
import { StampedCheckpoints, type CheckTimestamp } from './stamped.js';

export interface VerifyTrailOptions {
  readonly keys: TrailKeys;
  /** Checkpoints that were kept elsewhere. */
  readonly anchors?: readonly AnchorLine[];
  /** Default: their time stamps are counted, and not looked at. */
  readonly checkTimestamp?: CheckTimestamp | undefined;
  /** An open grant that was used before then is overdue. Default: none is. */
  readonly overdueBefore?: Date | undefined;
}

/** @throws what reading the lines throws */
export async function verifyTrail(
  lines: AsyncIterable<string>,
  { keys, anchors = [], checkTimestamp, overdueBefore }: VerifyTrailOptions,
): Promise<TrailReport> {
  const verification = new TrailVerification(keys, checkTimestamp);
  await verification.expect(anchors);
  for await (const line of lines) await verification.take(line);
  return verification.finish(overdueBefore);
}

/** Takes the lines one after another. What they come to is known at the end, and what is wrong with one as soon as it was taken. */
export class TrailVerification {
  readonly #keys: TrailKeys;
  readonly #times: SignatureTimes;
  readonly #problems = new Problems();
  readonly #anchors = new AnchoredCheckpoints();
  readonly #evidence: Evidence;
  readonly #grants = new GrantEntries((problem) => this.#problems.add(problem));
  readonly #stamped: StampedCheckpoints;
  readonly #tree = new Frontier();
  #line = 0;
  #tenant: string | undefined;
  #ended = false;
  /** False once an entry is known to be missing or another: roots then differ for a reason that was told. */
  #comparable = true;
  #entries = 0;
  #last: { readonly seq: number; readonly hash: Digest | null } = { seq: 0, hash: null };
  #checkpoints = 0;
  #checkpoint: { readonly size: number; readonly digest: Digest | null } = { size: 0, digest: null };
  #covered = 0;
  #anchored = 0;

  constructor(keys: TrailKeys, checkTimestamp?: CheckTimestamp) {
    this.#keys = keys;
    this.#times = new SignatureTimes(keys, (problem) => this.#problems.add(problem));
    this.#evidence = new Evidence(keys, this.#times, this.#problems);
    this.#stamped = new StampedCheckpoints(checkTimestamp, (problem) => this.#problems.add(problem));
  }

  /** The first thing that was found to be wrong. */
  get problem(): TrailProblem | undefined {
    return this.#problems.first[0];
  }

  expect(anchors: readonly AnchorLine[]): Promise<void> {
    return this.#anchors.read(anchors, this.#keys, (problem) => this.#problems.add(problem));
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

  finish(overdueBefore: Date | undefined): TrailReport {
    if (!this.#ended)
      this.#report('end', this.#last.seq, `The file ends after entry ${this.#last.seq}, without its end.`);
    for (const size of this.#anchors.beyond(this.#last.seq, this.#tenant)) {
      this.#tellTruncated(size, 'An anchored checkpoint');
    }
    this.#times.finish();
    const { open } = this.#grants;
    return {
      ok: this.#problems.count === 0,
      tenant: this.#tenant ?? '',
      entries: this.#entries,
      checkpoints: this.#checkpoints,
      covered: this.#covered,
      withheld: this.#evidence.withheld,
      anchors: this.#anchored,
      timestamps: this.#stamped.verified,
      timestampsUnchecked: this.#stamped.unchecked,
      openGrants: open.slice(0, MOST_LISTED),
      openGrantCount: open.length,
      overdueGrants: overdueBefore === undefined ? 0 : open.filter((grant) => isOverdue(grant, overdueBefore)).length,
      problems: this.#problems.first,
      problemCount: this.#problems.count,
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
    await this.#evidence.take(body, evidence);
    this.#grants.take(body);
    this.#compareAnchors();
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
    for (const anchored of this.#anchors.over(this.#last.seq, this.#tenant)) {
      const { jws, claims, number } = anchored;
      if (this.#fits(claims)) {
        this.#anchored++;
        this.#times.vouch(jws, claims, true, this.#stamped.take(anchored));
      } else {
        this.#report(
          'fork',
          claims.size,
          `The first ${claims.size} entries are not those of anchor ${number}: another trail was shown there.`,
        );
      }
    }
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
    this.#problems.add({ code, at, problem });
  }
}

function missing(one: string, many: string, from: number, to: number): string {
  return from === to ? `${one} ${from} is missing.` : `${many} ${from} to ${to} are missing.`;
}

function messageOf(error: unknown): string {
  return asCountersignError(error).message;
}
