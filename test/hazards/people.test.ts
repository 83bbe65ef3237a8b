/** What people decide counts for what it is: not twice, not too early, not in haste, not of the wrong person. The database judges what was done. */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Verdict } from '../../src/action/outcome.js';
import type { Countersign, PendingAction } from '../../src/client/countersign.js';
import {
  challengeOf,
  issueApprover,
  peekCredential,
  registrationChallengeOf,
  signApproval,
  signCommand,
  type Credential,
} from '../../src/trust/index.js';
import { SoftwareAuthenticator } from '../../src/prove/scratch/authenticator.js';
import { ended, pending, shopTool, startStack, TENANT, type Stack } from '../support/stack.js';
import { until } from '../support/until.js';

/** What is asked for a change of each table. */
const ASKED = {
  plain: 'dba',
  noes: 'dba, denials=2',
  pair: 'dba; security, quorum=2',
  two: 'dba, quorum=2',
  escalated: 'dba, remind=1s, escalate=5s:lead',
  own: 'dba, self',
  keyed: 'dba, passkey',
  brief: 'dba, ttl=2s',
} as const;
type Table = keyof typeof ASKED;
const TABLES = Object.keys(ASKED) as Table[];

const PASSKEYS = { rpId: 'localhost', origins: ['http://localhost:8787'] };
const RATE_LIMIT = { approvals: 2, withinSeconds: 60 };

let stack: Stack;
let bot: Countersign;

beforeAll(async () => {
  stack = await startStack({
    worker: false,
    schema: TABLES.map(
      (table) => `
        CREATE TABLE ${table} (id int PRIMARY KEY, n int NOT NULL);
        INSERT INTO ${table} SELECT i, 0 FROM generate_series(1, 60) i;`,
    ).join(''),
  });
  const rules = TABLES.map(
    (table) => `
@id("people-${table}")
@reason("a change of ${table} needs people")
@approval("${ASKED[table]}")
forbid (principal, action == Countersign::Action::"WRITE", resource)
when { context.targets.contains("${table}") };`,
  );
  await writeFile(path.join(stack.policies, 'people.cedar'), rules.join('\n'));
  await stack.startWorker({
    config: {
      policies: stack.policies,
      tools: [shopTool(stack.shopUrl)],
      passkeys: PASSKEYS,
      approvalRateLimit: RATE_LIMIT,
    },
  });
  bot = await stack.agent({ owner: 'owen' });
});
afterAll(() => stack?.stop());

let row = 0;
/** A row of its own for each. */
function change(table: Table, more: object = {}) {
  row++;
  return {
    actionId: randomUUID(),
    tool: 'shop-db',
    input: { op: 'update', table, set: { n: row }, where: { id: row } },
    ...more,
  };
}

/** Somebody whom no other test knows. */
async function person(...roles: string[]): Promise<Credential> {
  return stack.approver(`p-${randomUUID()}`, roles);
}

function idOf(credential: Credential): string {
  return peekCredential(credential).id;
}

async function effects(table: Table): Promise<number> {
  const { rows } = await stack.shop.query<{ n: string }>(`SELECT count(*) n FROM ${table} WHERE n > 0`);
  return Number(rows[0]?.n);
}

async function token(
  action: PendingAction,
  by: Credential,
  more: Partial<Parameters<typeof signApproval>[1]> = {},
): Promise<string> {
  const { tenant, actionId, pending: shown } = action;
  return signApproval(by, { tenant, actionId, shownDigest: shown.shownDigest, verdict: 'approve', ...more });
}

async function ledger(statement: string, values: readonly unknown[]): Promise<void> {
  const client = new pg.Client({ connectionString: stack.ledgerUrl });
  await client.connect();
  try {
    expect((await client.query(statement, [...values])).rowCount).toBe(1);
  } finally {
    await client.end();
  }
}

describe('a quorum of noes', () => {
  test('one no of two leaves it waiting; a second person denies it, though somebody said yes', async () => {
    const action = await pending(bot, change('noes'));
    const [ann, bea] = [await person('dba'), await person('dba')];
    expect(await stack.decide(action, ann, 'deny', 'too many')).toMatchObject({ state: 'waiting' });
    expect(await stack.decide(action, ann, 'deny', 'really')).toMatchObject({ state: 'waiting' });
    expect(await stack.decide(action, bea, 'deny', 'I agree')).toMatchObject({ state: 'denied' });
    expect(await action.outcome()).toMatchObject({
      status: 'denied',
      error: { code: 'APPROVAL_DENIED' },
      approvals: [{ verdict: 'deny' }, { verdict: 'deny' }],
    });
    expect(await effects('noes')).toBe(0);
  });

  test('one no of two does not keep others from approving it', async () => {
    const action = await pending(bot, change('noes'));
    await stack.decide(action, await person('dba'), 'deny', 'too many');
    expect(await stack.decide(action, await person('dba'))).toMatchObject({ state: 'approved' });
    expect((await action.outcome()).status).toBe('success');
    expect(await effects('noes')).toBe(1);
  });
});

