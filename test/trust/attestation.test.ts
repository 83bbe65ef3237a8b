/** What a gateway attests is good for one thing: to anybody who steals it, it is worth nothing else. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/action/json.js';
import type { Auth } from '../../src/action/principal.js';
import { assertMayDecide, signApproval, verifyApproval, type ApprovalOptions } from '../../src/trust/approvals.js';
import { issueAgent, issueApprover, peekCredential, type Credential } from '../../src/trust/credentials.js';
import { delegate } from '../../src/trust/delegations.js';
import { signGrant } from '../../src/trust/grants.js';
import { generateKey } from '../../src/trust/ed25519.js';
import { parseKeyring, type KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';
import { signProposal, verifyProposal } from '../../src/trust/proposal-signature.js';
import type { CommandOptions } from '../../src/trust/commands.js';
import { signCommand, verifyCommand } from '../../src/trust/signed-commands.js';
import { attestAgent, attestPerson } from '../../src/trust/attestation.js';
import { grantClaims } from './claims.js';
import {
  digestOf,
  firstKey,
  forge,
  IAT,
  later,
  newKeys,
  NOW,
  openUnverified,
  publicPart,
  refusal,
  verifyGrant,
} from './support.js';

const DIGEST = digestOf('proposal');
const OTHER = digestOf('another');
const JWT: Auth = { method: 'jwt', by: 'https://id.example.com' };
const LOGIN: Auth = { method: 'oidc', by: 'https://login.example.com' };
const BOT = {
  id: 'billing-bot',
  tenant: 'acme',
  roles: ['billing'],
  scopes: ['crm'],
  auth: JWT,
  jti: 'jwt:billing-bot',
};
const ANN = { id: 'ann@example.com', tenant: 'acme', roles: ['dba'], auth: LOGIN, jti: 'oidc:ann' };
const TTL = { ttlSeconds: 600 };
const JTI = '0d9fb1ce-3a4e-4a7e-9d52-2f8c4fb0a9aa';
const OTHER_JTI = '1d9fb1ce-3a4e-4a7e-9d52-2f8c4fb0a9aa';
const PLACE = { tenant: 'acme', actionId: 'refund-42', shownDigest: digestOf('shown') };
const YES: ApprovalOptions = { ...PLACE, verdict: 'approve' };
const UNFREEZE: CommandOptions = { kind: 'unfreeze', tenant: 'acme', subject: '3', reason: 'It is over.' };
const DAY = 86_400;
const AS_ISSUED = { id: BOT.id, tenant: 'acme', roles: ['billing'], scopes: ['crm'], ttlSeconds: DAY };

let keyring: Keyring;
let file: KeyringFile;
/** As workers have it: public issuer and gateway keys. */
let worker: Keyring;
let bot: Credential;
let ann: Credential;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
  const publicOf = (role: 'issuer' | 'gateway') => file[role]?.map(publicPart);
  const { grant, receipt } = file;
  worker = await parseKeyring(
    JSON.stringify({ grant, receipt, issuer: publicOf('issuer'), gateway: publicOf('gateway') }),
    'w',
  );
  bot = await attestAgent(keyring, BOT, DIGEST, NOW);
  ann = await attestPerson(keyring, ANN, PLACE.shownDigest, TTL, NOW);
});

const propose = (signature: string, digest: Digest = DIGEST, now = NOW, keys = worker) =>
  verifyProposal(keys, signature, { digest, now });
const decide = (token: string, place: Partial<typeof PLACE> = {}, now = NOW) =>
  verifyApproval(worker, token, { ...PLACE, ...place, now });
const state = (token: string, now = NOW) => verifyCommand(worker, token, { now });

/** The credential with other claims or header, signed by the key of any role. */
function reissued(credential: Credential, claims: object, role: keyof KeyringFile = 'gateway'): Credential {
  const { header, payload } = openUnverified(credential.token);
  const key = firstKey(file, role);
  const changed = { ...payload, ...claims };
  for (const [name, value] of Object.entries(changed)) if (value === undefined) delete changed[name];
  return { ...credential, token: forge({ ...header, kid: key.kid }, changed, key) };
}

