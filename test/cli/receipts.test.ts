/** The record under attack: by somebody who has the database, by somebody who has Temporal too, and by honest concurrency. */
import { openConnection } from '../../src/client/connection.js';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Client } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { digest, digestText } from '../../src/action/json.js';
import type { Outcome } from '../../src/action/outcome.js';
import { Ledger, type ChainLink } from '../../src/ledger/index.js';
import { readAnchors, saveAnchors } from '../../src/receipts/anchors.js';
import { freezeSetBack } from '../../src/receipts/set-back.js';
import { verifyReceipts, type ReceiptsReport } from '../../src/receipts/verify.js';
import { generateKeyringFile, hashReceipt, parseKeyring, signReceipt, type Keyring } from '../../src/trust/index.js';
import { EFFECTS_DDL } from '../../src/tools/index.js';
import { ROOT } from '../support/root.js';
import { admission } from '../ledger/support.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { createNamespace, type TestNamespace } from '../support/temporal.js';
import { until } from '../support/until.js';
import { cli, folder } from './support.js';

let keys: string;
let keyring: Keyring;
let strangers: Keyring;
let namespace: TestNamespace;
let temporal: Client;
let close: () => Promise<void>;
let database: TestDatabase;
let ledger: Ledger;
let superuser: pg.Client;

beforeAll(async () => {
  keys = JSON.stringify(await generateKeyringFile());
  keyring = await parseKeyring(keys, 'test');
  strangers = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'strangers');
  namespace = await createNamespace();
  const opened = await openConnection(namespace.address);
  ({ close } = opened);
  temporal = new Client({ connection: opened.connection, namespace: namespace.namespace });
});
afterAll(() => close());

beforeEach(async () => {
  database = await createDatabase('ledger');
  ledger = await Ledger.connect({ url: database.url });
  superuser = new pg.Client({ connectionString: database.url });
  await superuser.connect();
  // As an attacker with the superuser's password does: no trigger and no foreign key is asked.
  await superuser.query('set session_replication_role = replica; set search_path = countersign');
  return async () => {
    await superuser.end();
    await ledger.close();
    await database.drop();
  };
});

function outcomeOf(tenant: string, actionId: string): Outcome {
  return {
    status: 'success',
    reason: 'Done and verified: 3 checks hold.',
    tenant,
    actionId,
    proposalDigest: digest(actionId),
    tool: 'shop-db',
    approvals: [],
    checks: [{ name: 'derived', ok: true }],
    steps: {},
  };
}

function claimsOf(outcome: Outcome, link: ChainLink, chain = outcome.tenant) {
  const { actionId, proposalDigest, status, reason, tool, error } = outcome;
  const code = error === undefined ? {} : { code: error.code };
  return {
    v: 1,
    tenant: chain,
    actionId,
    proposalDigest,
    status,
    reason,
    ...code,
    tool,
    approvals: [],
    outcomeDigest: digest(outcome),
    iat: 1,
    ...link,
  } as const;
}

async function settle(tenant: string, actionId: string, by = keyring): Promise<void> {
  const outcome = outcomeOf(tenant, actionId);
  await ledger.receipts.settle({
    tenant,
    actionId,
    proposalDigest: outcome.proposalDigest,
    outcome,
    sign: async (link) => {
      const jws = await signReceipt(by, claimsOf(outcome, link));
      return { jws, hash: hashReceipt(jws) };
    },
  });
}

async function settleMany(tenant: string, count: number): Promise<void> {
  for (let i = 1; i <= count; i++) await settle(tenant, `action-${i}`);
}

const verify = (over: Partial<Parameters<typeof verifyReceipts>[0]> = {}): Promise<ReceiptsReport> =>
  verifyReceipts({ ledger, keyring, ...over });

const problemsOf = ({ tenants }: ReceiptsReport): string[] =>
  tenants.flatMap(({ problems }) => problems.map(({ problem }) => problem));

