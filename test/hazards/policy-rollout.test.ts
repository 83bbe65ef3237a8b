/** Policies that come from the ledger: nobody changes one alone who may not, by force, by replay or at the same time as another, and all workers agree. */
import { randomUUID } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digest as digestOf, digestText, type Digest } from '../../src/action/json.js';
import type { Countersign } from '../../src/client/countersign.js';
import type { PoliciesConfig } from '../../src/config/config.js';
import { bundleFromFiles, loadBundle } from '../../src/policy/index.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import {
  encodeCredential,
  generateKeyringFile,
  issueApprover,
  parseKeyring,
  signCommand,
  signedEvidence,
  signPolicyChange,
  type Command,
  type Credential,
} from '../../src/trust/index.js';
import { startWorker, type WorkerOptions } from '../../src/worker/worker.js';
import { cli, errorOf } from '../cli/support.js';
import { endConnections } from '../ledger/support.js';
import { ended, pending, shopTool, startStack, STARTER, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker } from '../support/worker-process.js';

const LEDGER: PoliciesConfig = { from: 'ledger' };
const ASKS = (role: string): string => `
@id("asks-${role}") @reason("a write needs a ${role}") @approval("${role}")
forbid (principal, action == Countersign::Action::"WRITE", resource);`;
const DENIES = `@id("closed") @reason("closed") forbid (principal, action == Countersign::Action::"WRITE", resource);`;