describe('an attested agent', () => {
  test('proposes the one thing, and is known by how the gateway knew it', async () => {
    expect(await propose(await signProposal(bot, DIGEST, NOW))).toEqual({
      agent: { id: 'billing-bot', tenant: 'acme', roles: ['billing'], scopes: ['crm'] },
      authority: { credentials: ['jwt:billing-bot'], caps: [], above: [] },
      auth: JWT,
    });
    expect(peekCredential(bot)).toMatchObject({ kind: 'agent', id: 'billing-bot', tenant: 'acme', jti: BOT.jti });
  });

  test('keeps its owner, who may not approve', async () => {
    const owned = await attestAgent(keyring, { ...BOT, owner: ANN.id }, DIGEST, NOW);
    const { agent } = await propose(await signProposal(owned, DIGEST, NOW));
    expect(agent.owner).toBe(ANN.id);
    const given = { approver: ANN, agent, selfApproval: false };
    const requirements = [{ policy: 'p', reason: 'r', roles: ['dba'], quorum: 1, ttlSeconds: 60 }];
    expect(() => assertMayDecide({ ...given, requirements })).toThrow('owner');
  });

  test('cannot propose anything else, however its credential is turned', async () => {
    const signature = await signProposal(bot, OTHER, NOW);
    expect((await refusal(propose(signature, OTHER), 'AGENT_UNVERIFIED')).message).toContain(
      'attested to sign something else',
    );
    await refusal(propose(signature, DIGEST), 'AGENT_UNVERIFIED');
    await refusal(propose(await signProposal(bot, DIGEST, NOW), OTHER), 'AGENT_UNVERIFIED');
  });

  test('is forgotten after 31 days, and not before: people may think for as long', async () => {
    const signature = await signProposal(bot, DIGEST, NOW);
    expect((await propose(signature, DIGEST, later(31 * DAY))).agent.id).toBe('billing-bot');
    expect((await refusal(propose(signature, DIGEST, later(31 * DAY + 61)), 'AGENT_UNVERIFIED')).message).toContain(
      'expired',
    );
  });

  test('cannot delegate, neither by its own side nor by a forged delegation', async () => {
    const below = { id: 'helper', roles: [], scopes: ['crm'] };
    expect((await refusal(delegate(bot, below, NOW), 'CONFIG_INVALID')).message).toContain('no delegation');
    const issued = await issueAgent(keyring, AS_ISSUED, NOW);
    const helper = await delegate(issued, below, NOW);
    const { header, payload } = openUnverified(helper.delegations?.[0] ?? '');
    const delegation = forge(header, { ...payload, parent: digestOf(bot.token) }, bot.privateJwk);
    const forged: Credential = { ...helper, token: bot.token, delegations: [delegation] };
    expect((await refusal(propose(await signProposal(forged, DIGEST, NOW)), 'AGENT_UNVERIFIED')).message).toContain(
      'no delegation',
    );
  });

  test('is no approver, nor an approver an agent', async () => {
    await refusal(signApproval(bot, YES, NOW), 'KEYS_INVALID');
    await refusal(decide(await signApproval({ ...bot, kind: 'approver' }, YES, NOW)), 'APPROVAL_INVALID');
    const typed = openUnverified(ann.token).header;
    const dressed = {
      ...bot,
      kind: 'approver' as const,
      token: forge(typed, openUnverified(bot.token).payload, firstKey(file, 'gateway')),
    };
    await refusal(decide(await signApproval(dressed, YES, NOW)), 'APPROVAL_INVALID');
    await refusal(
      propose(await signProposal({ ...ann, kind: 'agent' }, PLACE.shownDigest, NOW), PLACE.shownDigest),
      'AGENT_UNVERIFIED',
    );
  });

  test('cannot revoke, though it signs', async () => {
    const options = { kind: 'revoke', tenant: 'acme', subject: 'x', reason: 'r', delegations: [bot.token] } as const;
    await refusal(state(await signCommand(bot, options, NOW)), 'COMMAND_INVALID');
  });

  test.each([
    ['a delegate', { id: 'bot/helper' }, 'id'],
    ['somebody above it', { via: ['boss'] }, 'via'],
    ['no scope', { scopes: [] }, 'scopes'],
    ['a tenant that is none', { tenant: '*' }, 'tenant'],
    ['an id to revoke it by that is none', { jti: '' }, 'jti'],
    ['an id to revoke it by with a space', { jti: 'a b' }, 'jti'],
    ['an unknown way of knowing it', { auth: { method: 'guess', by: 'me' } }, 'auth.method'],
    ['an owner that is none', { owner: 'a b' }, 'owner'],
  ])('with %s is not attested', async (_, change, field) => {
    const attempt = attestAgent(keyring, { ...BOT, ...change } as typeof BOT, DIGEST, NOW);
    expect((await refusal(attempt, 'CONFIG_INVALID')).field).toBe(field);
  });

  test('is not attested without a digest', async () => {
    for (const digest of [JTI, '', 'sha256:', '*']) {
      const attempt = attestAgent(keyring, BOT, digest as Digest, NOW);
      expect((await refusal(attempt, 'CONFIG_INVALID')).field).toBe('for');
    }
  });
});

