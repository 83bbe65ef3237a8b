/** What an operator declares secret is redacted where it is recorded and shown, while actions go on as ever on the values themselves. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digest, type JsonObject } from '../../src/action/json.js';
import type { Outcome } from '../../src/action/outcome.js';
import type { Proposal } from '../../src/action/proposal.js';
import { editedProposal } from '../../src/action/edit.js';
import { isRedacted } from '../../src/action/redacted.js';
import { assertShownMatches } from '../../src/action-records/shown.js';
import type { Countersign } from '../../src/client/countersign.js';
import { createPayloadKeys } from '../../src/privacy/payload-key-files.js';
import { parsePayloadKeys } from '../../src/privacy/payload-keys.js';
import type { RedactionRules } from '../../src/privacy/redaction-rules.js';
import { Redaction, refuseRedacted } from '../../src/privacy/redaction.js';
import { recall } from '../../activities/snapshots.js';
import type { Snapshot } from '../../src/action/snapshot.js';
import { payloadEncryption } from '../../src/privacy/data-converter.js';
import { openRedaction } from '../../src/privacy/open-redaction.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import { signApproval, signedEdit } from '../../src/trust/index.js';
import { cli } from '../cli/support.js';
import { ended, pending, shopTool, startStack, type Stack } from '../support/stack.js';

const keys = (byte: number) =>
  parsePayloadKeys(
    JSON.stringify({
      keys: [
        { kty: 'oct', kid: 'k', k: Buffer.from(Array.from({ length: 32 }, (_, i) => i + byte)).toString('base64url') },
      ],
    }),
    'test',
  );
const RULES = { db: { fields: ['email'], input: ['/params/*', '/body/card/number'] } };
/** Kept in memory: the ledger's own are tried below. */
const noSubjects = { current: () => Promise.reject(new Error('none')), at: () => Promise.resolve(undefined) };
const redactionOf = (key: number, rules: Record<string, RedactionRules> = RULES) =>
  new Redaction(keys(key), rules, noSubjects);
const redaction = redactionOf(1);
const acme = redaction.of('acme', 'db') as NonNullable<ReturnType<Redaction['of']>>;

const proposal = (input: JsonObject, more: object = {}) => ({ actionId: 'a', tool: 'db', input, ...more });

/** Of one table, by the keys of its rows. */
function stateOf(snapshot: Outcome['post']): { customers: Record<string, JsonObject> } {
  return (snapshot as { state: unknown }).state as { customers: Record<string, JsonObject> };
}

