/** What is played on the topology, each scene judged by the database itself. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Outcome, PendingAction, ProposalInput } from '../clients/typescript/src/types.js';
import type { Stage } from './stage.js';

export interface Scene {
  readonly title: string;
  /** What is seen, and what should be. Figures are told and not judged. */
  play(stage: Stage): Promise<{ readonly expected: object; readonly seen: object; readonly figures?: object }>;
}

export interface Played {
  readonly title: string;
  readonly ok: boolean;
  readonly ms: number;
  readonly expected: object;
  readonly seen: object;
  readonly figures?: object;
}

export async function play(scene: Scene, stage: Stage): Promise<Played> {
  const began = performance.now();
  const { expected, seen, figures } = await scene.play(stage).catch((error: unknown) => ({
    expected: { error: 'none' },
    seen: { error: String(error) },
    figures: undefined,
  }));
  const ms = Math.round(performance.now() - began);
  const ok = isDeepStrictEqual(expected, seen);
  return { title: scene.title, ok, ms, expected, seen, ...(figures === undefined ? {} : { figures }) };
}

const ship = (id: number): ProposalInput => ({
  actionId: `ship-${id}`,
  tool: 'shop-db',
  input: { op: 'update', table: 'orders', set: { status: 'shipped' }, where: { id } },
  expect: `post.orders["${id}"].status == "shipped"`,
});

/** Proposes through one gateway after the other until one of them answers: the same action id is the same action. */
async function throughAny(stage: Stage, role: string, proposal: ProposalInput): Promise<Outcome | PendingAction> {
  for (let attempt = 0; ; attempt++) {
    const agent = await stage.agent(role, attempt);
    try {
      return await agent.perform(proposal, { timeoutMs: 20_000 });
    } catch (error) {
      if (attempt >= 20) throw error;
    }
  }
}

const allowedAndDenied: Scene = {
  title: 'agents act through both gateways, and what policy forbids is denied',
  async play(stage) {
    const [clerk, reporter, cleaner] = await Promise.all([
      stage.agent('read_write_user', 0),
      stage.agent('read_only_user', 1),
      stage.agent('admin_user', 1),
    ]);
    const shipped = await clerk.perform(ship(1200));
    const improved = await reporter.perform({
      tool: 'shop-db',
      input: { op: 'update', table: 'products', set: { stock: 500 }, where: { name: 'Teapot' } },
    });
    const incident = await cleaner.perform({
      tool: 'shop-db',
      input: { op: 'delete', table: 'users', where: { joined_on: { lt: '2020-01-01' } } },
      reasoning: 'cleaning up old test records',
    });
    return {
      expected: { outcomes: ['success', 'denied', 'denied'], order: 'shipped', users: 300, teapots: 40 },
      seen: {
        outcomes: [shipped.status, improved.status, incident.status],
        order: await stage.shop.value('SELECT status FROM orders WHERE id = 1200'),
        users: await stage.shop.value('SELECT count(*)::int FROM users'),
        teapots: await stage.shop.value(`SELECT stock FROM products WHERE name = 'Teapot'`),
      },
    };
  },
};

const quietTrigger: Scene = {
  title: 'a write that a trigger undoes is a mismatch, whatever the tool says',
  async play(stage) {
    const clerk = await stage.agent('read_write_user', 1);
    const outcome = await clerk.perform({
      tool: 'shop-db',
      input: { op: 'update', table: 'products', set: { price_cents: 5200 }, where: { name: 'Kettle' } },
      expect: 'post.products["2"].price_cents == 5200',
    });
    const price = await stage.shop.value(`SELECT price_cents FROM products WHERE name = 'Kettle'`);
    return { expected: { status: 'mismatch', price: 4900 }, seen: { status: outcome.status, price } };
  },
};

const sameAction: Scene = {
  title: 'the same action at both gateways at once has one effect',
  async play(stage) {
    const proposal: ProposalInput = {
      actionId: 'order-a-mug',
      tool: 'shop-db',
      input: { op: 'insert', table: 'orders', rows: [{ user_id: 7, product_id: 3, status: 'paid' }] },
    };
    const count = `SELECT count(*)::int FROM orders WHERE user_id = 7 AND product_id = 3 AND status = 'paid'`;
    const before = Number(await stage.shop.value(count));
    const answers = await Promise.all(
      [0, 1, 0, 1].map(async (at) => (await stage.agent('read_write_user', at)).perform(proposal)),
    );
    const made = Number(await stage.shop.value(count)) - before;
    return {
      expected: { statuses: ['success'], orders: 1 },
      seen: { statuses: [...new Set(answers.map(({ status }) => status))], orders: made },
    };
  },
};

