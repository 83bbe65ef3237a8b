/** Nine scenes. Each shows what an agent wants, what the outcome is, and what the database itself holds afterwards. */
import type { Outcome } from '../../src/action/outcome.js';
import type { PendingAction, ProposalInput } from '../../src/index.js';
import type { Scene } from './play.js';
import type { Stage } from './stage.js';

const routineUpdate: Scene<Stage> = {
  title: 'A routine update',
  actionId: 'a-ship-order-1200',
  story: 'A parcel has left the house, and the clerk, an agent that may read and write, marks its order as shipped.',
  async play({ clerk, tell, ask }, actionId) {
    const proposal: ProposalInput = {
      actionId,
      tool: 'shop-db',
      input: { op: 'update', table: 'orders', set: { status: 'shipped' }, where: { id: 1200 } },
      expect: 'post.orders["1200"].status == "shipped"',
      reasoning: 'the carrier has scanned the parcel',
    };
    tell.wants('The clerk', proposal);
    const outcome = await clerk.perform(proposal);
    tell.says(outcome);
    const status = await ask(`SELECT status FROM orders WHERE id = 1200`);
    return {
      expected: { outcome: 'success', status: 'shipped' },
      seen: { outcome: outcome.status, status },
    };
  },
};

const incident: Scene<Stage> = {
  title: 'The incident',
  actionId: 'b-old-test-records',
  story:
    'The cleaner may delete, believes that it is in a test environment, and deletes "old test records". It is in production, and these ' +
    "are the oldest customers. The operator's config says where a tool acts; what the agent believes is recorded and has no effect.",
  async play({ cleaner, tell, ask, history }, actionId) {
    const proposal: ProposalInput = {
      actionId,
      tool: 'shop-db',
      input: { op: 'delete', table: 'users', where: { joined_on: { lt: '2020-01-01' } } },
      reasoning: 'cleaning up old test records',
      claims: { environment: 'test' },
    };
    const before = await ask('SELECT count(*)::int FROM users');
    tell.wants('The cleaner', proposal);
    const outcome = await cleaner.perform(proposal);
    tell.says(outcome);
    const after = await ask('SELECT count(*)::int FROM users');

    const recorded = await history(actionId);
    const { facts, decision } = ended(outcome);
    const seen = {
      outcome: outcome.status,
      users: after,
      attempts: recorded.attempts,
      who: `${facts?.agent.id} (${facts?.agent.roles.join()})`,
      what: `${facts?.preview.summary} (${facts?.tool.environment})`,
      why: recorded.proposal.reasoning ?? null,
      believing: recorded.proposal.claims?.['environment'] ?? null,
      'denied by': decision?.policies.join() ?? null,
    };
    const { outcome: _outcome, users: _users, attempts: _attempts, ...lines } = seen;
    tell.history(lines);
    return {
      expected: {
        outcome: 'denied',
        users: before,
        attempts: 0,
        who: 'cleaner (admin_user)',
        what: 'delete 60 rows from users (production)',
        why: 'cleaning up old test records',
        believing: 'test',
        'denied by': 'protected-tables',
      },
      seen,
    };
  },
};

const readOnlyAgent: Scene<Stage> = {
  title: 'A read-only agent tries to write',
  actionId: 'c-improve-a-figure',
  story: 'The reporter may only read. Today it tries to improve one of its figures.',
  async play({ reporter, tell, ask }, actionId) {
    const proposal: ProposalInput = {
      actionId,
      tool: 'shop-db',
      input: { op: 'update', table: 'products', set: { stock: 500 }, where: { name: 'Teapot' } },
      reasoning: 'the report would look better with more teapots',
    };
    tell.wants('The reporter', proposal);
    const outcome = await reporter.perform(proposal);
    tell.says(outcome);
    const stock = await ask(`SELECT stock FROM products WHERE name = 'Teapot'`);
    return {
      expected: { outcome: 'denied', code: 'POLICY_DENIED', stock: 40 },
      seen: { outcome: outcome.status, code: ended(outcome).error?.code ?? null, stock },
    };
  },
};

const staleSessions: Scene<Stage> = {
  title: 'A large change waits for a person',
  actionId: 'd-stale-sessions',
  story:
    'Policy lets the cleaner delete sessions, but more than 100 rows in production need a dba. The dba sees what would be ' +
    'deleted, as it is now, and signs exactly that. No agent and no model can make that signature.',
  async play({ cleaner, tell, ask, decide, viewer }, actionId) {
    const proposal: ProposalInput = {
      actionId,
      tool: 'shop-db',
      input: { op: 'delete', table: 'sessions', where: { last_seen: { lt: '2025-05-01' } } },
      reasoning: 'nobody has used these sessions for months',
    };
    tell.wants('The cleaner', proposal);
    const action = waiting(await cleaner.perform(proposal));
    tell.says(action);
    tell.shows(action.pending);
    const verdict = await viewer.decide('You are the dba. What do you decide?');
    await decide(action, verdict, verdict === 'approve' ? 'they are stale, go ahead' : 'not today');
    const outcome = await action.outcome();
    tell.says(outcome);
    const left = await ask('SELECT count(*)::int FROM sessions');
    const signed = outcome.approvals.map(({ approver, verdict }) => `${verdict} by ${approver}`).join();
    const seen = { outcome: outcome.status, left, changes: outcome.delta?.operations ?? 0, signed };
    return verdict === 'approve'
      ? { expected: { outcome: 'success', left: 200, changes: 5000, signed: 'approve by dora' }, seen }
      : { expected: { outcome: 'denied', left: 5200, changes: 0, signed: 'deny by dora' }, seen };
  },
};

