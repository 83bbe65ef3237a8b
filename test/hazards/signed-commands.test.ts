/** What people say outside of approvals: forged, replayed, foreign, without the role, or half done by a worker that died. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Countersign } from '../../src/client/countersign.js';
import type { Freeze } from '../../src/action/freeze.js';
import { verifyReceipts } from '../../src/receipts/verify.js';
import type { Tool } from '../../src/tools/tool.js';
import { exportLines } from '../../src/trail/export-lines.js';
import { parseTrailKeys } from '../../src/trail/keys.js';
import { checkpointRound } from '../../src/trail/round.js';
import { verifyTrail } from '../../src/trail/verify-lines.js';
import {
  delegate,
  generateKeyringFile,
  issueAgent,
  issueApprover,
  parseKeyring,
  peekCredential,
  publicKeyring,
  signCommand,
  type Credential,
} from '../../src/trust/index.js';
import { collect } from '../ledger/support.js';
import { journalTool } from '../support/journal-tool.js';
import { ended, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { spawnWorker } from '../support/worker-process.js';

let stack: Stack;
let admin: Countersign;
let olga: Credential;
let folder: string;
let release = (): void => {};
/** What the effect of the line `held` waits for. */
const released = new Promise<void>((resolve) => (release = resolve));

function tools(): readonly Tool[] {
  const file = path.join(folder, 'journal');
  const journal = journalTool({ name: 'journal', file, idempotency: 'none', canLookUp: false });
  const holding = {
    ...journal,
    async execute(input, options) {
      if (input.line === 'held') await released;
      return journal.execute(input, options);
    },
  } satisfies typeof journal;
  return [holding];
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'countersign-statements-'));
  stack = await startStack({ schema: 'SELECT 1', tools });
  admin = await stack.agent();
  olga = await stack.approver('olga', ['operator']);
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Stops an agent that nobody else uses. */
function frozen(tenant: string = TENANT): Promise<Freeze> {
  const scope = { kind: 'agent', value: `agent-${randomUUID().slice(0, 8)}` } as const;
  return stack.ledger.controls.freeze({ tenant, scope, reason: 'incident', by: 'nina' });
}

async function isActive({ id }: Freeze): Promise<boolean> {
  return (await stack.ledger.controls.freezes({ activeOnly: true })).some((freeze) => freeze.id === id);
}

function lifting({ id }: Freeze, by: Credential = olga): Promise<string> {
  return signCommand(by, {
    kind: 'unfreeze',
    tenant: peekCredential(by).tenant,
    subject: String(id),
    reason: 'over',
  });
}

interface TrailEntry {
  readonly seq: number;
  readonly kind: string;
  readonly subject: string;
  readonly grants?: readonly [{ readonly jti: string }];
}

