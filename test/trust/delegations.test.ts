/** Delegation: a chain only ever narrows, and nobody can bend, cut or move it. */
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  decodeCredential,
  encodeCredential,
  issueAgent,
  issueApprover,
  peekCredential,
  type Credential,
} from '../../src/trust/credentials.js';
import { delegate, type DelegateOptions } from '../../src/trust/delegations.js';
import { generateKey } from '../../src/trust/ed25519.js';
import type { KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';
import { assertMayDecide } from '../../src/trust/approvals.js';
import { MAX_PROPOSAL_SIGNATURE_BYTES, signProposal, verifyProposal } from '../../src/trust/proposal-signature.js';
import { scopeCovers } from '../../src/trust/scopes.js';
import { MAX_CHAIN_BYTES } from '../../src/trust/effective-credential.js';
import { digestText } from '../../src/action/json.js';
import { digestOf, firstKey, forge, IAT, later, newKeys, NOW, openUnverified, refusal, thrown } from './support.js';

const DIGEST = digestOf('proposal');
const PROPOSAL = { alg: 'EdDSA', typ: 'countersign-proposal+jwt' };
const DELEGATION = { alg: 'EdDSA', typ: 'countersign-delegation+jwt' };
const BOT = {
  id: 'bot',
  tenant: 'acme',
  roles: ['billing', 'support'],
  scopes: ['crm:get_*', 'payments'],
  owner: 'ann@example.com',
};
const MAILER = { id: 'mailer', roles: ['support'], scopes: ['crm:get_*'] };

let keyring: Keyring;
let file: KeyringFile;
let bot: Credential;
let mailer: Credential;
let helper: Credential;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
  bot = await issueAgent(keyring, BOT, NOW);
  mailer = await delegate(bot, { ...MAILER, caps: { actions: 20, amounts: { EUR: 50 } } }, NOW);
  helper = await delegate(
    mailer,
    { id: 'helper', roles: [], scopes: ['crm:get_customer'], caps: { actions: 5 }, ttlSeconds: 60 },
    NOW,
  );
});

const jtiOf = (token: string) => openUnverified(token).payload['jti'];
const chainOf = (credential: Credential) => credential.delegations ?? [];
const last = (credential: Credential) => chainOf(credential).at(-1) as string;

async function propose(credential: Credential, now = NOW, keys = keyring) {
  return verifyProposal(keys, await signProposal(credential, DIGEST, now), { digest: DIGEST, now });
}
/** A proposal signature over any chain, signed by any key. */
function proofOf(delegations: unknown, key: { x: string; d: string }, credential = bot.token) {
  return forge(PROPOSAL, { digest: DIGEST, credential, delegations, iat: IAT }, key);
}
async function refused(signature: string, message = '', now = NOW) {
  const error = await refusal(verifyProposal(keyring, signature, { digest: DIGEST, now }), 'AGENT_UNVERIFIED', [
    bot.privateJwk.d,
    mailer.privateJwk.d,
  ]);
  expect(error.message).toContain(message);
  return error;
}
/** The mailer's delegation with changed claims, as the bot itself could sign it; and what its holder then proposes. */
function widened(claims: Record<string, unknown>, header: object = DELEGATION) {
  const payload: Record<string, unknown> = { ...openUnverified(last(mailer)).payload, ...claims };
  for (const [name, value] of Object.entries(claims)) if (value === undefined) delete payload[name];
  return proofOf([forge(header, payload, bot.privateJwk)], mailer.privateJwk);
}

