/** Signed commands: a person's word is good once, for one thing; an agent's only to take back what is below it. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { digestText } from '../../src/action/json.js';
import { signApproval, verifyApproval } from '../../src/trust/approvals.js';
import { issueAgent, issueApprover, peekCredential, type Credential } from '../../src/trust/credentials.js';
import { delegate } from '../../src/trust/delegations.js';
import { generateKey } from '../../src/trust/ed25519.js';
import type { KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';
import { signProposal, verifyProposal } from '../../src/trust/proposal-signature.js';
import type { CommandOptions } from '../../src/trust/commands.js';
import { MAX_COMMAND_BYTES, signCommand, verifyCommand } from '../../src/trust/signed-commands.js';
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
} from './support.js';

const HEADER = { alg: 'EdDSA', typ: 'countersign-command+jwt' };
const UNFREEZE = { kind: 'unfreeze', tenant: 'acme', subject: '3', reason: 'Incident 42 is over.' } as const;
const RESOLVE = {
  kind: 'resolve',
  tenant: 'acme',
  subject: 'refund-42',
  verdict: 'happened',
  reason: 'The bank shows it.',
} as const;
const JTI = '0d9fb1ce-3a4e-4a7e-9d52-2f8c4fb0a9aa';
const REVOKE = { kind: 'revoke', tenant: 'acme', subject: JTI, reason: 'It leaked.' } as const;

let keyring: Keyring;
let file: KeyringFile;
let ann: Credential;
let bot: Credential;
let mailer: Credential;
let helper: Credential;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
  ann = await issueApprover(keyring, { id: 'ann@example.com', tenant: 'acme', roles: ['operator'] }, NOW);
  bot = await issueAgent(keyring, { id: 'bot', tenant: 'acme', roles: ['billing'], scopes: ['*'] }, NOW);
  mailer = await delegate(bot, { id: 'mailer', roles: [], scopes: ['crm'] }, NOW);
  helper = await delegate(mailer, { id: 'helper', roles: [], scopes: ['crm:get'] }, NOW);
});

const verify = (token: unknown, now = NOW, keys = keyring) => verifyCommand(keys, token as string, { now });
async function refused(token: unknown, message = '', now = NOW) {
  const secrets = [ann, bot, mailer, helper].map(({ privateJwk }) => privateJwk.d);
  const error = await refusal(verify(token, now), 'COMMAND_INVALID', secrets);
  expect(error.message).toContain(message);
}
/** A signed command of Ann's with changed claims, signed by her. */
async function changed(claims: Record<string, unknown>, header: object = HEADER, from: CommandOptions = UNFREEZE) {
  const payload = { ...openUnverified(await signCommand(ann, from, NOW)).payload, ...claims };
  for (const [name, value] of Object.entries(claims)) if (value === undefined) delete payload[name];
  return forge(header, payload, ann.privateJwk);
}
const revocationOf = (credential: Credential) => ({
  ...REVOKE,
  subject: peekCredential(credential).jti,
  delegations: credential.delegations,
});

