/** Approvals: forged, replayed, stale, by the wrong person, or by no person at all. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Requirement } from '../../src/action/decision.js';
import { digestText } from '../../src/action/json.js';
import {
  assertMayDecide,
  MAX_APPROVAL_BYTES,
  signApproval,
  verifyApproval,
  type ApprovalOptions,
} from '../../src/trust/approvals.js';
import { issueAgent, issueApprover, type Credential } from '../../src/trust/credentials.js';
import { generateKey } from '../../src/trust/ed25519.js';
import type { KeyringFile } from '../../src/trust/key-file.js';
import { KEY_ROLES, type Keyring } from '../../src/trust/keys.js';
import { signProposal, verifyProposal } from '../../src/trust/proposal-signature.js';
import {
  digestOf,
  firstKey,
  forge,
  forgeUnsigned,
  IAT,
  later,
  newKeys,
  NOW,
  openUnverified,
  refusal,
  thrown,
} from './support.js';

const SHOWN = digestOf('shown');
const PLACE = { tenant: 'acme', actionId: 'refund-42', shownDigest: SHOWN };
const YES: ApprovalOptions = { ...PLACE, verdict: 'approve', reason: 'Checked with the customer.' };
const HEADER = { alg: 'EdDSA', typ: 'countersign-approval+jwt' };

let keyring: Keyring;
let file: KeyringFile;
let bob: Credential;
let bot: Credential;
let yes: string;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
  bob = await issueApprover(keyring, { id: 'bob@example.com', tenant: 'acme', roles: ['dba', 'lead'] }, NOW);
  bot = await issueAgent(keyring, { id: 'billing-bot', tenant: 'acme', roles: ['dba'], scopes: ['*'] }, NOW);
  yes = await signApproval(bob, YES, NOW);
});

const verify = (token: unknown, now = NOW, place: Partial<typeof PLACE> = {}) =>
  verifyApproval(keyring, token as string, { ...PLACE, ...place, now });
const refused = (token: unknown, now?: Date, place?: Partial<typeof PLACE>) =>
  refusal(verify(token, now, place), 'APPROVAL_INVALID', [bob.privateJwk.d, bot.privateJwk.d]);
const approvalWith = (payload: object, header: object = HEADER, key = bob.privateJwk) =>
  forge(header, { ...openUnverified(yes).payload, ...payload }, key);

describe('an approval', () => {
  test('is recorded as who said what, when, and by which token', async () => {
    expect(await verify(yes)).toEqual({
      record: {
        approver: 'bob@example.com',
        roles: ['dba', 'lead'],
        verdict: 'approve',
        reason: 'Checked with the customer.',
        at: NOW.toISOString(),
        digest: digestText(yes),
      },
      approver: { id: 'bob@example.com', tenant: 'acme', roles: ['dba', 'lead'] },
      credentials: [openUnverified(bob.token).payload['jti']],
    });
  });

  test('may ask for changes', async () => {
    const token = await signApproval(bob, { ...PLACE, verdict: 'request_changes', reason: 'Half of it.' }, NOW);
    expect((await verify(token)).record).toMatchObject({ verdict: 'request_changes', reason: 'Half of it.' });
  });

  test('may be a no, and needs no reason', async () => {
    const no = await signApproval(bob, { ...PLACE, verdict: 'deny' }, NOW);
    const { record } = await verify(no);
    expect(record.verdict).toBe('deny');
    expect(record).not.toHaveProperty('reason');
  });

  test('carries a reason of 2000 characters in any script', async () => {
    for (const character of ['漢', 'é', '"', '\\', '\n']) {
      const reason = character.repeat(2000);
      const token = await signApproval(bob, { ...YES, reason }, NOW);
      expect(token.length).toBeLessThan(MAX_APPROVAL_BYTES);
      expect((await verify(token)).record.reason).toBe(reason);
    }
  });

  test('carries the longest reason beside the longest credential that is issued', async () => {
    const roles = Array.from({ length: 32 }, (_, i) => `${'r'.repeat(60)}${i + 10}`);
    const long = await issueApprover(keyring, { id: 'b'.repeat(63), tenant: 't'.repeat(63), roles }, NOW);
    const place = { tenant: 't'.repeat(63), actionId: 'a'.repeat(128) };
    const token = await signApproval(long, { ...YES, ...place, reason: '漢'.repeat(2000) }, NOW);
    expect((await verify(token, NOW, place)).approver.id).toBe('b'.repeat(63));
  });

  test('a form’s line endings become plain ones', async () => {
    const token = await signApproval(bob, { ...YES, reason: 'one\r\ntwo\rthree' }, NOW);
    expect((await verify(token)).record.reason).toBe('one\ntwo\nthree');
  });

  test.each([
    ['an empty reason', { reason: '' }, 'reason'],
    ['a reason that is too long', { reason: 'x'.repeat(2001) }, 'reason'],
    ['a reason with NUL', { reason: 'a\u0000b' }, 'reason'],
    ['a reason with a lone surrogate', { reason: 'a\ud800b' }, 'reason'],
    ['a reason that drives the terminal', { reason: '\u001b[2Jfine' }, 'reason'],
    ['another verdict', { verdict: 'maybe' }, 'verdict'],
    ['a tenant that is none', { tenant: 'a/b' }, 'tenant'],
    ['an action id that is none', { actionId: '../x' }, 'actionId'],
    ['a digest that is none', { shownDigest: 'sha256:xyz' }, 'shownDigest'],
    ['a lifetime of nothing', { ttlSeconds: 0 }, 'ttlSeconds'],
    ['a lifetime of years', { ttlSeconds: 366 * 86_400 }, 'ttlSeconds'],
  ])('%s is not signed', async (_, change, field) => {
    const attempt = signApproval(bob, { ...YES, ...change } as ApprovalOptions);
    expect((await refusal(attempt, 'APPROVAL_INVALID', [bob.privateJwk.d])).field).toBe(field);
  });

  test('what would not be signed is not taken either', async () => {
    for (const change of [
      { reason: '\u001b[2J' },
      { reason: 'x'.repeat(2001) },
      { verdict: 'maybe' },
      { verdict: undefined },
    ]) {
      await refused(approvalWith(change));
    }
  });
});

describe('an approval is refused', () => {
  test('for another action or tenant', async () => {
    expect((await refused(yes, NOW, { actionId: 'refund-43' })).message).toContain('another action');
    expect((await refused(yes, NOW, { tenant: 'other' })).message).toContain('another tenant');
    expect((await refused(approvalWith({ tenant: 'other' }))).message).toContain('another tenant');
  });

  test('by an approver of another tenant who names this one', async () => {
    const eve = await issueApprover(keyring, { id: 'eve', tenant: 'other', roles: ['dba'] }, NOW);
    expect((await refused(await signApproval(eve, YES, NOW))).message).toContain('another tenant');
  });

  test('as stale when what is shown has changed', async () => {
    await refusal(verify(yes, NOW, { shownDigest: digestOf('changed') }), 'APPROVAL_STALE');
  });

  test('as invalid, not stale, when it is also forged, expired or for another action', async () => {
    const shownDigest = digestOf('changed');
    const thief = await generateKey();
    await refused(approvalWith({}, HEADER, thief), NOW, { shownDigest });
    await refused(yes, later(3660), { shownDigest });
    await refused(yes, NOW, { shownDigest, actionId: 'refund-43' });
  });

  test('when its digest, verdict or reason was changed after signing', async () => {
    const [head, , signature] = yes.split('.');
    const { payload } = openUnverified(yes);
    for (const change of [
      { shownDigest: digestOf('changed') },
      { verdict: 'deny' },
      { reason: 'x' },
      { actionId: 'refund-43' },
    ]) {
      const body = Buffer.from(JSON.stringify({ ...payload, ...change })).toString('base64url');
      await refused(`${head}.${body}.${signature}`, NOW, change);
    }
  });

  test("by an agent with its own credential: the agent's side cannot, and a forged one does not verify", async () => {
    await refusal(signApproval(bot, YES), 'KEYS_INVALID', [bot.privateJwk.d]);
    const error = await refused(await signApproval({ ...bot, kind: 'approver' }, YES, NOW));
    expect(error.message).toContain('countersign-agent+jwt');
  });

  test("by an agent with a person's credential but its own key", async () => {
    await refused(approvalWith({}, HEADER, bot.privateJwk));
    await refused(await signApproval({ ...bob, privateJwk: bot.privateJwk }, YES, NOW));
  });

  test('by the keys of workers and issuer themselves', async () => {
    for (const role of KEY_ROLES) {
      await refused(approvalWith({}, HEADER, firstKey(file, role)));
      await refused(approvalWith({}, { ...HEADER, kid: firstKey(file, role).kid }, firstKey(file, role)));
    }
  });

  test('when an agent’s signed proposal is handed in as one, and the other way round', async () => {
    await refused(await signProposal(bot, SHOWN, NOW));
    const context = { digest: SHOWN, now: NOW };
    await refusal(verifyProposal(keyring, yes, context), 'AGENT_UNVERIFIED');
    // The same bytes under the other type, by a person whose credential is real.
    const disguised = forge(
      { alg: 'EdDSA', typ: 'countersign-proposal+jwt' },
      { digest: SHOWN, credential: bob.token, iat: IAT },
      bob.privateJwk,
    );
    await refusal(verifyProposal(keyring, disguised, context), 'AGENT_UNVERIFIED');
  });

  test('of algorithm none', async () => {
    const { payload } = openUnverified(yes);
    await refused(forgeUnsigned({ ...HEADER, alg: 'none' }, payload));
    await refused(forgeUnsigned({ ...HEADER, alg: 'none' }, payload, yes.split('.')[2]));
  });

  test('when it is nothing, malformed or huge', async () => {
    for (const token of [undefined, null, '', 'yes', {}, 'a.b.c', `${yes}\n`, 'A'.repeat(10_000_000)])
      await refused(token);
  });

  test('when any one character is changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: yes.length - 1 }),
        fc.constantFrom('A', 'g', '9', '-', '.', '='),
        async (at, put) => {
          fc.pre(yes[at] !== put);
          await refused(yes.slice(0, at) + put + yes.slice(at + 1));
        },
      ),
      { numRuns: 300 },
    );
  });

  test.each([-61, 3600 + 60])('%d seconds after signing', async (seconds) => {
    await refused(yes, later(seconds));
  });

  test.each([-60, 3600 + 59])('but not yet %d seconds after signing: clocks differ', async (seconds) => {
    expect((await verify(yes, later(seconds))).approver.id).toBe('bob@example.com');
  });

  test('when the credential has expired, though the approval itself has not', async () => {
    const brief = await issueApprover(keyring, { id: 'bob', tenant: 'acme', roles: ['dba'], ttlSeconds: 10 }, NOW);
    const token = await signApproval(brief, YES, NOW);
    expect((await verify(token)).approver.id).toBe('bob');
    expect((await refused(token, later(71))).message).toContain('credential has expired');
  });
});

describe('who may decide', () => {
  const needs = (...roles: string[]): Requirement => ({ policy: 'p', reason: 'r', roles, quorum: 1, ttlSeconds: 60 });
  const ann = { id: 'ann@example.com', tenant: 'acme', roles: ['dba'] };
  const agent = { id: 'billing-bot', owner: 'owner@example.com' };
  const given = { approver: ann, agent, requirements: [needs('dba')], selfApproval: false };

  test('somebody with one of the roles of one of the requirements', () => {
    expect(() => assertMayDecide(given)).not.toThrow();
    expect(() => assertMayDecide({ ...given, requirements: [needs('finance'), needs('lead', 'dba')] })).not.toThrow();
  });

  test('nobody without such a role; the roles that may are named', () => {
    const error = thrown(
      () => assertMayDecide({ ...given, requirements: [needs('finance'), needs('lead')] }),
      'APPROVAL_FORBIDDEN',
    );
    expect(error.expected).toContain('finance, lead');
    thrown(() => assertMayDecide({ ...given, approver: { ...ann, roles: [] } }), 'APPROVAL_FORBIDDEN');
    thrown(() => assertMayDecide({ ...given, approver: { ...ann, roles: ['DBA'] } }), 'APPROVAL_FORBIDDEN');
    thrown(() => assertMayDecide({ ...given, requirements: [] }), 'APPROVAL_FORBIDDEN');
    thrown(() => assertMayDecide({ ...given, requirements: [needs()] }), 'APPROVAL_FORBIDDEN');
  });

  test("the agent's owner only where the operator allows it, in any spelling", () => {
    const owner = { ...ann, id: 'Owner@Example.com' };
    thrown(() => assertMayDecide({ ...given, approver: owner }), 'APPROVAL_FORBIDDEN');
    expect(() => assertMayDecide({ ...given, approver: owner, selfApproval: true })).not.toThrow();
  });

  test('the agent itself never, whatever the operator allows', () => {
    for (const id of ['billing-bot', 'Billing-Bot']) {
      for (const selfApproval of [false, true]) {
        thrown(() => assertMayDecide({ ...given, approver: { ...ann, id }, selfApproval }), 'APPROVAL_FORBIDDEN');
      }
    }
  });
});

describe('what is wrong with an approval is said with what to do', () => {
  test('a reason that cannot be shown, with what can', async () => {
    for (const reason of ['', 'a\u001b[2J', 'x'.repeat(2001)]) {
      const error = await refusal(signApproval(bob, { ...YES, reason }, NOW), 'APPROVAL_INVALID');
      expect(error).toMatchObject({
        field: 'reason',
        expected: expect.stringContaining('1 to 2000 characters') as string,
      });
    }
    const other = await refusal(signApproval(bob, { ...YES, tenant: '' }, NOW), 'APPROVAL_INVALID');
    expect(other).toMatchObject({ field: 'tenant', expected: undefined });
  });

  test('one from the future or too old, with what to look at', async () => {
    const early = await refused(approvalWith({ iat: IAT + 61, exp: IAT + 600 }));
    expect(early).toMatchObject({
      field: 'approval',
      fix: "Check the clocks of the approver's machine and the worker's.",
    });
    expect((await refused(yes, later(3_660))).fix).toBe('Look at the action again and decide anew.');
    expect((await verify(yes, later(3_659))).record.approver).toBe('bob@example.com');
  });

  test('whoever may not decide, with whose word is needed', () => {
    const requirement = (roles: string[]): Requirement => ({
      policy: 'p',
      roles,
      quorum: 1,
      ttlSeconds: 60,
      reason: '',
    });
    const forbidden = (roles: string[], id = 'carol', owner = 'ann') =>
      thrown(
        () =>
          assertMayDecide({
            approver: { id, tenant: 'acme', roles: ['clerk'] },
            agent: { id: 'bot', owner },
            requirements: [requirement(roles), requirement(['dba'])],
            selfApproval: false,
          }),
        'APPROVAL_FORBIDDEN',
      );
    expect(forbidden(['risk', 'dba'])).toMatchObject({
      field: 'approval.approver',
      expected: 'one of the roles dba, risk',
      fix: 'Ask somebody who has the role.',
    });
    expect(forbidden(['clerk'], 'ann')).toMatchObject({
      expected: 'another person',
      fix: 'Somebody else must decide.',
    });
    expect(forbidden(['clerk'], 'bot')).toMatchObject({ expected: 'another person' });
    // Of an agent that nobody owns, whoever has the role may decide.
    const approver = { id: 'carol', tenant: 'acme', roles: ['dba'] };
    const given = { approver, agent: { id: 'bot' }, requirements: [requirement(['dba'])], selfApproval: false };
    expect(() => assertMayDecide(given)).not.toThrow();
  });
});