describe('a delegate', () => {
  test('acts under its delegator’s name and its own, for the same owner, with what it was given', async () => {
    const { agent, authority } = await propose(helper);
    expect(agent).toEqual({
      id: 'bot/mailer/helper',
      tenant: 'acme',
      roles: [],
      scopes: ['crm:get_customer'],
      owner: 'ann@example.com',
      via: ['bot', 'bot/mailer'],
    });
    const [first, second] = chainOf(helper).map(digestText);
    expect(authority).toEqual({
      credentials: [jtiOf(bot.token), first, second],
      caps: [
        { jti: first, actions: 20, amounts: { EUR: 50 } },
        { jti: second, actions: 5 },
      ],
      above: [BOT, { ...BOT, id: 'bot/mailer', roles: ['support'], scopes: ['crm:get_*'], via: ['bot'] }],
    });
  });

  test('goes through one line of text and back, and knows itself', async () => {
    const text = encodeCredential(helper);
    const read = decodeCredential(text);
    expect(read).toEqual(helper);
    expect((await propose(read)).agent.id).toBe('bot/mailer/helper');
    expect(peekCredential(read)).toMatchObject({
      id: 'bot/mailer/helper',
      tenant: 'acme',
      via: ['bot', 'bot/mailer'],
      caps: [{ actions: 20, amounts: { EUR: 50 } }, { actions: 5 }],
      expiresAt: later(60),
      jti: digestText(last(helper)),
    });
  });

  test('has a key of its own: its delegator’s key does not sign for it', async () => {
    await refused(proofOf(chainOf(mailer), bot.privateJwk), 'signature does not verify');
    thrown(() => decodeCredential(encodeCredential({ ...mailer, privateJwk: bot.privateJwk })), 'KEYS_INVALID');
  });

  test('lives an hour unless told otherwise, and never longer than its delegator', async () => {
    expect(peekCredential(mailer).expiresAt).toEqual(later(3600));
    const brief = await issueAgent(keyring, { ...BOT, ttlSeconds: 100 }, NOW);
    expect(peekCredential(await delegate(brief, MAILER, later(10))).expiresAt).toEqual(later(100));
    const error = await refusal(delegate(brief, { ...MAILER, ttlSeconds: 91 }, later(10)), 'CONFIG_INVALID');
    expect(error).toMatchObject({ field: 'expires' });
    await refusal(delegate(brief, MAILER, later(100)), 'CONFIG_INVALID');
  });

  test('is refused once its delegation, or any above it, is over', async () => {
    const signature = await signProposal(helper, DIGEST, NOW);
    const at = (seconds: number) => verifyProposal(keyring, signature, { digest: DIGEST, now: later(seconds) });
    expect((await at(119)).agent.id).toBe('bot/mailer/helper');
    expect((await refusal(at(120), 'AGENT_UNVERIFIED')).message).toContain('expired');
  });

  test('cannot be named so as to pass for a registered agent, nor for another’s delegate', async () => {
    for (const id of ['', '/', '../other', 'a/b', 'bot/mailer', '.', 'x\n', 'x'.repeat(64), 'b\u043et']) {
      const error = await refusal(delegate(bot, { ...MAILER, id }, NOW), 'CONFIG_INVALID');
      expect(error.field).toBe('id');
      await refused(widened({ sub: id }));
    }
    const other = await issueAgent(keyring, { ...BOT, id: 'other' }, NOW);
    const { agent } = await propose(await delegate(bot, { ...MAILER, id: 'other' }, NOW));
    expect(agent.id).toBe('bot/other');
    expect((await propose(other)).agent.id).toBe('other');
    // The issuer gives no name with a slash, so no registered agent can be called what a delegate is.
    await refusal(issueAgent(keyring, { ...BOT, id: 'bot/mailer' }, NOW), 'CONFIG_INVALID');
  });

  test('is not approved by the agent at its root, nor by its owner', () => {
    const theCase = {
      agent: { id: 'Bob/helper', owner: 'ann' },
      requirements: [{ policy: 'p', roles: ['dba'], quorum: 1, ttlSeconds: 60, reason: '' }],
      selfApproval: false,
    };
    const by = (id: string) => assertMayDecide({ ...theCase, approver: { id, tenant: 'acme', roles: ['dba'] } });
    thrown(() => by('bob'), 'APPROVAL_FORBIDDEN');
    thrown(() => by('ann'), 'APPROVAL_FORBIDDEN');
    by('carol');
  });

  test('of an approver does not exist', async () => {
    const approver = await issueApprover(keyring, { id: 'carol', tenant: 'acme', roles: ['dba'] }, NOW);
    await refusal(delegate(approver, MAILER, NOW), 'KEYS_INVALID');
    await refused(proofOf(chainOf(mailer), mailer.privateJwk, approver.token));
    const mixed = { ...approver, delegations: chainOf(mailer), privateJwk: mailer.privateJwk };
    thrown(() => decodeCredential(encodeCredential(mixed)), 'KEYS_INVALID', [mailer.privateJwk.d]);
  });
});