describe('an attested person', () => {
  test('decides the one thing, and the record tells how the gateway knew them', async () => {
    const approval = await decide(await signApproval(ann, YES, NOW));
    expect(approval).toMatchObject({
      record: { approver: ANN.id, roles: ['dba'], verdict: 'approve', auth: LOGIN },
      approver: { id: ANN.id, tenant: 'acme', roles: ['dba'] },
      credentials: ['oidc:ann'],
    });
    expect(approval).not.toHaveProperty('assertion');
  });

  test('cannot decide anything else', async () => {
    const shownDigest = digestOf('shown elsewhere');
    const token = await signApproval(ann, { ...YES, shownDigest }, NOW);
    expect((await refusal(decide(token, { shownDigest }), 'APPROVAL_INVALID')).message).toContain(
      'attested to sign something else',
    );
    // Nor pass for stale, which would say that it is authentic.
    await refusal(decide(token), 'APPROVAL_INVALID');
    await refusal(decide(await signApproval(ann, YES, NOW), { actionId: 'refund-43' }), 'APPROVAL_INVALID');
    await refusal(decide(await signApproval(ann, YES, NOW), { tenant: 'other' }), 'APPROVAL_INVALID');
    await refusal(decide(await signApproval(ann, YES, NOW), { shownDigest }), 'APPROVAL_STALE');
  });

  test('states the one thing, and nothing under another id', async () => {
    const by = await attestPerson(keyring, ANN, JTI, TTL, NOW);
    expect(await state(await signCommand(by, { ...UNFREEZE, jti: JTI }, NOW))).toMatchObject({
      by: ANN.id,
      jti: JTI,
      auth: LOGIN,
      credentials: ['oidc:ann'],
    });
    await refusal(state(await signCommand(by, { ...UNFREEZE, jti: OTHER_JTI }, NOW)), 'COMMAND_INVALID');
    await refusal(state(await signCommand(by, UNFREEZE, NOW)), 'COMMAND_INVALID');
  });

  test('who may decide may not state with the same credential, nor the other way round', async () => {
    await refusal(state(await signCommand(ann, { ...UNFREEZE, jti: JTI }, NOW)), 'COMMAND_INVALID');
    const by = await attestPerson(keyring, ANN, JTI, TTL, NOW);
    await refusal(decide(await signApproval(by, YES, NOW)), 'APPROVAL_INVALID');
  });

  test('is forgotten with the decision', async () => {
    const token = await signApproval(ann, { ...YES, ttlSeconds: 3600 }, NOW);
    expect((await decide(token, {}, later(659))).record.approver).toBe(ANN.id);
    expect((await refusal(decide(token, {}, later(660)), 'APPROVAL_INVALID')).message).toContain('expired');
  });

  test.each([0, 1.5, -1, 30 * DAY + 1, Number.NaN])('is not attested for %d seconds', async (ttlSeconds) => {
    const attempt = attestPerson(keyring, ANN, JTI, { ttlSeconds }, NOW);
    expect((await refusal(attempt, 'CONFIG_INVALID')).field).toBe('ttlSeconds');
  });

  test.each(['', '*', 'refund-42', `${JTI} `, 'sha256:abc'])('is not attested for "%s"', async (boundTo) => {
    expect((await refusal(attestPerson(keyring, ANN, boundTo, TTL, NOW), 'CONFIG_INVALID')).field).toBe('for');
  });

  test('without a role is attested, and has none: they may have one delegated by somebody', async () => {
    const nobody = await attestPerson(keyring, { ...ANN, roles: [] }, PLACE.shownDigest, TTL, NOW);
    const { approver, record } = await decide(await signApproval(nobody, YES, NOW));
    expect([approver.roles, record.roles]).toEqual([[], []]);
  });
});

