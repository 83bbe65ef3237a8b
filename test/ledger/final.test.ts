/** What the database itself keeps, against a program or a person with SQL at hand. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digest, digestText } from '../../src/action/json.js';
import type { AdmitRequest, Ledger } from '../../src/ledger/index.js';
import {
  admission,
  newTenant,
  recordOutcome,
  settlement,
  signLink,
  startLedger,
  type TestLedger,
  useOf,
  wholeChain,
} from './support.js';

let at: TestLedger;
let ledger: Ledger;
let tenant: string;
let open: AdmitRequest;
let used: AdmitRequest;

beforeAll(async () => {
  at = await startLedger();
  ledger = at.ledger;
  tenant = newTenant();
  for (const actionId of ['ended-1', 'ended-2']) await recordOutcome(ledger, settlement({ tenant, actionId }));
  open = admission({ tenant, actionId: 'open' });
  used = admission({ tenant, actionId: 'open' });
  await ledger.actions.admit(open);
  await ledger.actions.admit(used);
  await ledger.grants.use(useOf(used));
  await ledger.receipts.append({ tenant, actionId: 'open', sign: signLink });
  const body = { a: 1 };
  await ledger.content.putSnapshot(tenant, digest(body), body);
  const files = { 'a.cedar': 'forbid (principal, action, resource);' };
  await ledger.content.putPolicy(digest(files), files);
  const freeze = await ledger.controls.freeze({
    tenant: newTenant(),
    scope: { kind: 'all' },
    reason: 'old',
    by: 'dana',
  });
  await ledger.controls.unfreeze(freeze.id, { by: 'dana' });
  await ledger.controls.freeze({
    tenant: newTenant(),
    scope: { kind: 'agent', value: 'x' },
    reason: 'now',
    by: 'dana',
  });
});
afterAll(() => at.stop());

const REFUSED = { code: '23001', message: expect.stringContaining('the ledger refuses') };

describe('triggers refuse', () => {
  test.each([
    `update receipts set jws = 'forged' where seq = 1`,
    `update receipts set at = now() where seq = 1`,
    `update receipts set action_id = action_id where false`,
    `delete from receipts where seq = 3`,
    `truncate receipts cascade`,
    `delete from chains`,
    `truncate chains`,
    `update chains set seq = seq - 1, hash = (select hash from receipts where seq = 2)`,
    `update chains set seq = seq + 2`,
    `update chains set seq = 0, hash = null`,
    `delete from actions where action_id = 'ended-1'`,
    `truncate actions cascade`,
    `update actions set outcome = '{"status":"failed"}' where action_id = 'ended-1'`,
    // The same value in another spelling is another text, and the receipt's digest is over the text.
    `update actions set outcome = (outcome::text || ' ')::json where action_id = 'ended-1'`,
    `update actions set status = 'failed' where action_id = 'ended-1'`,
    `update actions set status = null, outcome = null, receipt_seq = null, receipt_hash = null, ended_at = null where action_id = 'ended-1'`,
    `update actions set ended_at = now() where action_id = 'ended-1'`,
    `update actions set uses = uses + 1 where action_id = 'ended-1'`,
    `update actions set uses = 0 where action_id = 'open'`,
    `update actions set digest = '${digestText('other')}' where action_id = 'open'`,
    `update actions set action_id = 'elsewhere' where action_id = 'ended-1'`,
    `update grants set used_at = null, used_by = null where used_at is not null`,
    `update grants set used_by = 'somebody else' where used_at is not null`,
    `update grants set expires_at = 'infinity' where used_at is null`,
    `update grants set action_id = 'ended-1' where used_at is null`,
    `delete from freezes`,
    `truncate freezes`,
    `update freezes set scope_value = 'y' where reason = 'now'`,
    `update freezes set lifted_at = null, lifted_by = null where reason = 'old'`,
    `update freezes set lifted_by = 'somebody else' where reason = 'old'`,
    `delete from policies`,
    `truncate policies cascade`,
    `update policies set files = '{}'`,
    `update snapshots set body = '{}'`,
  ])('%s', async (statement) => {
    const client = await at.pool.connect();
    try {
      await client.query('begin');
      await client.query(`set local search_path = countersign`);
      await expect(client.query(statement)).rejects.toMatchObject(REFUSED);
    } finally {
      await client.query('rollback');
      client.release();
    }
  });

  test('and all of it is as it was', async () => {
    expect(await wholeChain(ledger, tenant)).toHaveLength(3);
    expect(await ledger.actions.find(tenant, 'ended-1')).toMatchObject({ status: 'success' });
    expect(await ledger.grants.use(useOf(used, 'other'))).toMatchObject({ kind: 'replayed' });
  });
});

describe('constraints refuse', () => {
  const hash = (jws: string): string => `'${digestText(jws)}'`;
  const append = (seq: number | string, prev: string, jws: string, itsHash = hash(jws)): string =>
    `insert into receipts (tenant, seq, hash, prev, jws, action_id) values ('TENANT', ${seq}, ${itsHash}, ${prev}, '${jws}', 'a')`;
  const third = `(select hash from receipts where tenant = 'TENANT' and seq = 3)`;

  test.each<[string, string]>([
    ['a receipt after a gap', append(5, third, 'x')],
    [
      'a second receipt in one place',
      append(3, `(select hash from receipts where tenant = 'TENANT' and seq = 2)`, 'x'),
    ],
    [
      'a receipt that names another than the one before',
      append(4, `(select hash from receipts where tenant = 'TENANT' and seq = 1)`, 'x'),
    ],
    ['a receipt that names none', append(4, 'null', 'x')],
    ['a first receipt that names one', append(1, hash('y'), 'x').replaceAll('TENANT', newTenant())],
    ['a receipt whose hash is not its own', append(4, third, 'x', hash('y'))],
    ['a head that no receipt has', `update chains set seq = seq + 1, hash = ${hash('x')} where tenant = 'TENANT'`],
    ['an outcome without a receipt', `update actions set status = 'success', outcome = '{}' where action_id = 'open'`],
    [
      'an outcome with a receipt that is not there',
      `update actions set status = 'success', outcome = '{}', receipt_seq = 77, receipt_hash = ${hash('x')}, ended_at = now() where action_id = 'open'`,
    ],
    [
      'two actions that end by one receipt',
      `update actions set status = 'success', outcome = '{}', receipt_seq = 1,
         receipt_hash = (select hash from receipts where tenant = 'TENANT' and seq = 1), ended_at = now() where action_id = 'open'`,
    ],
    [
      'an unknown status',
      `insert into actions (tenant, action_id, digest, tool, status) values ('TENANT', 'n', ${hash('x')}, 't', 'fine')`,
    ],
    [
      'a tenant that means all',
      `insert into actions (tenant, action_id, digest, tool) values ('*', 'n', ${hash('x')}, 't')`,
    ],
    [
      'a digest that is none',
      `insert into actions (tenant, action_id, digest, tool) values ('TENANT', 'n', 'sha256:abc', 't')`,
    ],
    [
      'a grant of no action',
      `insert into grants (jti, tenant, action_id, agent, tool, expires_at) values ('j', 'TENANT', 'none', 'a', 't', now())`,
    ],
    [
      'a freeze of nothing',
      `insert into freezes (tenant, scope_kind, reason, frozen_by) values ('t', 'agent', 'r', 'b')`,
    ],
  ])('%s', async (_, statement) => {
    const client = await at.pool.connect();
    try {
      await client.query('begin');
      await client.query(`set local search_path = countersign`);
      await expect(client.query(statement.replaceAll('TENANT', tenant))).rejects.toMatchObject({
        code: expect.stringMatching(/^23(502|503|505|514)$/),
      });
    } finally {
      await client.query('rollback');
      client.release();
    }
  });
});
