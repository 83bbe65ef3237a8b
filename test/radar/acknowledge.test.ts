/** Who has looked into what the radar found: by a signed command alone, once, all or none, and the first stays. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import type { Acknowledgement, RadarAlert } from '../../src/action/radar.js';
import type { Countersign } from '../../src/client/countersign.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import {
  generateKeyringFile,
  issueAgent,
  issueApprover,
  parseKeyring,
  peekCredential,
  signCommand,
  type Credential,
} from '../../src/trust/index.js';
import { unexplainedWrite } from '../support/radar-alerts.js';
import { startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker } from '../support/worker-process.js';

let stack: Stack;
let client: Countersign;
let pia: Credential;

beforeAll(async () => {
  stack = await startStack({ schema: 'SELECT 1' });
  client = await stack.agent();
  pia = await stack.approver('pia', ['platform-operator'], 'globex');
  await stack.ledger.radar.lease({ source: 'shop-db', kind: 'postgres', reader: 'test', leaseMs: 60_000 });
});
afterAll(async () => {
  await stack?.stop();
});

/** That many alerts which nobody else knows of. */
async function alerts(count: number): Promise<readonly number[]> {
  const found = Array.from({ length: count }, () => unexplainedWrite(`0/${randomUUID()}`));
  const recorded = await stack.ledger.radar.record('shop-db', {
    reader: 'test',
    term: 1,
    system: 'test',
    position: '0/9',
    memory: {},
    alerts: found,
  });
  return (recorded ?? []).map(({ id }) => id);
}

function looked(ids: readonly number[], by = pia, reason = 'the nightly import'): Promise<string> {
  const { tenant } = peekCredential(by);
  return signCommand(by, { kind: 'acknowledge_alerts', tenant, subject: ids.join(','), reason });
}

async function noted(ids: readonly number[]): Promise<readonly (RadarAlert['acknowledged'] | undefined)[]> {
  const all = await stack.ledger.radarAlerts.list();
  return ids.map((id) => all.find((alert) => alert.id === id)?.acknowledged);
}

async function trailOf(ids: readonly number[]): Promise<readonly string[]> {
  const rows = await stack.database.rows({
    name: 'acknowledged',
    query: sql<{ subject: string }>`SELECT subject FROM countersign.trail
      WHERE tenant = '*' AND kind = 'radar_acknowledged' AND subject = ANY(${ids.map(String)}::text[]) ORDER BY seq`,
  });
  return rows.map(({ subject }) => subject);
}

test('one command acknowledges several alerts for a person who acts for all tenants, and names itself in each, in the trail and in a receipt', async () => {
  const ids = await alerts(3);
  const command = await looked(ids);
  const done = await client.submitCommand(command);
  const by = { by: 'pia', tenant: 'globex', note: 'the nightly import', command: digestText(command) };
  expect(done).toMatchObject({ kind: 'acknowledge_alerts', receipt: { tenant: 'globex' } });
  expect(await noted(ids)).toMatchObject([by, by, by]);
  expect(await trailOf(ids)).toEqual(ids.map(String));
  const receipt = (await stack.receipts()).find(({ approvals }) => approvals.includes(by.command));
  expect(receipt).toMatchObject({
    tool: 'countersign.acknowledge_alerts',
    reason: `pia has looked into ${ids.join(', ')}: the nightly import`,
  });
  expect(await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring, tenant: 'globex' })).toMatchObject({
    ok: true,
  });
});

test('handed in again it is refused, also by a workflow of another name, and the first note stays', async () => {
  const ids = await alerts(1);
  const command = await looked(ids);
  await client.submitCommand(command);
  const first = await noted(ids);
  await expect(client.submitCommand(command)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });
  const again = client.temporal.workflow.execute('signedCommand', {
    workflowId: `command/globex/${randomUUID()}`,
    taskQueue: stack.temporal.taskQueue,
    args: [command],
  });
  await expect(again).rejects.toMatchObject({ cause: { type: 'COMMAND_INVALID' } });

  // Somebody else's is carried out and changes nothing: their receipt says who was first.
  const pete = await stack.approver('pete', ['platform-operator']);
  const second = await looked(ids, pete, 'I saw it too');
  await client.submitCommand(second);
  expect(await noted(ids)).toEqual(first);
  expect(await trailOf(ids)).toHaveLength(1);
  const receipt = (await stack.receipts()).find(({ approvals }) => approvals.includes(digestText(second)));
  expect(receipt?.reason).toBe(`pete has looked into ${ids[0]} (as pia before): I saw it too`);
});

test('where one of the alerts is none, none is acknowledged', async () => {
  const ids = await alerts(2);
  await expect(client.submitCommand(await looked([...ids, 999_999]))).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: 'The radar has no alert 999999.',
  });
  expect(await noted(ids)).toEqual([undefined, undefined]);
  await client.submitCommand(await looked([...ids, ...ids]));
  expect(await noted(ids)).toMatchObject([{ by: 'pia' }, { by: 'pia' }]);
});

