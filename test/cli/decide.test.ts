/** Decisions from the command line, on real servers: what it says of passkeys and escalations, asking for changes, and handing in by Temporal's own. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PendingView } from '../../src/action/outcome.js';
import type { Countersign, PendingAction } from '../../src/client/countersign.js';
import { findTemporal } from '../../src/dev/index.js';
import { encodeCredential } from '../../src/trust/index.js';
import { pending, startStack, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';
import { cli, errorOf, type Ended } from './support.js';

const POLICY = `
@id("people-plain") @reason("a change needs a dba") @approval("dba")
forbid (principal, action == Countersign::Action::"WRITE", resource) when { context.targets.contains("plain") };

@id("people-keyed") @reason("money needs a passkey") @approval("dba, passkey; security, denials=2, remind=30m, escalate=1s:lead, escalate=1h:cto")
forbid (principal, action == Countersign::Action::"WRITE", resource) when { context.targets.contains("keyed") };
`;

let stack: Stack;
let bot: Countersign;
let dora: string;
let sam: string;
let env: Record<string, string>;

beforeAll(async () => {
  stack = await startStack({
    worker: false,
    schema: `CREATE TABLE plain (id int PRIMARY KEY, n int NOT NULL); CREATE TABLE keyed (id int PRIMARY KEY, n int NOT NULL);
      INSERT INTO plain SELECT i, 0 FROM generate_series(1, 20) i; INSERT INTO keyed SELECT i, 0 FROM generate_series(1, 20) i;`,
  });
  await writeFile(path.join(stack.policies, 'people.cedar'), POLICY);
  await stack.startWorker();
  bot = await stack.agent();
  dora = encodeCredential(await stack.approver('dora', ['dba']));
  sam = encodeCredential(await stack.approver('sam', ['security']));
  env = { TEMPORAL_ADDRESS: stack.temporal.address, TEMPORAL_NAMESPACE: stack.temporal.namespace };
});
afterAll(() => stack?.stop());

let row = 0;
function change(table: 'plain' | 'keyed') {
  row++;
  const actionId = randomUUID();
  return { actionId, tool: 'shop-db', input: { op: 'update', table, set: { n: row }, where: { id: row } } };
}

async function changed(): Promise<number> {
  const { rows } = await stack.shop.query<{ n: number }>(`SELECT n FROM plain WHERE id = $1`, [row]);
  return rows[0]?.n ?? Number.NaN;
}

function as(person: string, ...args: string[]): Promise<Ended> {
  return cli([...args, '--as', person], { env });
}

/** The real binary, as somebody uses it who lives in Temporal. */
async function temporal(...args: string[]): Promise<string> {
  const { path: binary } = await findTemporal({ env: process.env, log: () => {} });
  const { address, namespace } = stack.temporal;
  const where = ['--address', address, '--namespace', namespace];
  const { stdout } = await promisify(execFile)(binary, [...args, ...where]);
  return stdout;
}