async function* linesFrom(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

/** The line of an export, without what its entry says of grants where it is the entry of this number. */
function forgedEntry(text: string, of: number): string {
  const line = JSON.parse(text) as { readonly seq?: number; readonly entry?: string };
  if (line.seq !== of || line.entry === undefined) return text;
  return JSON.stringify({ ...line, entry: JSON.stringify({ ...(JSON.parse(line.entry) as object), grants: [] }) });
}

async function append(line: string, lose?: 'before' | 'after', agent = admin) {
  return ended(agent, { actionId: randomUUID(), tool: 'journal', input: { line, ...(lose ? { lose } : {}) } });
}

describe('unfreeze', () => {
  test('by a person with the role lifts the freeze and leaves a receipt (so the refusals below mean something)', async () => {
    const freeze = await frozen();
    const done = await admin.submitCommand(await lifting(freeze));
    expect(done).toMatchObject({ kind: 'unfreeze', freeze: { id: freeze.id, lifted: { by: 'olga', reason: 'over' } } });
    expect(await isActive(freeze)).toBe(false);
    expect(done.kind === 'unfreeze' && done.receipt.tenant).toBe(TENANT);
  });

  test('of what somebody lifted before is not passed off as one’s own', async () => {
    const freeze = await frozen();
    await admin.submitCommand(await lifting(freeze));
    const odd = await stack.approver('odd', ['operator']);
    await expect(admin.submitCommand(await lifting(freeze, odd))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `Freeze ${freeze.id} was lifted before, by olga.`,
    });
  });

  test('without the role is refused', async () => {
    const freeze = await frozen();
    const dora = await stack.approver('dora', ['dba']);
    await expect(admin.submitCommand(await lifting(freeze, dora))).rejects.toMatchObject({ code: 'ROLE_REQUIRED' });
    expect(await isActive(freeze)).toBe(true);
  });

  test('signed by a stranger’s issuer is refused', async () => {
    const freeze = await frozen();
    const foreign = await parseKeyring(JSON.stringify(await generateKeyringFile()), 'foreign');
    const mallory = await issueApprover(foreign, { id: 'olga', tenant: TENANT, roles: ['operator'] });
    await expect(admin.submitCommand(await lifting(freeze, mallory))).rejects.toMatchObject({
      code: 'COMMAND_INVALID',
    });
    expect(await isActive(freeze)).toBe(true);
  });

  test('edited after it was signed is refused', async () => {
    const [one, other] = [await frozen(), await frozen()];
    const [header, payload, signature] = (await lifting(one)).split('.');
    const claims = JSON.parse(Buffer.from(payload as string, 'base64url').toString()) as object;
    const edited = Buffer.from(JSON.stringify({ ...claims, subject: String(other.id) })).toString('base64url');
    await expect(admin.submitCommand(`${header}.${edited}.${signature}`)).rejects.toMatchObject({
      code: 'COMMAND_INVALID',
    });
    expect(await isActive(other)).toBe(true);
  });

  test('handed in twice is carried out once, also by a workflow of another name', async () => {
    const freeze = await frozen();
    const command = await lifting(freeze);
    await admin.submitCommand(command);
    await expect(admin.submitCommand(command)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });
    const again = admin.temporal.workflow.execute('signedCommand', {
      workflowId: `command/${TENANT}/${randomUUID()}`,
      taskQueue: stack.temporal.taskQueue,
      args: [command],
    });
    await expect(again).rejects.toMatchObject({ cause: { type: 'COMMAND_INVALID' } });
    const receipts = [];
    for await (const receipt of stack.ledger.receipts.list(TENANT)) receipts.push(receipt);
    const { jti } = JSON.parse(Buffer.from(command.split('.')[1] as string, 'base64url').toString()) as {
      jti: string;
    };
    expect(receipts.filter(({ actionId }) => actionId === `command/${jti}`)).toHaveLength(1);
  });

  test('by an operator of another tenant finds no such freeze', async () => {
    const freeze = await frozen();
    const stranger = await stack.approver('sam', ['operator'], 'globex');
    await expect(admin.submitCommand(await lifting(freeze, stranger))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await isActive(freeze)).toBe(true);
  });

  test('of what stops every tenant is not for one tenant’s operator', async () => {
    const freeze = await frozen('*');
    await expect(admin.submitCommand(await lifting(freeze))).rejects.toMatchObject({ code: 'ROLE_REQUIRED' });
    expect(await isActive(freeze)).toBe(true);
    const pia = await stack.approver('pia', ['platform-operator']);
    expect(await admin.submitCommand(await lifting(freeze, pia))).toMatchObject({ kind: 'unfreeze' });
    expect(await isActive(freeze)).toBe(false);
  });

  test('that an agent signed is not even signed, and a revoked person says nothing', async () => {
    const agent = await issueAgent(stack.keyring, { id: 'bot', tenant: TENANT, roles: ['operator'], scopes: ['*'] });
    const freeze = await frozen();
    await expect(lifting(freeze, agent)).rejects.toMatchObject({ code: 'KEYS_INVALID' });

    const otto = await stack.approver('otto', ['operator']);
    const { jti } = peekCredential(otto);
    await admin.submitCommand(
      await signCommand(olga, { kind: 'revoke', tenant: TENANT, subject: jti, reason: 'left us' }),
    );
    await expect(admin.submitCommand(await lifting(freeze, otto))).rejects.toMatchObject({
      code: 'CREDENTIAL_REVOKED',
    });
    expect(await isActive(freeze)).toBe(true);
  });

  test('half done by a worker that was killed is finished by another', async () => {
    const freeze = await frozen();
    await stack.worker?.stop();
    const doomed = await spawnWorker(stack, stack.policies, `command.after-nonce:kill:${path.join(folder, 'killed')}`);
    const done = admin.submitCommand(await lifting(freeze));
    expect(await doomed.died).toBe('SIGKILL');
    expect(await isActive(freeze)).toBe(true);
    await stack.startWorker();
    expect(await done).toMatchObject({ kind: 'unfreeze' });
    expect(await isActive(freeze)).toBe(false);
  });

  test.each([
    ['nothing', ''],
    ['three letters', 'a.b.c'],
    ['a hundred kilobytes', 'ey'.repeat(50_000)],
    ['a NUL', '\u0000'],
  ])('%s is no signed command', async (_name, text) => {
    await expect(admin.submitCommand(text)).rejects.toMatchObject({ code: 'COMMAND_INVALID' });
  });
});