let stack: Stack;
let bot: Countersign;
let ann: Credential;
let starter: Readonly<Record<string, string>>;
let folder: string;
let pool: pg.Pool;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-rollout-'));
  stack = await startStack({
    schema: 'CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL); INSERT INTO t VALUES (1, 0)',
    worker: false,
  });
  starter = (await loadBundle(STARTER)).files;
  bot = await stack.agent();
  ann = await stack.approver('ann', ['policy-admin']);
  pool = new pg.Pool({ connectionString: stack.ledgerUrl, application_name: 'witness' });
  await stack.startWorker(onLedger());
});
afterAll(async () => {
  await pool?.end();
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

function onLedger(more: Partial<PoliciesConfig> = {}): Partial<WorkerOptions> {
  return { config: { policies: { ...LEDGER, ...more } as PoliciesConfig, tools: [shopTool(stack.shopUrl)] } };
}

/** The starter policies and a file more. */
async function published(text: string, more: Readonly<Record<string, string>> = {}): Promise<Digest> {
  const { digest, files } = bundleFromFiles({ ...starter, 'more.cedar': `// ${randomUUID()}\n${text}`, ...more });
  await stack.ledger.content.putPolicy(digest, files);
  await stack.ledger.rollout.publish({ digest, by: 'ann', reason: 'a draft' });
  return digest;
}

async function active(): Promise<Digest | undefined> {
  return (await stack.ledger.rollout.states()).find(({ state }) => state === 'active')?.digest;
}

/** A backtest of the policy against the active one, as the ledger records it. */
async function backtested(candidate: Digest): Promise<Digest | undefined> {
  const baseline = await active();
  if (baseline === undefined) return undefined;
  const report = digestText(`${candidate} against ${baseline}`);
  const found = { candidate, baseline, report, decisions: 5, summary: {} };
  await stack.ledger.rollout.addEvidence(await signedEvidence(ann, found));
  return report;
}

type Kind = 'promote_policy' | 'roll_back_policy' | 'shadow_policy' | 'retire_policy';

/** Signed for what is active now. */
async function signed(kind: Kind, subject: Digest, by: Credential = ann, more: Partial<Command> = {}): Promise<string> {
  const replaces = await active();
  const evidence = kind === 'promote_policy' ? await backtested(subject) : undefined;
  return signCommand(by, {
    kind,
    tenant: TENANT,
    subject,
    reason: 'because',
    ...(replaces === undefined ? {} : { replaces }),
    ...(evidence === undefined ? {} : { evidence }),
    ...more,
  } as Command);
}

async function order(kind: Kind, subject: Digest, by: Credential = ann) {
  return bot.submitCommand(await signed(kind, subject, by));
}

/** Every worker that takes its policy from the ledger runs it. */
async function agreed(digest: Digest, withinMs = 1000): Promise<void> {
  await until(
    () => stack.ledger.rollout.workers(),
    (workers) => workers.length > 0 && workers.every((worker) => worker.silent || worker.active === digest),
    { withinMs },
  );
}

async function promoted(text: string): Promise<Digest> {
  const digest = await published(text);
  expect(await order('promote_policy', digest)).toMatchObject({ change: { kind: 'promote', digest } });
  await agreed(digest, 5000);
  return digest;
}

const write = () =>
  ended(bot, { tool: 'shop-db', input: { op: 'update', table: 't', set: { n: 1 }, where: { id: 1 } } });

test('without an active policy everything is denied, and the first promotion, which has nothing to be compared with, ends that', async () => {
  expect(await write()).toMatchObject({ status: 'denied', error: { code: 'POLICY_UNAVAILABLE' } });
  const first = await published('');
  const done = await order('promote_policy', first);
  expect(done).toMatchObject({ kind: 'promote_policy', change: { digest: first }, receipt: { tenant: TENANT } });
  await agreed(first);
  expect(await write()).toMatchObject({ status: 'success' });
});

describe('a promotion', () => {
  test('is taken up by all workers within a second, and they say so', async () => {
    const another = await startWorker({ ...(await optionsOf()), ...onLedger() });
    try {
      await agreed((await active()) as Digest);
      const next = await published('');
      const command = await signed('promote_policy', next);
      await bot.submitCommand(command);
      await agreed(next);
      expect((await stack.ledger.rollout.workers()).filter(({ silent }) => !silent)).toHaveLength(2);
    } finally {
      await another.stop();
    }
    expect((await stack.ledger.rollout.workers()).filter(({ silent }) => !silent)).toHaveLength(1);
  });

  test('needs a backtest of this policy against the one that is active now', async () => {
    const before = await active();
    const [candidate, other] = [await published(''), await published('')];
    const evidence = await backtested(other);
    const common = {
      kind: 'promote_policy',
      tenant: TENANT,
      subject: candidate,
      reason: 'x',
      replaces: before,
    } as const;
    for (const more of [{}, { evidence }, { evidence: digestText('never made') }]) {
      const command = await signCommand(ann, { ...common, ...more });
      await expect(bot.submitCommand(command)).rejects.toMatchObject({ code: 'EVIDENCE_REQUIRED' });
    }
    expect(await active()).toBe(before);
  });

  test('needs the role, a known issuer, and a command that was neither edited nor used before', async () => {
    const before = await active();
    const candidate = await published(DENIES);
    const dora = await stack.approver('dora', ['dba', 'operator']);
    await expect(order('promote_policy', candidate, dora)).rejects.toMatchObject({ code: 'ROLE_REQUIRED' });
    const foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
    const mallory = await issueApprover(foreign, { id: 'ann', tenant: TENANT, roles: ['policy-admin'] });
    await expect(order('promote_policy', candidate, mallory)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });

    const harmless = await published('');
    const [head, payload, signature] = (await signed('promote_policy', harmless)).split('.') as [
      string,
      string,
      string,
    ];
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const edited = Buffer.from(JSON.stringify({ ...claims, subject: candidate })).toString('base64url');
    await expect(bot.submitCommand(`${head}.${edited}.${signature}`)).rejects.toMatchObject({
      code: 'COMMAND_INVALID',
    });
    expect(await active()).toBe(before);

    const command = await signed('promote_policy', harmless);
    await bot.submitCommand(command);
    await order('roll_back_policy', before as Digest);
    const again = bot.temporal.workflow.execute('signedCommand', {
      workflowId: `command/${TENANT}/${randomUUID()}`,
      taskQueue: stack.temporal.taskQueue,
      args: [command],
    });
    await expect(again).rejects.toMatchObject({ cause: { type: expect.stringMatching(/COMMAND_INVALID|INVALID/) } });
    expect(await active()).toBe(before);
  });

  test('that was signed long before or ahead of the time is refused, whatever a clock says', async () => {
    const before = await active();
    const candidate = await published('');
    const evidence = await backtested(candidate);
    const command = { kind: 'promote_policy', tenant: TENANT, subject: candidate, reason: 'x' } as const;
    for (const hours of [-24, 24]) {
      const now = new Date(Date.now() + hours * 3_600_000);
      const jumped = await signCommand(ann, { ...command, replaces: before, evidence }, now);
      await expect(bot.submitCommand(jumped)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });
    }
    expect(await active()).toBe(before);
  });

  test('at the same time as another is made once: the other is told which policy is active now', async () => {
    const candidates = [await published(''), await published('')];
    const commands = await Promise.all(candidates.map((candidate) => signed('promote_policy', candidate)));
    const results = await Promise.allSettled(commands.map((command) => bot.submitCommand(command)));
    const won = candidates[results.findIndex(({ status }) => status === 'fulfilled')] as Digest;
    expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    const lost = results.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(lost.reason).toMatchObject({ code: 'POLICY_CONFLICT', message: expect.stringContaining(won) });
    expect(await active()).toBe(won);
  });

  test('during which the ledger loses every connection is made once', async () => {
    const candidate = await published('');
    const command = await signed('promote_policy', candidate);
    const done = bot.submitCommand(command);
    for (let cut = 1; cut <= 40; cut++) await endConnections(pool);
    expect(await done).toMatchObject({ change: { digest: candidate } });
    const changes = await stack.ledger.rollout.history({ digest: candidate });
    expect(changes.map(({ kind }) => kind)).toEqual(['promote', 'publish']);
    await agreed(candidate, 5000);
  });

  test('whose worker was killed after the ledger had it is finished by another, once, with its receipt', async () => {
    await stack.worker?.stop();
    const marker = path.join(folder, randomUUID());
    const doomed = await spawnWorker(stack, LEDGER, `policy.after-change:kill:${marker}`);
    const candidate = await published('');
    const done = bot.submitCommand(await signed('promote_policy', candidate));
    expect(await doomed.died).toBe('SIGKILL');
    expect(await active()).toBe(candidate);
    await stack.startWorker(onLedger());
    expect(stack.worker?.policy.current().digest).toBe(candidate);
    const { change, receipt } = (await done) as { change: object; receipt: { seq: number } };
    expect(change).toMatchObject({ digest: candidate, kind: 'promote' });
    expect(receipt.seq).toBeGreaterThan(0);
    expect((await stack.ledger.rollout.history({ digest: candidate })).map(({ kind }) => kind)).toEqual([
      'promote',
      'publish',
    ]);
  });

  test('that needs two people counts each of them once, and none whose credential was revoked', async () => {
    await stack.worker?.stop();
    await stack.startWorker(onLedger({ quorum: 2 }));
    const before = await active();
    const candidate = await published('');
    const [bob, eve] = [await stack.approver('bob', ['policy-admin']), await stack.approver('eve', ['policy-admin'])];
    const olga = await stack.approver('olga', ['operator']);
    for (const by of [ann, ann]) {
      const done = await order('promote_policy', candidate, by);
      expect(done).toMatchObject({ signed: 1, needed: 2 });
      expect('change' in done).toBe(false);
    }
    expect(await active()).toBe(before);
    const other = await published('');
    await order('promote_policy', other, eve);
    const { jti } = JSON.parse(Buffer.from((eve.token ?? '').split('.')[1] ?? '', 'base64url').toString()) as {
      jti: string;
    };
    await bot.submitCommand(
      await signCommand(olga, { kind: 'revoke', tenant: TENANT, subject: jti, reason: 'left us' }),
    );
    expect(await order('promote_policy', other, bob)).toMatchObject({ signed: 1, needed: 2 });
    // Neither a row that nobody signed counts, nor one whose text is another person's or about another policy.
    const { since: activeSince = 0 } =
      (await stack.ledger.rollout.states()).find(({ state }) => state === 'active') ?? {};
    const evidence = await backtested(candidate);
    const texts = ['nothing', await signed('promote_policy', candidate), await signed('promote_policy', other, bob)];
    for (const statement of texts) {
      const forged = { id: randomUUID(), candidate, activeSince, evidence, tenant: TENANT, credentials: [] };
      await stack.ledger.rollout.approve({ ...forged, person: `zoe-${forged.id}`, statement });
    }
    expect(await order('promote_policy', candidate, ann)).toMatchObject({ signed: 1, needed: 2 });
    expect(await order('promote_policy', candidate, bob)).toMatchObject({
      change: { digest: candidate, people: ['ann', 'bob'] },
    });
    // The one that waits was signed against the policy before: it is stale.
    expect(await order('promote_policy', other, ann)).toMatchObject({ signed: 1, needed: 2 });
    await stack.worker?.stop();
    await stack.startWorker(onLedger());
  });
});