describe('a signed command', () => {
  test.each([UNFREEZE, RESOLVE, REVOKE])('$kind says who, what, why and until when', async (said) => {
    const token = await signCommand(ann, said, NOW);
    expect(await verify(token)).toEqual({
      ...said,
      signer: 'approver',
      by: 'ann@example.com',
      roles: ['operator'],
      at: NOW.toISOString(),
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      expiresAt: later(360),
      digest: digestText(token),
      credentials: [openUnverified(ann.token).payload['jti']],
    });
    expect(token).not.toContain(ann.privateJwk.d);
  });

  test('said twice is two, each to be used once', async () => {
    const [one, two] = await Promise.all([signCommand(ann, UNFREEZE, NOW), signCommand(ann, UNFREEZE, NOW)]);
    expect((await verify(one)).jti).not.toBe((await verify(two)).jti);
  });

  test('carries a reason in any script, with line feeds however they were typed', async () => {
    const reason = `${'\u6f22"\\\u{1f600}'.repeat(300)}\r\nend`;
    const token = await signCommand(ann, { ...UNFREEZE, reason }, NOW);
    expect((await verify(token)).reason).toBe(reason.replace('\r\n', '\n'));
  });

  test('lives for minutes', async () => {
    const token = await signCommand(ann, { ...UNFREEZE, ttlSeconds: 600 }, NOW);
    expect((await verify(token, later(659))).expiresAt).toEqual(later(660));
    await refused(token, 'expired', later(660));
    await refused(await changed({ iat: IAT + 61, exp: IAT + 300 }), 'future');
    await refused(token, undefined, new Date(Number.NaN));
    for (const ttlSeconds of [0, 601, 1.5, Number.NaN]) {
      const error = await refusal(signCommand(ann, { ...UNFREEZE, ttlSeconds }, NOW), 'COMMAND_INVALID');
      expect(error.field).toBe('ttlSeconds');
    }
    await refused(await changed({ exp: IAT + 601 }));
    await refused(await changed({ exp: IAT }));
  });

  const wrong: [string, object, string][] = [
    ['no reason', { ...UNFREEZE, reason: '' }, 'reason'],
    ['a reason that moves the cursor', { ...UNFREEZE, reason: 'ok\u001b[2J' }, 'reason'],
    ['a reason with a lone surrogate', { ...UNFREEZE, reason: 'ok\ud800' }, 'reason'],
    ['a reason that is too long', { ...UNFREEZE, reason: 'x'.repeat(2001) }, 'reason'],
    ['every tenant', { ...UNFREEZE, tenant: '*' }, 'tenant'],
    ['a freeze that is no number', { ...UNFREEZE, subject: 'all' }, 'subject'],
    ['an action id with a tenant in it', { ...RESOLVE, subject: 'other/refund-42' }, 'subject'],
    ['a verdict of neither', { ...RESOLVE, verdict: 'maybe' }, 'verdict'],
    ['no verdict', { ...RESOLVE, verdict: undefined }, 'verdict'],
    ['a verdict where none belongs', { ...UNFREEZE, verdict: 'happened' }, 'command'],
    ['a jti with a space', { ...REVOKE, subject: 'a b' }, 'subject'],
    ['another purpose', { ...UNFREEZE, kind: 'freeze' }, 'kind'],
  ];
  test.each(wrong)('with %s is not signed', async (_, options, field) => {
    const error = await refusal(signCommand(ann, options as CommandOptions, NOW), 'COMMAND_INVALID');
    expect(error.field).toBe(field);
  });

  test.each([
    ['another kind', { kind: 'revoke', subject: undefined }],
    ['an unknown kind', { kind: 'freeze' }],
    ['a verdict where none belongs', { verdict: 'happened' }],
    ['no id of its own', { jti: undefined }],
    ['an id that is no UUID', { jti: '1' }],
    ['a signer that it is not', { signer: 'agent' }],
    ['no signer', { signer: undefined }],
    ['delegations, being a person’s', { delegations: ['a'] }],
    ['a claim more', { roles: ['admin'] }],
    ['a reason with a bare carriage return', { reason: 'no\ryes' }],
  ])('that has %s is refused', async (_, claims) => {
    await refused(await changed(claims));
  });
});

const PASSKEY = 'cGFzc2tleQ';
const ENROL = {
  kind: 'enrol_passkey',
  tenant: 'acme',
  subject: PASSKEY,
  response: '{"id":"x"}',
  reason: 'My key.',
} as const;
const RETIRE = { kind: 'retire_passkey', tenant: 'acme', subject: PASSKEY, reason: 'Lost.' } as const;
const STAND = {
  kind: 'create_standing_approval',
  tenant: 'acme',
  subject: 'bot/mailer',
  tool: 'payments*',
  operation: 'refund_*',
  environment: 'production',
  maxRows: 1,
  actions: 10,
  amounts: { EUR: 50 },
  until: '2026-03-01T14:00:00Z',
  reason: 'The sale.',
} as const;
const WITHDRAW = {
  kind: 'withdraw_standing_approval',
  tenant: 'acme',
  subject: JTI,
  reason: 'The sale is over.',
} as const;
const DUTY = {
  kind: 'delegate_role',
  tenant: 'acme',
  subject: 'bob@example.com',
  role: 'dba',
  from: '2026-03-01T18:00:00Z',
  until: '2026-03-02T08:00:00.000Z',
  reason: 'The night.',
} as const;
const RELIEVE = { kind: 'end_role_delegation', tenant: 'acme', subject: JTI, reason: 'Back early.' } as const;

