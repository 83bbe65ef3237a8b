/** The policy that is active on a worker, and its replacement without a restart. An unusable folder changes nothing. */
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { Digest } from '../action/json.js';
import type { PolicyBundle } from './bundle.js';
import { compilePolicy, type Policy } from './compile.js';
import { folderFingerprint, readFolder } from './folder.js';

/** The part of pino's logger that this module uses. */
export interface PolicyLogger {
  /** Hears of each policy that is taken up. */
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Hears why one was not taken up. The policy before it stays active. */
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Which folder the policy is in, and where it is kept before it is used. */
export interface ActivePolicyOptions {
  readonly folder: string;
  readonly logger: PolicyLogger;
  /** Stores the bundle under its digest before it is used: a decision must never name a policy that nobody has. */
  readonly store?: (bundle: PolicyBundle) => Promise<void>;
}

/** How a reload ended. When the folder was refused, the previous policy stays active. */
export type Reload =
  | { readonly ok: true; readonly changed: boolean; readonly digest: Digest }
  | { readonly ok: false; readonly error: CountersignError };

/** Which policy of a folder is active, and whether it is what the folder holds. */
export interface PolicyStatus {
  readonly folder: string;
  /** Digest of the active policy. */
  readonly digest?: Digest;
  /** Why the current content of the folder is not active. */
  readonly lastError?: CountersignError;
}

/** The active policy, where there is one. */
export function activePolicy(source: { current(): Policy }): Policy | undefined {
  try {
    return source.current();
  } catch {
    return undefined;
  }
}

/** The policy of a folder, taken up again when the folder changes. A folder that cannot be used changes nothing. */
export class ActivePolicy {
  readonly #options: ActivePolicyOptions;
  #policy: Policy | undefined;
  #lastError: CountersignError | undefined;
  /** Fingerprint of the folder when it was last checked; undefined when the same folder may be accepted next time. */
  #checked: string | undefined;
  /** The reload that was requested and has not begun. */
  #waiting: Promise<Reload> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ActivePolicyOptions) {
    this.#options = options;
  }

  /** The active policy. @throws CountersignError POLICY_UNAVAILABLE before the first successful load */
  current(): Policy {
    if (this.#policy !== undefined) return this.#policy;
    throw new CountersignError('POLICY_UNAVAILABLE', `No policy is active: ${this.#options.folder} was not loaded.`, {
      field: this.#options.folder,
      fix: this.#lastError?.message ?? 'Load the policy folder first.',
      retryable: true,
      ...(this.#lastError === undefined ? {} : { cause: this.#lastError }),
    });
  }

  /** What is active now, and why not what the folder holds. */
  status(): PolicyStatus {
    return {
      folder: this.#options.folder,
      ...(this.#policy === undefined ? {} : { digest: this.#policy.digest }),
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
    };
  }

  /**
   * Reads the folder and, if it is valid, activates it. Never rejects; success and failure are both logged.
   * Calls during a reload share the reload that follows it, because the running one may have read the folder before their change.
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
      this.#checked = undefined;
      const read = await readFolder(folder);
      this.#checked = read.fingerprint;
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
      // The same files stay invalid, so they need no second check. (The fingerprint of a folder that cannot be listed is its error.) Any
      // other problem, such as an unavailable ledger, may pass.
      if (error.code === 'POLICY_INVALID' && !error.retryable) this.#checked ??= String(error);
      else this.#checked = undefined;
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
   * Checks the folder every `intervalMs` milliseconds and reloads it after a change, once it has not changed for one interval, so that a
   * file is not read half written. It polls, because file events are lost on network and container mounts. It does not keep the process
   * alive. Returns the function that stops it.
   */
  watch(intervalMs: number): () => void {
    let stopped = false;
    let timer: NodeJS.Timeout | undefined;
    let changing: string | undefined;
    const look = async (): Promise<void> => {
      const fingerprint = await folderFingerprint(this.#options.folder);
      if (stopped || fingerprint === this.#checked) changing = undefined;
      else if (fingerprint !== changing) changing = fingerprint;
      else {
        changing = undefined;
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