const LOAD = 40;

const killed: Scene = {
  title: `a worker and a gateway are killed while ${LOAD} actions run: each has one effect`,
  async play(stage) {
    const began = performance.now();
    await stage.shop.change('CREATE TABLE IF NOT EXISTS parcels (id int PRIMARY KEY, scans int NOT NULL DEFAULT 0)');
    await stage.shop.change(
      `GRANT ALL ON parcels TO shop_worker; INSERT INTO parcels SELECT n FROM generate_series(1, ${LOAD}) n`,
    );
    const scan = (id: number): ProposalInput => ({
      actionId: `scan-${id}`,
      tool: 'shop-db',
      input: { op: 'sql', sql: 'UPDATE parcels SET scans = scans + 1 WHERE id = $1', params: [id] },
    });
    const running = Array.from({ length: LOAD }, (_, at) => throughAny(stage, 'read_write_user', scan(at + 1)));
    await Promise.race(running);
    const [outcomes] = await Promise.all([
      Promise.all(running),
      stage.replaceWorker(0, 'kill'),
      stage.replaceGateway(0, 'kill'),
    ]);
    const ms = Math.round(performance.now() - began);
    return {
      expected: { statuses: ['success'], scans: LOAD, most: 1 },
      seen: {
        statuses: [...new Set(outcomes.map(({ status }) => status))],
        scans: await stage.shop.value('SELECT sum(scans)::int FROM parcels'),
        most: await stage.shop.value('SELECT max(scans) FROM parcels'),
      },
      figures: { actions: LOAD, ms },
    };
  },
};

const staleSessions = (actionId: string, before: string): ProposalInput => ({
  actionId,
  tool: 'shop-db',
  input: { op: 'delete', table: 'sessions', where: { last_seen: { lt: before } } },
});

const rollingRestart: Scene = {
  title: 'every process is replaced while an action waits for a person, who then approves what was shown',
  async play(stage) {
    const actionId = 'stale-sessions';
    const proposal = staleSessions(actionId, '2025-05-01');
    const waiting = await throughAny(stage, 'admin_user', proposal);
    for (const at of [0, 1]) await stage.replaceWorker(at, 'stop');
    for (const at of [0, 1]) await stage.replaceGateway(at, 'stop');
    await stage.approve(actionId);
    const outcome = await throughAny(stage, 'admin_user', proposal);
    return {
      expected: { first: 'pending', after: 'success', left: 200 },
      seen: {
        first: waiting.status,
        after: outcome.status,
        left: await stage.shop.value('SELECT count(*)::int FROM sessions'),
      },
    };
  },
};

const restored: Scene = {
  title: 'the ledger is restored from a backup that was made while it ran, and everything goes on',
  async play(stage) {
    const actionId = `waits-${randomUUID()}`;
    await stage.shop.change(
      `INSERT INTO sessions SELECT 10000 + n, 1, date '2024-01-01' FROM generate_series(1, 500) AS n`,
    );
    const proposal = staleSessions(actionId, '2024-06-01');
    const waiting = await throughAny(stage, 'admin_user', proposal);
    const copy = await stage.backUpLedger();
    await stage.restoreLedger(copy);
    const recorded = await throughAny(stage, 'read_write_user', ship(1200));
    await stage.approve(actionId);
    const outcome = await throughAny(stage, 'admin_user', proposal);
    const { ok, receipts } = await stage.verifyReceipts();
    return {
      expected: { first: 'pending', recorded: 'success', after: 'success', left: 200, receipts: true },
      seen: {
        first: waiting.status,
        recorded: recorded.status,
        after: outcome.status,
        left: await stage.shop.value('SELECT count(*)::int FROM sessions'),
        receipts: ok,
      },
      figures: { receipts },
    };
  },
};

export const SCENES: readonly Scene[] = [allowedAndDenied, quietTrigger, sameAction, killed, rollingRestart, restored];