describe('what people give and take back', () => {
  const { operation: _o, environment: _e, maxRows: _m, actions: _a, amounts: _u, ...plain } = STAND;

  test.each<CommandOptions>([ENROL, RETIRE, STAND, plain, WITHDRAW, DUTY, RELIEVE])(
    '$kind says all of it and no more, under the id that was asked for',
    async (said) => {
      const token = await signCommand(ann, { ...said, jti: JTI }, NOW);
      expect(await verify(token)).toEqual({
        ...said,
        signer: 'approver',
        by: 'ann@example.com',
        roles: ['operator'],
        at: NOW.toISOString(),
        jti: JTI,
        expiresAt: later(360),
        digest: digestText(token),
        credentials: [openUnverified(ann.token).payload['jti']],
      });
    },
  );

  test.each<CommandOptions>([ENROL, RETIRE, STAND, WITHDRAW, DUTY, RELIEVE])(
    '$kind is for people: an agent cannot say it',
    async (said) => {
      await refusal(signCommand(bot, said, NOW), 'KEYS_INVALID');
      await refused(await signCommand({ ...bot, kind: 'approver' }, said, NOW), 'countersign-agent+jwt');
      const { payload } = openUnverified(await signCommand(bot, revocationOf(mailer), NOW));
      await refused(forge(HEADER, { ...payload, ...said }, bot.privateJwk));
    },
  );

  const wrong: [string, object, string][] = [
    ['a passkey whose id is no base64url', { ...RETIRE, subject: 'a+b=' }, 'subject'],
    ['a passkey whose id has two spellings', { ...RETIRE, subject: 'AAB' }, 'subject'],
    ['a passkey whose id is too long', { ...ENROL, subject: 'A'.repeat(1368) }, 'subject'],
    ['a registration that is too long', { ...ENROL, response: 'x'.repeat(8193) }, 'response'],
    ['no registration', { ...ENROL, response: undefined }, 'response'],
    ['a registration with NUL', { ...ENROL, response: '"\u0000"' }, 'response'],
    ['a registration where none belongs', { ...RETIRE, response: '{}' }, 'command'],
    ['an agent that is none', { ...STAND, subject: 'bot/' }, 'subject'],
    ['a tool that is none', { ...STAND, tool: 'a/b' }, 'tool'],
    ['an operation with a space', { ...STAND, operation: 'a b' }, 'operation'],
    ['no action at all', { ...STAND, actions: 0 }, 'actions'],
    ['half a row', { ...STAND, maxRows: 0.5 }, 'maxRows'],
    ['an amount below nothing', { ...STAND, amounts: { EUR: -1 } }, 'amounts.EUR'],
    ['an infinite amount', { ...STAND, amounts: { EUR: Number.POSITIVE_INFINITY } }, 'amounts.EUR'],
    ['no unit', { ...STAND, amounts: {} }, 'amounts'],
    ['no end', { ...STAND, until: undefined }, 'until'],
    ['an end in no zone', { ...STAND, until: '2026-03-01T14:00:00' }, 'until'],
    ['an end in words', { ...STAND, until: 'tomorrow' }, 'until'],
    ['an end on no day', { ...STAND, until: '2026-02-30T14:00:00Z' }, 'until'],
    ['a role delegation that ends before it begins', { ...DUTY, until: DUTY.from }, 'until'],
    ['a role delegation for an agent below another', { ...DUTY, subject: 'bot/mailer' }, 'subject'],
    ['a role that is none', { ...DUTY, role: 'a b' }, 'role'],
    ['an id of its own that is no UUID', { ...WITHDRAW, jti: '1' }, 'jti'],
  ];
  test.each(wrong)('with %s is neither signed nor taken', async (_, options, field) => {
    const error = await refusal(signCommand(ann, options as CommandOptions, NOW), 'COMMAND_INVALID');
    expect(error.field).toBe(field);
    const sound = {
      enrol_passkey: ENROL,
      retire_passkey: RETIRE,
      create_standing_approval: STAND,
      delegate_role: DUTY,
      withdraw_standing_approval: WITHDRAW,
    }[(options as { kind: 'enrol_passkey' }).kind];
    await refused(await changed({ ...options }, HEADER, sound));
  });

  test('the longest registration fits, beside the longest reason and credential', async () => {
    const roles = Array.from({ length: 32 }, (_, i) => `${'r'.repeat(60)}${i + 10}`);
    const long = await issueApprover(keyring, { id: 'a'.repeat(63), tenant: 'acme', roles }, NOW);
    const options = { ...ENROL, subject: 'A'.repeat(1364), response: '"'.repeat(8192), reason: '\u6f22'.repeat(2000) };
    const token = await signCommand(long, options, NOW);
    expect(token.length).toBeLessThan(MAX_COMMAND_BYTES);
    expect(await verify(token)).toMatchObject({ kind: 'enrol_passkey', response: options.response });
  });
});