describe('keys are good for their own purpose', () => {
  test('what a gateway signs without saying for what, or how it knew, is refused', async () => {
    for (const missing of [{ for: undefined }, { auth: undefined }, { for: undefined, auth: undefined }]) {
      await refusal(propose(await signProposal(reissued(bot, missing), DIGEST, NOW)), 'AGENT_UNVERIFIED');
      await refusal(decide(await signApproval(reissued(ann, missing), YES, NOW)), 'APPROVAL_INVALID');
    }
  });

  test("what a gateway signs as an issuer would is refused, by the gateway's key and under the issuer's name", async () => {
    const issued = await issueAgent(keyring, AS_ISSUED, NOW);
    const approver = await issueApprover(keyring, { id: ANN.id, tenant: 'acme', roles: ['dba'], ttlSeconds: DAY }, NOW);
    await refusal(propose(await signProposal(reissued(issued, {}), DIGEST, NOW)), 'AGENT_UNVERIFIED');
    await refusal(decide(await signApproval(reissued(approver, {}), YES, NOW)), 'APPROVAL_INVALID');
    const { header, payload } = openUnverified(issued.token);
    const renamed = forge({ ...header, kid: firstKey(file, 'issuer').kid }, payload, firstKey(file, 'gateway'));
    await refusal(propose(await signProposal({ ...issued, token: renamed }, DIGEST, NOW)), 'AGENT_UNVERIFIED');
  });

  test('what an issuer signs as a gateway would is refused', async () => {
    await refusal(propose(await signProposal(reissued(bot, {}, 'issuer'), DIGEST, NOW)), 'AGENT_UNVERIFIED');
    await refusal(decide(await signApproval(reissued(ann, {}, 'issuer'), YES, NOW)), 'APPROVAL_INVALID');
    const { header, payload } = openUnverified(bot.token);
    const renamed = forge({ ...header, kid: firstKey(file, 'gateway').kid }, payload, firstKey(file, 'issuer'));
    await refusal(propose(await signProposal({ ...bot, token: renamed }, DIGEST, NOW)), 'AGENT_UNVERIFIED');
  });

  test.each(['grant', 'receipt'] as const)('what a %s key signs as a gateway would is refused', async (role) => {
    await refusal(propose(await signProposal(reissued(bot, {}, role), DIGEST, NOW)), 'AGENT_UNVERIFIED');
    await refusal(decide(await signApproval(reissued(ann, {}, role), YES, NOW)), 'APPROVAL_INVALID');
  });

  test("a gateway's key signs no grant", async () => {
    const { header, payload } = openUnverified(await signGrant(keyring, grantClaims()));
    const key = firstKey(file, 'gateway');
    await refusal(verifyGrant(worker, forge({ ...header, kid: key.kid }, payload, key), { now: NOW }), 'GRANT_INVALID');
  });

  test("a gateway's key has no place among the issuer's, nor an issuer's among the gateway's", async () => {
    const [issuer, gateway] = [firstKey(file, 'issuer'), firstKey(file, 'gateway')];
    for (const both of [
      { issuer: [issuer], gateway: [issuer] },
      { issuer: [gateway], gateway: [gateway] },
    ]) {
      const error = await refusal(parseKeyring(JSON.stringify(both), 'keys'), 'KEYS_INVALID', [issuer.d, gateway.d]);
      expect(error.message).toContain('is the same key as');
    }
  });

  test('a gateway without the key of an issuer issues nothing, and an issuer attests nobody', async () => {
    const gateway = await parseKeyring(JSON.stringify({ gateway: file.gateway }), 'gateway');
    await refusal(issueAgent(gateway, { id: 'x', tenant: 'acme', roles: [], scopes: ['*'] }), 'KEYS_MISSING');
    await refusal(issueApprover(gateway, { id: 'x', tenant: 'acme', roles: ['dba'] }), 'KEYS_MISSING');
    const issuer = await parseKeyring(JSON.stringify({ issuer: file.issuer }), 'issuer');
    expect((await refusal(attestAgent(issuer, BOT, DIGEST), 'KEYS_MISSING')).field).toBe('gateway');
    await refusal(attestPerson(issuer, ANN, JTI, TTL), 'KEYS_MISSING');
  });

  test('where no gateway is known, nothing that one attests is taken; what an issuer says is', async () => {
    const { gateway: _, ...before } = file;
    const old = await parseKeyring(JSON.stringify(before), 'old');
    await refusal(propose(await signProposal(bot, DIGEST, NOW), DIGEST, NOW, old), 'AGENT_UNVERIFIED');
    const issued = await issueAgent(keyring, { id: 'bot', tenant: 'acme', roles: [], scopes: ['*'] }, NOW);
    expect((await propose(await signProposal(issued, DIGEST, NOW), DIGEST, NOW, old)).agent.id).toBe('bot');
  });

  test('a key of nobody’s, or a changed claim, is refused', async () => {
    const thief = await generateKey();
    const { header, payload } = openUnverified(bot.token);
    await refusal(
      propose(await signProposal({ ...bot, token: forge(header, payload, thief) }, DIGEST, NOW)),
      'AGENT_UNVERIFIED',
    );
    const [head, , signature] = bot.token.split('.');
    const widened = Buffer.from(JSON.stringify({ ...payload, for: OTHER })).toString('base64url');
    const proof = await signProposal({ ...bot, token: `${head}.${widened}.${signature}` }, OTHER, NOW);
    expect((await refusal(propose(proof, OTHER), 'AGENT_UNVERIFIED')).message).toContain('signature');
    await refusal(propose(await signProposal({ ...bot, privateJwk: thief }, DIGEST, NOW)), 'AGENT_UNVERIFIED');
  });

  test('a lifetime longer than anything needs is refused, whoever signed it', async () => {
    const agent = (exp: number) =>
      signProposal(reissued(bot, { exp }), DIGEST, NOW).then((signature) => propose(signature));
    expect((await agent(IAT + 31 * DAY)).agent.id).toBe('billing-bot');
    await refusal(agent(IAT + 31 * DAY + 1), 'AGENT_UNVERIFIED');
    await refusal(agent(IAT), 'AGENT_UNVERIFIED');
    const person = (exp: number) => signApproval(reissued(ann, { exp }), YES, NOW).then((token) => decide(token));
    expect((await person(IAT + 30 * DAY)).record.approver).toBe(ANN.id);
    await refusal(person(IAT + 30 * DAY + 1), 'APPROVAL_INVALID');
    await refusal(person(IAT + 3650 * DAY), 'APPROVAL_INVALID');
  });
});