describe('temporal workflow signal --name decide', () => {
  async function signal(action: PendingAction, token: string): Promise<string> {
    const workflowId = `${action.tenant}/${action.actionId}`;
    return temporal('workflow', 'signal', '--workflow-id', workflowId, '--name', 'decide', '--input', `"${token}"`);
  }

  test('hands in what `countersign approve --print` printed, and the action is done', async () => {
    const action = await pending(bot, change('plain'));
    const printed = await as(dora, 'approve', action.actionId, '--yes', '--print');
    expect(printed.code).toBe(0);
    expect(printed.stderr).toContain('temporal workflow signal');
    expect(await changed()).toBe(0);
    await signal(action, printed.stdout.trim());
    const outcome = await action.outcome();
    expect(outcome).toMatchObject({ status: 'success', approvals: [{ approver: 'dora', verdict: 'approve' }] });
    expect(await changed()).toBe(row);
  });

  test('so can a no and a request for changes be handed in', async () => {
    for (const [command, code] of [
      ['deny', 'APPROVAL_DENIED'],
      ['request-changes', 'CHANGES_REQUESTED'],
    ] as const) {
      const action = await pending(bot, change('plain'));
      const printed = await as(dora, command, action.actionId, '--reason', 'fewer rows', '--print');
      await signal(action, printed.stdout.trim());
      expect(await action.outcome()).toMatchObject({ status: 'denied', error: { code } });
      expect(await changed()).toBe(0);
    }
  });

  test('with what was not signed for this does nothing but stand among the refused', async () => {
    const [first, second] = [await pending(bot, change('plain')), await pending(bot, change('plain'))];
    const printed = await as(dora, 'approve', first.actionId, '--yes', '--print');
    await signal(second, printed.stdout.trim());
    await signal(second, 'yes');
    const view = await until(
      () => bot.view(second.actionId),
      ({ refusedApprovals }) => refusedApprovals.length === 2,
    );
    expect(view.refusedApprovals.map(({ code }) => code)).toEqual(['APPROVAL_INVALID', 'APPROVAL_INVALID']);
    expect(view.phase).toBe('pending');
    expect(await changed()).toBe(0);
    await Promise.all([bot.cancel(first.actionId), bot.cancel(second.actionId)]);
  });
});

describe('countersign edit', () => {
  test('begins the changed action on the agent’s behalf, which says who changed it', async () => {
    const action = await pending(bot, change('plain'));
    const shown = await cli(['show', action.actionId, '--tenant', 'acme', '--json'], { env });
    const { input } = (JSON.parse(shown.stdout) as { pending: PendingView }).pending.shown.proposal;
    const same = await as(dora, 'edit', action.actionId, '--input', JSON.stringify(input));
    expect(same.stderr).toContain('EDIT_INVALID');
    const wider = JSON.stringify({ ...input, where: { id: { lte: 3 } } });
    const said = await as(dora, 'edit', action.actionId, '--input', wider, '--reason', 'all three');
    expect(said).toMatchObject({ code: 0 });
    const [, id = ''] = /(edit:\S+) is begun instead/.exec(said.stdout) ?? [];
    expect(await action.outcome()).toMatchObject({ revisedBy: id });
    const next = await until(
      () => cli(['show', id, '--tenant', 'acme'], { env }),
      ({ stdout }) => stdout.includes('pending'),
    );
    expect(next.stdout).toMatch(new RegExp(`Changed +by dora, instead of ${action.actionId}`));
    await bot.cancel(id);
  });
});

describe('countersign request-changes', () => {
  test('ends the action, and the agent reads what to change', async () => {
    const action = await pending(bot, change('plain'));
    const said = await as(dora, 'request-changes', action.actionId, '--reason', 'only last year’s rows');
    expect(said.code).toBe(0);
    expect(said.stdout).toMatch(/changes requested by dora; the action ends, and the agent is told what to change/);
    expect(await action.outcome()).toMatchObject({
      error: { code: 'CHANGES_REQUESTED', message: 'dora asks for changes: only last year’s rows' },
    });
    const shown = await cli(['show', action.actionId, '--tenant', 'acme'], {
      env: { ...env, COUNTERSIGN_LEDGER_URL: stack.ledgerUrl },
    });
    expect(shown.stdout).toContain('dora asks for changes: only last year’s rows');
  });

  test('needs a reason', async () => {
    const action = await pending(bot, change('plain'));
    const said = await as(dora, 'request-changes', action.actionId);
    expect(said.code).not.toBe(0);
    expect(said.stderr).toContain('--reason');
    await bot.cancel(action.actionId);
  });
});