describe('a signed command is refused', () => {
  test('for another tenant than the signer’s', async () => {
    await refused(await signCommand(ann, { ...UNFREEZE, tenant: 'other' }, NOW), 'another tenant');
  });

  test('when somebody else signed it on this credential', async () => {
    const { payload } = openUnverified(await signCommand(ann, UNFREEZE, NOW));
    for (const key of [await generateKey(), bot.privateJwk, firstKey(file, 'issuer'), firstKey(file, 'receipt')]) {
      await refused(forge(HEADER, payload, key), 'signature does not verify');
    }
    await refused(forgeUnsigned({ ...HEADER, alg: 'none' }, payload));
  });

  test('from a foreign issuer, or with an expired credential', async () => {
    const foreign = await newKeys();
    const stranger = await issueApprover(foreign.keyring, { id: 'ann', tenant: 'acme', roles: ['operator'] }, NOW);
    await refused(await signCommand(stranger, UNFREEZE, NOW), 'not known here');
    await refused(await signCommand(ann, UNFREEZE, later(91 * 86_400)), 'expired', later(91 * 86_400));
  });

  test.each([
    { ...HEADER, kid: 'AAAA' },
    { ...HEADER, crit: ['b64'], b64: false },
    { alg: 'EdDSA' },
    { alg: 'EdDSA', typ: 'JWT' },
    { alg: 'EdDSA', typ: 'countersign-approval+jwt' },
    { alg: 'HS256', typ: HEADER.typ },
  ])('with the header %j', async (header) => {
    await refused(await changed({}, header));
  });

  test('when it is an approval or a proposal, and the other way', async () => {
    const place = { tenant: 'acme', actionId: 'refund-42', shownDigest: digestOf('shown') };
    await refused(await signApproval(ann, { ...place, verdict: 'approve' }, NOW));
    await refused(await signProposal(bot, digestOf('proposal'), NOW));
    const command = await signCommand(ann, RESOLVE, NOW);
    await refusal(verifyApproval(keyring, command, { ...place, now: NOW }), 'APPROVAL_INVALID');
    const revocation = await signCommand(bot, revocationOf(mailer), NOW);
    await refusal(verifyProposal(keyring, revocation, { digest: digestOf('proposal'), now: NOW }), 'AGENT_UNVERIFIED');
  });

  test('when any one character is changed', async () => {
    const token = await signCommand(ann, RESOLVE, NOW);
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: token.length - 1 }),
        fc.constantFrom('A', 'z', '0', '_', '.', '='),
        async (at, put) => {
          fc.pre(token[at] !== put);
          await refused(token.slice(0, at) + put + token.slice(at + 1));
        },
      ),
      { numRuns: 200 },
    );
  });

  test('when it is no token, or huge', async () => {
    for (const token of [undefined, null, '', 'a.b.c', {}, 7]) await refused(token);
    await refused(`${'A'.repeat(MAX_COMMAND_BYTES)}.A.${'A'.repeat(86)}`, String(MAX_COMMAND_BYTES));
  });
});