describe('whoever delegates more than they have', () => {
  const more: [string, Partial<DelegateOptions>, Record<string, unknown>, string][] = [
    ['a role', { roles: ['admin'] }, { roles: ['admin'] }, 'roles'],
    ['a role in other letters', { roles: ['Support'] }, { roles: ['Support'] }, 'roles'],
    ['a tool', { scopes: ['crm:get_*', 'erp'] }, { scopes: ['crm:get_*', 'erp'] }, 'scopes'],
    ['every tool', { scopes: ['*'] }, { scopes: ['*'] }, 'scopes'],
    ['an operation', { scopes: ['crm:put_customer'] }, { scopes: ['crm:put_customer'] }, 'scopes'],
    ['every operation', { scopes: ['crm'] }, { scopes: ['crm'] }, 'scopes'],
    ['time', { ttlSeconds: 91 * 86_400 }, { exp: IAT + 90 * 86_400 + 1 }, 'expires'],
  ];
  test.each(more)('is refused when signing and when verified: %s', async (_, options, claims, field) => {
    const error = await refusal(delegate(bot, { ...MAILER, ...options }, NOW), 'CONFIG_INVALID');
    expect(error.field).toBe(field);
    expect(error.fix).toContain('only narrow');
    await refused(widened(claims), 'Delegation 1');
  });

  test.each([
    ['actions', { actions: 21 }],
    ['an amount', { amounts: { EUR: 50.01 } }],
    ['an amount beside a smaller one', { actions: 1, amounts: { EUR: 51, USD: 1 } }],
  ])('is refused when signing and when verified: %s', async (_, caps) => {
    const error = await refusal(
      delegate(mailer, { id: 'helper', roles: [], scopes: MAILER.scopes, caps }, NOW),
      'CONFIG_INVALID',
    );
    expect(error.field).toBe('caps');
    const { payload } = openUnverified(last(helper));
    const forged = forge(DELEGATION, { ...payload, caps }, mailer.privateJwk);
    await refused(proofOf([last(mailer), forged], helper.privateJwk), 'Delegation 2');
  });

  test.each<[string, DelegateOptions['caps'], DelegateOptions['caps']]>([
    ['an amount as large', { amounts: { EUR: 50 } }, { amounts: { EUR: 50 } }],
    ['an amount that is smaller', { amounts: { EUR: 50 } }, { amounts: { EUR: 1 } }],
    ['an amount in a unit that is not capped above', { amounts: { EUR: 50 } }, { amounts: { USD: 1_000 } }],
    ['a number of actions where only amounts are capped above', { amounts: { EUR: 50 } }, { actions: 1_000 }],
    ['as many actions', { actions: 20 }, { actions: 20 }],
    ['fewer actions', { actions: 20 }, { actions: 1 }],
    ['an amount where only actions are capped above', { actions: 20 }, { amounts: { EUR: 1_000 } }],
    ['nothing of its own', { actions: 20 }, undefined],
  ])('is not refused, for it is no more: %s', async (_, above, caps) => {
    const parent = await delegate(bot, { ...MAILER, caps: above }, NOW);
    const child = await delegate(parent, { id: 'helper', roles: [], scopes: MAILER.scopes, caps }, NOW);
    expect((await propose(child)).authority.caps).toHaveLength(caps === undefined ? 1 : 2);
  });

  test('is refused the name under which actions are undone', async () => {
    const error = await refusal(delegate(bot, { ...MAILER, id: 'undo' }, NOW), 'CONFIG_INVALID');
    expect(error).toMatchObject({ field: 'id', expected: expect.stringContaining('255 characters') as string });
    await refused(widened({ sub: 'undo' }), 'kept for undoing');
  });

  test('is refused at whatever depth it happens, also where the link above has no cap of its own', async () => {
    const free = await delegate(mailer, { id: 'free', roles: [], scopes: MAILER.scopes }, NOW);
    await refusal(
      delegate(free, { id: 'x', roles: [], scopes: MAILER.scopes, caps: { actions: 21 } }, NOW),
      'CONFIG_INVALID',
    );
    const inside = await delegate(free, { id: 'x', roles: [], scopes: MAILER.scopes, caps: { actions: 20 } }, NOW);
    expect((await propose(inside)).authority.caps).toHaveLength(2);
  });

  test.each([
    ['no actions', { actions: 0 }],
    ['part of an action', { actions: 1.5 }],
    ['a negative amount', { amounts: { EUR: -1 } }],
    ['an endless amount', { amounts: { EUR: Number.POSITIVE_INFINITY } }],
    ['an amount that is a text', { amounts: { EUR: '50' } }],
    ['an amount of nothing', { amounts: {} }],
    ['no cap in the caps', {}],
    ['a cap of another kind', { rows: 1 }],
    ['a unit that is no name', { amounts: { 'E UR': 1 } }],
    ['seventeen units', { amounts: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`U${i}`, 1])) }],
  ])('or caps by %s is refused', async (_, caps) => {
    const error = await refusal(delegate(bot, { ...MAILER, caps } as DelegateOptions, NOW), 'CONFIG_INVALID');
    expect(error.field).toMatch(/^caps/);
    await refused(widened({ caps }));
  });
});

