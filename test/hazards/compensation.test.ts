/** Undoing under policy: approved, denied, stopped, overtaken, crashed into, and asked for by people who must not have it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CompensationRequest } from '../../activities/contract.js';
import type { Countersign, ProposalInput } from '../../src/client/countersign.js';
import { signSaga, type SagaInput } from '../../src/client/saga.js';
import type { Outcome } from '../../src/action/outcome.js';
import { proposalDigest, type Proposal } from '../../src/action/proposal.js';
import type { CompensationView, SagaView } from '../../src/action/saga.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import {
  delegate,
  issueAgent,
  peekCredential,
  signProposal,
  signCommand,
  signCompensationAuthorization,
  type Credential,
  type CompensationAuthorizationClaims,
} from '../../src/trust/index.js';
import { ended, startStack, STARTER, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker } from '../support/worker-process.js';

let stack: Stack;
let credential: Credential;
let admin: Countersign;
let olga: Credential;

const SCHEMA = `
  CREATE TABLE stock (sku text PRIMARY KEY, qty int NOT NULL CHECK (qty >= 0));
  CREATE TABLE users (id int PRIMARY KEY);
  INSERT INTO users VALUES (1);
  CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.qty := NEW.qty + 1; RETURN NEW; END $$;
  CREATE TRIGGER meddle BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 5) EXECUTE FUNCTION meddle();
  CREATE FUNCTION revert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.qty := OLD.qty; RETURN NEW; END $$;
  CREATE TRIGGER revert BEFORE UPDATE ON stock FOR EACH ROW WHEN (NEW.qty = 4) EXECUTE FUNCTION revert();
`;

beforeAll(async () => {
  stack = await startStack({ schema: SCHEMA });
  credential = await issueAgent(stack.keyring, {
    id: 'bot',
    tenant: TENANT,
    roles: ['admin_user'],
    scopes: ['*'],
    owner: 'otto',
  });
  admin = await stack.agentWith(credential);
  olga = await stack.approver('olga', ['operator']);
});
afterAll(() => stack?.stop());

/** A row of its own, so that no test meets another's. */
async function row(qty = 10): Promise<string> {
  const sku = `s-${randomUUID().slice(0, 8)}`;
  await stack.shop.query('INSERT INTO stock VALUES ($1, $2)', [sku, qty]);
  return sku;
}

async function qtyOf(sku: string): Promise<number | undefined> {
  const { rows } = await stack.shop.query<{ qty: number }>('SELECT qty FROM stock WHERE sku = $1', [sku]);
  return rows[0]?.qty;
}

const set = (sku: string, qty: number, more: Partial<ProposalInput> = {}) => ({
  tool: 'shop-db',
  input: { op: 'update', table: 'stock', set: { qty }, where: { sku } },
  ...more,
});
const addUser = (id: number) => ({ tool: 'shop-db', input: { op: 'insert', table: 'users', rows: [{ id }] } });
const DENIED = { tool: 'shop-db', input: { op: 'delete', table: 'users', where: { id: 1 } } };

const sagaOf = (...steps: SagaInput['steps'][number][]): SagaInput => ({ traceId: `t-${randomUUID()}`, steps });

async function recover(cause: string, verdict: 'retry' | 'accept', by = olga) {
  const { tenant } = peekCredential(by);
  return admin.submitCommand(
    await signCommand(by, { kind: 'recover', tenant, subject: cause, verdict, reason: 'looked' }),
  );
}

/** What is recorded of the undoing of an action, attempt by attempt. */
async function attempts(cause: string): Promise<readonly (Outcome | undefined)[]> {
  const found = [];
  for (let n = 1; ; n++) {
    const record = await stack.ledger.actions.find(TENANT, `undo:${n}:${cause}`);
    if (record === undefined) return found;
    found.push(record.outcome);
  }
}