test('a person is attested for a second at least', async () => {
  const token = (exp: number) => signApproval(reissued(ann, { exp }), YES, NOW);
  await refusal(decide(await token(IAT)), 'APPROVAL_INVALID');
  expect((await decide(await token(IAT + 1))).record.approver).toBe(ANN.id);
});

describe('remembering credentials', () => {
  test('an attested one that verified is still good for nothing else', async () => {
    const fresh = await parseKeyring(JSON.stringify(file), 'fresh');
    const context = { digest: DIGEST, now: NOW };
    const signature = await signProposal(bot, DIGEST, NOW);
    const other = await signProposal(bot, OTHER, NOW);
    for (let round = 0; round < 3; round++) {
      expect((await verifyProposal(fresh, signature, context)).agent.id).toBe('billing-bot');
      await refusal(verifyProposal(fresh, other, { digest: OTHER, now: NOW }), 'AGENT_UNVERIFIED');
    }
  });

  test('any number of attested ones push no long-lived one out', async () => {
    const fresh = await parseKeyring(JSON.stringify(file), 'fresh');
    const issued = await issueAgent(keyring, { id: 'bot', tenant: 'acme', roles: [], scopes: ['*'] }, NOW);
    const signature = await signProposal(issued, DIGEST, NOW);
    const asked = countingIssuer(fresh);
    expect((await verifyProposal(asked.keyring, signature, { digest: DIGEST, now: NOW })).agent.id).toBe('bot');
    expect(asked.times()).toBe(1);
    for (let i = 0; i < 1100; i++) {
      const digest = digestOf(`proposal ${i}`);
      const one = await attestAgent(keyring, BOT, digest, NOW);
      const { agent } = await verifyProposal(asked.keyring, await signProposal(one, digest, NOW), { digest, now: NOW });
      expect(agent.id).toBe('billing-bot');
    }
    expect((await verifyProposal(asked.keyring, signature, { digest: DIGEST, now: NOW })).agent.id).toBe('bot');
    expect(asked.times()).toBe(1);
  });
});

/** A keyring that counts how often its issuer's key verifies a signature. */
function countingIssuer(keyring: Keyring): { keyring: Keyring; times: () => number } {
  let times = 0;
  const issuer = new Map(
    [...keyring.verify.issuer].map(([kid, key]) => [
      kid,
      {
        x: key.x,
        verifies: (data: Uint8Array, signature: Uint8Array) => {
          times++;
          return key.verifies(data, signature);
        },
      },
    ]),
  );
  return { keyring: { ...keyring, verify: { ...keyring.verify, issuer } }, times: () => times };
}