describe('an honest record', () => {
  test('verifies: receipts of settled actions, of refused conflicts, and of proposals nobody attested', async () => {
    await settleMany('acme', 3);
    await settle('beta', 'other');
    const conflicting: Outcome = {
      ...outcomeOf('acme', 'action-1'),
      status: 'denied',
      error: { code: 'ACTION_CONFLICT', message: 'used before' },
    };
    for (const [chain, actionId] of [
      ['acme', 'action-1'],
      ['_unauthenticated', 'acme/forged'],
    ] as const) {
      await ledger.receipts.append({
        tenant: chain,
        actionId,
        sign: async (link) => {
          const jws = await signReceipt(keyring, claimsOf(conflicting, link, chain));
          return { jws, hash: hashReceipt(jws) };
        },
      });
    }
    const report = await verify({ temporal });
    expect(problemsOf(report)).toEqual([]);
    expect(report.ok).toBe(true);
    expect(report.tenants.map(({ tenant, receipts, outcomes }) => [tenant, receipts, outcomes])).toEqual([
      ['_unauthenticated', 1, 0],
      ['acme', 4, 3],
      ['beta', 1, 1],
    ]);
  });

  test('verifies while actions go on ending', async () => {
    await settleMany('acme', 5);
    const writing = (async () => {
      for (let i = 100; i < 160; i++) await settle('acme', `action-${i}`);
    })();
    for (let round = 0; round < 15; round++) expect(problemsOf(await verify())).toEqual([]);
    await writing;
  });

  test('is nothing to complain about when there is nothing yet', async () => {
    expect(await verify({ temporal })).toEqual({ ok: true, tenants: [] });
  });
});