describe('a mismatch', () => {
  test('is undone where the proposal asks for it, with a receipt that names its cause', async () => {
    const sku = await row();
    const outcome = await ended(admin, { actionId: `m-${sku}`, ...set(sku, 5, { onMismatch: 'compensate' }) });
    expect(outcome).toMatchObject({
      status: 'mismatch',
      compensation: { status: 'success', actionId: `undo:1:m-${sku}` },
    });
    expect(await qtyOf(sku)).toBe(10);
    const [undo] = await attempts(`m-${sku}`);
    expect(undo).toMatchObject({
      status: 'success',
      facts: {
        agent: { id: 'bot/undo', roles: ['compensator'], owner: 'otto' },
        compensates: { actionId: `m-${sku}`, agent: 'bot', receipt: outcome.receipt?.hash },
      },
      decision: { effect: 'allow', policies: ['compensator'] },
    });
  });

  test('that left everything as it was leaves nothing to undo', async () => {
    const sku = await row();
    const outcome = await ended(admin, { actionId: `n-${sku}`, ...set(sku, 4, { onMismatch: 'compensate' }) });
    expect(outcome).toMatchObject({ status: 'mismatch', compensation: { status: 'nothing' } });
    expect(await attempts(`n-${sku}`)).toEqual([]);
  });

  test('that cannot be undone is told at once, and waits for a person', async () => {
    const insert = { op: 'insert', table: 'users', rows: [{ id: 201 }] };
    const proposal = {
      actionId: 'stays',
      tool: 'shop-db',
      input: insert,
      expect: 'false',
      onMismatch: 'compensate' as const,
    };
    expect(await ended(admin, proposal)).toMatchObject({
      status: 'mismatch',
      compensation: { status: 'needs_person' },
    });
    expect(await admin.compensation('stays')).toMatchObject({
      status: 'needs_person',
      reason: expect.stringContaining('protected'),
    });
    await recover('stays', 'accept');
    await until(
      () => admin.compensation('stays'),
      ({ status }) => status === 'accepted',
    );
  });

  test('is kept where nothing is said', async () => {
    const sku = await row();
    const outcome = await ended(admin, { actionId: `k-${sku}`, ...set(sku, 5) });
    expect(outcome.status).toBe('mismatch');
    expect(outcome.compensation).toBeUndefined();
    expect(await qtyOf(sku)).toBe(6);
    expect(await attempts(`k-${sku}`)).toEqual([]);
  });

  test('that is told again is not undone again', async () => {
    const sku = await row();
    const proposal = { actionId: `again-${sku}`, ...set(sku, 5, { onMismatch: 'compensate' }) };
    const first = await ended(admin, proposal);
    await stack.shop.query('UPDATE stock SET qty = 77 WHERE sku = $1', [sku]);
    expect(await ended(admin, proposal)).toEqual(first);
    await stack.afterRetention(async (client) => {
      expect(await ended(client, proposal)).toMatchObject({
        compensation: { status: 'success' },
        receipt: first.receipt,
      });
    }, credential);
    expect(await qtyOf(sku)).toBe(77);
    expect(await attempts(`again-${sku}`)).toHaveLength(1);
  });
});

/** Puts a policy before every undoing. */
function withUndoing(annotation: string, body: () => Promise<void>): Promise<void> {
  const policy = `
@id("undoing-is-looked-at")
@reason("an undoing is looked at first")
${annotation}
forbid (principal, action, resource) when { context.compensates };`;
  return stack.withPolicy('production.cedar', (text) => `${text}\n${policy}`, body);
}

describe('an undoing that needs an approval', () => {
  test('waits for it, from anybody but the agent and its owner', async () => {
    const sku = await row();
    await withUndoing('@approval("dba")', async () => {
      const waiting = await admin.saga(sagaOf(set(sku, 9), DENIED));
      const { traceId } = waiting;
      expect(waiting).toMatchObject({
        status: 'needs_person',
        waitsFor: { kind: 'approval', actionId: `undo:1:${traceId}:1` },
      });
      expect(await qtyOf(sku)).toBe(9);
      const undo = await admin
        .perform({ actionId: `undo:1:${traceId}:1`, tool: 'shop-db', input: {} })
        .catch((error: unknown) => error);
      expect(undo).toMatchObject({ code: 'ACTION_CONFLICT' });

      const { pending } = await admin.view(`undo:1:${traceId}:1`);
      const action = { tenant: TENANT, actionId: `undo:1:${traceId}:1`, pending } as Parameters<Stack['decide']>[0];
      for (const id of ['bot', 'otto']) {
        await expect(stack.decide(action, await stack.approver(id, ['dba']))).rejects.toMatchObject({
          code: 'APPROVAL_FORBIDDEN',
        });
      }
      await stack.decide(action, await stack.approver('dora', ['dba']));
      expect(await admin.sagaOutcome(traceId)).toMatchObject({ status: 'compensated' });
      expect(await qtyOf(sku)).toBe(10);
    });
  });

  test('and is denied it: that is loud, and waits for a person', async () => {
    const sku = await row();
    await withUndoing('@approval("dba")', async () => {
      const { traceId } = await admin.saga(sagaOf(set(sku, 9), DENIED));
      const { pending } = await admin.view(`undo:1:${traceId}:1`);
      const action = { tenant: TENANT, actionId: `undo:1:${traceId}:1`, pending } as Parameters<Stack['decide']>[0];
      await stack.decide(action, await stack.approver('dora', ['dba']), 'deny', 'leave it');
      const stuck = await until(
        () => admin.sagaView(traceId),
        ({ waitsFor }) => waitsFor?.kind === 'compensation',
      );
      expect(stuck.reason).toContain('leave it');
      await recover(`${traceId}:1`, 'accept');
      expect(await admin.sagaOutcome(traceId)).toMatchObject({
        status: 'compensation_failed',
        compensations: [{ status: 'accepted', acceptedBy: { by: 'olga', reason: 'looked' } }],
      });
      expect(await qtyOf(sku)).toBe(9);
    });
  });
});