const threeTimes: Scene<Stage> = {
  title: 'The same proposal, three times',
  actionId: 'e-order-a-mug',
  story: 'The network is bad, so the clerk sends the same order three times. It is one action, and it has one effect.',
  async play({ clerk, tell, ask }, actionId) {
    const proposal: ProposalInput = {
      actionId,
      tool: 'shop-db',
      input: { op: 'insert', table: 'orders', rows: [{ user_id: 7, product_id: 3, status: 'paid' }] },
      reasoning: 'customer 7 has bought a mug',
    };
    const count = `SELECT count(*)::int FROM orders WHERE user_id = 7 AND product_id = 3 AND status = 'paid'`;
    const before = Number(await ask(count));
    tell.wants('The clerk', proposal);
    tell.note('… and again, and again');
    const replies = await Promise.all([1, 2, 3].map(() => clerk.perform(proposal)));
    for (const reply of replies) tell.says(reply);
    const after = Number(await ask(count));
    const outcome = [...new Set(replies.map(({ status }) => status))].join();
    const receipts = new Set(replies.map((reply) => ended(reply).receipt?.seq)).size;
    return {
      expected: { outcome: 'success', receipts: 1, orders: 1 },
      seen: { outcome, receipts, orders: after - before },
    };
  },
};

const staleApproval: Scene<Stage> = {
  title: 'The data changes while the approval waits',
  actionId: 'f-cancel-unpaid-orders',
  story:
    'The clerk wants to cancel 150 unpaid orders. While the dba looks at them, a customer pays. An approval of what was ' +
    'shown does not cover what is there now.',
  async play({ clerk, shop, tell, ask, decide, until }, actionId) {
    const proposal: ProposalInput = {
      actionId,
      tool: 'shop-db',
      input: { op: 'update', table: 'orders', set: { status: 'cancelled' }, where: { status: 'unpaid' } },
      reasoning: 'unpaid for too long',
    };
    tell.wants('The clerk', proposal);
    const first = waiting(await clerk.perform(proposal));
    tell.says(first);
    tell.shows(first.pending);

    tell.meanwhile('a customer pays for order 1042');
    await shop.change(`UPDATE orders SET status = 'paid' WHERE id = 1042`);
    await decide(first, 'approve', 'cancel these 150');

    // After the approval Countersign prepares the action again, finds another state, and waits for people again.
    const view = await until(
      actionId,
      ({ pending, outcome }) =>
        outcome !== undefined || (pending !== undefined && pending.shownDigest !== first.pending.shownDigest),
    );
    const refusal = view.refusedApprovals.at(-1);
    tell.note(`the approval does not count: ${refusal?.message ?? 'it does'}`);
    const second = waiting(await clerk.perform(proposal));
    tell.says(second);
    tell.shows(second.pending);
    const untouched = await ask(`SELECT count(*)::int FROM orders WHERE status = 'cancelled'`);

    await decide(second, 'deny', 'people are paying, leave these orders alone');
    const outcome = await second.outcome();
    tell.says(outcome);
    const unpaid = await ask(`SELECT count(*)::int FROM orders WHERE status = 'unpaid'`);
    return {
      expected: { approval: 'APPROVAL_STALE', cancelled: 0, outcome: 'denied', unpaid: 149 },
      seen: { approval: refusal?.code ?? 'taken', cancelled: untouched, outcome: outcome.status, unpaid },
    };
  },
};

const quietTrigger: Scene<Stage> = {
  title: 'The tool says OK, and nothing has changed',
  actionId: 'g-new-price',
  story:
    'A forgotten trigger in the database silently restores the old price of the kettle. Postgres reports that the update ' +
    'succeeded for one row. Countersign reads the row again.',
  async play({ clerk, tell, ask }, actionId) {
    const proposal: ProposalInput = {
      actionId,
      tool: 'shop-db',
      input: { op: 'update', table: 'products', set: { price_cents: 4500 }, where: { name: 'Kettle' } },
      reasoning: 'the spring sale',
    };
    tell.wants('The clerk', proposal);
    const outcome = ended(await clerk.perform(proposal));
    const { rowCount } = outcome.result as { readonly rowCount?: number };
    tell.meanwhile(`the tool has reported: OK, ${rowCount} row changed`);
    tell.says(outcome);
    const price = await ask(`SELECT price_cents FROM products WHERE name = 'Kettle'`);
    return {
      expected: { outcome: 'mismatch', 'rows changed, as the tool reports': 1, price: 4900 },
      seen: { outcome: outcome.status, 'rows changed, as the tool reports': rowCount ?? 0, price },
    };
  },
};

