/** Bundles as the ledger keeps them, read and compared in threads. What was read is kept: a digest always stands for the same files. */
import { randomUUID } from 'node:crypto';
import { CountersignError } from '../../action/errors.js';
import type { Digest } from '../../action/json.js';
import type { Ledger } from '../../ledger/index.js';
import type { PolicyDifference } from '../../policy/diff.js';
import type { BundleFiles, BundleOutline } from './outline.js';
import type { PolicyWork } from './policy-work.js';
import type { Question, RuleChange, PolicyTrial } from './trial.js';

/** How many outlines and comparisons are kept. */
const KEPT = 8;

interface BundleLedger {
  readonly content: Pick<Ledger['content'], 'getPolicy'>;
  readonly limits: Pick<Ledger['limits'], 'read'>;
}

export class Bundles {
  readonly #ledger: BundleLedger;
  readonly #work: PolicyWork;
  readonly #outlines = new Map<string, Promise<BundleOutline>>();
  readonly #differences = new Map<string, Promise<readonly PolicyDifference[]>>();

  constructor(ledger: BundleLedger, work: PolicyWork) {
    this.#ledger = ledger;
    this.#work = work;
  }

  /** @throws CountersignError NOT_FOUND, POLICY_INVALID, POLICY_ERROR, RATE_LIMITED, LEDGER_UNAVAILABLE */
  outline(digest: Digest): Promise<BundleOutline> {
    return kept(this.#outlines, digest, async () => {
      const outline = await this.#work.ask('outline', { files: await this.#files(digest) });
      if (outline.digest === digest) return outline;
      throw new CountersignError('POLICY_INVALID', `The ledger keeps other files under the policy digest ${digest}.`, {
        field: 'digest',
        expected: digest,
        fix: 'Find out who can write to the ledger.',
      });
    });
  }

  /** In words. @throws as `outline` */
  differences(from: Digest, to: Digest): Promise<readonly PolicyDifference[]> {
    return kept(this.#differences, `${from} ${to}`, async () => {
      const [before, after] = await Promise.all([this.#files(from), this.#files(to)]);
      return this.#work.ask('diff', { from: before, to: after });
    });
  }

  /**
   * Figures of limits that the question does not tell are read from the ledger, of this tenant, and nothing is held.
   *
   * @throws as `outline`, and POLICY_INVALID for the change
   */
  async trial(digest: Digest, change: RuleChange, question: Question, tenant: string): Promise<PolicyTrial> {
    const asked = { files: await this.#files(digest), change, question };
    const first = await this.#work.ask('trial', asked);
    if (!('lacks' in first)) return first;
    // Of an action that nobody has proposed: what a recorded one holds counts as others' holds do.
    const read = await this.#ledger.limits.read(tenant, `trial:${randomUUID()}`, first.lacks);
    const second = await this.#work.ask('trial', { ...asked, read });
    if (!('lacks' in second)) return second;
    throw new CountersignError('INTERNAL', 'A trial lacks figures of limits that were read for it.');
  }

  async #files(digest: Digest): Promise<BundleFiles> {
    const files = await this.#ledger.content.getPolicy(digest);
    if (files !== undefined) return files;
    throw new CountersignError('NOT_FOUND', `The ledger has no policy ${digest}.`, {
      field: 'digest',
      expected: 'the digest of a policy that was published, or that a worker loaded',
      fix: 'Go back to the policy page.',
    });
  }
}

/** The promise under the name, or a new one in the place of the oldest. One that fails is not kept. */
function kept<T>(all: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
  const known = all.get(name);
  if (known !== undefined) return known;
  const made = make();
  all.set(name, made);
  made.catch(() => all.get(name) === made && all.delete(name));
  const [oldest] = all.keys();
  if (all.size > KEPT && oldest !== undefined) all.delete(oldest);
  return made;
}
