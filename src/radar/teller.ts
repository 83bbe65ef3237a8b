/** Tells people of the radar's alerts: many in one message, and no more than one in a while. What was not told yet stays so in the ledger. */
import type { Logger } from 'pino';
import { asCountersignError } from '../action/errors.js';
import type { Ledger } from '../ledger/index.js';
import type { Alert } from '../notify/alert.js';
import { alertDeliveryId, alertOfRadar } from '../notify/radar-alert.js';
import type { Notifier } from '../notify/notifier.js';

export interface TellerOptions {
  readonly tool: string;
  readonly environment: string;
  /** Those whose matter it is, for routes that go by roles. */
  readonly roles: readonly string[];
  readonly ledger: Pick<Ledger, 'radarAlerts'>;
  readonly notifier: Notifier | undefined;
  readonly logger: Logger;
}

/** Alerts of one message. */
const MOST = 500;
/** Between two messages, and after one that could not be delivered. Milliseconds. */
const PACE_MS = 60_000;
const AGAIN_MS = 10_000;

export class Teller {
  readonly #options: TellerOptions;
  readonly #stopping = new AbortController();
  #telling: Promise<void> | undefined;
  #notBefore = -Infinity;
  /** Of the message that is being told: which channels have it. */
  #batch: { readonly ids: readonly number[]; readonly done: Set<string> } | undefined;

  constructor(options: TellerOptions) {
    this.#options = options;
  }

  /** Begins to tell what there is to tell, unless that is under way or was done a moment ago. Never rejects, and is not waited for. */
  tell(): void {
    if (this.#telling !== undefined || performance.now() < this.#notBefore) return;
    this.#telling = this.#tell()
      .catch((error: unknown) => {
        this.#options.logger.warn(
          { tool: this.#options.tool, ...asCountersignError(error).toJSON() },
          'people are not told yet',
        );
        this.#notBefore = performance.now() + AGAIN_MS;
      })
      .finally(() => (this.#telling = undefined));
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#telling;
  }

  async #tell(): Promise<void> {
    const { tool, environment, ledger, notifier, roles } = this.#options;
    const untold = await ledger.radarAlerts.untold(tool, MOST);
    if (untold.length === 0) return;
    // Those of a message that is told on some channels already: it stays the same for the others.
    const begun = this.#batch === undefined ? [] : untold.filter(({ id }) => this.#batch?.ids.includes(id));
    const alerts = begun.length > 0 ? begun : untold;
    const ids = alerts.map(({ id }) => id);
    const channels = notifier?.alertChannels({ tool, environment, roles }) ?? [];
    this.#batch = begun.length > 0 ? this.#batch : { ids, done: new Set() };
    const done = this.#batch?.done ?? new Set<string>();
    for (const channel of channels) {
      if (done.has(channel.name)) continue;
      const alert = alertOfRadar(alerts, { tool, environment, gatewayUrl: notifier?.gatewayUrl ?? '' });
      await this.#deliver(channel, alert, alertDeliveryId(tool, this.#batch?.ids ?? ids, channel.name));
      done.add(channel.name);
    }
    await ledger.radarAlerts.told(ids);
    this.#batch = undefined;
    this.#notBefore = channels.length === 0 ? -Infinity : performance.now() + PACE_MS;
  }

  /** @throws CountersignError where another attempt is due */
  async #deliver(
    channel: ReturnType<Notifier['alertChannels']>[number],
    alert: Alert,
    deliveryId: string,
  ): Promise<void> {
    try {
      await channel.alert(alert, { deliveryId, signal: this.#stopping.signal });
    } catch (thrown) {
      const error = asCountersignError(thrown);
      if (error.code !== 'DELIVERY_FAILED' || error.retryable) throw error;
      const { logger, tool } = this.#options;
      logger.error(
        { tool, channel: channel.name, ...error.toJSON() },
        'people are not told of what went past Countersign',
      );
    }
  }
}
