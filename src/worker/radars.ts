/** The radars of a worker: one for each tool that is to be watched and whose credentials it has. */
import type { Logger } from 'pino';
import type { Closing } from '../closing.js';
import type { CountersignConfig } from '../config/config.js';
import { asCountersignError } from '../action/errors.js';
import type { Ledger } from '../ledger/index.js';
import type { Notifier } from '../notify/notifier.js';
import { Radar } from '../radar/radar.js';
import type { RadarSource } from '../radar/source.js';
import { Teller } from '../radar/teller.js';
import { Meter } from '../telemetry/meter.js';
import type { Tool } from '../tools/tool.js';

export interface RadarsOptions {
  readonly config: CountersignConfig;
  /** Those whose steps this worker runs. */
  readonly own: readonly Tool[];
  readonly ledger: Ledger;
  readonly notifier: Notifier | undefined;
  /** Whose matter it is: those who act for all tenants. */
  readonly roles: readonly string[];
  readonly logger: Logger;
}

/** How long a system may take to say whether it can be watched. Milliseconds. */
const CHECK_MS = 5_000;

/** @throws CountersignError where a tool must be watched and cannot be */
export async function startRadars(options: RadarsOptions, closing: Closing): Promise<void> {
  const { config, own, ledger, notifier, roles, logger } = options;
  const meter = new Meter();
  for (const { name, kind, environment, radar: source } of own) {
    if (source === undefined) continue;
    if (source.required) await assertWatchable(source);
    const teller = new Teller({ tool: name, environment, roles, ledger, notifier, logger });
    const radar = new Radar({
      name,
      source,
      tools: new Set(
        config.tools.filter((tool) => tool.name === name || mayWriteTo(source, kind, tool)).map((tool) => tool.name),
      ),
      ledger,
      logger,
      found: (alerts) => {
        for (let counted = 0; counted < alerts.length; counted++)
          meter.count('countersign.unexplained.writes', { source: name });
      },
      tell: () => teller.tell(),
    });
    closing.add(() => teller.close());
    closing.add(() => radar.close());
    radar.start();
  }
}

/** Whether effects of the tool may be in that system. */
function mayWriteTo({ url }: RadarSource, kind: string, tool: Tool): boolean {
  return tool.kind === kind && (url === undefined || tool.elsewhere?.isOwn(url) === true);
}

/** A system that does not answer may be back later, and is watched then. */
async function assertWatchable(source: RadarSource): Promise<void> {
  try {
    await source.stands(AbortSignal.timeout(CHECK_MS));
  } catch (thrown) {
    const error = asCountersignError(thrown);
    if (!error.retryable) throw error;
  }
}