describe('an agent', () => {
  test.each([UNFREEZE, RESOLVE])('cannot say $kind, whatever it signs', async (said) => {
    await refusal(signCommand(bot, said, NOW), 'KEYS_INVALID');
    const { payload } = openUnverified(await signCommand(bot, revocationOf(mailer), NOW));
    const { below: _, ...claims } = payload;
    for (const more of [{}, { below: mailer.delegations }]) {
      await refused(forge(HEADER, { ...claims, ...said, ...more }, bot.privateJwk));
      await refused(forge(HEADER, { ...claims, ...said, ...more, signer: 'approver' }, bot.privateJwk));
    }
  });

  test('takes back what it delegated, and what was delegated further', async () => {
    const cases = [
      [bot, mailer],
      [bot, helper],
      [mailer, helper],
    ] as const;
    for (const [signer, revoked] of cases) {
      const command = await verify(await signCommand(signer, revocationOf(revoked), NOW));
      expect(command).toMatchObject({
        kind: 'revoke',
        signer: 'agent',
        by: peekCredential(signer).id,
        subject: peekCredential(revoked).jti,
      });
      expect(command.credentials.at(-1)).toBe(peekCredential(signer).jti);
    }
  });

  test('takes back the end of the longest chain, for the longest of reasons', async () => {
    let deepest = bot;
    for (;;) {
      const next = await delegate(deepest, { id: 'd', roles: [], scopes: ['crm'] }, NOW).catch(() => undefined);
      if (next === undefined) break;
      deepest = next;
    }
    const token = await signCommand(bot, { ...revocationOf(deepest), reason: '\u6f22'.repeat(2000) }, NOW);
    expect(token.length).toBeLessThan(MAX_COMMAND_BYTES);
    expect((await verify(token)).subject).toBe(peekCredential(deepest).jti);
  });

  test('cannot take back itself, what is above it, or what another delegated', async () => {
    const other = await issueAgent(keyring, { id: 'other', tenant: 'acme', roles: [], scopes: ['*'] }, NOW);
    const foreign = await delegate(other, { id: 'mailer', roles: [], scopes: ['crm'] }, NOW);
    for (const [signer, revoked] of [
      [bot, bot],
      [mailer, mailer],
      [helper, mailer],
      [mailer, foreign],
    ] as const) {
      const error = await refusal(signCommand(signer, revocationOf(revoked), NOW), 'COMMAND_INVALID');
      expect(error.field).toBe('delegations');
    }
    // The chain of the other's delegate below this agent's own credential: the link does not belong there.
    await refused(await signCommand(bot, revocationOf(foreign), NOW), 'does not verify');
  });

  test('cannot name another subject than the delegation it shows', async () => {
    const { jti } = peekCredential(bot);
    for (const subject of [jti, JTI, peekCredential(helper).jti, peekCredential(ann).jti]) {
      const token = await signCommand(bot, { ...revocationOf(mailer), subject }, NOW);
      await refused(token, 'not delegated below it');
    }
  });

  test('cannot show a delegation that it made up or that nobody below it signed', async () => {
    const { payload } = openUnverified(helper.delegations?.[1] as string);
    const made = forge({ alg: 'EdDSA', typ: 'countersign-delegation+jwt' }, payload, bot.privateJwk);
    const delegations = [mailer.delegations?.[0] as string, made];
    const token = await signCommand(bot, { ...REVOKE, subject: digestText(made), delegations }, NOW);
    await refused(token, 'signature does not verify');
  });

  test('cannot have its delegate sign for it', async () => {
    const { payload } = openUnverified(await signCommand(bot, revocationOf(helper), NOW));
    await refused(forge(HEADER, payload, mailer.privateJwk), 'signature does not verify');
  });
});

test('a person revokes any id, that of a delegation too, without its chain', async () => {
  const { jti } = peekCredential(helper);
  expect(await verify(await signCommand(ann, { ...REVOKE, subject: jti }, NOW))).toMatchObject({
    subject: jti,
    signer: 'approver',
  });
  expect((await verify(await signCommand(ann, revocationOf(helper), NOW))).subject).toBe(jti);
});