describe('whoever can write to the ledger', () => {
  /** As a superuser could: past the triggers. */
  async function tampering(body: string): Promise<void> {
    const client = await pool.connect();
    try {
      await client.query(`set session_replication_role = replica; ${body}; reset session_replication_role`);
    } finally {
      client.release();
    }
  }

  test('cannot make evidence of what nobody signed, nor change what a backtest found', async () => {
    const before = (await active()) as Digest;
    const [candidate, other] = [await published(''), await published('')];
    const named = { kind: 'promote_policy', tenant: TENANT, reason: 'x', replaces: before } as const;
    const evidence = await backtested(candidate);
    await tampering(
      `update countersign.policy_evidence set summary = '{"changed":0}' where candidate = '${candidate}'`,
    );
    const changed = await signCommand(ann, { ...named, subject: candidate, evidence });
    await expect(bot.submitCommand(changed)).rejects.toMatchObject({ code: 'FINDING_INVALID' });

    const foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
    const mallory = await issueApprover(foreign, { id: 'ann', tenant: TENANT, roles: ['policy-admin'] });
    const found = { candidate: other, baseline: before, report: digestText('made up'), decisions: 5, summary: {} };
    await stack.ledger.rollout.addEvidence(await signedEvidence(mallory, found));
    const forged = await signCommand(ann, { ...named, subject: other, evidence: found.report });
    await expect(bot.submitCommand(forged)).rejects.toMatchObject({ code: 'FINDING_INVALID' });
    expect(await active()).toBe(before);
  });

  test('cannot make workers follow a change that no worker signed, or was signed for another place', async () => {
    const before = (await active()) as Digest;
    const opened = await published('@id("open") permit (principal, action, resource);');
    const foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
    const claims = { kind: 'promote', digest: opened, statements: [digestText('x')], iat: 1 } as const;
    const { latest } = await stack.ledger.rollout.placed();
    const forged = [
      'nothing',
      await signPolicyChange(foreign, { ...claims, seq: latest + 1 }),
      await signPolicyChange(stack.keyring, { ...claims, seq: latest + 5 }),
      await signPolicyChange(stack.keyring, { ...claims, kind: 'shadow', seq: latest + 1 }),
    ];
    for (const [index, signature] of forged.entries()) {
      const seq = latest + 1 + index;
      await tampering(`
        update countersign.policy_states set state = 'retired' where state = 'active';
        insert into countersign.policy_changes (seq, id, kind, digest, changed_by, people, reason, statements, signed)
        values (${seq}, 'forged-${seq}', 'promote', '${opened}', 'mallory', '{mallory}', 'x', '{x}', '${signature}');
        update countersign.policy_states set state = 'active', seq = ${seq} where digest = '${opened}'`);
      const { worker } = stack;
      expect(await worker?.policy.reload()).toMatchObject({ ok: false, error: { code: 'POLICY_INVALID' } });
      expect(worker?.policy.current().digest).toBe(before);
    }
    const fresh = await startWorker({ ...(await optionsOf()), ...onLedger() });
    expect(() => fresh.policy.current()).toThrow(expect.objectContaining({ code: 'POLICY_UNAVAILABLE' }));
    await fresh.stop();
    // People put it right as ever.
    const next = await published('');
    await order('promote_policy', next);
    await agreed(next, 5000);
  });

  test('cannot cut the history so that workers go back to an earlier policy', async () => {
    const before = (await active()) as Digest;
    const closed = await promoted(DENIES);
    const since = (await stack.ledger.rollout.states()).find(({ digest }) => digest === before)?.since ?? 0;
    const [activation] = (await stack.ledger.rollout.history({ digest: before })).filter(({ seq }) => seq < since);
    const tables = 'countersign.policy_states';
    await tampering(`
      update ${tables} set state = 'retired' where digest = '${closed}';
      update ${tables} set state = 'active', seq = ${activation?.seq} where digest = '${before}'`);
    expect(await stack.worker?.policy.reload()).toMatchObject({ ok: false, error: { code: 'POLICY_INVALID' } });
    expect(stack.worker?.policy.current().digest).toBe(closed);
    // Nor a worker that starts then, of a history that is gone; and people put it right as ever, with a number above what was made.
    const { latest } = await stack.ledger.rollout.placed();
    await tampering(`
      delete from ${tables} where digest = '${closed}';
      delete from countersign.policy_changes where digest = '${closed}'`);
    const fresh = await startWorker({ ...(await optionsOf()), ...onLedger() });
    expect(() => fresh.policy.current()).toThrow(
      expect.objectContaining({
        code: 'POLICY_UNAVAILABLE',
        fix: expect.stringContaining(`there was change ${latest}`),
      }),
    );
    const next = await published('');
    expect(await order('promote_policy', next)).toMatchObject({ change: { seq: latest + 1 } });
    await agreed(next, 5000);
    await fresh.stop();
  });

  test('cannot change the bytes of a bundle: it is refused when it is promoted and when it is loaded', async () => {
    const before = (await active()) as Digest;
    const candidate = await published(DENIES);
    await tampering(`
      update countersign.policies set files = replace(files::text, 'forbid (principal, action == Countersign::Action::\\"WRITE\\"',
        'permit (principal, action == Countersign::Action::\\"WRITE\\"')::json where digest = '${candidate}'`);
    expect(bundleFromFiles((await stack.ledger.content.getPolicy(candidate)) ?? {}).digest).not.toBe(candidate);
    await expect(order('promote_policy', candidate)).rejects.toMatchObject({ code: 'POLICY_INVALID' });
    expect(await active()).toBe(before);

    const next = await promoted('');
    await tampering(`update countersign.policies set files = '{"a.cedar": ""}' where digest = '${next}'`);
    const fresh = await startWorker({ ...(await optionsOf()), ...onLedger() });
    expect(() => fresh.policy.current()).toThrow(
      expect.objectContaining({
        code: 'POLICY_UNAVAILABLE',
        cause: expect.objectContaining({ code: 'POLICY_INVALID' }),
      }),
    );
    const problems = await until(
      async () => (await stack.ledger.rollout.workers()).flatMap(({ problem = [] }) => problem),
      (found) => found.length > 0,
    );
    expect(problems[0]).toMatch(/missing|no policies|other files/);
    await fresh.stop();
    await order('roll_back_policy', before);
    await agreed(before, 5000);
  });
});