test('forged, edited, foreign, revoked, without the role or of an agent, it acknowledges nothing', async () => {
  const ids = await alerts(1);
  const [other] = await alerts(1);
  const foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
  const mallory = await issueApprover(foreign, { id: 'pia', tenant: 'globex', roles: ['platform-operator'] });
  const [header, payload = '', signature] = (await looked(ids)).split('.');
  const edited = (claims: object): string => {
    const said = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    return [header, Buffer.from(JSON.stringify({ ...said, ...claims })).toString('base64url'), signature].join('.');
  };
  const left = await stack.approver('lea', ['platform-operator']);
  const olga = await stack.approver('olga', ['operator']);
  const { jti } = peekCredential(left);
  await client.submitCommand(
    await signCommand(olga, { kind: 'revoke', tenant: TENANT, subject: jti, reason: 'left us' }),
  );
  const commands: readonly (readonly [who: string, command: string, code: string])[] = [
    ['a stranger’s issuer', await looked(ids, mallory), 'COMMAND_INVALID'],
    ['about another alert', edited({ subject: String(other) }), 'COMMAND_INVALID'],
    ['for another tenant', edited({ tenant: TENANT }), 'COMMAND_INVALID'],
    ['with another note', edited({ reason: 'nothing to see' }), 'COMMAND_INVALID'],
    ['a person who left', await looked(ids, left), 'CREDENTIAL_REVOKED'],
    ['an operator of one tenant', await looked(ids, olga), 'ROLE_REQUIRED'],
  ];
  const refusals = await Promise.allSettled(commands.map(([, command]) => client.submitCommand(command)));
  expect(refusals.map((each, at) => [commands[at]?.[0], (each as { reason?: object }).reason])).toMatchObject(
    commands.map(([who, , code]) => [who, { code }]),
  );
  const bot = await issueAgent(stack.keyring, {
    id: 'bot',
    tenant: 'globex',
    roles: ['platform-operator'],
    scopes: ['*'],
  });
  await expect(looked(ids, bot)).rejects.toMatchObject({ code: 'KEYS_INVALID' });
  await expect(looked([])).rejects.toMatchObject({ code: 'COMMAND_INVALID', field: 'subject' });
  expect(await noted([...ids, other ?? 0])).toEqual([undefined, undefined]);
});

test('half done by a worker that was killed, it is finished by another', async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-acknowledge-'));
  try {
    const ids = await alerts(2);
    await stack.worker?.stop();
    const doomed = await spawnWorker(stack, stack.policies, `command.after-nonce:kill:${path.join(folder, 'killed')}`);
    const done = client.submitCommand(await looked(ids));
    expect(await doomed.died).toBe('SIGKILL');
    expect(await noted(ids)).toEqual([undefined, undefined]);
    await stack.startWorker();
    expect(await done).toMatchObject({ kind: 'acknowledge_alerts' });
    expect(await noted(ids)).toMatchObject([{ by: 'pia' }, { by: 'pia' }]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('of two at the same moment one stays, and both are told whose', async () => {
  const ids = await alerts(20);
  const said = (by: string): Omit<Acknowledgement, 'at'> => ({
    by,
    tenant: TENANT,
    note: 'seen',
    command: digestText(by),
  });
  const answers = await Promise.all(
    ['ann', 'ben', 'cleo', 'dan'].map((by, index) =>
      stack.ledger.radarAlerts.acknowledge(index % 2 === 0 ? ids : ids.toReversed(), said(by)),
    ),
  );
  const kept = await noted(ids);
  expect(new Set(kept.map((one) => one?.by)).size).toBe(1);
  for (const answer of answers) expect(answer.map(({ acknowledged }) => acknowledged)).toEqual(kept);
  expect(await trailOf(ids)).toHaveLength(20);
});

test('whoever waits for another who is just acknowledging is told what the other has noted', async () => {
  const ids = await alerts(1);
  const other = new pg.Client({ connectionString: stack.ledgerUrl });
  await other.connect();
  try {
    await other.query('BEGIN');
    await other.query(
      `UPDATE countersign.radar_alerts SET acknowledged_at = clock_timestamp(), acknowledged_by = 'ann', acknowledged_tenant = 'acme',
        note = 'first', acknowledged_command = 'sha256:1' WHERE id = $1`,
      [ids[0]],
    );
    const said = { by: 'ben', tenant: TENANT, note: 'second', command: digestText('ben') };
    const answer = stack.ledger.radarAlerts.acknowledge(ids, said);
    // Until somebody waits for this very connection.
    await until(
      async () =>
        (await other.query('SELECT FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))')).rowCount,
      (waiting) => waiting !== null && waiting > 0,
    );
    await other.query('COMMIT');
    expect(await answer).toMatchObject([{ acknowledged: { by: 'ann', note: 'first' } }]);
  } finally {
    await other.end();
  }
});