describe('where policy wants a passkey', () => {
  test('`approve` says so at once, and where to use it; others decide as ever', async () => {
    const action = await pending(bot, change('keyed'));
    const refused = await as(dora, 'approve', action.actionId, '--yes', '--json');
    expect(refused.code).not.toBe(0);
    const error = errorOf(refused);
    expect(error.code).toBe('PASSKEY_REQUIRED');
    expect(error.fix).toContain('inbox');
    expect(error.fix).toContain(`/actions/${action.actionId}`);
    const printed = await as(dora, 'approve', action.actionId, '--yes', '--print', '--json');
    expect(errorOf(printed).code).toBe('PASSKEY_REQUIRED');

    const other = await as(sam, 'approve', action.actionId, '--yes');
    expect(other.stdout).toMatch(/approved by sam; more approvals are needed/);
    const no = await as(dora, 'deny', action.actionId, '--reason', 'no key at hand');
    expect(no.stdout).toMatch(/denied by dora; the action is denied/);
  });

  test('`pending` and `show` tell of it, of noes, reminders and escalations', async () => {
    const action = await pending(bot, change('keyed'));
    await until(
      () => bot.view(action.actionId),
      (view) => view.pending?.escalated !== undefined,
    );
    const no = await as(sam, 'deny', action.actionId, '--reason', 'not sure');
    expect(no.stdout).toMatch(/denied by sam; more denials are needed/);

    const listed = await until(
      () => cli(['pending', '--tenant', 'acme'], { env }),
      ({ stdout }) => stdout.includes(action.actionId),
    );
    expect(listed.stdout).toContain('needs 1 more of dba, with a passkey (people-keyed; 0 of 1 said yes)');
    expect(listed.stdout).toContain('needs 1 more of security or lead');
    expect(listed.stdout).toContain('escalated: now also lead');
    expect(listed.stdout).toMatch(/in (1h|59m( \d+s)?) also cto/);

    const shown = await cli(['show', action.actionId, '--tenant', 'acme'], {
      env: { ...env, COUNTERSIGN_LEDGER_URL: stack.ledgerUrl },
    });
    expect(shown.stdout).toContain('1 × dba within 1d; with a passkey: money needs a passkey (people-keyed)');
    expect(shown.stdout).toContain(
      '1 × security within 1d; 2 noes deny it; reminded after 30m; after 1s also lead; after 1h also cto',
    );
    expect(shown.stdout).toContain('now also lead');
    await bot.cancel(action.actionId);
  });
});

describe('a canary', () => {
  test('is sent, listed like what waits, refused with a word of thanks, and in the figures', async () => {
    const olga = encodeCredential(await stack.approver('olga', ['operator']));
    const input = JSON.stringify({ op: 'update', table: 'plain', set: { n: 1 }, where: { id: 1 } });
    const bare = await as(olga, 'canary', 'send', '--tool', 'shop-db', '--input', input, '--reason', 'x', '--json');
    expect(errorOf(bare)).toMatchObject({ code: 'USAGE', field: '--agent' });
    const about = ['--agent', 'bot-7', '--agent-role', 'admin_user', '--rule', 'people-plain', '--reason', 'no ticket'];
    const sent = await as(olga, 'canary', 'send', '--tool', 'shop-db', '--input', input, ...about, '--json');
    const { actionId } = sent.json() as { actionId: string };

    const listed = await until(
      () => cli(['pending', '--tenant', 'acme'], { env }),
      ({ stdout }) => stdout.includes(actionId),
    );
    expect(listed.stdout).toContain('bot-7');
    expect(listed.stdout).not.toContain('canary');
    const refused = await as(dora, 'deny', actionId, '--reason', 'who asked for it?');
    expect(refused.stdout).toContain('This was a canary: nobody proposed it');
    expect(refused.stdout).toContain('Thank you for looking. It should be refused: no ticket');

    const ledger = { ...env, COUNTERSIGN_LEDGER_URL: stack.ledgerUrl };
    const shown = await cli(['show', actionId, '--tenant', 'acme'], { env: ledger });
    expect(shown.stdout).toContain('This was a canary');
    const figures = await cli(['oversight', '--tenant', 'acme', '--json'], { env: ledger });
    expect(figures.json()).toMatchObject({ canaries: { approvers: [{ name: 'dora', shown: 1, refused: 1 }] } });
    const told = await cli(['oversight', '--tenant', 'acme'], { env: ledger });
    expect(told.stdout).toMatch(/canaries, which should be refused:[^]*people-plain/);
  });
});