describe('an undoing that is denied', () => {
  test('is tried again when a person says so, as an action of its own, and done once policy lets it', async () => {
    const waiting = await admin.saga(sagaOf(addUser(101), DENIED));
    const { traceId } = waiting;
    const cause = `${traceId}:1`;
    expect(waiting).toMatchObject({ status: 'needs_person', waitsFor: { kind: 'compensation', actionId: cause } });
    expect(await admin.compensation(cause)).toMatchObject({ status: 'needs_person', actionId: `undo:1:${cause}` });
    await recover(cause, 'retry');
    await until(
      () => attempts(cause),
      (all) => all.length === 2 && all[1] !== undefined,
    );
    await until(
      () => admin.compensation(cause),
      ({ status }) => status === 'needs_person',
    );

    await stack.withPolicy(
      'protected-tables.cedar',
      (text) => text.replaceAll('"users", ', ''),
      async () => {
        await recover(cause, 'retry');
        expect(await admin.sagaOutcome(traceId)).toMatchObject({ status: 'compensated' });
      },
    );
    expect((await attempts(cause)).map((outcome) => outcome?.status)).toEqual(['denied', 'denied', 'success']);
    expect((await stack.shop.query('SELECT FROM users WHERE id = 101')).rowCount).toBe(0);
  });

  test('is not decided by who has no role, nor by a signed command on another, nor twice by one', async () => {
    const [one, other] = [
      await admin.saga(sagaOf(addUser(102), DENIED)),
      await admin.saga(sagaOf(addUser(103), DENIED)),
    ];
    const [cause, foreign] = [`${one.traceId}:1`, `${other.traceId}:1`];
    await expect(recover(cause, 'accept', await stack.approver('dora', ['dba']))).rejects.toMatchObject({
      code: 'ROLE_REQUIRED',
    });
    await expect(recover(cause, 'accept', await stack.approver('sam', ['operator'], 'globex'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });

    const said = await signCommand(olga, {
      kind: 'recover',
      tenant: TENANT,
      subject: cause,
      verdict: 'accept',
      reason: 'x',
    });
    const undo = (name: string) => admin.temporal.workflow.getHandle(`undo/${TENANT}/${name}`);
    await expect(undo(foreign).executeUpdate('recover', { args: [said] })).rejects.toMatchObject({
      cause: { type: 'COMMAND_INVALID' },
    });
    const { taskQueue } = stack.temporal;
    const aside = admin.temporal.workflow.execute('signedCommand', {
      workflowId: randomUUID(),
      taskQueue,
      args: [said],
    });
    await expect(aside).rejects.toMatchObject({ cause: { type: 'COMMAND_INVALID' } });

    expect(await admin.submitCommand(said)).toMatchObject({
      kind: 'recover',
      verdict: 'accept',
      by: 'olga',
      receipt: { tenant: TENANT },
    });
    expect(await admin.sagaOutcome(one.traceId)).toMatchObject({ status: 'compensation_failed' });
    await expect(admin.submitCommand(said)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await admin.sagaView(other.traceId)).toMatchObject({ status: 'needs_person' });
    await recover(foreign, 'accept');
    await admin.sagaOutcome(other.traceId);
  });

  test('does not end the undoing of what was done before it', async () => {
    const sku = await row();
    const { traceId } = await admin.saga(sagaOf(set(sku, 9), addUser(104), DENIED));
    expect(await qtyOf(sku)).toBe(9);
    await recover(`${traceId}:2`, 'accept');
    expect(await admin.sagaOutcome(traceId)).toMatchObject({
      status: 'compensation_failed',
      compensations: [{ status: 'accepted' }, { status: 'success' }],
    });
    expect(await qtyOf(sku)).toBe(10);
  });
});

test('what somebody changed since is not overwritten', async () => {
  const sku = await row();
  await withUndoing('@approval("dba")', async () => {
    const { traceId } = await admin.saga(sagaOf(set(sku, 9), DENIED));
    const { pending } = await admin.view(`undo:1:${traceId}:1`);
    await stack.shop.query('UPDATE stock SET qty = 7 WHERE sku = $1', [sku]);
    const action = { tenant: TENANT, actionId: `undo:1:${traceId}:1`, pending } as Parameters<Stack['decide']>[0];
    await stack.decide(action, await stack.approver('dora', ['dba']));
    const stuck = await until(
      () => admin.sagaView(traceId),
      ({ waitsFor }) => waitsFor?.kind === 'compensation',
    );
    expect(stuck.reason).toContain('has changed since');
    expect(await qtyOf(sku)).toBe(7);
    // Tried again, it is found before anybody is asked.
    await recover(`${traceId}:1`, 'retry');
    await until(
      () => admin.compensation(`${traceId}:1`),
      ({ reason, status }) => status === 'needs_person' && reason.includes('is not as'),
    );
    expect(await attempts(`${traceId}:1`)).toHaveLength(1);
    await recover(`${traceId}:1`, 'accept');
    expect(await admin.sagaOutcome(traceId)).toMatchObject({ status: 'compensation_failed' });
    expect(await qtyOf(sku)).toBe(7);
  });
});

describe('stopped', () => {
  test('a freeze of the agent and the end of its credential do not keep from undoing what it did', async () => {
    const sku = await row();
    const own = await issueAgent(stack.keyring, { id: 'rogue', tenant: TENANT, roles: ['admin_user'], scopes: ['*'] });
    const rogue = await stack.agentWith(own);
    await withUndoing('@approval("dba")', async () => {
      const { traceId } = await rogue.saga(sagaOf(set(sku, 9), DENIED));
      const { id } = await stack.ledger.controls.freeze({
        tenant: TENANT,
        scope: { kind: 'agent', value: 'rogue' },
        reason: 'incident',
        by: 'nina',
      });
      await stack.ledger.controls.revoke({
        tenant: TENANT,
        jti: peekCredential(own).jti,
        reason: 'stolen',
        by: 'nina',
      });
      const { pending } = await admin.view(`undo:1:${traceId}:1`);
      await stack.decide(
        { tenant: TENANT, actionId: `undo:1:${traceId}:1`, pending } as Parameters<Stack['decide']>[0],
        await stack.approver('dora', ['dba']),
      );
      expect(await admin.sagaOutcome(traceId)).toMatchObject({ status: 'compensated' });
      expect(await ended(rogue, { actionId: `more-${sku}`, ...set(sku, 1) })).toMatchObject({ status: 'denied' });
      await stack.ledger.controls.unfreeze(id, { by: 'nina' });
    });
    expect(await qtyOf(sku)).toBe(10);
  });

  test.each([
    ['the undoing itself', { kind: 'agent', value: 'bot/undo' }],
    ['the tool', { kind: 'tool', value: 'shop-db' }],
    ['the target', { kind: 'target', value: 'stock' }],
  ] as const)('a freeze of %s does', async (_what, scope) => {
    const sku = await row();
    let id = 0;
    await withUndoing('@approval("dba")', async () => {
      const { traceId } = await admin.saga(sagaOf(set(sku, 9), DENIED));
      const { pending } = await admin.view(`undo:1:${traceId}:1`);
      ({ id } = await stack.ledger.controls.freeze({ tenant: TENANT, scope, reason: 'incident', by: 'nina' }));
      await stack.decide(
        { tenant: TENANT, actionId: `undo:1:${traceId}:1`, pending } as Parameters<Stack['decide']>[0],
        await stack.approver('dora', ['dba']),
      );
      const stuck = await until(
        () => admin.sagaView(traceId),
        ({ waitsFor }) => waitsFor?.kind === 'compensation',
      );
      expect(stuck.reason).toContain('Frozen by nina');
      await stack.ledger.controls.unfreeze(id, { by: 'nina' });
      await recover(`${traceId}:1`, 'accept');
      await admin.sagaOutcome(traceId);
    });
    expect(await qtyOf(sku)).toBe(9);
  });
});

describe('asked for by somebody with access to Temporal', () => {
  async function asked(request: CompensationRequest): Promise<CompensationView> {
    const handle = await admin.temporal.workflow.start('compensation', {
      workflowId: `undo/${TENANT}/${request.proposal.actionId}`,
      taskQueue: stack.temporal.taskQueue,
      args: [request],
    });
    const view = await until(
      () => handle.query<CompensationView>('view'),
      ({ status }) => status !== 'running',
    );
    await handle.terminate();
    return view;
  }

  async function done(actionId: string): Promise<{ sku: string; proposal: Proposal }> {
    const sku = await row();
    const proposal = { actionId, ...set(sku, 9) };
    expect((await ended(admin, proposal)).status).toBe('success');
    return { sku, proposal };
  }

  test('nothing is undone that nobody wanted undone', async () => {
    const { sku, proposal } = await done(`f-${randomUUID()}`);
    expect(await asked({ tenant: TENANT, proposal })).toMatchObject({
      status: 'needs_person',
      reason: expect.stringContaining('Nobody wanted'),
    });
    expect(await qtyOf(sku)).toBe(9);
  });

  test('nor what is said to have another content', async () => {
    const { sku, proposal } = await done(`f-${randomUUID()}`);
    const altered = { ...proposal, onMismatch: 'compensate' as const };
    expect(await asked({ tenant: TENANT, proposal: altered })).toMatchObject({
      reason: expect.stringContaining('NOT_FOUND'),
    });
    expect(await qtyOf(sku)).toBe(9);
  });

  test('nor a saga that went well, nor one that another agent signed, nor one made up around the action', async () => {
    const sku = await row();
    const good = sagaOf(set(sku, 9));
    expect(await admin.saga(good)).toMatchObject({ status: 'success' });
    const { steps, signature: proof, traceId } = await signSaga((digest) => signProposal(credential, digest), good);
    const manifest = steps.map((step) => ({ actionId: step.proposal.actionId, digest: step.digest }));
    const [{ proposal }] = steps as [(typeof steps)[number]];
    expect(
      await asked({ tenant: TENANT, proposal, saga: { traceId, signature: proof, steps: manifest } }),
    ).toMatchObject({
      reason: expect.stringContaining('No step of the saga'),
    });

    // With a failed step that was none of it.
    const failed = { actionId: `d-${sku}`, ...DENIED };
    await ended(admin, failed);
    const widened = [...manifest, { actionId: failed.actionId, digest: proposalDigest(failed) }];
    expect(
      await asked({ tenant: TENANT, proposal, saga: { traceId, signature: proof, steps: widened } }),
    ).toMatchObject({
      reason: expect.stringContaining('AGENT_UNVERIFIED'),
    });
    const mallory = await issueAgent(stack.keyring, {
      id: 'mallory',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
    });
    const { sagaDigest } = await import('../../src/action/saga.js');
    const stolen = await signProposal(mallory, sagaDigest({ traceId, steps: widened }));
    expect(
      await asked({ tenant: TENANT, proposal, saga: { traceId, signature: stolen, steps: widened } }),
    ).toMatchObject({
      reason: expect.stringContaining('is no step of the saga'),
    });
    expect(await qtyOf(sku)).toBe(9);
  });

  test('and a compensation authorization is good for its own proposal, tenant and time only', async () => {
    const sku = await row();
    const outcome = await ended(admin, { actionId: `w-${sku}`, ...set(sku, 9) });
    const proposal = { actionId: `undo:1:w-${sku}`, ...set(sku, 10) };
    const digest = proposalDigest(proposal);
    const iat = Math.floor(Date.now() / 1000);
    const hash = outcome.receipt?.hash as CompensationAuthorizationClaims['digest'];
    const claims: CompensationAuthorizationClaims = {
      tenant: TENANT,
      cause: { actionId: `w-${sku}`, receipt: hash, outcomeDigest: hash },
      agent: 'bot',
      tool: 'shop-db',
      digest,
      preDigest: outcome.post?.digest as CompensationAuthorizationClaims['digest'],
      iat,
      exp: iat + 60,
    };
    const run = async (proof: string, id = proposal.actionId, asProposed: Proposal = proposal) =>
      (await admin.temporal.workflow.execute('trustedAction', {
        workflowId: `${TENANT}/${id}`,
        taskQueue: stack.temporal.taskQueue,
        args: [{ proposal: asProposed, digest: proposalDigest(asProposed), signature: proof }],
      })) as Outcome;
    const unverified = { status: 'denied', error: { code: 'AGENT_UNVERIFIED' } };
    const other = { ...proposal, ...set(sku, 1) };
    expect(
      await run(await signCompensationAuthorization(stack.keyring, claims), proposal.actionId, other),
    ).toMatchObject(unverified);
    expect(
      await run(await signCompensationAuthorization(stack.keyring, { ...claims, tenant: 'globex' })),
    ).toMatchObject(unverified);
    expect(
      await run(await signCompensationAuthorization(stack.keyring, { ...claims, iat: iat - 900, exp: iat - 600 })),
    ).toMatchObject(unverified);
    const [, payload] = (await signCompensationAuthorization(stack.keyring, claims)).split('.');
    const [header, , signature] = (
      await signCompensationAuthorization(stack.keyring, { ...claims, agent: 'ann' })
    ).split('.');
    expect(await run(`${header}.${payload}.${signature}`)).toMatchObject(unverified);
    // An agent's own signature does not do for such an id: it would keep the action from being undone.
    expect(await run(await signProposal(credential, digest))).toMatchObject({
      status: 'denied',
      error: { code: 'INVALID_PROPOSAL' },
    });
    expect(await qtyOf(sku)).toBe(9);
    expect(await run(await signCompensationAuthorization(stack.keyring, claims))).toMatchObject({ status: 'success' });
    expect(await qtyOf(sku)).toBe(10);
  });
});

test('the role of the compensator gives an agent nothing, and no delegate takes its name', async () => {
  const sku = await row();
  const pretender = await stack.agent({ id: 'pretender', roles: ['compensator'] });
  expect(await ended(pretender, set(sku, 1))).toMatchObject({ status: 'denied', error: { code: 'POLICY_DENIED' } });
  await expect(delegate(credential, { id: 'undo', roles: [], scopes: ['shop-db'] })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
  });
  expect(await qtyOf(sku)).toBe(10);
});