describe('resolve', () => {
  const resolving = (actionId: string, by = olga): Promise<string> =>
    signCommand(by, {
      kind: 'resolve',
      tenant: peekCredential(by).tenant,
      subject: actionId,
      verdict: 'happened',
      reason: 'I saw it.',
    });

  test('of an outcome that is known is refused', async () => {
    const { actionId, status } = await append('known');
    expect(status).toBe('success');
    await expect(admin.submitCommand(await resolving(actionId))).rejects.toMatchObject({ code: 'NOT_UNKNOWN' });
    await expect(admin.submitCommand(await resolving('never-proposed'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('without the role, or from another tenant, leaves the outcome unknown', async () => {
    const { actionId } = await append('who may', 'after');
    const dora = await stack.approver('dora', ['dba']);
    await expect(admin.submitCommand(await resolving(actionId, dora))).rejects.toMatchObject({ code: 'ROLE_REQUIRED' });
    const sam = await stack.approver('sam', ['operator'], 'globex');
    await expect(admin.submitCommand(await resolving(actionId, sam))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await stack.ledger.actions.find(TENANT, actionId))?.status).toBe('unknown');
  });

  describe('of what an agent did', () => {
    const owned = { id: 'owned-bot', owner: 'Owen' };

    test('is refused to whoever answers for it, as an approval is, and another person may', async () => {
      const owen = await stack.approver('owen', ['operator']);
      const { actionId } = await append('owned', 'after', await stack.agent(owned));
      await expect(admin.submitCommand(await resolving(actionId, owen))).rejects.toMatchObject({
        code: 'APPROVAL_FORBIDDEN',
        message: 'The approver is the owner of the agent.',
        field: 'command.by',
        fix: 'Somebody else must decide.',
      });
      expect((await stack.ledger.actions.find(TENANT, actionId))?.status).toBe('unknown');
      expect(await admin.submitCommand(await resolving(actionId))).toMatchObject({ outcome: { status: 'success' } });
    });

    test('by a delegate, or by an agent of the same name, is theirs too', async () => {
      const credential = await issueAgent(stack.keyring, {
        tenant: TENANT,
        roles: ['admin_user'],
        scopes: ['*'],
        ...owned,
      });
      const scopes = ['journal'];
      const helper = await stack.agentWith(
        await delegate(credential, { id: 'helper', roles: ['admin_user'], scopes, ttlSeconds: 60 }),
      );
      const { actionId, status } = await append('delegated', 'after', helper);
      expect(status).toBe('unknown');
      const owen = await stack.approver('owen', ['operator']);
      const namesake = await stack.approver('OWNED-BOT', ['operator']);
      for (const [who, message] of [
        [owen, 'The approver is the owner of the agent.'],
        [namesake, 'The approver is the agent itself.'],
      ] as const) {
        const refused = admin.submitCommand(await resolving(actionId, who));
        await expect(refused).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN', message });
      }
      expect((await stack.ledger.actions.find(TENANT, actionId))?.status).toBe('unknown');
    });

    test('may be said by its owner where the config lets owners decide, and by the agent itself never', async () => {
      const { actionId } = await append('lenient', 'after', await stack.agent(owned));
      await stack.worker?.stop();
      await stack.startWorker({ config: { policies: stack.policies, tools: tools(), selfApproval: true } });
      const namesake = await stack.approver('owned-bot', ['operator']);
      const refused = admin.submitCommand(await resolving(actionId, namesake));
      await expect(refused).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
      const owen = await stack.approver('owen', ['operator']);
      expect(await admin.submitCommand(await resolving(actionId, owen))).toMatchObject({
        outcome: { resolution: { by: 'owen' } },
      });
      await stack.worker?.stop();
      await stack.startWorker();
    });
  });

  test('keeps what was recorded, says who said it, and whoever asks afterwards is told', async () => {
    const { actionId, receipt } = await append('resolved', 'after');
    await admin.submitCommand(await resolving(actionId));
    const outcome = await admin.outcome(actionId);
    expect(outcome).toMatchObject({
      status: 'success',
      checks: [{ name: 'resolution', ok: true }],
      resolution: { verdict: 'happened', by: 'olga', roles: ['operator'], evidence: 'I saw it.' },
    });
    expect(outcome.receipt?.seq).toBeGreaterThan(receipt?.seq as number);
  });

  test('of an action whose grant was in the trail before it ended: its two receipts name that entry, and the export verifies', async () => {
    const actionId = randomUUID();
    const done = ended(admin, { actionId, tool: 'journal', input: { line: 'held', lose: 'after' } });
    const { ledger, keyring } = stack;
    const round = () =>
      checkpointRound({
        ledger,
        keyring,
        anchors: [],
        tenants: [TENANT],
        enterAfterMs: 0,
        signal: new AbortController().signal,
      });
    await until(round, ({ entered }) => entered === 1);
    release();
    expect((await done).status).toBe('unknown');
    await round();
    await admin.submitCommand(await resolving(actionId));
    await round();

    const lines = (await collect(exportLines(ledger, TENANT))).map((line) => JSON.stringify(line));
    const keys = await parseTrailKeys(JSON.stringify(await publicKeyring(keyring)), 'keys');
    const report = await verifyTrail(linesFrom(lines), { keys });
    expect(report).toMatchObject({ ok: true, problems: [], covered: report.entries, openGrants: [] });
    const entries = lines.flatMap((line) => {
      const { entry } = JSON.parse(line) as { entry?: string };
      return entry === undefined ? [] : [JSON.parse(entry) as TrailEntry];
    });
    const own = entries.filter(({ subject }) => subject === actionId);
    const [{ seq, grants: [{ jti }] = [{ jti: '' }] } = { seq: 0 }] = own;
    const named = { kind: 'receipt', grants: [{ jti, entry: seq }] };
    expect(own).toMatchObject([{ kind: 'grant_used' }, named, named]);
    const receipts = (await stack.receipts()).filter((receipt) => receipt.actionId === actionId);
    expect(receipts).toMatchObject([{ status: 'unknown', grant: jti }, { status: 'success' }]);

    // A resolution that does not name the entry is not accepted: the trail is held to each receipt, and not only to the first.
    const forged = lines.map((line) => forgedEntry(line, own[2]?.seq ?? 0));
    expect((await verifyTrail(linesFrom(forged), { keys })).problems.map(({ code, at }) => [code, at])).toContainEqual([
      'grant_entry',
      own[2]?.seq,
    ]);
  });
});

describe('revoke', () => {
  test('by an operator stops the agent from the next proposal on', async () => {
    const credential = await issueAgent(stack.keyring, {
      id: 'loose',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
    });
    const loose = await stack.agentWith(credential);
    expect((await ended(loose, { tool: 'journal', input: { line: 'before' } })).status).toBe('success');
    const { jti } = peekCredential(credential);
    const said = { kind: 'revoke', tenant: TENANT, subject: jti, reason: 'the laptop was lost' } as const;
    expect(await admin.submitCommand(await signCommand(olga, said))).toMatchObject({ revocation: { jti, by: 'olga' } });
    expect(await ended(loose, { tool: 'journal', input: { line: 'after' } })).toMatchObject({
      status: 'denied',
      error: { code: 'CREDENTIAL_REVOKED' },
    });
  });

  test('by the agent that delegated stops the delegate, and nobody else’s', async () => {
    const parent = await issueAgent(stack.keyring, {
      id: 'parent',
      tenant: TENANT,
      roles: ['admin_user'],
      scopes: ['*'],
    });
    const child = await delegate(parent, { id: 'child', roles: ['admin_user'], scopes: ['journal'] });
    const client = await stack.agentWith(child);
    expect((await ended(client, { tool: 'journal', input: { line: 'delegated' } })).status).toBe('success');
    const { jti } = peekCredential(child);
    const said = {
      kind: 'revoke',
      tenant: TENANT,
      subject: jti,
      reason: 'done',
      delegations: child.delegations,
    } as const;
    expect(await admin.submitCommand(await signCommand(parent, said))).toMatchObject({ revocation: { by: 'parent' } });
    expect(await ended(client, { tool: 'journal', input: { line: 'after' } })).toMatchObject({
      error: { code: 'CREDENTIAL_REVOKED' },
    });
    expect((await ended(await stack.agentWith(parent), { tool: 'journal', input: { line: 'mine' } })).status).toBe(
      'success',
    );
  });
});

test('all of this verifies: every signed command has its receipt, and a resolved action both of its own', async () => {
  const report = await verifyReceipts({ ledger: stack.ledger, keyring: stack.keyring, temporal: admin.temporal });
  expect(report.tenants.flatMap(({ problems }) => problems)).toEqual([]);
  expect(report.ok).toBe(true);
});
