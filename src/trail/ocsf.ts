/** Entries as events of the Open Cybersecurity Schema Framework (https://schema.ocsf.io, 1.5.0), for a SIEM: class 6003, API Activity. */
import type { JsonObject } from '../action/json.js';
import type { ReceiptClaims } from '../action/receipt.js';
import type { OutcomeStatus } from '../action/outcome.js';
import { readEntry, type EntryBody } from './entry.js';
import type { TrailLine } from './format.js';
import { receiptIn } from './statements.js';

const CLASS = 6003;

/** OCSF's activities of the class. */
const ACTIVITY = { READ: 2, WRITE: 3, DELETE: 4, CALL_API: 99, other: 99 } as const;

/** OCSF's severities: informational, low, medium, high. */
const SEVERITY: Readonly<Record<OutcomeStatus, number>> = {
  success: 1,
  denied: 2,
  expired: 2,
  cancelled: 2,
  failed: 3,
  mismatch: 4,
  unknown: 4,
};

/** Lines that are no entries are passed over. @param version of Countersign */
export async function* ocsfEvents(lines: AsyncIterable<TrailLine>, version: string): AsyncGenerator<JsonObject> {
  for await (const line of lines) {
    const body = line.type === 'entry' ? readEntry(line.entry) : undefined;
    if (line.type === 'entry' && body !== undefined)
      yield eventOf(line.hash, body, receiptIn(body, line.evidence), version);
  }
}

function eventOf(hash: string, body: EntryBody, claims: ReceiptClaims | undefined, version: string): JsonObject {
  const activity = ACTIVITY[claims?.actionType ?? 'other'];
  return {
    activity_id: activity,
    category_uid: 6,
    class_uid: CLASS,
    type_uid: CLASS * 100 + activity,
    time: Date.parse(body.at),
    severity_id: claims === undefined ? severityOf(body) : SEVERITY[claims.status],
    // OCSF: 1 is success, 2 is failure, 99 is another.
    status_id: claims === undefined ? 99 : claims.status === 'success' ? 1 : 2,
    status: claims?.status ?? body.kind,
    ...(claims === undefined ? {} : { message: claims.reason }),
    ...(claims?.code === undefined ? {} : { status_code: claims.code }),
    actor:
      claims?.agent === undefined
        ? { app_name: 'countersign' }
        : { app_name: 'countersign', user: { uid: claims.agent } },
    api: {
      operation: claims?.tool ?? body.kind,
      service: { name: claims?.environment === undefined ? 'countersign' : `countersign (${claims.environment})` },
      request: { uid: body.subject },
    },
    src_endpoint: { name: 'countersign' },
    metadata: {
      version: '1.5.0',
      product: { name: 'Countersign', vendor_name: 'Countersign', version },
      uid: hash,
      sequence: body.seq,
      tenant_uid: body.tenant,
    },
    unmapped: { ...body, ...(claims === undefined ? {} : { receipt: claims as unknown as JsonObject }) } as JsonObject,
  };
}

/** What went past every action is what a SIEM is there for. */
function severityOf({ kind }: EntryBody): number {
  return kind === 'radar_alert' ? 4 : 1;
}