describe('somebody with the database', () => {
  beforeEach(() => settleMany('acme', 5));

  test.each([
    [
      'edits an outcome',
      `update actions set outcome = replace(outcome::text, 'success', 'mismatch')::json where action_id = 'action-3'`,
      /recorded outcome of action action-3 is not the one that receipt 3/,
    ],
    [
      'puts an empty outcome in its place',
      `update actions set outcome = '{}' where action_id = 'action-3'`,
      /recorded outcome of action action-3/,
    ],
    [
      'removes an action, so that it can be done again',
      `delete from actions where action_id = 'action-3'`,
      /Receipt 3 settles action action-3, whose outcome is not recorded/,
    ],
    [
      'reopens an action',
      `update actions set status = null, outcome = null, receipt_seq = null, receipt_hash = null, ended_at = null where action_id = 'action-3'`,
      /Receipt 3 settles action action-3/,
    ],
    [
      'gives an outcome to another action',
      `update actions set action_id = 'other' where action_id = 'action-3'`,
      /Receipt 3 is of action action-3, and the ledger has it for other/,
    ],
    [
      'swaps the outcomes of two actions',
      `update actions set outcome = (select outcome from actions where action_id = 'action-2') where action_id = 'action-3'`,
      /recorded outcome of action action-3/,
    ],
    [
      'points an outcome at another hash',
      `update actions set receipt_hash = '${digestText('x')}' where action_id = 'action-3'`,
      /names another receipt 3/,
    ],
    [
      'points an outcome at a receipt that is not there',
      `update actions set receipt_seq = 99 where action_id = 'action-3'`,
      /names receipt 99, which is not there/,
    ],
    [
      'makes up an outcome that no receipt was ever signed for',
      `insert into actions (tenant, action_id, digest, tool, status, outcome, receipt_seq, receipt_hash, ended_at)
        select tenant, 'made-up', digest, tool, status, outcome, 6, receipt_hash, ended_at from actions where action_id = 'action-3'`,
      /outcome of action made-up names receipt 6, which is not there/,
    ],
    ['removes a receipt in the middle', `delete from receipts where seq = 3`, /Receipt 3 is missing/],
    [
      'removes a receipt and its action',
      `delete from receipts where seq = 3; delete from actions where action_id = 'action-3'`,
      /Receipt 3 is missing/,
    ],
    ['removes the first receipt', `delete from receipts where seq = 1`, /Receipt 1 is missing/],
    ['removes the last receipt, and not the head', `delete from receipts where seq = 5`, /Receipt 5 is missing/],
    [
      'sets the head back',
      `update chains set seq = 4, hash = (select hash from receipts where seq = 4)`,
      /goes on to receipt 5 after its head, 4/,
    ],
    ['removes the head', `update chains set seq = 0, hash = null`, /head of the chain is missing/],
    [
      're-orders two receipts',
      `update receipts set seq = -seq where seq in (2, 3); update receipts set seq = 5 + seq where seq < 0`,
      /stored as [23] was signed as [32]/,
    ],
    [
      'moves a receipt to another action',
      `update receipts set action_id = 'other' where seq = 3`,
      /Receipt 3 is of action action-3/,
    ],
  ])('%s', async (_, attack, told) => {
    await superuser.query('alter table receipts drop constraint receipts_check, drop constraint receipts_seq_check');
    await superuser.query(attack);
    const report = await verify({ tenant: 'acme' });
    expect(report.ok).toBe(false);
    expect(problemsOf(report).join('\n')).toMatch(told);
  });

  test('edits a receipt and fixes its hash everywhere', async () => {
    const { rows } = await superuser.query<{ jws: string }>('select jws from receipts where seq = 3');
    const [head = '', payload = '', signature = ''] = (rows[0]?.jws ?? '').split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const forged = `${head}.${Buffer.from(JSON.stringify({ ...claims, status: 'denied' })).toString('base64url')}.${signature}`;
    await superuser.query(`update receipts set jws = $1, hash = $2 where seq = 3`, [forged, hashReceipt(forged)]);
    await superuser.query(`update actions set receipt_hash = $1 where receipt_seq = 3`, [hashReceipt(forged)]);
    expect(problemsOf(await verify()).join('\n')).toMatch(/Receipt 3 does not verify: The signature does not verify/);
  });

  test('writes a whole chain of receipts with keys of their own', async () => {
    await superuser.query('delete from receipts; delete from actions; delete from chains; delete from trail');
    for (let i = 1; i <= 5; i++) await settle('acme', `action-${i}`, strangers);
    const report = await verify();
    expect(report.ok).toBe(false);
    expect(problemsOf(report).join('\n')).toMatch(
      /Receipt 1 does not verify: The token is signed by a key that is not known here/,
    );
  });

  test('copies the chain of another tenant', async () => {
    await superuser.query(`
      insert into receipts (tenant, seq, hash, prev, jws, action_id) select 'beta', seq, hash, prev, jws, action_id from receipts;
      insert into chains select 'beta', seq, hash from chains`);
    expect(problemsOf(await verify({ tenant: 'beta' })).join('\n')).toMatch(/belongs to another tenant/);
  });

  test('breaks everything: the problems told are few, all are counted', async () => {
    await settleMany('flood', 120);
    await superuser.query(`update actions set outcome = '{}' where tenant = 'flood'`);
    const { tenants } = await verify({ tenant: 'flood' });
    expect(tenants[0]).toMatchObject({ ok: false, problemCount: 120 });
    expect(tenants[0]?.problems).toHaveLength(40);
  });
});

/** The last receipts, the outcomes they settle, and the head: what is left is a shorter chain without a flaw. */
const CUT = `
  delete from receipts where seq > 3;
  delete from actions where receipt_seq > 3;
  delete from trail where receipt_seq > 3;
  update chains set seq = 3, hash = (select hash from receipts where seq = 3)`;