describe('a chain is refused', () => {
  test('when a link is left out, repeated, or out of order', async () => {
    const [first, second] = chainOf(helper) as [string, string];
    for (const chain of [
      [second],
      [second, first],
      [first, first, second],
      [first, second, second],
      [first, second, first],
    ]) {
      await refused(proofOf(chain, helper.privateJwk));
    }
  });

  test('when its end is cut off to be what is above it', async () => {
    await refused(proofOf([chainOf(helper)[0]], helper.privateJwk), 'signature does not verify');
    await refused(proofOf(undefined, helper.privateJwk), 'signature does not verify');
  });

  test('when it is moved below another agent, even one of the same name or with more rights', async () => {
    for (const change of [{}, { id: 'other' }, { scopes: ['*'] }]) {
      const other = await issueAgent(keyring, { ...BOT, ...change }, NOW);
      await refused(proofOf(chainOf(helper), helper.privateJwk, other.token));
    }
  });

  test('when it is moved below another credential of the very same key', async () => {
    const { header, payload } = openUnverified(bot.token);
    const renewed = forge(header, { ...payload, scopes: ['*'], jti: 'another' }, firstKey(file, 'issuer'));
    await refused(proofOf(chainOf(mailer), mailer.privateJwk, renewed), 'another credential');
  });

  test('when a link of one chain is set into another', async () => {
    const twin = await delegate(bot, MAILER, NOW);
    await refused(proofOf([last(twin), last(helper)], helper.privateJwk));
    // Even when the same delegator signed both.
    const { payload } = openUnverified(last(helper));
    const moved = forge(DELEGATION, { ...payload, parent: digestText(last(twin)) }, mailer.privateJwk);
    await refused(proofOf([last(twin), moved], helper.privateJwk));
  });

  test('when it comes back to a key that is above', async () => {
    const { payload } = openUnverified(last(helper));
    for (const { x } of [bot.privateJwk, mailer.privateJwk]) {
      const cnf = { jwk: { kty: 'OKP', crv: 'Ed25519', x } };
      const back = forge(DELEGATION, { ...payload, cnf }, mailer.privateJwk);
      const key = x === bot.privateJwk.x ? bot.privateJwk : mailer.privateJwk;
      await refused(proofOf([last(mailer), back], key), 'above it already');
    }
  });

  test('when the delegate signed its own, or somebody else did', async () => {
    const { payload } = openUnverified(last(mailer));
    const thief = await generateKey();
    for (const key of [mailer.privateJwk, thief, firstKey(file, 'issuer'), firstKey(file, 'grant')]) {
      await refused(proofOf([forge(DELEGATION, payload, key)], mailer.privateJwk), 'signature does not verify');
    }
  });

  test.each([
    ['a key id', { ...DELEGATION, kid: 'AAAA' }],
    ['a key of its own', { ...DELEGATION, jwk: {} }],
    ['an extension', { ...DELEGATION, crit: ['b64'], b64: false }],
    ['no algorithm', { ...DELEGATION, alg: 'none' }],
    ['the type of a credential', { ...DELEGATION, typ: 'countersign-agent+jwt' }],
    ['the type of a proposal', PROPOSAL],
  ])('when a link has %s in its header', async (_, header) => {
    await refused(widened({}, header));
  });

  test.each([
    ['a claim more', { owner: 'bob' }],
    ['a tenant of its own', { tenant: 'other' }],
    ['no expiry', { exp: undefined }],
    ['an expiry before its issue', { exp: IAT }],
    ['no parent', { parent: undefined }],
    ['a private key', { cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43), d: 'A'.repeat(43) } } }],
    ['no scope', { scopes: [] }],
    ['roles that are no list', { roles: 'support' }],
    ['an issue in the future', { iat: IAT + 61, exp: IAT + 600 }],
  ])('when a link has %s', async (_, claims) => {
    await refused(widened(claims));
  });

  test('when it gives to a key under which anybody can sign', async () => {
    const cnf = { jwk: { kty: 'OKP', crv: 'Ed25519', x: Buffer.alloc(32).toString('base64url') } };
    await refused(widened({ cnf }), 'cannot be used');
  });

  test.each([[[]], ['text'], [[1]], [[null]], [{}], [[['a']]], [null]])('when it is %j', async (chain) => {
    await refused(proofOf(chain, mailer.privateJwk));
  });

  test('when a credential stands where a delegation belongs, and the other way', async () => {
    await refused(proofOf([bot.token], bot.privateJwk));
    await refused(proofOf(undefined, mailer.privateJwk, last(mailer)));
  });

  test('when any one character of it is changed, and its holder signs that', async () => {
    const [first = '', second = ''] = chainOf(helper);
    await fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.nat({ max: Math.min(first.length, second.length) - 1 }),
        fc.constantFrom('A', 'z', '0', '_', '.'),
        async (upper, at, put) => {
          const token = upper ? first : second;
          fc.pre(token[at] !== put);
          const bent = token.slice(0, at) + put + token.slice(at + 1);
          await refused(proofOf(upper ? [bent, second] : [first, bent], helper.privateJwk));
        },
      ),
      { numRuns: 200 },
    );
  });

  test('when it was verified before for somebody else: what is remembered is the whole chain', async () => {
    expect((await propose(helper)).agent.id).toBe('bot/mailer/helper');
    const { payload } = openUnverified(last(helper));
    const thief = await generateKey();
    const cnf = { jwk: { kty: 'OKP', crv: 'Ed25519', x: thief.x } };
    await refused(proofOf([last(mailer), forge(DELEGATION, { ...payload, cnf }, thief)], thief));
    await refused(proofOf([`${last(mailer)}","${last(helper)}`], helper.privateJwk));
    const { keyring: elsewhere } = await newKeys();
    await refusal(propose(helper, NOW, elsewhere), 'AGENT_UNVERIFIED');
  });
});