test('two requirements of one policy: each needs its own people, and all of them are on the outcome', async () => {
  const action = await pending(bot, change('pair'));
  const [dba, sam, sue] = [await person('dba'), await person('security'), await person('security')];
  expect(await stack.decide(action, sam)).toMatchObject({ state: 'waiting' });
  expect(await stack.decide(action, dba)).toMatchObject({ state: 'waiting' });
  expect(await effects('pair')).toBe(0);
  expect(await stack.decide(action, sue)).toMatchObject({ state: 'approved' });
  const outcome = await action.outcome();
  expect(outcome.status).toBe('success');
  expect(outcome.approvals.map(({ approver }) => approver).sort()).toEqual([sam, dba, sue].map(idOf).sort());
});

describe('a request for changes', () => {
  test('of somebody without a role is refused, and the action waits on', async () => {
    const action = await pending(bot, change('plain'));
    const refused = stack.decide(action, await person('intern'), 'request_changes', 'I would not');
    await expect(refused).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    expect((await bot.view(action.actionId)).phase).toBe('pending');
    await bot.cancel(action.actionId);
  });

  test('ends the action with the person’s words, and one that revises it is linked to it', async () => {
    const before = await effects('plain');
    const action = await pending(bot, change('plain'));
    const dba = await person('dba');
    const said = await stack.decide(action, dba, 'request_changes', 'only the rows of last year');
    expect(said).toMatchObject({ state: 'changes_requested' });
    const outcome = await action.outcome();
    expect(outcome).toMatchObject({
      status: 'denied',
      error: { code: 'CHANGES_REQUESTED', message: `${idOf(dba)} asks for changes: only the rows of last year` },
      approvals: [{ verdict: 'request_changes', reason: 'only the rows of last year' }],
    });
    expect(await effects('plain')).toBe(before);

    const next = await pending(bot, change('plain', { revises: action.actionId }));
    expect(next.pending.shown.proposal.revises).toBe(action.actionId);
    await stack.decide(next, dba);
    expect((await next.outcome()).status).toBe('success');
  });

  describe('is not to be claimed', () => {
    test.each<[string, () => Promise<string>]>([
      ['of an action that nobody knows', async () => randomUUID()],
      [
        'of one that was denied for good',
        async () => {
          const action = await pending(bot, change('plain'));
          await stack.decide(action, await person('dba'), 'deny', 'never');
          return (await action.outcome()).actionId;
        },
      ],
      ['of one that still waits', async () => (await pending(bot, change('plain'))).actionId],
      [
        'of another agent’s',
        async () => {
          const other = await stack.agent({ id: 'other-bot' });
          const action = await pending(other, change('plain'));
          await stack.decide(action, await person('dba'), 'request_changes', 'fewer');
          return (await action.outcome()).actionId;
        },
      ],
    ])('%s', async (_, made) => {
      const revises = await made();
      const outcome = await ended(bot, change('plain', { revises }));
      expect(outcome).toMatchObject({
        status: 'denied',
        error: { code: 'INVALID_PROPOSAL', field: 'proposal.revises' },
      });
    });

    test('of itself', async () => {
      const proposal = change('plain');
      const outcome = await ended(bot, { ...proposal, revises: proposal.actionId });
      expect(outcome.error).toMatchObject({ code: 'INVALID_PROPOSAL' });
    });
  });
});