describe('somebody who cuts the end of the chain off, with its head', () => {
  beforeEach(() => settleMany('acme', 5));

  test('leaves a chain that looks whole by itself', async () => {
    await superuser.query(CUT);
    expect((await verify()).ok).toBe(true);
  });

  test('is found out by what an earlier verification saw', async () => {
    const [before] = (await verify()).tenants;
    await superuser.query(CUT);
    const report = await verify({ anchors: { acme: before?.head as { seq: number; hash: string } } });
    expect(problemsOf(report)).toEqual(['Receipt 5 was issued and is missing.']);
  });

  test('is found out by it also when other receipts have been issued since', async () => {
    const [before] = (await verify()).tenants;
    await superuser.query(CUT);
    for (let i = 6; i <= 9; i++) await settle('acme', `action-${i}`);
    const report = await verify({ anchors: { acme: before?.head as { seq: number; hash: string } } });
    expect(problemsOf(report)).toEqual(['Receipt 5 is not the one that was issued.']);
  });

  test('is found out when nothing of the tenant is left at all', async () => {
    const [before] = (await verify()).tenants;
    await superuser.query('delete from receipts; delete from actions; delete from chains');
    const report = await verify({ anchors: { acme: before?.head as { seq: number; hash: string } } });
    expect(problemsOf(report)).toEqual(['Receipt 5 was issued and is missing.']);
  });
});

/** A workflow that carries what an action's does, left open: nobody works on it. */
async function seenByTemporal(tenant: string, actionId: string, receipt: number): Promise<void> {
  const key = (name: string) => defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);
  await temporal.workflow.start('trustedAction', {
    taskQueue: 'nobody',
    workflowId: `${tenant}/${actionId}`,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: key('CountersignTenant'), value: tenant },
      { key: defineSearchAttributeKey('CountersignReceipt', SearchAttributeType.INT), value: receipt },
    ]),
  });
  await until(
    async () => (await temporal.workflow.count(`WorkflowId = "${tenant}/${actionId}"`)).count,
    (count) => count === 1,
  );
}

describe('what Temporal saw', () => {
  test('tells of receipts that were cut off', async () => {
    await settleMany('cut', 5);
    for (const i of [2, 3, 4, 5]) await seenByTemporal('cut', `action-${i}`, i);
    expect((await verify({ temporal, tenant: 'cut' })).ok).toBe(true);
    await superuser.query(CUT);
    const report = await verify({ temporal, tenant: 'cut' });
    expect(problemsOf(report).sort()).toEqual([
      'Temporal saw receipt 4, of action action-4, and the ledger does not have it.',
      'Temporal saw receipt 5, of action action-5, and the ledger does not have it.',
    ]);
    expect(report.tenants[0]).toMatchObject({ witnessed: true });
  });

  test('freezes a tenant whose end is gone, once: who lifted the freeze has looked', async () => {
    await settleMany('behind', 3);
    await seenByTemporal('behind', 'action-5', 5);
    expect(await freezeSetBack(ledger, temporal)).toContainEqual({ tenant: 'behind', head: 3, seen: 5 });
    const admitted = () => ledger.actions.admit(admission({ tenant: 'behind', actionId: 'next' }));
    const { kind, freeze } = (await admitted()) as { kind: string; freeze?: { id: number; reason: string } };
    expect(kind).toBe('frozen');
    expect(freeze?.reason).toMatch(/^Temporal saw receipt 5, and the ledger does not have it/);
    await ledger.controls.unfreeze(freeze?.id ?? 0, { by: 'ann' });
    expect(await freezeSetBack(ledger, temporal)).toEqual([]);
    expect(await admitted()).toMatchObject({ kind: 'admitted' });
    // Who has looked at one tenant has not looked at another, whose end is gone at the same number.
    await settleMany('behind-too', 3);
    await seenByTemporal('behind-too', 'action-5', 5);
    expect(await freezeSetBack(ledger, temporal)).toEqual([{ tenant: 'behind-too', head: 3, seen: 5 }]);
  });

  test('tells of a tenant that the ledger has lost altogether', async () => {
    await settleMany('known', 1);
    await seenByTemporal('known', 'action-1', 1);
    await seenByTemporal('lost', 'action-7', 7);
    const report = await verify({ temporal });
    expect(report.tenants.find(({ tenant }) => tenant === 'known')?.ok).toBe(true);
    expect(report.tenants.find(({ tenant }) => tenant === 'lost')?.problems).toEqual([
      { seq: 7, problem: 'Temporal saw receipt 7, of action action-7, and the ledger does not have it.' },
    ]);
  });

  test('counts only where it was in the ledger first: a receipt appended meanwhile is no alarm', async () => {
    await settleMany('busy', 2);
    await seenByTemporal('busy', 'action-3', 3);
    // The action ends between our reading of the chain and our question to Temporal.
    let asked = 0;
    const { actions, receipts } = ledger;
    const late = {
      actions,
      receipts: {
        list: (tenant: string) => receipts.list(tenant),
        tenants: () => receipts.tenants(),
        async head(tenant: string) {
          if (asked++ > 0) await settle('busy', 'action-3');
          return receipts.head(tenant);
        },
      },
    };
    const report = await verifyReceipts({ ledger: late, keyring, temporal, tenant: 'busy' });
    expect(problemsOf(report)).toEqual([]);
    expect(asked).toBeGreaterThan(1);
  });

  test('cannot be asked when it is away: then nothing is said to be whole', async () => {
    await settleMany('acme', 1);
    const away = new Client({ connection: temporal.connection, namespace: 'no-such-namespace' });
    await expect(verify({ temporal: away })).rejects.toMatchObject({ code: 'TEMPORAL_UNAVAILABLE' });
  });
});

