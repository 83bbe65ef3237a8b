/** The policy that a worker decides by now, and its exchange without a restart. A folder that cannot be used changes nothing. */
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import type { PolicyBundle } from './bundle.js';
import { compilePolicy, type Policy } from './compile.js';
import { folderFingerprint, readFolder } from './folder.js';

/** The part of pino's logger that is used here. */
export interface PolicyLogger {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface ActivePolicyOptions {
  readonly folder: string;
  readonly logger: PolicyLogger;
  /** Keeps the bundle by its digest, before it decides anything: a decision must never name a policy that nobody has. */
  readonly store?: (bundle: PolicyBundle) => Promise<void>;
}

/** How a reload ended. On a refusal the policy before goes on deciding. */
export type Reload =
  | { readonly ok: true; readonly changed: boolean; readonly digest: Digest }
  | { readonly ok: false; readonly error: CountersignError };

export interface PolicyStatus {
  readonly folder: string;
  /** Of the policy that decides now. */
  readonly digest?: Digest;
  /** Why the folder as it is now is not what decides. */
  readonly lastError?: CountersignError;
}

export class ActivePolicy {
  readonly #options: ActivePolicyOptions;
  #policy: Policy | undefined;
  #lastError: CountersignError | undefined;
  /** The folder as it was when last judged; undefined when the same folder may be judged differently next time. */
  #judged: string | undefined;
  /** The reload that was asked for and has not begun. */
  #waiting: Promise<Reload> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ActivePolicyOptions) {
    this.#options = options;
  }

  /** @throws CountersignError POLICY_UNAVAILABLE before the first successful load */
  current(): Policy {
    if (this.#policy !== undefined) return this.#policy;
    throw new CountersignError('POLICY_UNAVAILABLE', `No policy is active: ${this.#options.folder} was not loaded.`, {
      field: this.#options.folder,
      fix: this.#lastError?.message ?? 'Load the policy folder first.',
      retryable: true,
      ...(this.#lastError === undefined ? {} : { cause: this.#lastError }),
    });
  }

  status(): PolicyStatus {
    return {
      folder: this.#options.folder,
      ...(this.#policy === undefined ? {} : { digest: this.#policy.digest }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }

  /**
   * Reads the folder and, if it is good, decides by it from then on. Never rejects; both outcomes are logged.
   * Calls during a reload share the one that follows it, since the running one may have read the folder before their change.
   */
  reload(): Promise<Reload> {
    if (this.#waiting !== undefined) return this.#waiting;
    const reload = this.#last.then(() => {
      this.#waiting = undefined;
      return this.#reloadOnce();
    });
    this.#waiting = reload;
    this.#last = reload;
    return reload;
  }

  async #reloadOnce(): Promise<Reload> {
    const { folder, logger, store } = this.#options;
    const before = this.#policy;
    try {
      this.#judged = undefined;
      const read = await readFolder(folder);
      this.#judged = read.fingerprint;
      const bundle = read.load();
      const changed = bundle.digest !== before?.digest;
      if (changed) {
        const policy = compilePolicy(bundle);
        await store?.(bundle);
        this.#policy = policy;
      }
      this.#lastError = undefined;
      const fields = { folder, from: before?.digest ?? null, to: bundle.digest };
      logger.info(fields, changed ? 'policy loaded' : 'policy unchanged');
      return { ok: true, changed, digest: bundle.digest };
    } catch (cause) {
      const error = asCountersignError(cause);
      // The same files stay as wrong as they are (a folder that cannot be listed has its error as its fingerprint); anything else,
      // such as a ledger that is down, may pass.
      if (error.code === 'POLICY_INVALID' && !error.retryable) this.#judged ??= String(error);
      else this.#judged = undefined;
      this.#lastError = error;
      const kept = before === undefined ? 'no policy is active' : 'the policy before stays active';
      logger.error(
        { folder, active: before?.digest ?? null, ...error.toJSON() },
        `policy refused, ${kept}: ${error.message}`,
      );
      return { ok: false, error };
    }
  }

  /**
   * Looks at the folder every `intervalMs` milliseconds and reloads when it changed. It must then hold still for one interval, so
   * that a file is not read half written. Polled, because file events are lost on network and container mounts. Does not keep the
   * process alive. Returns what stops it.
   */
  watch(intervalMs: number): () => void {
    let stopped = false;
    let timer: NodeJS.Timeout | undefined;
    let moving: string | undefined;
    const look = async (): Promise<void> => {
      const seen = await folderFingerprint(this.#options.folder);
      if (stopped || seen === this.#judged) moving = undefined;
      else if (seen !== moving) moving = seen;
      else {
        moving = undefined;
        await this.reload();
      }
    };
    const plan = (): void => {
      timer = setTimeout(() => void look().finally(() => stopped || plan()), intervalMs);
      timer.unref();
    };
    plan();
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }
}