describe('an escalation', () => {
  test('lets nobody decide too early, shows when it has come, and keeps its time when something else is shown', async () => {
    const proposal = change('escalated');
    const action = await pending(bot, proposal);
    expect(action.pending.escalated).toBeUndefined();
    const lead = await person('lead');
    await expect(stack.decide(action, lead)).rejects.toMatchObject({
      code: 'APPROVAL_FORBIDDEN',
      message: expect.stringMatching(/may not decide yet: it is escalated to them in [1-5] s/) as string,
    });
    await expect(stack.decide(action, lead, 'deny', 'no')).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });

    // Another state: a dba's yes is stale, and people are shown it anew.
    await stack.shop.query('UPDATE escalated SET n = -1 WHERE id = $1', [row]);
    await stack.decide(action, await person('dba'));
    const again = await until(
      () => bot.view(action.actionId),
      ({ phase, refusedApprovals }) => phase === 'pending' && refusedApprovals.length > 0,
    );
    expect(again.pending?.shownDigest).not.toBe(action.pending.shownDigest);
    expect(again.pending?.since).toBe(action.pending.since);

    const view = await until(
      () => bot.view(action.actionId),
      ({ pending: waits }) => waits?.escalated !== undefined,
    );
    expect(view.pending?.escalated).toEqual(['lead']);
    expect(Date.now() - Date.parse(action.pending.since ?? '')).toBeGreaterThanOrEqual(5000);
    expect(await effects('escalated')).toBe(0);
    const reply = await stack.decide(action, lead);
    expect(reply).toMatchObject({ state: 'approved' });
    expect(reply.recorded.waitedSeconds).toBeGreaterThanOrEqual(5);
    expect((await action.outcome()).status).toBe('success');
  });

  test('goes by the ledger’s clock, whatever the workflow believes', async () => {
    const action = await pending(bot, change('escalated'));
    const lead = await person('lead');
    await expect(stack.decide(action, lead)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await ledger(
      `UPDATE countersign.approval_requests SET first_asked_at = first_asked_at - interval '1 hour' WHERE action_id = $1`,
      [action.actionId],
    );
    const { recorded, state } = await stack.decide(action, lead);
    expect(state).toBe('approved');
    expect(recorded.waitedSeconds).toBeGreaterThan(3600);
    expect((await action.outcome()).status).toBe('success');
  });
});