describe('anchors', () => {
  test('move with what verified, and stay where something is broken', async () => {
    const file = path.join(await folder(), 'sub', 'anchors.json');
    expect(await readAnchors(file, 'a')).toEqual({});
    await settleMany('good', 2);
    await settleMany('bad', 2);
    await saveAnchors(file, 'a', await verify());
    await settle('good', 'action-3');
    await settle('bad', 'action-3');
    await superuser.query(`update actions set outcome = '{}' where tenant = 'bad' and action_id = 'action-1'`);
    await saveAnchors(file, 'a', await verify());
    expect(await readAnchors(file, 'a')).toMatchObject({ good: { seq: 3 }, bad: { seq: 2 } });
    expect(await readAnchors(file, 'another ledger')).toEqual({});
  });

  test('do not move back when a slower verification of an earlier state ends later', async () => {
    const file = path.join(await folder(), 'anchors.json');
    await settleMany('acme', 2);
    const earlier = await verify();
    await settle('acme', 'action-3');
    await saveAnchors(file, 'a', await verify());
    await saveAnchors(file, 'a', earlier);
    expect(await readAnchors(file, 'a')).toMatchObject({ acme: { seq: 3 } });
  });

  test.each([
    ['not JSON', '{'],
    ['of another shape', '{"ledgers": {"a": {"acme": {"seq": 0}}}}'],
    ['empty', ''],
  ])('that are %s are not taken for none', async (_, text) => {
    const file = path.join(await folder(), 'anchors.json');
    await writeFile(file, text);
    await expect(readAnchors(file, 'a')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('countersign receipts verify', () => {
  const settings = async () => {
    const cwd = await folder();
    const env = {
      COUNTERSIGN_LEDGER_URL: database.url,
      COUNTERSIGN_KEYS: keys,
      TEMPORAL_ADDRESS: namespace.address,
      TEMPORAL_NAMESPACE: namespace.namespace,
    };
    return { cwd, env };
  };

  test('says that all is well, remembers it, and notices the next time that the end is gone', async () => {
    const { cwd, env } = await settings();
    await settleMany('acme', 5);
    const well = await cli(['receipts', 'verify', '--tenant', 'acme'], { cwd, env });
    expect(well).toMatchObject({ code: 0, stderr: '' });
    expect(well.stdout).toMatch(/^✓ acme {2}5 receipts, 5 recorded outcomes, last #5 sha256:/);
    expect(well.stdout).toContain('no earlier verification');
    expect(await readFile(path.join(cwd, '.countersign/anchors.json'), 'utf8')).not.toContain(
      new URL(database.url).password,
    );

    await superuser.query(CUT);
    const cut = await cli(['receipts', 'verify', '--tenant', 'acme'], { cwd, env });
    expect(cut.code).toBe(1);
    expect(cut.stdout).toMatch(/^✗ acme[^]*#5 {2}Receipt 5 was issued and is missing\./);
    expect(cut.stderr).toMatch(/^error RECEIPTS_BROKEN: 1 problem in the receipts of acme/);

    const json = await cli(['receipts', 'verify', '--json', '--offline'], { cwd, env });
    expect(json.code).toBe(1);
    expect(json.json()).toMatchObject({
      ok: false,
      error: { code: 'RECEIPTS_BROKEN' },
      tenants: [{ tenant: 'acme', ok: false, witnessed: false, problems: [{ seq: 5 }] }],
    });
  });

  test('doctor and `receipts unrecorded` say what a ledger restored to an earlier state has lost', async () => {
    const { cwd, env } = await settings();
    await settleMany('acme', 3);
    await settleMany('cut', 2);
    await seenByTemporal('cut', 'action-9', 9);
    await superuser.query(`delete from receipts where tenant = 'acme' and seq = 3`);
    await superuser.query(`${EFFECTS_DDL}; insert into countersign_effects.effects (key, status, input, execution) values
      ('countersign:acme/action-1', 'done', 'x', '{}'), ('countersign:acme/action-7', 'done', 'x', '{}')`);
    const index = path.join(inject('compiledSources'), 'src/tools/index.js');
    await writeFile(
      path.join(cwd, 'countersign.config.mjs'),
      `import { postgres } from ${JSON.stringify(index)};
       export default { policies: ${JSON.stringify(path.join(ROOT, 'policies/starter'))}, tools: [postgres({ name: 'shop-db', environment: 'production', url: ${JSON.stringify(database.url)} })] };`,
    );
    const unrecorded = await cli(['receipts', 'unrecorded', '--json'], { cwd, env });
    expect(unrecorded.code).toBe(1);
    expect(unrecorded.json()).toMatchObject({
      asked: ['shop-db'],
      count: 1,
      effects: [{ tenant: 'acme', actionId: 'action-7', ledger: 'no action' }],
      error: { code: 'LEDGER_BROKEN' },
    });
    const { checks } = (await cli(['doctor', '--json'], { cwd, env })).json() as {
      checks: readonly { name: string; ok: boolean; detail: string }[];
    };
    const detail = (name: string) => checks.find((check) => check.name === name && !check.ok)?.detail;
    expect(detail('receipts')).toContain('LEDGER_BROKEN: No action of these tenants is admitted. acme: receipt 3,');
    expect(detail('receipts seen')).toContain('cut ends with receipt 2, and Temporal saw receipt 9');
    expect(detail('effects')).toContain('acme/action-7 on shop-db (no action)');
  });

  test('does not say that the receipts of a mistyped tenant are well', async () => {
    const { cwd, env } = await settings();
    await settleMany('acme', 1);
    const { code, json } = await cli(['receipts', 'verify', '--tenant', 'acne', '--json'], { cwd, env });
    expect(code).toBe(2);
    expect(json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
  });

  test('does not overlook damaged anchors', async () => {
    const { cwd, env } = await settings();
    await settleMany('acme', 1);
    await mkdir(path.join(cwd, '.countersign'));
    await writeFile(path.join(cwd, '.countersign/anchors.json'), 'x');
    const { code, json } = await cli(['receipts', 'verify', '--json', '--offline'], { cwd, env });
    expect(code).toBe(1);
    expect(json()).toMatchObject({ error: { code: 'CONFIG_INVALID' } });
  });

  test('hostile names in the ledger stay names', async () => {
    const { cwd, env } = await settings();
    await settle('acme', 'action-1');
    await superuser.query(`update actions set action_id = E'\\u001b[2Jx' where tenant = 'acme'`);
    const { stdout } = await cli(['receipts', 'verify', '--offline'], { cwd, env });
    expect(stdout).toContain('\\u{1B}[2Jx');
    expect(stdout).not.toContain('\u001b');
  });
});
