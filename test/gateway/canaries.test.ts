/** Canaries: nobody can tell one from an action before deciding, nothing can come of one, and everybody is told afterwards. */
import { randomUUID } from 'node:crypto';
import { WorkflowIdReusePolicy } from '@temporalio/common';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canaryOversightOf } from '../../src/action/canary-figures.js';
import { canaryPreDigest } from '../../src/action/canary.js';
import type { CanaryTemplate } from '../../src/action/canary.js';
import type { PendingView } from '../../src/action/outcome.js';
import { parseProposal, proposalDigest, signedProposalDigest } from '../../src/action/proposal.js';
import type { Countersign } from '../../src/client/countersign.js';
import { webhook } from '../../src/notify/index.js';
import { issueAgent, signApproval, signCommand, signProposal, type Credential } from '../../src/trust/index.js';
import { openReceiver, type HttpReceiver } from '../notify/support.js';
import { startTestGateway, type Answer, type Sender, type TestGateway } from '../support/gateway.js';
import { shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

const INPUT = { op: 'delete', table: 'sessions', where: { note: 'stale' } };
const RULE = 'production-large-change';
const AGENT = { id: 'agent-1', roles: ['admin_user'] };
const TEMPLATE: CanaryTemplate = {
  tool: 'shop-db',
  input: INPUT,
  agent: AGENT,
  rule: RULE,
  reasoning: 'They are old.',
};
const WHY = 'nothing says that stale sessions may go';

let stack: Stack;
let gateway: TestGateway;
let receiver: HttpReceiver;
let bot: Sender;
let dana: Sender;
let client: Countersign;
let olga: Credential;

beforeAll(async () => {
  receiver = await openReceiver();
  process.env['CANARY_WEBHOOK_SECRET'] = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  stack = await startStack({ schema: 'CREATE TABLE sessions (id int PRIMARY KEY, note text NOT NULL)', worker: false });
  await stack.shop.query("INSERT INTO sessions SELECT n, 'stale' FROM generate_series(1, 150) n");
  const secrets = ['env:CANARY_WEBHOOK_SECRET'] as const;
  const hook = webhook({ name: 'duty', url: receiver.url, secrets, allow: { loopback: true } });
  await stack.startWorker({
    config: {
      policies: stack.policies,
      tools: [shopTool(stack.shopUrl)],
      notifications: { gatewayUrl: 'http://localhost:1', channels: [hook] },
      oversight: {
        canaries: {
          templates: { purge: { ...TEMPLATE, reason: WHY } },
          perWeek: 1,
          tenants: [TENANT],
          mostPerWeek: 8,
          mostPerPersonPerDay: 20,
          hours: { from: 0, to: 24, days: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] },
        },
      },
    },
  });
  gateway = await startTestGateway(stack);
  bot = await gateway.agent();
  dana = await gateway.person();
  client = await stack.agent();
  olga = await stack.approver('olga', ['operator', 'dba']);
});
afterAll(async () => {
  await gateway?.stop();
  await stack?.stop();
  await receiver?.stop();
});

async function send(canary: Partial<CanaryTemplate> = {}, by = olga, tenant = TENANT): Promise<string> {
  const subject = randomUUID();
  const content = { ...TEMPLATE, ...canary };
  const command = await signCommand(by, { kind: 'send_canary', tenant, subject, canary: content, reason: WHY });
  const done = await client.submitCommand(command);
  expect(done).toMatchObject({ kind: 'send_canary', canary: { actionId: subject, sentBy: 'olga' } });
  return subject;
}

/** A real one of the same. */
async function proposed(): Promise<string> {
  const actionId = randomUUID();
  const answer = await bot.post('/v1/actions?wait=30', { ...proposalOf(actionId) });
  expect(answer.body['status']).toBe('pending');
  return actionId;
}

const proposalOf = (actionId: string) => ({ actionId, tool: 'shop-db', input: INPUT, reasoning: 'They are old.' });

async function pendingOf(actionId: string): Promise<PendingView> {
  return (await dana.get(`/v1/actions/${actionId}`)).body['pending'] as PendingView;
}