describe('an action in flight', () => {
  const asking = () =>
    pending(bot, { tool: 'shop-db', input: { op: 'update', table: 't', set: { n: 2 }, where: { id: 1 } } });

  test('that people approve is decided again by the policy that is active then', async () => {
    await promoted(ASKS('dba'));
    const dora = await stack.approver('dora', ['dba']);
    const action = await asking();
    await promoted(DENIES);
    await stack.decide(action, dora);
    expect(await action.outcome()).toMatchObject({ status: 'denied', decision: { policies: ['closed'] } });
  });

  test('for which the new policy asks somebody else asks them; the old yes does not suffice', async () => {
    await promoted(ASKS('dba'));
    const [dora, lena] = [await stack.approver('dora', ['dba']), await stack.approver('lena', ['lead'])];
    const action = await asking();
    const next = await promoted(ASKS('lead'));
    await stack.decide(action, dora);
    const view = await until(
      () => bot.view(action.actionId),
      ({ pending: waits }) => waits?.shown.requirements.some(({ roles }) => roles.includes('lead')) === true,
    );
    expect(view.pending?.shown.requirements.map(({ roles }) => roles)).toEqual([['lead']]);
    await stack.decide(action, lena);
    expect(await action.outcome()).toMatchObject({ status: 'success', decision: { policyDigest: next } });
  });

  test('keeps the digest of the policy that decided it, after that one was rolled back', async () => {
    const next = await promoted('');
    const outcome = await write();
    expect(outcome.decision?.policyDigest).toBe(next);
    const history = await stack.ledger.rollout.history({ digest: next });
    await order('roll_back_policy', history[0]?.replaced as Digest);
    expect((await bot.outcome(outcome.actionId)).decision?.policyDigest).toBe(next);
    expect(Object.keys((await stack.ledger.content.getPolicy(next)) ?? {})).toContain('more.cedar');
  });
});

