/** `countersign trail` on a real ledger: exports in three formats, checkpoints with anchors, proofs, and what `verify` says of each. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer as createHttpServer } from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { generateKeyringFile, parseKeyring, publicKeyring } from '../../src/trust/index.js';
import { Ledger } from '../../src/ledger/index.js';
import { checkpointTrail } from '../../src/trail/checkpoint.js';
import { preAuthenticated, PREDICATE_TYPE, type Envelope } from '../../src/trail/statements.js';
import { createDatabase, type TestDatabase } from '../support/postgres.js';
import { ROOT } from '../support/root.js';
import { cli, errorOf, folder } from '../cli/support.js';
import { settleAction, useGrant } from './world.js';

const run = promisify(execFile);

let database: TestDatabase;
let ledger: Ledger;
let keys: string;
let cwd: string;
let env: Record<string, string>;

beforeAll(async () => {
  database = await createDatabase('ledger');
  ledger = await Ledger.connect({ url: database.url });
  keys = JSON.stringify(await generateKeyringFile(['receipt']));
  env = { COUNTERSIGN_LEDGER_URL: database.url, COUNTERSIGN_KEYS: keys };
});
afterAll(async () => {
  await ledger?.close();
  await database?.drop();
});

/** A folder with the public keys in it. */
async function withKeys(): Promise<string> {
  const made = await folder();
  await writeFile(
    path.join(made, 'public-keys.json'),
    JSON.stringify(await publicKeyring(await parseKeyring(keys, 'test'))),
  );
  return made;
}

const settle = async (tenant: string, ...ids: readonly string[]): Promise<void> => {
  const keyring = await parseKeyring(keys, 'test');
  for (const id of ids) await settleAction(ledger, keyring, id, tenant);
};

const trail = (...args: readonly string[]) => cli(['trail', ...args], { cwd, env });
const linesIn = async (file: string) => (await readFile(path.join(cwd, file), 'utf8')).trimEnd().split('\n');

test('an export verifies offline with the public keys alone; one with a line missing does not', async () => {
  cwd = await withKeys();
  await settle('acme', 'a-1', 'a-2', 'a-3');
  expect(await trail('checkpoint', '--tenant', 'acme')).toMatchObject({ code: 0, stderr: '' });
  await settle('acme', 'a-4');
  expect((await trail('export', '--tenant', 'acme', '--out', 'acme.jsonl')).stdout).toMatch(/^✓ 7 lines in acme.jsonl/);

  // No ledger, no private key.
  const offline = (...args: readonly string[]) => cli(['trail', 'verify', ...args], { cwd, env: {} });
  const well = await offline('acme.jsonl', '--keys', 'public-keys.json');
  expect(well).toMatchObject({ code: 0, stderr: '' });
  expect(well.stdout).toMatch(/^✓ acme {2}4 entries, 1 checkpoints, signed up to entry 3/);

  const lines = await linesIn('acme.jsonl');
  await writeFile(path.join(cwd, 'cut.jsonl'), `${lines.toSpliced(2, 1).join('\n')}\n`);
  const cut = await offline('cut.jsonl', '--keys', 'public-keys.json');
  expect(cut.code).toBe(1);
  expect(cut.stdout).toContain('missing #2  Entry 2 is missing.');
  expect(cut.stderr).toMatch(/^error TRAIL_BROKEN: \d problems in the audit trail/);
  expect((await offline('cut.jsonl', '--keys', 'public-keys.json', '--json')).json()).toMatchObject({
    ok: false,
    trails: [
      {
        ok: false,
        problems: [
          { code: 'missing', at: 2 },
          { code: 'receipt_missing', at: 3 },
          { code: 'end', at: 4 },
        ],
      },
    ],
  });
  await writeFile(path.join(cwd, 'empty.jsonl'), '');
  expect((await offline('empty.jsonl', '--keys', 'public-keys.json')).code).toBe(1);
  expect((await offline('absent.jsonl', '--keys', 'public-keys.json')).code).toBe(2);
  expect((await offline('acme.jsonl', '--keys', 'absent.json')).code).toBe(2);
});