async function decide(actionId: string, verdict: string, by = dana): Promise<Answer> {
  const { shownDigest } = await pendingOf(actionId);
  return by.post(`/v1/actions/${actionId}/decision`, { shownDigest, verdict, reason: 'as it seems to me' });
}

async function rows(): Promise<number> {
  const { rows: counted } = await stack.shop.query<{ n: number }>('SELECT count(*)::int AS n FROM sessions');
  return counted[0]?.n ?? -1;
}

/** With ids, digests and times by their form alone: what is left is what tells one from another. */
function form(text: string, actionId: string): string {
  return text
    .replaceAll(actionId, '<id>')
    .replaceAll(/sha256:[0-9a-f]{64}/g, '<digest>')
    .replaceAll(/>[0-9a-f]{12}<\/code>/g, '><short></code>')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replaceAll(/ntc_[0-9a-f]{48}/g, '<delivery>');
}

const listed = async (by: Sender, path: string, key: string): Promise<Readonly<Record<string, unknown>>[]> =>
  (await by.get(path)).body[key] as Readonly<Record<string, unknown>>[];

describe('while it waits', () => {
  let canary: string;
  let real: string;

  beforeAll(async () => {
    canary = await send();
    real = await proposed();
  });
  afterAll(async () => {
    await dana.post(`/v1/actions/${canary}/cancel`);
    await dana.post(`/v1/actions/${real}/cancel`);
  });

  test.each([
    ['the list of approval requests', '/v1/approvals', 'approvalRequests'],
    ['the list of actions', '/v1/actions?status=pending', 'actions'],
    ['a search', '/v1/actions?text=delete&tool=shop-db', 'actions'],
  ])('%s shows it as any other', async (_, path, key) => {
    const found = await listed(dana, path, key);
    const of = (id: string): string => form(JSON.stringify(found.find(({ actionId }) => actionId === id)), id);
    expect(of(canary)).toBe(of(real));
    expect(of(canary)).toContain('<time>');
  });

  test.each(['/v1/actions/<id>', '/v1/actions/<id>/outcome', '/actions/<id>'])(
    '%s shows it as any other',
    async (path) => {
      const of = async (id: string): Promise<string> => {
        await until(
          async () => stack.ledger.deliveries.list(TENANT, id),
          (deliveries) => deliveries.some(({ status }) => status === 'delivered'),
        );
        return form((await dana.get(path.replace('<id>', id))).text, id);
      };
      const seen = await of(canary);
      expect(seen).toBe(await of(real));
      expect(seen).toContain('150 rows');
    },
  );

  test('people are notified of both in the same words', async () => {
    const notified = await until(
      () => Promise.resolve(receiver.seen.filter(({ body }) => body.includes(canary) || body.includes(real))),
      (seen) => seen.length === 2,
    );
    const [first, second] = notified.map(({ body }) => form(form(body, canary), real));
    expect(first).toBe(second);
  });

  test('no agent sees it: in no list, by no id, in no count; nor does the one in whose name it is', async () => {
    const ids = (await listed(bot, '/v1/actions', 'actions')).map(({ actionId }) => actionId);
    expect(ids).toContain(real);
    expect(ids).not.toContain(canary);
    for (const path of ['', '/outcome', '/events']) {
      expect((await bot.get(`/v1/actions/${canary}${path}`)).status).toBe(404);
      expect((await bot.get(`/v1/actions/${real}${path === '/events' ? '' : path}`)).status).toBeLessThan(300);
    }
    expect((await bot.post(`/v1/actions/${canary}/cancel`)).status).toBe(404);
  });

  test('no figure tells that it waits, not even to an operator who decides', async () => {
    const answer = await dana.get('/v1/oversight');
    expect(answer.body).toMatchObject({
      whose: 'everybody',
      canaries: { total: { shown: 0 }, approvers: [], roles: [], rules: [] },
    });
    const page = await dana.get('/oversight');
    expect(page.text).toContain('None was over in this period.');
    for (const text of [answer.text, page.text]) expect(text).not.toContain(canary);
  });

  test('another tenant sees nothing of it', async () => {
    const gil = await gateway.person({ id: 'gil', tenant: 'globex', roles: ['dba'] });
    expect((await gil.get(`/v1/actions/${canary}`)).status).toBe(404);
    expect(await listed(gil, '/v1/approvals', 'approvalRequests')).toEqual([]);
    expect(await listed(gil, '/v1/actions', 'actions')).toEqual([]);
  });

  test('whoever proposes under its id proposes something else', async () => {
    await expect(client.perform(proposalOf(canary))).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
  });
});