describe('a redacted proposal', () => {
  test('holds nothing of the fields and places that the rules name, nor of where its words quote them', () => {
    const redacted = acme.proposal(
      proposal(
        {
          set: { email: 'ada@example.com', plan: 'pro' },
          where: { email: { in: ['bob@example.com', null] }, id: 7 },
          params: ['4111-1111', 42],
          body: { card: { number: '5500-0000', holder: 'Ada' } },
        },
        { reasoning: 'ada@example.com moved; card 5500-0000', expect: 'post.x.email == "ada@example.com"' },
      ),
    );
    const text = JSON.stringify(redacted);
    for (const secret of ['ada@', 'bob@', '4111', '42,', '5500']) expect(text).not.toContain(secret);
    expect(redacted.input).toMatchObject({
      set: { plan: 'pro' },
      where: { id: 7 },
      body: { card: { holder: 'Ada' } },
    });
    expect(redacted.input['where']).toMatchObject({ email: { in: [expect.stringMatching(/^redacted:/), null] } });
    const { set } = redacted.input as { set: { email: string } };
    expect(redacted.expect).toBe(`post.x.email == "${set.email}"`);
  });

  test('holds nothing of a field whose name is written otherwise', () => {
    const redacted = acme.proposal(
      proposal({ set: { EMail: 'ada@example.com' }, rows: [{ EMAIL: 'eve@example.com' }] }),
    );
    expect(JSON.stringify(redacted)).not.toMatch(/ada@|eve@/);
  });

  test('has equal digests for equal values of a tenant’s tool, and others for every other tenant, tool and key', () => {
    const of = (by: Redaction, tenant: string, tool: string, email: string) =>
      by.of(tenant, tool)?.proposal(proposal({ email })).input['email'];
    const two = redactionOf(1, { ...RULES, other: RULES.db });
    expect(of(two, 'acme', 'db', 'a@x')).toBe(of(redaction, 'acme', 'db', 'a@x'));
    const all = [
      of(two, 'acme', 'db', 'a@x'),
      of(two, 'acme', 'db', 'b@x'),
      of(two, 'bcme', 'db', 'a@x'),
      of(two, 'acme', 'other', 'a@x'),
      of(redactionOf(2), 'acme', 'db', 'a@x'),
    ];
    expect(new Set(all).size).toBe(5);
    expect(all.every(isRedacted)).toBe(true);
    expect(redaction.of('acme', 'unruled')).toBeUndefined();
  });

  test('can be redacted again without a change, and acted on by no tool', () => {
    const once = acme.proposal(proposal({ email: 'ada@example.com' }));
    expect(acme.proposal(once as never)).toEqual(once);
    expect(() => refuseRedacted(once.input)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
    expect(() => refuseRedacted({ email: 'redacted: by hand' })).not.toThrow();
  });
});

describe('a recorded outcome', () => {
  const base: Outcome = {
    status: 'mismatch',
    reason: 'customers/ada@example.com.email is "eve@example.com", expected "ada@example.com"',
    error: { code: 'EXPECTATION_UNMET', message: 'it holds eve@example.com' },
    tenant: 'acme',
    actionId: 'a',
    proposalDigest: digest('x'),
    tool: 'db',
    approvals: [],
    pre: {
      state: { customers: { 'ada@example.com': { email: 'ada@example.com', n: 1 } } },
      digest: digest('pre'),
      count: 1,
      tookMs: 1,
    },
    post: {
      state: { customers: { 'ada@example.com': { email: 'eve@example.com', n: 1 } } },
      digest: digest('post'),
      count: 1,
      tookMs: 1,
    },
    delta: {
      patch: [{ op: 'replace', path: '/customers/ada@example.com/email', value: 'eve@example.com' }],
      operations: 1,
      latencyMs: 1,
    },
    checks: [{ name: 'derived', ok: false, detail: 'is "eve@example.com"' }],
    result: { rows: [{ email: 'eve@example.com' }] },
    steps: {},
  };

  test('holds nothing of them in states, differences, results, keys and texts, and names its own proposal', () => {
    const { outcome, proposal: kept } = acme.record(base, proposal({ email: 'ada@example.com' }));
    expect(JSON.stringify([outcome, kept])).not.toMatch(/ada@|eve@/);
    expect(outcome.redacted?.proposal).toBe(digest(kept as never));
    expect(outcome.pre?.digest).toBe(base.pre?.digest);
    const { customers } = stateOf(outcome.post);
    const [row] = Object.values(customers);
    expect(outcome.delta?.patch[0]?.value).toBe(row?.['email']);
    expect(row?.['n']).toBe(1);
  });

  test('holds no value that a text spells in another way, or was cut within', () => {
    const secrets = { email: ['ann "the" o\'neil/x@example.com', '4711081512340000'] };
    const [email = '', account = ''] = secrets.email;
    const long = `POST /customers on shop: ${'x'.repeat(200)} "email":"${account.slice(0, 9)}`;
    const texts = [
      `is ${JSON.stringify(email)}, expected "…"`,
      `GET /customers/${encodeURIComponent(email)}?${new URLSearchParams({ email }).toString()}`,
      `WHERE email = '${email.replaceAll("'", "''")}'`,
      `at /customers/${email.replaceAll('~', '~0').replaceAll('/', '~1')}/plan`,
      `it holds "${account.slice(0, 7)}… and so on`,
      `of 400 rows… ${account.slice(5)} is the last`.replace('… ', '…'),
      long,
    ];
    const told = texts.map((reason) => acme.record({ ...base, reason }, proposal(secrets)).outcome.reason);
    const parts = ['neil', account.slice(0, 5), account.slice(-5)];
    expect(told.filter((text) => !text.includes('redacted:') || parts.some((part) => text.includes(part)))).toEqual([]);
    // What only looks like it is left alone.
    const plain = 'Done and verified: 3 checks hold, 4711.';
    expect(acme.record({ ...base, reason: plain }, proposal(secrets)).outcome.reason).toBe(plain);
  });

  test('holds no key of a row that is a plain word, alone or with others', () => {
    const row = { email: 'annsmith', plan: 'pro' };
    const state = (plan: string) => ({ users: { annsmith: { ...row, plan }, '7,annsmith': { ...row, id: 7 } } });
    const [pre, post] = [
      { ...base.pre, state: state('pro') },
      { ...base.post, state: state('free') },
    ] as Required<Outcome>['pre'][];
    const delta = {
      patch: [
        { op: 'replace', path: '/users/annsmith/plan', value: 'free' },
        { op: 'add', path: '/users/bob', value: { email: 'bob', plan: 'free' } },
      ],
      operations: 2,
      latencyMs: 1,
    } as Outcome['delta'];
    const { outcome } = acme.record(
      { ...base, reason: 'x', error: undefined, checks: [], result: null, pre, post, delta } as unknown as Outcome,
      proposal({ where: { email: 'annsmith' } }),
    );
    expect(JSON.stringify(outcome)).not.toMatch(/annsmith|bob/);
    const { users } = (outcome.post as { state: unknown }).state as { users: object };
    const [key] = Object.keys(users);
    expect(outcome.delta?.patch[0]?.path).toBe(`/users/${key}/plan`);
    expect(Object.keys(outcome.post?.state as object)).toEqual(['users']);
  });

  test('says nothing of what differs where the states were too large to be looked through', () => {
    const { state: _state, ...large } = base.post as NonNullable<Outcome['post']>;
    const { outcome } = acme.record(
      {
        ...base,
        post: large,
        checks: [{ name: 'derived', ok: false, detail: 'is "zoe@example.com"' }],
        reason: 'zoe@example.com',
      },
      proposal({}),
    );
    expect(JSON.stringify(outcome)).not.toContain('zoe@');
    expect(outcome.checks[0]?.detail).toMatch(/too large/);
  });
});

test('a sealed state comes back as it was, under its key alone', async () => {
  const state = { customers: { 1: { email: 'ada.lovelace@example.com' } } };
  const sealed = await acme.seal(state);
  expect(JSON.stringify(sealed)).not.toContain('lovelace');
  expect(await redaction.unseal('acme', sealed)).toEqual(state);
  await expect(redactionOf(2).unseal('acme', sealed)).rejects.toMatchObject({ code: 'PAYLOAD_INVALID' });
});

describe('on a real ledger', () => {
  const NEEDLE = 'zx81needle';
  let folder: string;
  let stack: Stack;
  let bot: Countersign;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-redaction-'));
    const [keysFile, keyFile] = [path.join(folder, 'payload-keys.json'), path.join(folder, 'redaction-key.json')];
    await createPayloadKeys(keysFile, new Date());
    await createPayloadKeys(keyFile, new Date());
    process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'] = keysFile;
    stack = await startStack({
      worker: false,
      schema: `CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL UNIQUE, plan text NOT NULL DEFAULT 'free');
        INSERT INTO customers SELECT i, '${NEEDLE} ' || i FROM generate_series(1, 9) i;`,
    });
    await writeFile(
      path.join(stack.policies, 'people.cedar'),
      `@id("people")
      @reason("people are asked about deletions")
      @approval("dba")
      forbid (principal, action == Countersign::Action::"DELETE", resource);`,
    );
    const tools = [shopTool(stack.shopUrl)];
    const privacy = {
      redaction: { keysFile: keyFile, tools: { 'shop-db': { fields: ['name'], subject: ['/where/id'] } } },
    };
    await stack.startWorker({ config: { policies: stack.policies, tools, privacy } });
    bot = await stack.agent();
  });
  afterAll(async () => {
    delete process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'];
    await stack?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const rename = (id: number, name: string, more: object = {}) => ({
    actionId: `rename-${id}`,
    tool: 'shop-db',
    input: { op: 'update', table: 'customers', set: { name }, where: { id } },
    reasoning: `it is ${name} now`,
    ...more,
  });

  const nameOf = async (id: number): Promise<unknown> =>
    (await stack.shop.query('SELECT name FROM customers WHERE id = $1', [id])).rows[0]?.name;

  /** Everything in the ledger, table by table, as text. */
  async function ledgerText(): Promise<string> {
    const { Client } = (await import('pg')).default;
    const client = new Client({ connectionString: stack.ledgerUrl });
    await client.connect();
    try {
      const { rows } = await client.query(
        `SELECT table_name FROM information_schema.tables WHERE table_schema = 'countersign'`,
      );
      const dumps: string[] = [];
      for (const { table_name: table } of rows as { table_name: string }[]) {
        const found = await client.query(
          `SELECT coalesce(json_agg(t)::text, '') AS text FROM countersign."${table}" t`,
        );
        dumps.push(found.rows[0]?.text as string);
      }
      return dumps.join('\n');
    } finally {
      await client.end();
    }
  }

  test('an action does and verifies what it was asked for, and the ledger holds nothing of the values', async () => {
    const outcome = await ended(
      bot,
      rename(1, `${NEEDLE} new`, { expect: `post.customers["1"].name == "${NEEDLE} new"` }),
    );
    expect(outcome.status).toBe('success');
    expect(await nameOf(1)).toBe(`${NEEDLE} new`);
    const record = await stack.ledger.archive.action('acme', 'rename-1');
    const { outcome: recorded, proposal: kept } = record as { outcome: Outcome; proposal: Proposal };
    const { post, pre, receipt, ...rest } = recorded;
    const name = (snapshot: Outcome['post']): unknown => stateOf(snapshot).customers['1']?.['name'];
    expect([name(pre), name(post)].every(isRedacted)).toBe(true);
    expect(name(pre)).not.toBe(name(post));
    expect((kept.input['set'] as JsonObject)['name']).toBe(name(post));
    const claims = (await stack.receipts()).find(({ seq }) => seq === receipt?.seq);
    expect(claims?.outcomeDigest).toBe(digest({ ...rest, post, pre }));
    expect(await ledgerText()).not.toContain(NEEDLE);
  });

  test('a failure that quotes a value is recorded without it', async () => {
    const outcome = await ended(bot, rename(2, `${NEEDLE} 3`));
    expect(outcome.status).toBe('failed');
    expect(await ledgerText()).not.toContain(NEEDLE);
  });

  test('what is proposed to a tool that there is not is recorded as if it were for any of them', async () => {
    const outcome = await ended(bot, rename(3, `${NEEDLE} lost`, { tool: 'shop-database' }));
    expect(outcome).toMatchObject({ status: 'denied', error: { code: 'UNKNOWN_TOOL' } });
    const record = await stack.ledger.archive.action('acme', 'rename-3');
    expect(record?.proposal?.input).toMatchObject({
      where: { id: 3 },
      set: { name: expect.stringMatching(/^redacted:/) as string },
    });
    expect(await ledgerText()).not.toContain(NEEDLE);
  });

  test('people see and sign what is redacted, and what they approved is done', async () => {
    const action = await pending(bot, {
      actionId: 'gone',
      tool: 'shop-db',
      input: { op: 'delete', table: 'customers', where: { name: `${NEEDLE} 4` } },
      reasoning: `${NEEDLE} 4 asked to be forgotten`,
    });
    expect(action.pending.shown.redacted).toBe(true);
    expect(JSON.stringify(action.pending)).not.toContain(NEEDLE);
    assertShownMatches(action.pending, action);
    expect(await ledgerText()).not.toContain(NEEDLE);
    await stack.decide(action, await stack.approver('dora', ['dba']));
    expect((await action.outcome()).status).toBe('success');
    expect(await nameOf(4)).toBeUndefined();
    expect(await ledgerText()).not.toContain(NEEDLE);
  });

  test('what people make of an action is kept encrypted until it has begun, and read again then', async () => {
    const action = await pending(bot, {
      actionId: 'edited',
      tool: 'shop-db',
      input: { op: 'delete', table: 'customers', where: { id: 3 } },
    });
    const { shown, shownDigest } = action.pending;
    const set = { name: `${NEEDLE} edited` };
    const edited = editedProposal(shown.proposal, {
      input: { op: 'update', table: 'customers', set, where: { id: 3 } },
    });
    const token = await signApproval(await stack.approver('dora', ['dba']), {
      tenant: 'acme',
      actionId: 'edited',
      shownDigest,
      verdict: 'request_changes',
      edit: signedEdit(shown.proposal, edited),
    });
    const { revisedBy = '' } = await bot.decide('edited', token, 'acme', edited);
    expect((await action.outcome()).revisedBy).toBe(revisedBy);
    expect(await bot.outcome(revisedBy)).toMatchObject({ status: 'success' });
    expect(await nameOf(3)).toBe(`${NEEDLE} edited`);
    const { taskQueue } = stack.temporal;
    expect(await stack.ledger.edits.due(taskQueue, 0)).toMatchObject([
      { actionId: 'edited', request: { encrypted: expect.any(String) as string } },
    ]);
    expect(await ledgerText()).not.toContain(NEEDLE);
    const round = { workflowId: 'reconcile-edited', taskQueue, args: [{ olderThanMs: 0 }] };
    expect(await bot.temporal.workflow.execute('reconcile', round)).toMatchObject({ edits: 1 });
    expect(await stack.ledger.edits.due(taskQueue, 0)).toEqual([]);
  });

  test('what is undone gets its real values back', async () => {
    const outcome = await ended(bot, rename(5, `${NEEDLE} wrong`, { expect: 'false', onMismatch: 'compensate' }));
    expect(outcome.status).toBe('mismatch');
    await expect.poll(async () => (await bot.compensation('rename-5')).status, { timeout: 30_000 }).toBe('success');
    expect(await nameOf(5)).toBe(`${NEEDLE} 5`);
    expect(await ledgerText()).not.toContain(NEEDLE);
  });

  test('nobody can write what stands for a value', async () => {
    const outcome = await ended(bot, rename(6, `redacted:${'A'.repeat(22)}`));
    expect(outcome).toMatchObject({ status: 'denied', error: { code: 'INVALID_INPUT' } });
    expect(await nameOf(6)).toBe(`${NEEDLE} 6`);
  });

  test('what is recorded of one person is erased with their key, and the chain of receipts still verifies', async () => {
    const renamed = (id: number, attempt: number) =>
      ended(bot, { ...rename(id, `${NEEDLE} of ${id}`), actionId: `erased-${id}-${attempt}` });
    const tokenOf = async (id: number, attempt: number): Promise<unknown> => {
      const record = await stack.ledger.archive.action('acme', `erased-${id}-${attempt}`);
      return stateOf(record?.outcome?.post).customers[String(id)]?.['name'];
    };
    const before = await renamed(7, 1);
    expect(before.status).toBe('success');
    await renamed(8, 1);
    const config = path.join(folder, 'countersign.config.mjs');
    await writeFile(
      config,
      `export default { policies: { from: 'ledger' }, tools: [], privacy: { redaction: { keysFile: 'redaction-key.json', tools: { 'shop-db': { fields: ['name'], subject: ['/where/id'] } } } } };`,
    );
    const erase = (subject: string) =>
      cli(
        ['erase', subject, '--tenant', 'acme', '--reason', 'request 118', '--by', 'olga', '--config', config, '--json'],
        {
          env: {
            COUNTERSIGN_LEDGER_URL: stack.ledgerUrl,
            COUNTERSIGN_PAYLOAD_KEYS_FILE: path.join(folder, 'payload-keys.json'),
          },
        },
      );
    const deps = {
      ledger: stack.ledger,
      redaction: await openRedaction(
        { keysFile: path.join(folder, 'redaction-key.json'), tools: {} },
        await payloadEncryption(process.env),
        stack.ledger.subjectKeys,
      ),
    };
    const recalled = (outcome: Outcome) => recall('acme', outcome.post as Snapshot, deps as never);
    const recorded = (await stack.ledger.archive.action('acme', 'erased-7-1'))?.outcome as Outcome;
    expect(stateOf({ state: await recalled(recorded) } as never).customers['7']?.['name']).toBe(`${NEEDLE} of 7`);

    expect((await erase('7')).code).toBe(0);
    expect((await erase('7')).json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
    expect((await erase('never-heard-of')).json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
    await expect(recalled(recorded)).rejects.toMatchObject({ code: 'PAYLOAD_KEY_UNKNOWN', message: /erased/ });
    const other = (await stack.ledger.archive.action('acme', 'erased-8-1'))?.outcome as Outcome;
    await expect(recalled(other)).resolves.toBeDefined();

    const report = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring });
    expect(report.tenants.flatMap(({ problems }) => problems)).toEqual([]);
    // What is kept of the same state anew is under the new key, and can be undone.
    await renamed(7, 1.5);
    const anew = (await stack.ledger.archive.action('acme', 'erased-7-1.5'))?.outcome as Outcome;
    expect(anew.post?.digest).toBe(recorded.post?.digest);
    expect(stateOf({ state: await recalled(anew) } as never).customers['7']?.['name']).toBe(`${NEEDLE} of 7`);

    // What is recorded anew has another key: nobody can tell that the value is the same.
    await renamed(7, 2);
    await renamed(8, 2);
    expect(await tokenOf(7, 2)).not.toBe(await tokenOf(7, 1));
    expect(await tokenOf(8, 2)).toBe(await tokenOf(8, 1));
  });

  test('a worker refuses rules that it could not keep', async () => {
    const tools = [shopTool(stack.shopUrl)];
    const keyFile = path.join(folder, 'redaction-key.json');
    const start = (redacting: object) =>
      stack.startWorker({ config: { policies: stack.policies, tools, privacy: { redaction: redacting as never } } });
    await expect(start({ keysFile: keyFile, tools: { 'other-db': {} } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    await expect(start({ keysFile: keyFile, tools: { 'shop-db': { input: ['params'] } } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
    await expect(start({ keysFile: `${keyFile}.none`, tools: {} })).rejects.toMatchObject({ code: 'KEYS_MISSING' });
    const { COUNTERSIGN_PAYLOAD_KEYS_FILE: held } = process.env;
    delete process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'];
    try {
      await expect(start({ keysFile: keyFile, tools: { 'shop-db': { fields: ['name'] } } })).rejects.toMatchObject({
        code: 'KEYS_MISSING',
      });
    } finally {
      process.env['COUNTERSIGN_PAYLOAD_KEYS_FILE'] = held;
    }
  });
});