const killedWorker: Scene<Stage> = {
  title: 'The worker is killed in the middle',
  actionId: 'h-take-a-teapot',
  story:
    'One teapot is taken out of stock. Right after the database has committed, before the worker reports it, the worker ' +
    'is killed (SIGKILL). Did the effect happen? A naive retry would take a second teapot.',
  async play({ clerk, tell, ask, replaceWorker, history }, actionId) {
    const proposal: ProposalInput = {
      actionId,
      tool: 'shop-db',
      input: { op: 'sql', sql: `UPDATE products SET stock = stock - 1 WHERE name = 'Teapot'` },
      reasoning: 'one teapot goes to the photographer',
    };
    const stock = `SELECT stock FROM products WHERE name = 'Teapot'`;
    const worker = await replaceWorker({ dieAt: 'execute.after-effect' });
    const before = Number(await ask(stock));
    tell.wants('The clerk', proposal);
    const performing = clerk.perform(proposal);
    const death = await Promise.race([worker.ended, performing.then(() => 'it was not killed')]);
    tell.meanwhile(`the worker is gone (${death})`);
    await ask(stock);
    await replaceWorker();
    tell.meanwhile('a new worker has started; Temporal waits some seconds for a heartbeat of the old one');
    const outcome = await performing;
    tell.says(outcome);
    const after = Number(await ask(stock));
    const { attempts } = await history(actionId);
    return {
      expected: { death: 'signal SIGKILL', attempts: 2, outcome: 'success', 'teapots taken': 1 },
      seen: { death, attempts, outcome: outcome.status, 'teapots taken': before - after },
    };
  },
};

const ORDERS_BY_PEOPLE = `@id("orders-by-people")
@reason("a person looks at every change of orders")
@approval("dba, ttl=4h")
forbid (principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("orders") };
`;

const changedRule: Scene<Stage> = {
  title: 'A rule is changed',
  actionId: 'i-ship-order-1201',
  story:
    'Somebody wants a person to look at every change of an order. What would that rule have done to the scenes before? The draft is ' +
    'compared with every recorded decision before anybody signs for it; it is promoted, tried, and rolled back.',
  async play({ clerk, tell, policy }, actionId) {
    const draft = await policy.publish('orders.cedar', ORDERS_BY_PEOPLE, 'a person looks at every change of orders');
    const { summary, changes } = await policy.backtest(draft);
    const asked = changes.filter(({ kind }) => kind === 'newly-asked').map((change) => change.actionId);
    tell.backtest(summary, changes);

    const proposal = (order: number, id: string): ProposalInput => ({
      actionId: id,
      tool: 'shop-db',
      input: { op: 'update', table: 'orders', set: { status: 'shipped' }, where: { id: order } },
      reasoning: 'the carrier has scanned the parcel',
    });
    await policy.promote(draft, summary.report, 'two of our scenes would have been asked about: that is what we want');
    tell.meanwhile('the policy admin has signed for the draft with that evidence, and every worker runs it');
    const first = proposal(1201, actionId);
    tell.wants('The clerk', first);
    const under = waiting(await clerk.perform(first));
    tell.says(under);
    await clerk.cancel(actionId);
    await under.outcome();

    await policy.rollBack(policy.starter, 'the warehouse cannot wait for a dba');
    tell.meanwhile('the warehouse has complained, and the policy admin has rolled it back');
    const second = proposal(1202, `${actionId}-again`);
    tell.wants('The clerk', second);
    const outcome = await clerk.perform(second);
    tell.says(outcome);
    return {
      expected: {
        'decided again': 8,
        'newly asked': ['a-ship-order-1200', 'e-order-a-mug'],
        'newly allowed': 0,
        'under the draft': 'pending: orders-by-people',
        outcome: 'success',
      },
      seen: {
        'decided again': summary.redecided,
        'newly asked': asked,
        'newly allowed': summary.changes['newly-allowed'],
        'under the draft': `${under.status}: ${under.pending.decision.policies.join()}`,
        outcome: outcome.status,
      },
    };
  },
};

export const scenes: readonly Scene<Stage>[] = [
  routineUpdate,
  incident,
  readOnlyAgent,
  staleSessions,
  threeTimes,
  staleApproval,
  quietTrigger,
  killedWorker,
  changedRule,
];

/** The scene needs an action that waits for people. */
function waiting(reply: Outcome | PendingAction): PendingAction {
  if (reply.status === 'pending') return reply;
  throw new Error(`the action should wait for a person, but is ${reply.status}: ${reply.reason}`);
}

/** The scene needs an action that has ended. */
function ended(reply: Outcome | PendingAction): Outcome {
  if (reply.status !== 'pending') return reply;
  throw new Error(`the action should have ended, but waits for a person: ${reply.reason}`);
}