describe('depth', () => {
  test('is bounded by bytes alone: as deep as may be signed verifies, and one deeper cannot be signed', async () => {
    let deepest = bot;
    let refusedAt: Credential | undefined;
    for (let depth = 0; refusedAt === undefined && depth < 200; depth++) {
      const options = { id: 'd', roles: depth === 0 ? ['support'] : [], scopes: ['crm:get_*'] };
      try {
        deepest = await delegate(deepest, options, NOW);
      } catch (error) {
        refusedAt = deepest;
        await refusal(Promise.reject(error), 'CONFIG_INVALID');
      }
    }
    const { agent, authority } = await propose(deepest);
    expect(agent.via?.length).toBeGreaterThanOrEqual(20);
    expect(authority.credentials).toHaveLength(chainOf(deepest).length + 1);
    expect(decodeCredential(encodeCredential(deepest))).toEqual(deepest);
    expect((await signProposal(deepest, DIGEST, NOW)).length).toBeLessThan(MAX_PROPOSAL_SIGNATURE_BYTES);
    // Beyond the bound it is refused when verified too.
    const { x, d } = await generateKey();
    const claims = { ...openUnverified(last(deepest)).payload, parent: digestText(last(deepest)), sub: 'e' };
    const beyond = forge(
      DELEGATION,
      { ...claims, cnf: { jwk: { kty: 'OKP', crv: 'Ed25519', x } } },
      deepest.privateJwk,
    );
    expect([...chainOf(deepest), beyond].join('').length).toBeGreaterThan(MAX_CHAIN_BYTES);
    await refused(proofOf([...chainOf(deepest), beyond], { x, d }));
  });

  test('the longest credential with the longest chain still proposes', async () => {
    const long = (letter: string, count: number, length: number) =>
      Array.from({ length: count }, (_, i) => `${letter.repeat(length)}${i + 10}`);
    const root = await issueAgent(
      keyring,
      { ...BOT, id: 'b'.repeat(63), roles: long('r', 8, 60), scopes: long('s', 30, 60) },
      NOW,
    );
    let deep = root;
    for (;;) {
      const next = await delegate(deep, { id: 'd', roles: long('r', 8, 60), scopes: long('s', 30, 60) }, NOW).catch(
        () => undefined,
      );
      if (next === undefined) break;
      deep = next;
    }
    expect(chainOf(deep).join('').length).toBeGreaterThan(MAX_CHAIN_BYTES * 0.75);
    expect((await propose(deep)).agent.via).toHaveLength(chainOf(deep).length);
    expect(decodeCredential(encodeCredential(deep))).toEqual(deep);
  });

  test('ids of all names together are bounded', async () => {
    let deep = bot;
    for (const letter of ['a', 'b', 'c']) deep = await delegate(deep, { ...MAILER, id: letter.repeat(63) }, NOW);
    const error = await refusal(delegate(deep, { ...MAILER, id: 'd'.repeat(63) }, NOW), 'CONFIG_INVALID');
    expect(error.field).toBe('id');
  });
});

