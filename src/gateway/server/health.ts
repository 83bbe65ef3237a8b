/** Health and metrics: whether the process lives, whether it can do its work, and its figures. */
import type { Connection } from '@temporalio/client';
import { Hono } from 'hono';
import { CountersignError } from '../../action/errors.js';
import type { GatewayDependencies } from '../deps.js';
import type { GatewayEnv } from '../auth/identity.js';
import { withTimeout } from '../middleware/with-timeout.js';
import type { Metrics } from './metrics.js';
import { sameSecret } from '../auth/secrets.js';
import { pendingGatewayTables } from '../store/set-up.js';

/** A load balancer asks every few seconds, and must not wait longer. */
const READY_WITHIN_MS = 3000;

export function health(
  { countersign, ledger, database: tables, settings, closing }: GatewayDependencies,
  metrics: Metrics,
): Hono<GatewayEnv> {
  const app = new Hono<GatewayEnv>();

  app.get('/healthz', (c) => {
    c.header('Cache-Control', 'no-store');
    return c.json({ status: 'ok' });
  });

  app.get('/readyz', async (c) => {
    c.header('Cache-Control', 'no-store');
    const [temporal, database] = await Promise.all([
      isUp(async () => {
        await (countersign.temporal.connection as Connection).workflowService.getSystemInfo({});
        return true;
      }),
      isUp(async () => {
        const [{ pending, writable }, own] = await Promise.all([ledger.health(), pendingGatewayTables(tables)]);
        return pending.length === 0 && own.length === 0 && writable;
      }),
    ]);
    const ready = temporal && database && !closing.aborted;
    // Which of them, and no more: addresses and reasons are in the log.
    return c.json({ status: ready ? 'ok' : 'unavailable', temporal, ledger: database }, ready ? 200 : 503);
  });

  app.get('/metrics', async (c) => {
    const { open, token } = settings.metrics;
    if (!open && token === undefined) return c.notFound();
    if (!open && !sameSecret(c.req.header('authorization') ?? '', `Bearer ${token}`)) {
      throw new CountersignError('UNAUTHENTICATED', 'The metrics need their token.', {
        field: 'authorization',
        expected: 'Bearer and what COUNTERSIGN_METRICS_TOKEN holds',
      });
    }
    return c.text(await metrics.text(), 200, { 'Content-Type': metrics.contentType, 'Cache-Control': 'no-store' });
  });

  return app;
}

async function isUp(look: () => Promise<boolean>): Promise<boolean> {
  try {
    return await withTimeout(READY_WITHIN_MS, look(), () => new Error('no answer'));
  } catch {
    return false;
  }
}