describe('a policy in shadow', () => {
  const found = (candidate: Digest, count: number) =>
    until(
      () => stack.ledger.rollout.shadowCounts(candidate),
      ([counts]) => (counts?.evaluated ?? 0) >= count,
    );
  async function inShadow(text: string, more: Readonly<Record<string, string>> = {}): Promise<Digest> {
    const candidate = await published(text, more);
    expect(await order('shadow_policy', candidate)).toMatchObject({ change: { kind: 'shadow' } });
    await until(
      () => stack.ledger.rollout.workers(),
      (workers) => workers.every(({ silent, shadow }) => silent || shadow === candidate),
    );
    return candidate;
  }

  test('decides on the same facts, is counted with its rules, and changes nothing of what the agent is told', async () => {
    const live = await promoted('');
    const alone = await write();
    const candidate = await inShadow(DENIES);
    const outcomes = [await write(), await write()];
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ status: 'success', decision: { policyDigest: live } });
      expect(JSON.stringify(outcome)).not.toContain('closed');
      expect(Object.keys(outcome).toSorted()).toEqual(Object.keys(alone).toSorted());
    }
    await found(candidate, 2);
    const [divergence, ...others] = await stack.ledger.rollout.divergences({ candidate });
    expect(others).toEqual([]);
    expect(divergence).toMatchObject({
      baseline: live,
      kind: 'effect',
      tenant: TENANT,
      tool: 'shop-db',
      agent: 'agent-1',
      live: { effect: 'allow', rules: ['admin-user'] },
      shadow: { effect: 'deny', rules: ['closed'] },
      count: 2,
    });
    expect(divergence?.examples.map(({ actionId }) => actionId)).toEqual(outcomes.map(({ actionId }) => actionId));
    const [counts] = await stack.ledger.rollout.shadowCounts(candidate);
    expect(counts).toMatchObject({ evaluated: 2, diverged: 2, errors: 0, dropped: 0, unlisted: 0 });
    expect(counts?.maxMs).toBeGreaterThan(0);
  });

  test('that decides the same is counted, and listed nowhere; whom it asks is compared too', async () => {
    await promoted(ASKS('dba'));
    const same = await inShadow(ASKS('dba'));
    const ask = () =>
      pending(bot, { tool: 'shop-db', input: { op: 'update', table: 't', set: { n: 2 }, where: { id: 1 } } });
    await ask();
    await found(same, 1);
    expect(await stack.ledger.rollout.divergences({ candidate: same })).toEqual([]);
    const other = await inShadow(ASKS('lead'));
    await ask();
    await found(other, 1);
    expect(await stack.ledger.rollout.divergences({ candidate: other })).toMatchObject([
      { kind: 'requirements', live: { effect: 'require_approval' }, shadow: { effect: 'require_approval' }, count: 1 },
    ]);
    expect((await stack.ledger.rollout.states()).find(({ digest }) => digest === same)?.state).toBe('retired');
  });

  test('that cannot decide fails nothing: it is a divergence of kind error', async () => {
    await promoted('');
    const candidate = await inShadow(
      '@id("odd") @constraint("unheardOf=1") permit (principal, action == Countersign::Action::"WRITE", resource);',
    );
    expect(await write()).toMatchObject({ status: 'success' });
    await found(candidate, 1);
    expect(await stack.ledger.rollout.divergences({ candidate })).toMatchObject([
      { kind: 'error', shadow: { effect: 'error', rules: [] }, count: 1 },
    ]);
  });

  test('counts limits of its own from what the ledger recorded, and what the active one counts alike by its counters', async () => {
    const live = 'limits:\n  of-task: {kind: count, scope: trace, max: 5, window: forever}\n';
    const own = '  few: {kind: count, scope: trace, max: 2, window: 1d}\n';
    const next = await published('', { 'limits.yaml': live });
    await order('promote_policy', next);
    await agreed(next, 5000);
    const traceId = randomUUID();
    const traced = () =>
      ended(bot, { tool: 'shop-db', input: { op: 'update', table: 't', set: { n: 3 }, where: { id: 1 } }, traceId });
    await traced();
    await traced();
    const candidate = await inShadow('', { 'limits.yaml': `${live.replace('max: 5', 'max: 3')}${own}` });
    await traced();
    await found(candidate, 1);
    const smaller = await inShadow('', { 'limits.yaml': live.replace('max: 5', 'max: 3') });
    expect(await traced()).toMatchObject({ status: 'success' });
    await found(smaller, 1);
    const reasons = async (of: Digest) =>
      (await stack.ledger.rollout.divergences({ candidate: of })).map(({ live: before, shadow, examples }) => [
        before.effect,
        shadow.effect,
        examples[0]?.shadowReason.split(':')[0],
      ]);
    expect(await reasons(candidate)).toEqual([['allow', 'deny', `few trace=${traceId}`]]);
    expect(await reasons(smaller)).toEqual([['allow', 'deny', `of-task trace=${traceId}`]]);
    expect(await stack.ledger.limits.counters({ tenant: TENANT })).not.toContainEqual(
      expect.objectContaining({ limit: 'few' }),
    );
  });

  test('ends when it is retired, and when it is promoted', async () => {
    const candidate = await inShadow('');
    await order('retire_policy', candidate);
    const shadows = () => stack.ledger.rollout.workers().then((all) => all.flatMap(({ shadow = [] }) => shadow));
    await until(shadows, (running) => running.length === 0);
    const next = await inShadow('');
    await order('promote_policy', next);
    await until(shadows, (running) => running.length === 0);
    await agreed(next);
    await expect(order('retire_policy', next)).rejects.toMatchObject({ code: 'POLICY_CONFLICT' });
  });
});