test('whatever chain is delegated, each link covers no more than the one above it, and it verifies', async () => {
  const scope = fc.constantFrom('*', 'crm', 'crm:*', 'crm:get_*', 'crm:get_customer', 'crm:put', 'erp', '*:get_*');
  const link = fc.record({
    roles: fc.subarray(['billing', 'support', 'admin']),
    scopes: fc.uniqueArray(scope, { minLength: 1, maxLength: 3 }),
    ttlSeconds: fc.integer({ min: 1, max: 100 * 86_400 }),
    caps: fc.option(fc.record({ actions: fc.integer({ min: 1, max: 20 }) }), { nil: undefined }),
  });
  const uses = ['crm', 'erp', 'other'].flatMap((tool) =>
    ['get_customer', 'get_', 'put'].map((op) => [tool, op] as const),
  );
  let links = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(link, { minLength: 1, maxLength: 4 }), async (chain) => {
      let credential = await issueAgent(keyring, { ...BOT, scopes: ['crm', '*:get_*'] }, NOW);
      let above = peekCredential(credential);
      for (const options of chain) {
        const next = await delegate(credential, { id: 'x', ...options }, NOW).catch((error: unknown) => error);
        if (next instanceof Error) {
          await refusal(Promise.reject(next), 'CONFIG_INVALID');
          continue;
        }
        credential = next as Credential;
        const below = peekCredential(credential);
        const beyond = uses.filter((use) => scopeCovers(below.scopes, ...use) && !scopeCovers(above.scopes, ...use));
        expect(beyond).toEqual([]);
        expect(above.roles).toEqual(expect.arrayContaining([...below.roles]));
        expect(below.expiresAt.getTime()).toBeLessThanOrEqual(above.expiresAt.getTime());
        above = below;
        links++;
      }
      const { agent } = await propose(credential);
      expect(agent).toMatchObject({ id: above.id, roles: above.roles, scopes: above.scopes });
    }),
    { numRuns: 150 },
  );
  expect(links).toBeGreaterThan(50);
});