test('in-toto statements are signed, and events of OCSF have what a SIEM reads', async () => {
  cwd = await withKeys();
  await settle('stated', 's-1');
  await ledger.controls.freeze({ tenant: 'stated', scope: { kind: 'agent', value: 'bot' }, reason: 'odd', by: 'ann' });
  await trail('export', '--tenant', 'stated', '--format', 'dsse', '--out', 'stated.dsse.jsonl');
  const [key] = [...(await parseKeyring(keys, 'test')).verify.receipt];
  const statements = (await linesIn('stated.dsse.jsonl')).map((line) => {
    const { payloadType, payload, signatures } = JSON.parse(line) as Envelope;
    expect(payloadType).toBe('application/vnd.in-toto+json');
    expect(signatures[0].keyid).toBe(key?.[0]);
    const body = Buffer.from(payload, 'base64');
    expect(key?.[1].verifies(preAuthenticated(body), Buffer.from(signatures[0].sig, 'base64'))).toBe(true);
    return JSON.parse(body.toString()) as { predicate: Record<string, unknown> };
  });
  expect(statements).toMatchObject([
    {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'stated/receipt/s-1', digest: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string } }],
      predicateType: PREDICATE_TYPE,
      predicate: { kind: 'receipt', receipt: { status: 'success', agent: 'agent-1', tool: 'shop-db' } },
    },
    {
      subject: [{ name: 'stated/freeze/1' }],
      predicate: { kind: 'freeze', evidence: expect.stringContaining('odd') as string },
    },
  ]);

  await trail('export', '--tenant', 'stated', '--format', 'ocsf', '--out', 'stated.ocsf.jsonl');
  const events = (await linesIn('stated.ocsf.jsonl')).map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(events).toMatchObject([
    {
      class_uid: 6003,
      type_uid: 600_303,
      activity_id: 3,
      status_id: 1,
      actor: { user: { uid: 'agent-1' } },
      api: { operation: 'shop-db' },
    },
    { class_uid: 6003, type_uid: 600_399, activity_id: 99, api: { operation: 'freeze' } },
  ]);
  for (const event of events) {
    const required = [
      'activity_id',
      'actor',
      'api',
      'category_uid',
      'class_uid',
      'metadata',
      'severity_id',
      'src_endpoint',
      'time',
      'type_uid',
    ];
    expect(Object.keys(event)).toEqual(expect.arrayContaining(required));
  }
});

test('this key signs no statement of what somebody else wrote into the ledger', async () => {
  cwd = await withKeys();
  await settle('forged', 'f-1', 'f-2');
  const superuser = new pg.Client({ connectionString: database.url });
  await superuser.connect();
  // Another outcome in the last receipt, with every hash of it: all but the signature.
  const { rows } = await superuser.query(`select jws from countersign.receipts where tenant = 'forged' and seq = 2`);
  const [head, payload = '', signature] = (rows[0] as { jws: string }).jws.split('.');
  const claims = { ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), status: 'denied' };
  const jws = `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`;
  await superuser.query(`set session_replication_role = replica; set search_path = countersign`);
  await superuser.query(
    `update receipts set jws = $1::text, hash = 'sha256:' || encode(sha256(convert_to($1::text, 'UTF8')), 'hex') where tenant = 'forged' and seq = 2`,
    [jws],
  );
  await superuser.query(`with changed as (
      select (entry::jsonb || jsonb_build_object('digest', (select hash from receipts where tenant = 'forged' and seq = 2)))::text as entry
      from trail where tenant = 'forged' and seq = 2)
    update trail as t set entry = changed.entry,
      hash = 'sha256:' || encode(sha256('\\x00'::bytea || convert_to(changed.entry, 'UTF8')), 'hex')
    from changed where t.tenant = 'forged' and t.seq = 2`);
  await superuser.end();
  const refused = await trail(
    'export',
    '--tenant',
    'forged',
    '--format',
    'dsse',
    '--out',
    'forged.dsse.jsonl',
    '--json',
  );
  expect(refused.code).toBe(1);
  expect(errorOf(refused)).toMatchObject({
    code: 'TRAIL_BROKEN',
    message: expect.stringContaining('receipt of entry 2 does not verify') as string,
  });
  await expect(linesIn('forged.dsse.jsonl')).rejects.toMatchObject({ code: 'ENOENT' });
});

test('what people write cannot break an export into other lines', async () => {
  cwd = await withKeys();
  const reason = 'odd\u2028{"type":"end","entries":0,"checkpoints":0}\u2029\u0085';
  await ledger.controls.freeze({ tenant: 'lines', scope: { kind: 'agent', value: 'bot' }, reason, by: 'ann' });
  await trail('export', '--tenant', 'lines', '--out', 'lines.jsonl');
  expect(await cli(['trail', 'verify', 'lines.jsonl', '--keys', 'public-keys.json'], { cwd, env: {} })).toMatchObject({
    code: 0,
    stderr: '',
  });
  // Bytes that are no UTF-8 are not what they would be read as.
  const bytes = await readFile(path.join(cwd, 'lines.jsonl'));
  const at = bytes.indexOf('odd');
  await writeFile(
    path.join(cwd, 'bytes.jsonl'),
    Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), bytes.subarray(at)]),
  );
  const found = await cli(['trail', 'verify', 'bytes.jsonl', '--keys', 'public-keys.json', '--json'], { cwd, env: {} });
  expect(found.json()).toMatchObject({ trails: [{ problems: [{ code: 'line', at: 2 }, { code: 'end' }] }] });
});

