/** Alerts of two systems in a ledger, as the radar records them, for those who read them. */
import type { RadarAlertRequest } from '../../src/action/radar.js';
import type { Ledger } from '../../src/ledger/index.js';

const AT = '2026-05-01T12:00:00.000Z';

export function unexplainedWrite(position: string): RadarAlertRequest {
  return {
    kind: 'write',
    position,
    at: AT,
    reason: 'no_effect',
    detail: 'update of 3 rows of public.orders: no action made it.',
    transaction: '771',
    changes: [{ table: 'public.orders', operation: 'update', rows: 3 }],
    writers: [{ user: 'app', application: '<b>' }],
  };
}

const GAP: RadarAlertRequest = {
  kind: 'gap',
  position: 'gap/0/3',
  at: AT,
  reason: 'gap',
  detail: 'Nobody knows what was written: somebody dropped the slot.',
  changes: [],
  writers: [],
};

/** Two of `orders-db`, one of which is a gap, and then three of `refunds-db`. */
export async function recordRadarAlerts({ radar }: Pick<Ledger, 'radar'>): Promise<void> {
  const found = {
    'orders-db': [unexplainedWrite('0/1'), GAP],
    'refunds-db': [
      ...['0/1', '0/2'].map(unexplainedWrite),
      { ...unexplainedWrite('0/3'), effectKey: 'countersign:acme/a' },
    ],
  };
  for (const [source, alerts] of Object.entries(found)) {
    await radar.lease({ source, kind: 'postgres', reader: 'test', leaseMs: 60_000, state: 'watching', watched: ['t'] });
    await radar.record(source, { reader: 'test', term: 1, system: 'test', position: '0/9', memory: {}, alerts });
  }
}
