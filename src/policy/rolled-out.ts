/** The policy that a worker runs as the ledger says: the active bundle, and the one in shadow. What cannot be used changes nothing. */
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import type { PlacedPolicy, ProvenChange } from '../action/policy-rollout.js';
import type { PolicyLogger, Reload } from './active.js';
import { bundleFromFiles } from './bundle.js';
import { compilePolicy, type Policy } from './compile.js';

/** What the worker asks of the ledger and of its keys. */
export interface PolicyPlaces {
  /** With the latest change of the active policy that is known to have been made, whatever the ledger says of it. */
  placed(): Promise<{ readonly policies: readonly PlacedPolicy[]; readonly proven?: ProvenChange | undefined }>;
  /** The files of a bundle; undefined when it is not kept. */
  files(digest: Digest): Promise<Readonly<Record<string, string>> | undefined>;
  /** Whether a worker signed the change that put the bundle there. @throws CountersignError POLICY_INVALID */
  verify(placed: PlacedPolicy): Promise<void>;
}

interface Loaded {
  readonly policy: Policy;
  /** Number of the change that put it there. */
  readonly since: number;
  readonly signed: string;
}

type Place = PlacedPolicy['state'];

/** The policies that people made active or put in shadow, as a worker takes them up. What is not signed, or cannot be used, changes nothing. */
export class RolledOutPolicy {
  readonly #places: PolicyPlaces;
  readonly #logger: PolicyLogger;
  readonly #loaded = new Map<Place, Loaded>();
  readonly #problems = new Map<Place | 'ledger', CountersignError>();
  /** Changes that were refused for good: looking at one again would only cost the time to compile it. */
  readonly #refused = new Map<Place, number>();
  /** The policy that was checked last: it is probably the next one to be activated, and compiling takes a while. */
  #prepared: Policy | undefined;
  #proven: ProvenChange | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(places: PolicyPlaces, logger: PolicyLogger) {
    this.#places = places;
    this.#logger = logger;
  }

  /** The active policy. @throws CountersignError POLICY_UNAVAILABLE when none is active, or none that this worker can use */
  current(): Policy {
    const loaded = this.#loaded.get('active');
    if (loaded !== undefined) return loaded.policy;
    const problem = this.problem();
    throw new CountersignError('POLICY_UNAVAILABLE', 'No policy is active on this worker.', {
      field: 'policies',
      expected: 'an active policy in the ledger',
      fix:
        problem === undefined
          ? 'Publish a policy and promote it: countersign policy publish, then countersign policy promote.'
          : [problem.message, problem.fix].join(' ').trim(),
      ...(problem === undefined ? {} : { cause: problem }),
    });
  }

  /** The policy that is compared with the active one, if there is any. */
  shadow(): Policy | undefined {
    return this.#loaded.get('shadow')?.policy;
  }

  /** The number of the latest change of the active policy that this worker knows of; 0 where it knows of none. */
  latestChange(): number {
    return Math.max(this.#loaded.get('active')?.since ?? 0, this.#proven?.seq ?? 0);
  }

  /** What shows others that there was this change. */
  proof(): { readonly seq: number; readonly signed: string } | undefined {
    const { since = 0, signed } = this.#loaded.get('active') ?? {};
    if (signed !== undefined && since >= (this.#proven?.seq ?? 0)) return { seq: since, signed };
    return this.#proven?.signed === undefined ? undefined : { seq: this.#proven.seq, signed: this.#proven.signed };
  }

  /** Why the worker does not run what the ledger says. */
  problem(): CountersignError | undefined {
    return this.#problems.get('active') ?? this.#problems.get('shadow') ?? this.#problems.get('ledger');
  }

  /** Looks into the ledger and takes up what changed there. Never rejects. */
  reload(): Promise<Reload> {
    const reload = this.#last.then(() => this.#look());
    this.#last = reload;
    return reload;
  }

  /** Looks every `intervalMs` milliseconds, whatever the clock says. It does not keep the process alive. Returns the function that stops it. */
  watch(intervalMs: number): () => void {
    let timer: NodeJS.Timeout | undefined;
    let stopped = false;
    const plan = (): void => {
      timer = setTimeout(() => void this.reload().finally(() => stopped || plan()), intervalMs);
      timer.unref();
    };
    plan();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }

  async #look(): Promise<Reload> {
    const before = this.#loaded.get('active')?.policy.digest;
    try {
      const { policies, proven } = await this.#places.placed();
      this.#problems.delete('ledger');
      this.#proven = proven;
      const at = (place: Place) => policies.find(({ state }) => state === place);
      if (proven !== undefined && isBefore(at('active'), proven) && isBefore(this.#loaded.get('active'), proven)) {
        this.#refuseCutBack(at('active'), proven);
      } else await this.#take('active', at('active'));
      if (at('shadow') === undefined) this.#endShadow();
      else await this.#take('shadow', at('shadow'));
    } catch (thrown) {
      this.#note('ledger', asCountersignError(thrown));
    }
    const digest = this.#loaded.get('active')?.policy.digest;
    const problem = this.#problems.get('active') ?? this.#problems.get('ledger');
    if (digest !== undefined && problem === undefined) return { ok: true, changed: digest !== before, digest };
    return { ok: false, error: problem ?? asCountersignError(thrownBy(() => this.current())) };
  }

  /** No change leaves a ledger without an active policy, or leads back to an earlier one: whatever does is not followed. */
  async #take(place: Place, placed: PlacedPolicy | undefined): Promise<void> {
    const loaded = this.#loaded.get(place);
    if (placed?.since === loaded?.since) {
      this.#problems.delete(place);
      return;
    }
    if (placed !== undefined && this.#refused.get(place) === placed.since) return;
    try {
      if (loaded !== undefined && (placed === undefined || placed.since < loaded.since)) throw cutHistory(loaded.since);
      if (placed === undefined) return;
      const policy = await this.#load(placed);
      this.#loaded.set(place, { policy, since: placed.since, signed: placed.signed });
      this.#problems.delete(place);
      const fields = { place, change: placed.since, from: loaded?.policy.digest ?? null, to: policy.digest };
      this.#logger.info(fields, place === 'active' ? 'policy activated' : 'policy evaluated in shadow');
    } catch (thrown) {
      const error = asCountersignError(thrown);
      if (!error.retryable && placed !== undefined) this.#refused.set(place, placed.since);
      if (place === 'shadow') this.#loaded.delete('shadow');
      this.#note(place, error);
    }
  }

  /** A policy that another one has replaced since decides nothing: neither what the ledger says nor what runs here. */
  #refuseCutBack(placed: PlacedPolicy | undefined, proven: ProvenChange): void {
    this.#loaded.delete('active');
    this.#note('active', cutBack(placed?.since, proven));
  }

  async #load(placed: PlacedPolicy): Promise<Policy> {
    await this.#places.verify(placed);
    const policy = await this.prepare(placed.digest);
    this.#prepared = undefined;
    return policy;
  }

  /** A policy that the ledger keeps, ready to be activated. @throws CountersignError POLICY_INVALID, NOT_FOUND */
  async prepare(digest: Digest): Promise<Policy> {
    const running = [...this.#loaded.values()].map(({ policy }) => policy);
    const ready = [...running, this.#prepared].find((policy) => policy?.digest === digest);
    if (ready !== undefined) return ready;
    const prepared = compilePolicy(await storedBundle(digest, (wanted) => this.#places.files(wanted)));
    this.#prepared = prepared;
    return prepared;
  }

  #endShadow(): void {
    this.#problems.delete('shadow');
    if (this.#loaded.delete('shadow')) this.#logger.info({ place: 'shadow' }, 'no policy is in shadow any more');
  }

  /** The same problem is logged once, not with every look. */
  #note(place: Place | 'ledger', error: CountersignError): void {
    const known = this.#problems.get(place)?.message === error.message;
    this.#problems.set(place, error);
    if (known) return;
    const active = this.#loaded.get('active')?.policy.digest ?? null;
    const kept = active === null ? 'no policy is active' : 'the policy before stays active';
    this.#logger.error({ place, active, ...error.toJSON() }, `policy not taken up, ${kept}: ${error.message}`);
  }
}

/**
 * A bundle as the ledger keeps it.
 *
 * @throws CountersignError NOT_FOUND; POLICY_INVALID when it is not the one that has this digest, or cannot be used by this version
 */
export async function storedBundle(
  digest: Digest,
  filesOf: (digest: Digest) => Promise<Readonly<Record<string, string>> | undefined>,
): Promise<ReturnType<typeof bundleFromFiles>> {
  const files = await filesOf(digest);
  if (files === undefined) {
    throw new CountersignError('NOT_FOUND', `The ledger has no policy ${digest}.`, {
      field: 'digest',
      expected: 'the digest of a published policy',
      fix: 'Publish it: countersign policy publish.',
    });
  }
  const bundle = bundleFromFiles(files);
  if (bundle.digest === digest) return bundle;
  throw new CountersignError('POLICY_INVALID', `The ledger keeps other files under the policy digest ${digest}.`, {
    field: 'bundle.digest',
    expected: digest,
    fix: 'The stored bundle was altered: find out who can write to the ledger, and roll back to another policy.',
  });
}

function cutHistory(since: number): CountersignError {
  return new CountersignError('POLICY_INVALID', `The ledger does not know change ${since} of the policy any more.`, {
    field: 'policies',
    expected: 'a history that only grows',
    fix: CUT_BACK_FIX,
  });
}

const CUT_BACK_FIX =
  'The ledger was altered or restored. Verify the receipts (countersign receipts verify), find out which policy is the right one, and promote it: that change gets a number above all that were made, which every worker follows.';

function isBefore(one: { readonly since: number } | undefined, { seq }: ProvenChange): boolean {
  return one === undefined || one.since < seq;
}

function cutBack(since: number | undefined, { seq, shownBy }: ProvenChange): CountersignError {
  const says = since === undefined ? 'no policy is active' : `change ${since} made the policy active`;
  return new CountersignError(
    'POLICY_INVALID',
    `The ledger says that ${says}, but there was change ${seq}, as ${shownBy} shows.`,
    { field: 'policies', expected: `change ${seq} or a later one`, fix: CUT_BACK_FIX },
  );
}

function thrownBy(body: () => unknown): unknown {
  try {
    return body();
  } catch (error) {
    return error;
  }
}