test('checkpoints go to a file, a repository and a URL, once each; what they keep shows that the end was cut off', async () => {
  cwd = await withKeys();
  await settle('anchored', 'n-1', 'n-2');
  const posted: string[] = [];
  const hook = createHttpServer((request, response) => {
    request.setEncoding('utf8').once('data', (body: string) => {
      posted.push(body);
      response.writeHead(posted.length === 1 ? 503 : 204).end();
    });
  });
  hook.listen(0, '127.0.0.1');
  await once(hook, 'listening');
  const url = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/anchors`;
  const repository = path.join(cwd, 'repository');
  await run('git', ['init', '--quiet', repository]);
  const index = path.join(inject('compiledSources'), 'src/trail/index.js');
  await writeFile(
    path.join(cwd, 'countersign.config.mjs'),
    `import { fileAnchor, gitAnchor, webhookAnchor } from ${JSON.stringify(index)};
     export default {
       policies: ${JSON.stringify(path.join(ROOT, 'policies/starter'))},
       tools: [],
       trail: { anchors: [
         fileAnchor({ path: ${JSON.stringify(path.join(cwd, 'anchored.jsonl'))} }),
         gitAnchor({ repository: ${JSON.stringify(repository)} }),
         webhookAnchor({ url: ${JSON.stringify(url)}, allow: { loopback: true } }),
       ] },
     };`,
  );
  const first = await trail('checkpoint', '--tenant', 'anchored', '--json');
  expect(errorOf(first)).toMatchObject({
    code: 'ANCHOR_FAILED',
    message: expect.stringContaining('HTTP 503') as string,
  });
  // The place that failed is tried again, and the others are left alone.
  expect((await trail('checkpoint', '--tenant', 'anchored')).code).toBe(0);
  expect((await trail('checkpoint', '--tenant', 'anchored')).code).toBe(0);
  hook.close();
  expect(posted).toHaveLength(2);
  expect(await linesIn('anchored.jsonl')).toEqual([posted[1]]);
  expect(await linesIn('repository/anchored.jsonl')).toEqual([posted[1]]);
  const { stdout: log } = await run('git', ['-C', repository, 'log', '--format=%s']);
  expect(log).toBe('anchored: 2 entries\n');

  // Somebody with the database cuts the end off, and with it all that was signed over it.
  const superuser = new pg.Client({ connectionString: database.url });
  await superuser.connect();
  await superuser.query(`set session_replication_role = replica; set search_path = countersign;
    delete from trail where tenant = 'anchored' and seq = 2; delete from trail_checkpoints where tenant = 'anchored';
    delete from receipts where tenant = 'anchored' and seq = 2`);
  await superuser.end();
  expect((await trail('verify', '--tenant', 'anchored')).code).toBe(0);
  const found = await trail('verify', '--tenant', 'anchored', '--anchors', 'anchored.jsonl', '--json');
  expect(found.code).toBe(1);
  expect(found.json()).toMatchObject({ trails: [{ problems: [{ code: 'truncated', at: 2 }] }] });
});

test('proofs stand alone', async () => {
  cwd = await withKeys();
  await settle('proven', 'p-1', 'p-2', 'p-3');
  await trail('checkpoint', '--tenant', 'proven');
  await settle('proven', 'p-4', 'p-5');
  await trail('checkpoint', '--tenant', 'proven');
  const proof = await trail('prove', '--tenant', 'proven', '--action', 'p-2');
  await writeFile(path.join(cwd, 'proof.json'), proof.stdout);
  const verify = (file: string) => cli(['trail', 'verify', file, '--keys', 'public-keys.json'], { cwd, env: {} });
  expect((await verify('proof.json')).stdout).toBe('✓ entry 2 is in the signed trail of proven, over 5 entries\n');
  await writeFile(path.join(cwd, 'forged.json'), proof.stdout.replace('p-2', 'p-9'));
  expect(await cli(['trail', 'verify', 'proof.json', '--max-open', '1h'], { cwd, env })).toMatchObject({ code: 2 });
  const stamps = ['--anchors', 'proof.json', '--timestamp-ca', 'public-keys.json'];
  expect(await cli(['trail', 'verify', 'proof.json', ...stamps], { cwd, env })).toMatchObject({ code: 2 });
  expect(await verify('forged.json')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('TRAIL_BROKEN') as string,
  });
  const growth = await trail('prove', '--tenant', 'proven', '--from', '3');
  await writeFile(path.join(cwd, 'growth.json'), growth.stdout);
  expect((await verify('growth.json')).stdout).toBe(
    '✓ the trail of proven over 3 entries is the beginning of the one over 5\n',
  );
  expect(await trail('prove', '--tenant', 'proven', '--from', '4')).toMatchObject({ code: 2 });
  expect(await trail('prove', '--tenant', 'proven')).toMatchObject({ code: 2 });
  expect(await trail('export', '--tenant', 'nobody', '--out', 'x')).toMatchObject({ code: 2 });
});

test('what does not follow the last checkpoint is not signed, and receipts past the trail are told', async () => {
  cwd = await withKeys();
  await settle('rewritten', 'r-1', 'r-2');
  const keyring = await parseKeyring(keys, 'test');
  await checkpointTrail('rewritten', { ledger, keyring });
  await settle('rewritten', 'r-3');
  const superuser = new pg.Client({ connectionString: database.url });
  await superuser.connect();
  await superuser.query(`set session_replication_role = replica; set search_path = countersign;
    delete from trail where tenant = 'rewritten' and seq = 3`);
  await settle('rewritten', 'r-4');
  // The number is taken again, by an entry that names the right one before it: only the receipt that has none tells.
  expect((await trail('verify', '--tenant', 'rewritten', '--json')).json()).toMatchObject({
    ok: false,
    trails: [
      {
        problems: [
          { code: 'receipt_missing', at: 3 },
          { code: 'receipt_missing', problem: expect.stringMatching(/^Receipt 3 is in the ledger/) as string },
        ],
      },
    ],
  });
  await superuser.query('alter table trail drop constraint trail_check');
  await superuser.query(`update trail set entry = replace(entry, 'r-4', 'r-9') where tenant = 'rewritten' and seq = 3`);
  const refused = await trail('checkpoint', '--tenant', 'rewritten');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('The trail of rewritten does not go on after entry 2.');
  await superuser.end();
});

test('several workers append, and several sign at once: one chain, and one checkpoint over as many entries', async () => {
  const keyring = await parseKeyring(keys, 'test');
  const other = await Ledger.connect({ url: database.url });
  await Promise.all(
    Array.from({ length: 12 }, (_, n) => settleAction(n % 2 === 0 ? ledger : other, keyring, `m-${n}`, 'many')),
  );
  const made = await Promise.all([1, 2, 3].map(() => checkpointTrail('many', { ledger, keyring })));
  expect(new Set(made.map((one) => one?.jws)).size).toBe(1);
  expect(made.filter((one) => one?.made)).toHaveLength(1);
  cwd = await withKeys();
  expect((await trail('verify', '--tenant', 'many', '--json')).json()).toMatchObject({
    ok: true,
    trails: [{ entries: 12, covered: 12 }],
  });
  await other.close();
});

test('grants of actions without a receipt are told, and forbidden by --max-open alone', async () => {
  cwd = await withKeys();
  const { jti } = await useGrant(ledger, 'hangs', 'slow');
  await ledger.trail.enterGrants('slow', [jti]);
  await trail('export', '--tenant', 'slow', '--out', 'slow.jsonl');
  const offline = (...args: readonly string[]) =>
    cli(['trail', 'verify', 'slow.jsonl', '--keys', 'public-keys.json', ...args], { cwd, env: {} });
  const open = await offline();
  expect(open).toMatchObject({ code: 0, stderr: '' });
  expect(open.stdout).toContain('1 grant was used, and the action has no receipt yet:\n      #1  hangs  used 20');
  expect(open.stdout).toContain(`(grant ${jti})`);
  expect(await offline('--max-open', '1h')).toMatchObject({ code: 0, stderr: '' });
  expect((await offline('--max-open', '1h', '--json')).json()).toMatchObject({
    ok: true,
    trails: [{ openGrants: [{ entry: 1, actionId: 'hangs', jti }], openGrantCount: 1, overdueGrants: 0 }],
  });

  const late = await offline('--max-open', '1ms', '--json');
  expect(late.code).toBe(1);
  expect(late.json()).toMatchObject({
    ok: false,
    trails: [{ ok: true, overdueGrants: 1, problems: [] }],
    error: { code: 'CHECK_FAILED', field: '--max-open' },
  });
  expect((await trail('verify', '--tenant', 'slow', '--max-open', '1ms')).stderr).toMatch(
    /^error CHECK_FAILED: 1 grant was used longer ago than --max-open, and the action has no receipt/,
  );
  expect(await offline('--max-open', '1')).toMatchObject({ code: 2 });

  // What is wrong with the trail itself comes first.
  const lines = await linesIn('slow.jsonl');
  await writeFile(path.join(cwd, 'slow.jsonl'), `${lines.slice(0, -1).join('\n')}\n`);
  expect((await offline('--max-open', '1ms')).stderr).toMatch(/^error TRAIL_BROKEN/);
});
