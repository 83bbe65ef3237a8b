/** Compares the outcome that the agent expected with the actual one by meaning: by the similarity of their embeddings. */
import { createHash } from 'node:crypto';
import { asCountersignError, CountersignError } from '../action/errors.js';
import type { Check } from '../action/outcome.js';
import type { Delta } from '../action/snapshot.js';
import { describeOutcome } from './outcome-description.js';

/** How what the agent says it expects is compared with what happened, by meaning. */
export interface SemanticOptions {
  /**
   * An embedding model of any AI SDK provider: `createOpenAICompatible({…}).embeddingModel('…')`. It is sent the agent's
   * `expectedOutcome` and a description of the delta. The name of a model is refused, because the SDK would send it to a
   * gateway that nobody configured here.
   */
  readonly model: object;
  /** The least similarity that counts as a match, more than 0 and at most 1. Default 0.85. */
  readonly threshold?: number;
  /**
   * `advise` (default): the check is recorded and never fails. `require`: an outcome that does not match, or that cannot be compared,
   * is a mismatch.
   */
  readonly mode?: 'advise' | 'require';
  /** The longest time to wait for the model, once for each action. Milliseconds, from 100 to 10 000, default 5000. */
  readonly timeoutMs?: number;
}

/** The part of the AI SDK that this module uses. */
interface Sdk {
  embed(call: {
    model: never;
    value: string;
    maxRetries: number;
    abortSignal: AbortSignal;
  }): Promise<{ readonly embedding: readonly number[] }>;
  cosineSimilarity(one: number[], other: number[]): number;
}

type Compared = { readonly similarity: number } | { readonly problem: string };

/** How many comparisons are cached, so that an outcome that is verified again is not compared again. */
const MAX_CACHED = 256;

export interface SemanticQuestion {
  /** Digest of the proposal. A comparison is cached only for this proposal. */
  readonly about: string;
  /** The `expectedOutcome` of the proposal. */
  readonly expectedOutcome: string;
  readonly delta: Delta;
  readonly checks: readonly Check[];
}

export class SemanticMatcher {
  readonly #sdk: Sdk;
  readonly #model: object;
  readonly #threshold: number;
  readonly #required: boolean;
  readonly #timeoutMs: number;
  readonly #cache = new Map<string, Promise<Compared>>();

  private constructor(sdk: Sdk, { model, threshold = 0.85, mode, timeoutMs = 5000 }: SemanticOptions) {
    this.#sdk = sdk;
    this.#model = model;
    this.#threshold = threshold;
    this.#required = mode === 'require';
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Loads the AI SDK (the package `ai`), which nothing else here needs.
   *
   * @throws CountersignError CONFIG_INVALID
   */
  static async load(options: SemanticOptions): Promise<SemanticMatcher> {
    checkOptions(options);
    try {
      return new SemanticMatcher(await import('ai'), options);
    } catch (error) {
      throw new CountersignError(
        'CONFIG_INVALID',
        `The AI SDK cannot be loaded: ${asCountersignError(error).message}`,
        {
          field: 'semantic',
          expected: 'the package ai, beside the provider of the model',
          fix: 'Run `npm install ai`, or remove `semantic` from the config.',
          cause: error,
        },
      );
    }
  }

  /**
   * Makes the check `semantic` of an effect whose other checks all hold. Never rejects. It calls the model once for each proposal and
   * outcome, even when the call fails.
   */
  async check({ about, expectedOutcome, delta, checks }: SemanticQuestion): Promise<Check> {
    const compared = await this.#compared(about, expectedOutcome, describeOutcome(delta, checks));
    if ('problem' in compared) {
      return {
        name: 'semantic',
        ok: !this.#required,
        detail: `It could not be compared: ${compared.problem}${this.#weight}`,
      };
    }
    const { similarity } = compared;
    const matches = similarity >= this.#threshold;
    const detail = `Similarity ${similarity.toFixed(3)}, ${matches ? 'at least' : 'under'} ${this.#threshold}${this.#weight}`;
    return { name: 'semantic', ok: matches || !this.#required, detail };
  }

  get #weight(): string {
    return this.#required ? '.' : ' (advice only).';
  }

  #compared(about: string, expected: string, described: string): Promise<Compared> {
    const key = createHash('sha256')
      .update(JSON.stringify([about, expected, described]))
      .digest('base64');
    let compared = this.#cache.get(key);
    if (compared === undefined) {
      compared = this.#compare(expected, described);
      this.#cache.set(key, compared);
      const [oldest] = this.#cache.keys();
      if (this.#cache.size > MAX_CACHED && oldest !== undefined) this.#cache.delete(oldest);
    }
    return compared;
  }

  async #compare(expected: string, described: string): Promise<Compared> {
    const abort = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    // A model from another package may ignore the signal.
    const late = new Promise<Compared>((resolve) => {
      timer = setTimeout(() => {
        resolve({ problem: `no answer within ${this.#timeoutMs} ms` });
        abort.abort();
      }, this.#timeoutMs);
    });
    try {
      return await Promise.race([this.#similarity(expected, described, abort.signal), late]);
    } catch (error) {
      return { problem: `the model failed (${kindOf(error)})` };
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }

  async #similarity(expected: string, described: string, abortSignal: AbortSignal): Promise<Compared> {
    const embedded = async (value: string): Promise<number[]> => {
      const { embedding } = await this.#sdk.embed({ model: this.#model as never, value, maxRetries: 0, abortSignal });
      return [...embedding];
    };
    const [one, other] = await Promise.all([embedded(expected), embedded(described)]);
    const similarity = this.#sdk.cosineSimilarity(one, other);
    return Number.isFinite(similarity) ? { similarity } : { problem: 'the embeddings are not vectors of numbers' };
  }
}

/** The kind of an error. Its message is not used, because it may quote what was sent, or a key. */
function kindOf(error: unknown): string {
  const { name, statusCode } = error as { readonly name?: unknown; readonly statusCode?: unknown };
  if (typeof statusCode === 'number') return `HTTP ${statusCode}`;
  return typeof name === 'string' ? name.slice(0, 60) : 'an error';
}

function checkOptions({ model, threshold, mode, timeoutMs }: Partial<SemanticOptions>): void {
  const invalid = (field: string, expected: string): CountersignError =>
    new CountersignError('CONFIG_INVALID', `semantic.${field} must be ${expected}.`, {
      field: `semantic.${field}`,
      expected,
      fix: `Correct semantic.${field}.`,
    });
  const isModel = typeof model === 'object' && model !== null && typeof Reflect.get(model, 'doEmbed') === 'function';
  if (!isModel) throw invalid('model', 'an embedding model of an AI SDK provider');
  if (threshold !== undefined && !(threshold > 0 && threshold <= 1)) throw invalid('threshold', 'over 0, up to 1');
  if (mode !== undefined && mode !== 'advise' && mode !== 'require') throw invalid('mode', '"advise" or "require"');
  if (timeoutMs !== undefined && !(Number.isInteger(timeoutMs) && timeoutMs >= 100 && timeoutMs <= 10_000)) {
    throw invalid('timeoutMs', 'a whole number of milliseconds from 100 to 10000');
  }
}
