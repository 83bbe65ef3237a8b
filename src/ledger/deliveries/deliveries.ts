/** How people were told of what waits for them: the proof that a notification arrived, or that it did not. */
import { sql } from 'kysely';
import { CountersignError } from '../../action/errors.js';
import type { Delivery, DeliveryKind, DeliveryRequest } from '../../action/delivery.js';
import type { Database } from '../database/database.js';
import { plain } from '../database/text.js';

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). */
export class Deliveries {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /**
   * Records an attempt. What was delivered stays so, whatever is recorded later; of failures the latest stands. Idempotent.
   *
   * @throws CountersignError LEDGER_UNAVAILABLE (retryable), INTERNAL when the id is that of a delivery about something else
   */
  async record(request: DeliveryRequest): Promise<Delivery> {
    const { tenant, deliveryId, actionId, kind, channel, attempts, status } = request;
    const deliveries = this.#database.table('deliveries');
    await this.#database.rows({
      name: 'record_delivery',
      query: sql`
        insert into ${deliveries} as d (tenant, delivery_id, action_id, kind, channel, attempts, status, detail, at)
        values (
          ${tenant}, ${deliveryId}, ${actionId}, ${kind}, ${plain(channel)}, ${attempts}, ${status}, ${plain(request.detail, 2000)},
          clock_timestamp()
        )
        on conflict (tenant, delivery_id) do update set
          attempts = excluded.attempts, status = excluded.status, detail = excluded.detail, at = excluded.at
        where d.status = 'failed' and (excluded.status = 'delivered' or excluded.attempts >= d.attempts)
          and row(d.action_id, d.kind, d.channel) = row(excluded.action_id, excluded.kind, excluded.channel)`,
    });
    const [row] = await this.#database.rows<DeliveryRow>({
      name: 'find_delivery',
      query: sql<DeliveryRow>`
        select * from ${deliveries}
        where tenant = ${tenant} and delivery_id = ${deliveryId} and action_id = ${actionId} and kind = ${kind}
          and channel = ${plain(channel)}`,
    });
    if (row === undefined) throw new CountersignError('INTERNAL', 'The id of a delivery was used for another one.');
    return toDelivery(row);
  }

  /** Of one action, oldest first. @throws CountersignError LEDGER_UNAVAILABLE (retryable) */
  async list(tenant: string, actionId: string): Promise<readonly Delivery[]> {
    const rows = await this.#database.rows<DeliveryRow>({
      name: 'list_deliveries',
      query: sql<DeliveryRow>`
        select * from ${this.#database.table('deliveries')}
        where tenant = ${tenant} and action_id = ${actionId}
        order by at, delivery_id`,
    });
    return rows.map(toDelivery);
  }
}

interface DeliveryRow {
  readonly tenant: string;
  readonly delivery_id: string;
  readonly action_id: string;
  readonly kind: DeliveryKind;
  readonly channel: string;
  readonly attempts: number;
  readonly status: 'delivered' | 'failed';
  readonly detail: string;
  readonly at: Date;
}

function toDelivery(row: DeliveryRow): Delivery {
  return {
    deliveryId: row.delivery_id,
    tenant: row.tenant,
    actionId: row.action_id,
    kind: row.kind,
    channel: row.channel,
    attempts: row.attempts,
    status: row.status,
    detail: row.detail,
    at: row.at.toISOString(),
  };
}