describe('when somebody has decided', () => {
  test('a no is thanked for at once, and is in no figure but those of canaries', async () => {
    const canary = await send();
    const answer = await decide(canary, 'deny');
    expect(answer.body).toMatchObject({ state: 'denied', canary: expect.stringContaining('Thank you') as string });
    expect(String(answer.body['canary'])).toContain(WHY);

    const page = await dana.get(`/actions/${canary}`);
    expect(page.text).toContain('This was a canary');
    expect(page.text).not.toContain('Confirm');
    expect((await dana.get(`/v1/actions/${canary}`)).body).toMatchObject({ outcome: { canary: { verdict: 'deny' } } });
    expect((await bot.get(`/v1/actions/${canary}`)).status).toBe(404);
    expect(await decide(canary, 'approve').catch(() => ({ status: 409 }))).toMatchObject({ status: 409 });

    const from = new Date(Date.now() - 3_600_000);
    const { decisions } = await stack.ledger.archive.overseenDecisions(TENANT, from);
    expect(decisions).toEqual([]);
    const { canaries } = await stack.ledger.canaries.since(TENANT, from);
    const figures = canaryOversightOf(canaries, new Date());
    expect(figures.approvers).toMatchObject([{ name: 'dana', shown: 1, refused: 1, approved: 0 }]);
    expect(figures.rules).toMatchObject([{ name: RULE, refused: 1 }]);
    expect(figures.roles).toMatchObject([{ name: 'dba', refused: 1 }]);
    expect(figures.total.medianSeconds).toBeGreaterThan(0);
    expect((await dana.get('/v1/oversight')).body).toMatchObject({ canaries: figures, total: { decisions: 0 } });
  });

  test('it is in the audit trail, with evidence, and in no receipt of an outcome', async () => {
    const kinds: string[] = [];
    const evidences: (string | null)[] = [];
    for await (const { entry, evidence } of stack.ledger.trail.evidenced(TENANT, { upTo: 10_000 })) {
      const { kind } = JSON.parse(entry) as { kind: string };
      kinds.push(kind);
      if (kind.startsWith('canary')) evidences.push(evidence);
    }
    expect(evidences).toHaveLength(4);
    expect(evidences.every((evidence) => evidence?.includes(WHY))).toBe(true);
    expect(kinds).toContain('canary_sent');
    expect(kinds).toContain('canary_ended');
    const receipts = await stack.receipts();
    expect(receipts.map(({ tool }) => tool)).toContain('countersign.send_canary');
    const { canaries: sent } = await stack.ledger.canaries.since(TENANT, new Date(0));
    expect(sent).toHaveLength(2);
    expect(receipts.filter(({ actionId }) => sent.some((one) => one.actionId === actionId))).toEqual([]);
  });

  test('people whom it was told to are told what it was, and not who decided', async () => {
    const ends = await until(
      () => Promise.resolve(receiver.seen.map(({ body }) => body).filter((body) => body.includes('action.ended'))),
      (seen) => seen.some((body) => body.includes('"canary":true')),
    );
    expect(ends.find((body) => body.includes('"canary":true'))).toContain('"decisions":[]');
  });
});