describe('on the command line', () => {
  const files = (name: string) => path.join(folder, name);
  let env: Record<string, string>;
  beforeAll(async () => {
    await writeFile(files('ann.csk'), encodeCredential(ann));
    env = {
      COUNTERSIGN_LEDGER_URL: stack.ledgerUrl,
      TEMPORAL_ADDRESS: stack.temporal.address,
      TEMPORAL_NAMESPACE: stack.temporal.namespace,
      COUNTERSIGN_TASK_QUEUE: stack.temporal.taskQueue,
      COUNTERSIGN_APPROVER: files('ann.csk'),
    };
  });
  const policy = (...args: string[]) => cli(['policy', ...args], { env });

  test('a policy is published, compared, promoted on its evidence, and rolled back', async () => {
    const before = await promoted('');
    await cp(STARTER, files('bundle'), { recursive: true });
    await writeFile(files('bundle/more.cedar'), DENIES);
    const made = await policy('publish', files('bundle'), '--reason', 'nobody writes', '--json');
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const { digest } = made.json() as { digest: Digest };
    expect((await policy('publish', files('bundle'), '--reason', 'again')).stdout).toContain(
      'was published before; it is draft',
    );

    const short = digest.slice(7, 15);
    expect((await policy('shadow', short, '--reason', 'a look')).stdout).toContain('1 of 1 workers run it');
    await write();
    await until(
      () => stack.ledger.rollout.shadowCounts(digest),
      ([counts]) => counts !== undefined,
    );
    const divergences = await policy('divergences');
    expect(divergences.stdout).toMatch(
      /1 of 1 decisions differ .*\n\n1 ×  effect: allow \(admin-user\) becomes deny \(closed\)/,
    );

    const promote = ['promote', short, '--reason', 'closed\u202e for good', '--yes'];
    const refused = await policy(...promote, '--json');
    expect({ code: refused.code, error: errorOf(refused).code }).toEqual({ code: 4, error: 'EVIDENCE_REQUIRED' });
    expect(errorOf(await policy(...promote, '--without-evidence', '--json')).code).toBe('EVIDENCE_REQUIRED');
    await backtested(digest);
    expect(errorOf(await policy(...promote.slice(0, -1), '--json')).code).toBe('USAGE');
    const done = await policy(...promote);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toContain(`✓ promoted ${digest}, in place of ${before}`);
    expect(done.stdout).toContain('1 of 1 workers run it');
    expect((await policy('status')).stdout).toMatch(
      new RegExp(`active   ${digest}  by ann at .*: closed\\\\u\\{202E\\} for good`),
    );
    expect(await write()).toMatchObject({ status: 'denied' });

    expect((await policy('rollback', '--reason', 'too much')).stdout).toContain(`✓ rolled back to ${before}`);
    expect(await write()).toMatchObject({ status: 'success' });
    const { changes } = (await policy('history', short, '--json')).json() as { changes: { kind: string }[] };
    expect(changes.map(({ kind }) => kind)).toEqual(['rollback', 'promote', 'shadow', 'publish']);
    expect((await policy('history')).stdout).toContain('on the evidence of the backtest sha256:');
  });

  test('what cannot be used is not published: a schema without an attribute in use, a syntax error', async () => {
    await cp(STARTER, files('broken'), { recursive: true });
    const schema = await readFile(files('broken/schema.cedarschema'), 'utf8');
    await writeFile(files('broken/schema.cedarschema'), schema.replace('rows: Long,', ''));
    const dropped = await policy('publish', files('broken'), '--reason', 'x', '--json');
    expect(errorOf(dropped)).toMatchObject({ code: 'POLICY_INVALID', message: expect.stringContaining('rows') });
    await writeFile(files('broken/more.cedar'), 'permit (principal action resource);');
    expect(errorOf(await policy('publish', files('broken'), '--reason', 'x', '--json'))).toMatchObject({
      code: 'POLICY_INVALID',
      field: expect.stringMatching(/^more.cedar:1/),
    });
    expect(errorOf(await policy('promote', 'ffff', '--reason', 'x', '--json')).code).toBe('NOT_FOUND');
    expect(errorOf(await policy('promote', '../x', '--reason', 'x', '--json')).code).toBe('USAGE');
  });

  test('in production a worker refuses a folder that can be edited in place, unless the config says that it is meant', async () => {
    const options = { ...(await optionsOf()), production: true };
    const start = (policies: PoliciesConfig | string) => startWorker({ ...options, config: { policies, tools: [] } });
    await expect(start(stack.policies)).rejects.toMatchObject({ code: 'CONFIG_INVALID', field: 'policies' });
    await expect(start({ from: 'folder', path: stack.policies })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const meant = await start({ from: 'folder', path: stack.policies, inProduction: true });
    const workers = await until(
      () => stack.ledger.rollout.workers(),
      (all) => all.some(({ source }) => source === 'folder'),
    );
    expect(workers.find(({ source }) => source === 'folder')?.active).toBe(meant.policy.current().digest);
    expect((await policy('status')).stdout).toContain(`${meant.policy.current().digest} from its folder`);
    await meant.stop();
  });
});

test('a rollback needs neither evidence nor a second person, but a policy that was active before', async () => {
  const before = await promoted('');
  await promoted(DENIES);
  expect(await write()).toMatchObject({ status: 'denied' });
  const never = await published('');
  await expect(order('roll_back_policy', never)).rejects.toMatchObject({ code: 'POLICY_CONFLICT' });
  expect(await order('roll_back_policy', before)).toMatchObject({ change: { kind: 'rollback', digest: before } });
  await agreed(before);
  expect(await write()).toMatchObject({ status: 'success' });
});

test('a bundle of more rules than there may be is refused, and the active policy stays', async () => {
  const before = await active();
  const rules = Array.from({ length: 1700 }, (_, rule) => `@id("r-N-${rule}") forbid (principal, action, resource);`);
  const many = Array.from({ length: 3 }, (_, n) => [`many-${n}.cedar`, rules.join('\n').replaceAll('-N-', `-${n}-`)]);
  const files = { ...starter, ...(Object.fromEntries(many) as Record<string, string>) };
  const refused = { code: 'POLICY_INVALID', expected: 'at most 5000 policies' };
  expect(() => bundleFromFiles(files)).toThrow(expect.objectContaining(refused));
  // Of another version, which let it pass.
  await stack.ledger.content.putPolicy(digestOf(files), files);
  await stack.ledger.rollout.publish({ digest: digestOf(files), by: 'ann', reason: 'many rules' });
  await expect(order('promote_policy', digestOf(files))).rejects.toMatchObject(refused);
  expect(await active()).toBe(before);
});

test('every receipt of it all verifies', async () => {
  const { ok, tenants } = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring });
  expect({ ok, tenants: tenants.map(({ problems }) => problems) }).toEqual({ ok: true, tenants: [[]] });
});

/** A second worker of the same deployment. */
async function optionsOf(): Promise<WorkerOptions> {
  const { default: pino } = await import('pino');
  return {
    config: { policies: LEDGER, tools: [] },
    temporal: stack.temporal,
    ledgerUrl: stack.ledgerUrl,
    keyring: stack.keyring,
    logger: pino({ level: 'silent' }),
    reconcileEveryMs: 0,
  };
}