describe('a role delegation', () => {
  async function give(giver: Credential, holder: Credential, role = 'dba'): Promise<void> {
    const now = Date.now();
    const statement = await signCommand(giver, {
      kind: 'delegate_role',
      tenant: TENANT,
      subject: idOf(holder),
      role,
      from: new Date(now - 1000).toISOString(),
      until: new Date(now + 60_000).toISOString(),
      reason: 'on call',
    });
    await bot.submitCommand(statement);
  }

  test('the giver and the holder are one person where two are needed', async () => {
    const [ann, dirk, bob] = [await person('dba'), await person('oncall'), await person('dba')];
    await give(ann, dirk);
    const action = await pending(bot, change('two'));
    expect(await stack.decide(action, ann)).toMatchObject({ state: 'waiting' });
    const reply = await stack.decide(action, dirk);
    expect(reply).toMatchObject({ state: 'waiting', recorded: { delegatedRoles: [{ role: 'dba', from: idOf(ann) }] } });
    expect(await effects('two')).toBe(0);
    expect(await stack.decide(action, bob)).toMatchObject({ state: 'approved' });
    expect((await action.outcome()).status).toBe('success');
    expect(await effects('two')).toBe(1);
  });

  test('given by the person who answers for the agent lets nobody decide on what that agent does', async () => {
    const owner = await stack.approver('owen', ['dba']);
    const friend = await person('oncall');
    await give(owner, friend);
    const action = await pending(bot, change('plain'));
    await expect(stack.decide(action, friend)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await bot.cancel(action.actionId);
  });

  test('that ended lets nobody decide any more', async () => {
    const [ann, dirk] = [await person('dba'), await person('oncall')];
    await give(ann, dirk);
    const [duty] = await stack.ledger.roleDelegations.of(TENANT, idOf(dirk));
    await bot.submitCommand(
      await signCommand(ann, { kind: 'end_role_delegation', tenant: TENANT, subject: duty?.id ?? '', reason: 'back' }),
    );
    const action = await pending(bot, change('plain'));
    await expect(stack.decide(action, dirk)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await bot.cancel(action.actionId);
  });
});

describe('the person who answers for the agent', () => {
  test('may decide where policy says so, and nowhere else', async () => {
    const owner = await stack.approver('owen', ['dba']);
    const own = await pending(bot, change('own'));
    expect(await stack.decide(own, owner)).toMatchObject({ state: 'approved', recorded: { self: true } });
    expect((await own.outcome()).status).toBe('success');
    const other = await pending(bot, change('plain'));
    await expect(stack.decide(other, owner)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await bot.cancel(other.actionId);
  });

  test('is never the agent itself, though policy lets its owner decide', async () => {
    const action = await pending(bot, change('own'));
    const self = await stack.approver('agent-1', ['dba']);
    await expect(stack.decide(action, self)).rejects.toMatchObject({ code: 'APPROVAL_FORBIDDEN' });
    await bot.cancel(action.actionId);
  });
});

describe('too many approvals in too short a time', () => {
  test('approvals over the limit need a second person; after twice as many, none is accepted; denials always are', async () => {
    const hasty = await person('dba');
    const states: string[] = [];
    const actions: PendingAction[] = [];
    for (let i = 0; i < 2 * RATE_LIMIT.approvals; i++) {
      const action = await pending(bot, change('plain'));
      actions.push(action);
      states.push((await stack.decide(action, hasty)).state);
    }
    expect(states).toEqual(['approved', 'approved', 'waiting', 'waiting']);

    const [, , third, fourth] = actions as [PendingAction, PendingAction, PendingAction, PendingAction];
    const view = await bot.view(third.actionId);
    expect(view.approvals).toMatchObject([{ approver: idOf(hasty), overRateLimit: true }]);
    // Saying it again, or signing anew, does not make two people of one, nor the haste forgotten.
    expect(await stack.decide(third, hasty)).toMatchObject({ state: 'waiting' });
    expect(await stack.decide(third, await person('dba'))).toMatchObject({ state: 'approved' });
    expect(await third.outcome()).toMatchObject({ status: 'success', approvals: [{}, {}] });

    const fifth = await pending(bot, change('plain'));
    await expect(stack.decide(fifth, hasty)).rejects.toMatchObject({ code: 'APPROVAL_TOO_FAST' });
    expect(await stack.decide(fifth, hasty, 'deny', 'not now')).toMatchObject({ state: 'denied' });
    await bot.cancel(fourth.actionId);
  });
});

describe('a passkey', () => {
  const site = { rpId: PASSKEYS.rpId, origin: PASSKEYS.origins[0] as string };

  async function enrolled(who: Credential): Promise<SoftwareAuthenticator> {
    const authenticator = new SoftwareAuthenticator();
    const jti = randomUUID();
    const challenge = registrationChallengeOf({ tenant: TENANT, person: idOf(who), nonce: jti });
    const response = authenticator.register({ challenge, ...site });
    await bot.submitCommand(
      await signCommand(who, {
        kind: 'enrol_passkey',
        tenant: TENANT,
        subject: response.id,
        response: JSON.stringify(response),
        reason: 'my key',
        jti,
      }),
    );
    return authenticator;
  }

  function asserted(
    action: PendingAction,
    authenticator: SoftwareAuthenticator,
    more: { verdict?: Verdict; actionId?: string; policyDigest?: `sha256:${string}` } = {},
  ) {
    const { tenant, pending: shown } = action;
    const { policyDigest = shown.decision.policyDigest, actionId = action.actionId, verdict = 'approve' } = more;
    const challenge = challengeOf({ tenant, actionId, shownDigest: shown.shownDigest, policyDigest, verdict });
    return { assertion: { policyDigest, response: authenticator.assert({ challenge, ...site }) } };
  }

  test('is needed for a yes where policy wants one, for nothing else, and proves who saw what', async () => {
    const action = await pending(bot, change('keyed'));
    const dba = await person('dba');
    await expect(stack.decide(action, dba)).rejects.toMatchObject({ code: 'PASSKEY_REQUIRED' });
    const key = await enrolled(dba);
    await expect(stack.decide(action, dba)).rejects.toMatchObject({ code: 'PASSKEY_REQUIRED' });
    expect(await effects('keyed')).toBe(0);
    const said = await bot.decide(action.actionId, await token(action, dba, asserted(action, key)));
    expect(said).toMatchObject({ state: 'approved' });
    const outcome = await action.outcome();
    expect(outcome.status).toBe('success');
    expect(outcome.approvals[0]?.passkey).toMatch(/^[\w-]+$/);

    const other = await pending(bot, change('keyed'));
    expect(await stack.decide(other, dba, 'deny', 'no')).toMatchObject({ state: 'denied' });
  });

  test('used for another action, another verdict, another policy or by somebody else’s key, counts for nothing', async () => {
    const action = await pending(bot, change('keyed'));
    const [dba, other] = [await person('dba'), await person('dba')];
    const [own, foreign] = [await enrolled(dba), await enrolled(other)];
    const before = await effects('keyed');
    const say = async (assertion: ReturnType<typeof asserted>): Promise<unknown> =>
      bot.decide(action.actionId, await token(action, dba, assertion));
    await expect(say(asserted(action, own, { actionId: randomUUID() }))).rejects.toMatchObject({
      code: 'PASSKEY_INVALID',
    });
    await expect(say(asserted(action, own, { verdict: 'deny' }))).rejects.toMatchObject({ code: 'PASSKEY_INVALID' });
    await expect(say(asserted(action, own, { policyDigest: `sha256:${'0'.repeat(64)}` }))).rejects.toMatchObject({
      code: 'APPROVAL_STALE',
    });
    await expect(say(asserted(action, foreign))).rejects.toMatchObject({ code: 'PASSKEY_INVALID' });
    const stranger = new SoftwareAuthenticator();
    stranger.register({ challenge: 'AAAA', ...site });
    await expect(say(asserted(action, stranger))).rejects.toMatchObject({ code: 'PASSKEY_INVALID' });
    expect(await effects('keyed')).toBe(before);
    await bot.cancel(action.actionId);
  });

  test('of which there is a copy is not believed', async () => {
    const dba = await person('dba');
    const key = await enrolled(dba);
    const copy = key.clone();
    const first = await pending(bot, change('keyed'));
    await bot.decide(first.actionId, await token(first, dba, asserted(first, key)));
    const second = await pending(bot, change('keyed'));
    const said = bot.decide(second.actionId, await token(second, dba, asserted(second, copy)));
    await expect(said).rejects.toMatchObject({ code: 'PASSKEY_INVALID' });
    await bot.cancel(second.actionId);
  });
});

test('a person whose credential was revoked decides nothing, and what they decided before counts no more', async () => {
  const gone = await issueApprover(stack.keyring, { id: 'gone', tenant: TENANT, roles: ['dba'] });
  const action = await pending(bot, change('two'));
  expect(await stack.decide(action, gone)).toMatchObject({ state: 'waiting' });
  await stack.ledger.controls.revoke({ tenant: TENANT, jti: peekCredential(gone).jti, by: 'olga', reason: 'left' });
  await stack.decide(action, await person('dba'));
  const view = await until(
    () => bot.view(action.actionId),
    ({ refusedApprovals, phase }) => refusedApprovals.length > 0 && phase === 'pending',
  );
  expect(view.refusedApprovals).toMatchObject([{ code: 'CREDENTIAL_REVOKED' }]);
  expect(view.approvals).toHaveLength(1);
  await expect(stack.decide(action, gone)).rejects.toMatchObject({ code: 'CREDENTIAL_REVOKED' });
  await bot.cancel(action.actionId);
});

describe('at once', () => {
  test('a yes and a no: what each was told agrees with how it ended', async () => {
    const [ann, bob] = [await person('dba'), await person('dba')];
    for (let i = 0; i < 2; i++) {
      const action = await pending(bot, change('plain'));
      const before = await effects('plain');
      const said = await Promise.allSettled([
        bot.decide(action.actionId, await token(action, ann)),
        bot.decide(action.actionId, await token(action, bob, { verdict: 'deny', reason: 'no' })),
      ]);
      const { status } = await action.outcome();
      const told = said.map((reply) => (reply.status === 'fulfilled' ? reply.value.state : (reply.reason as Error)));
      expect(told).toContainEqual(status === 'success' ? 'approved' : 'denied');
      expect(told).toContainEqual(expect.objectContaining({ code: 'NOT_PENDING' }));
      expect((await effects('plain')) - before).toBe(status === 'success' ? 1 : 0);
    }
  });

  test('with the end of the time to decide: nobody is told that it goes on when it does not', async () => {
    await Promise.all(
      [60, 30, 15, 5, 0, -15].map(async (earlyMs) => {
        const proposal = change('brief');
        const action = await pending(bot, proposal);
        const yes = await token(action, await person('dba'));
        await delay(Math.max(0, Date.parse(action.pending.expiresAt) - Date.now() - earlyMs));
        const told = await bot.decide(action.actionId, yes).then(
          ({ state }) => state,
          ({ code }: { code: string }) => code,
        );
        const { status } = await action.outcome();
        expect([
          ['approved', 'success'],
          ['NOT_PENDING', 'expired'],
          ['NOT_FOUND', 'expired'],
        ]).toContainEqual([told, status]);
        const { rows } = await stack.shop.query('SELECT n FROM brief WHERE id = $1', [proposal.input.where.id]);
        expect(rows).toEqual([{ n: status === 'success' ? proposal.input.set.n : 0 }]);
      }),
    );
  });
});