describe('nothing can come of it', () => {
  test('when it is approved, when its approval is handed in elsewhere, and when an action is made under its id', async () => {
    const canary = await send();
    const { shown, shownDigest } = await pendingOf(canary);
    const ann = await stack.approver('ann', ['dba']);
    const token = await signApproval(ann, { tenant: TENANT, actionId: canary, shownDigest, verdict: 'approve' });
    expect(await client.decide(canary, token)).toMatchObject({
      state: 'approved',
      canary: expect.any(String) as string,
    });
    expect((await client.outcome(canary)).canary).toMatchObject({ ending: 'decided', verdict: 'approve' });
    expect(await rows()).toBe(150);

    // What was signed names a canary for good.
    const kept = await stack.database.ask((kysely) =>
      sql<{ nonce: string }>`select nonce from countersign.canaries where action_id = ${canary}`.execute(kysely),
    );
    const nonce = kept.rows[0]?.nonce ?? '';
    expect(shown.preDigest).toBe(canaryPreDigest({ tenant: TENANT, actionId: canary }, nonce));

    const real = await proposed();
    await expect(client.decide(real, token)).rejects.toMatchObject({ code: 'APPROVAL_INVALID' });

    // Whoever has Temporal and an agent's key makes the very action that the canary seemed to be.
    const key = await issueAgent(stack.keyring, {
      id: 'agent-1',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
    });
    const proposal = parseProposal(proposalOf(canary));
    const forged = await client.temporal.workflow.start('trustedAction', {
      workflowId: `${TENANT}/${canary}`,
      taskQueue: stack.temporal.taskQueue,
      workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      args: [
        {
          proposal,
          digest: proposalDigest(proposal),
          signature: await signProposal(key, signedProposalDigest(proposal)),
        },
      ],
    });
    expect(await forged.result()).toMatchObject({
      status: 'denied',
      error: { code: 'ACTION_CONFLICT' },
      approvals: [],
    });
    const byHand = stack.database.ask((kysely) =>
      sql`insert into countersign.grants (jti, tenant, action_id, agent, tool, expires_at)
        values ('forged', ${TENANT}, ${canary}, 'agent-1', 'shop-db', now() + interval '1 hour')`.execute(kysely),
    );
    await expect(byHand).rejects.toMatchObject({ code: 'ACTION_CONFLICT' });
    expect(await rows()).toBe(150);
  });
});

describe('whoever sends one', () => {
  test('cannot decide it', async () => {
    const canary = await send();
    const olgasBrowser = await gateway.person({ id: 'Olga', roles: ['dba'] });
    const answer = await decide(canary, 'deny', olgasBrowser);
    expect(answer.body).toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    expect((await dana.get(`/v1/actions/${canary}`)).body['status']).toBe('pending');
    expect((await dana.post(`/v1/actions/${canary}/cancel`)).status).toBe(202);
    expect(await client.outcome(canary)).toMatchObject({ canary: { ending: 'withdrawn' } });
  });

  test('needs the role, and something that people would be asked about', async () => {
    const ian = await stack.approver('ian', ['dba']);
    await expect(send({}, ian)).rejects.toMatchObject({ code: 'ROLE_REQUIRED' });
    const insert = { op: 'insert', table: 'sessions', rows: [{ id: 900, note: 'new' }] };
    await expect(send({ input: insert })).rejects.toMatchObject({ code: 'CANARY_INVALID' });
    await expect(send({ rule: 'another-rule' })).rejects.toMatchObject({
      code: 'CANARY_INVALID',
      message: expect.stringContaining(RULE) as string,
    });
    await expect(send({ input: { op: 'delete' } })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await expect(send({ tool: 'nothing' })).rejects.toMatchObject({ code: 'UNKNOWN_TOOL' });
    expect(await rows()).toBe(150);
  });

  test('sends no more than the config lets wait and come', async () => {
    const due = async (template: string): Promise<void> => {
      const id = randomUUID();
      await client.temporal.workflow.start('canary', {
        workflowId: `${TENANT}/${id}`,
        taskQueue: stack.temporal.taskQueue,
        args: [{ template, nonce: randomUUID() }],
      });
      await until(
        () => stack.ledger.canaries.find(TENANT, id),
        (found) => found !== undefined,
      );
    };
    await due('purge');
    const second = await send();
    await send();
    await expect(send()).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      message: expect.stringMatching(/wait/) as string,
    });
    await dana.post(`/v1/actions/${second}/cancel`);
    await client.outcome(second);
    await send();
    await expect(send()).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      message: expect.stringMatching(/seven/) as string,
    });
  });
});
