/** A person's signed word that they have looked into what the radar found. */
import type { Digest } from '../src/action/json.js';
import type { RadarAlert } from '../src/action/radar.js';
import type { SignedCommand } from '../src/trust/index.js';
import { appendCommandReceipt } from './command-receipt.js';
import type { CommandResult } from './contract.js';
import type { Dependencies } from './deps.js';

type AcknowledgeAlerts = Extract<SignedCommand, { kind: 'acknowledge_alerts' }>;

/**
 * Notes it in one statement for all of them. Those that somebody acknowledged before stay as they are.
 *
 * @throws CountersignError NOT_FOUND where one of them does not exist, and nothing is noted
 */
export async function acknowledgeAlerts(command: AcknowledgeAlerts, deps: Dependencies): Promise<CommandResult> {
  const { tenant, by, subject, reason: note, digest } = command;
  const ids = subject.split(',').map(Number);
  const alerts = await deps.ledger.radarAlerts.acknowledge(ids, { tenant, by, note, command: digest });
  const summary = `${by} has looked into ${alerts.map(alertText(digest)).join(', ')}: ${note}`;
  return { kind: 'acknowledge_alerts', alerts, receipt: await appendCommandReceipt(command, summary, deps) };
}

/** `17`, or `18 (as ann before)`. */
function alertText(digest: Digest): (alert: RadarAlert) => string {
  return ({ id, acknowledged }) =>
    acknowledged === undefined || acknowledged.command === digest ? `${id}` : `${id} (as ${acknowledged.by} before)`;
}