describe('a worker killed in the middle of undoing', () => {
  const takeOne = (sku: string) => ({
    tool: 'shop-db',
    input: { op: 'sql', sql: `UPDATE stock SET qty = qty - 1 WHERE sku = '${sku}'` },
  });
  const WHEN = [
    'with the compensation authorization signed and nobody told',
    'with the undoing made and not reported',
  ] as const;
  const undoing = new Map<string, { sku: string; traceId: string; answer: Promise<SagaView> }>();

  /** One process dies in the middle of both. */
  beforeAll(async () => {
    await stack.worker?.stop();
    // The third effect: each saga makes one, and the second undoes its own.
    const doomed = await spawnWorker(stack, STARTER, undefined, {
      stopsAt: ['compensate.end', 'execute.after-effect#3'],
    });
    for (const [when, point] of [
      [WHEN[0], 'compensate.end'],
      [WHEN[1], 'execute.after-effect'],
    ] as const) {
      const sku = await row();
      const input = sagaOf(takeOne(sku), DENIED);
      const answer = admin.saga(input);
      answer.catch(() => {});
      undoing.set(when, { sku, traceId: input.traceId, answer });
      await doomed.stopsAt(point);
    }
    await doomed.kill();
    await stack.startWorker();
  });

  test.each(WHEN)('%s: it is undone once', async (when) => {
    const { sku, traceId, answer } = undoing.get(when) as { sku: string; traceId: string; answer: Promise<SagaView> };
    expect(await answer).toMatchObject({ status: 'compensated', compensations: [{ status: 'success' }] });
    expect(await qtyOf(sku)).toBe(10);
    expect((await attempts(`${traceId}:1`)).map((outcome) => outcome?.status)).toEqual(['success']);
  });
});

test('after all of that the chain of receipts verifies, outcomes and all', async () => {
  const report = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring, tenant: TENANT });
  expect(report).toMatchObject({ ok: true });
});
