/** What workers sign besides grants and receipts: the undoing of an action, changes of policy, checkpoints of the trail. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { CheckpointClaims } from '../../src/action/checkpoint.js';
import { signCheckpoint, verifyCheckpoint } from '../../src/trust/checkpoints.js';
import {
  COMPENSATION_AUTHORIZATION_TTL_SECONDS,
  isCompensationAuthorization,
  signCompensationAuthorization,
  verifyCompensationAuthorization,
  type CompensationAuthorizationClaims,
} from '../../src/trust/compensation-authorization.js';
import { issueAgent } from '../../src/trust/credentials.js';
import { signGrant } from '../../src/trust/grants.js';
import type { KeyringFile } from '../../src/trust/key-file.js';
import type { Keyring } from '../../src/trust/keys.js';
import {
  openPolicyChange,
  signPolicyChange,
  verifyPolicyChange,
  type PolicyChangeClaims,
} from '../../src/trust/policy-changes.js';
import { signProposal } from '../../src/trust/proposal-signature.js';
import { grantClaims } from './claims.js';
import { digestOf, firstKey, forge, IAT, later, newKeys, NOW, refusal } from './support.js';

let keyring: Keyring;
let file: KeyringFile;
beforeAll(async () => {
  ({ keyring, file } = await newKeys());
});

/** Signed with the workers' own key, whatever it says. */
function forged(role: 'grant' | 'receipt', typ: string, claims: object): string {
  const key = firstKey(file, role);
  return forge({ alg: 'EdDSA', typ: `countersign-${typ}+jwt`, kid: key.kid }, claims, key);
}

describe('a compensation authorization', () => {
  const CLAIMS: CompensationAuthorizationClaims = {
    tenant: 'acme',
    cause: { actionId: 'refund-42', receipt: digestOf('receipt'), outcomeDigest: digestOf('outcome') },
    agent: 'bot/mailer',
    owner: 'ann@example.com',
    tool: 'payments',
    digest: digestOf('undo'),
    preDigest: digestOf('post'),
    iat: IAT,
    exp: IAT + COMPENSATION_AUTHORIZATION_TTL_SECONDS,
  };
  const verify = (token: string, now = NOW, digest = CLAIMS.digest) =>
    verifyCompensationAuthorization(keyring, token, { digest, now });

  test('lets one proposal be made below the name of the agent, with no more than its tool', async () => {
    const token = await signCompensationAuthorization(keyring, CLAIMS);
    expect(await verify(token)).toEqual({
      claims: CLAIMS,
      agent: {
        id: 'bot/mailer/undo',
        tenant: 'acme',
        roles: ['compensator'],
        scopes: ['payments'],
        owner: 'ann@example.com',
      },
      authority: { credentials: [], caps: [], above: [] },
    });
  });

  test('of an agent that nobody owns names no owner', async () => {
    const { owner: _, ...claims } = CLAIMS;
    const { agent } = await verify(await signCompensationAuthorization(keyring, claims));
    expect(agent).not.toHaveProperty('owner');
  });

  test('is told from the signature of an agent before it is verified', async () => {
    const bot = await issueAgent(keyring, { id: 'bot', tenant: 'acme', roles: [], scopes: ['*'] }, NOW);
    expect(isCompensationAuthorization(await signCompensationAuthorization(keyring, CLAIMS))).toBe(true);
    expect(isCompensationAuthorization(await signProposal(bot, CLAIMS.digest, NOW))).toBe(false);
    expect(isCompensationAuthorization(await signGrant(keyring, grantClaims()))).toBe(false);
    expect(isCompensationAuthorization('')).toBe(false);
  });

  test('is refused for another proposal, and before or after its time', async () => {
    const token = await signCompensationAuthorization(keyring, CLAIMS);
    expect((await refusal(verify(token, NOW, digestOf('other')), 'AGENT_UNVERIFIED')).message).toContain(
      'another proposal',
    );
    for (const now of [later(-61), later(COMPENSATION_AUTHORIZATION_TTL_SECONDS + 60)]) {
      const error = await refusal(verify(token, now), 'AGENT_UNVERIFIED');
      expect(error).toMatchObject({ field: 'signature', fix: 'Have the action undone anew: it is authorized then.' });
    }
    expect(await verify(token, later(COMPENSATION_AUTHORIZATION_TTL_SECONDS))).toHaveProperty('agent');
  });

  test('is refused from whoever has not the workers’ key for grants', async () => {
    const foreign = (await newKeys()).keyring;
    await refusal(verify(await signCompensationAuthorization(foreign, CLAIMS)), 'AGENT_UNVERIFIED');
    await refusal(verify(await signGrant(keyring, grantClaims())), 'AGENT_UNVERIFIED');
  });

  test('is not good for an agent whose name leaves no room for the one that undoes', async () => {
    const names = (last: number) => [...Array.from({ length: 3 }, () => 'a'.repeat(62)), 'b'.repeat(last)].join('/');
    const fits = { ...CLAIMS, agent: names(61) };
    expect(fits.agent).toHaveLength(250);
    expect((await verify(await signCompensationAuthorization(keyring, fits))).agent.id).toHaveLength(255);
    const error = await refusal(
      verify(await signCompensationAuthorization(keyring, { ...CLAIMS, agent: names(62) })),
      'AGENT_UNVERIFIED',
    );
    expect(error.message).toContain('longer than 255 characters');
  });

  test.each<[string, object, string]>([
    ['with no cause', { cause: undefined }, 'cause'],
    ['with a cause of no receipt', { cause: { ...CLAIMS.cause, receipt: 'x' } }, 'cause.receipt'],
    ['for no tenant', { tenant: '' }, 'tenant'],
    ['for longer than thirty days', { exp: CLAIMS.exp + 1 }, 'exp'],
    ['that ends when it begins', { exp: IAT }, 'exp'],
  ])('%s is neither signed nor taken from one who has the key', async (_what, change, field) => {
    const claims = { ...CLAIMS, ...change };
    const error = await refusal(signCompensationAuthorization(keyring, claims), 'INTERNAL');
    expect(error.field).toBe(`authorization.${field}`);
    await refusal(verify(forged('grant', 'compensation', claims)), 'AGENT_UNVERIFIED');
  });
});

describe('a change of policy', () => {
  const CLAIMS: PolicyChangeClaims = {
    seq: 3,
    kind: 'promote',
    digest: digestOf('bundle'),
    statements: [digestOf('statement')],
    iat: IAT,
  };
  const WANTED = { seq: 3, digest: CLAIMS.digest, kinds: ['promote', 'rollback'] } as const;

  test('is followed where a worker signed it for this place, policy and kind', async () => {
    const signed = await signPolicyChange(keyring, CLAIMS);
    expect(await openPolicyChange(keyring, signed)).toEqual(CLAIMS);
    await expect(verifyPolicyChange(keyring, signed, WANTED)).resolves.toBeUndefined();
  });

  test.each([
    ['at another place', { ...WANTED, seq: 4 }],
    ['for another policy', { ...WANTED, digest: digestOf('other') }],
    ['for another kind of change', { ...WANTED, kinds: ['shadow'] as const }],
    ['where no kind is wanted', { ...WANTED, kinds: [] }],
  ])('is refused %s', async (_what, wanted) => {
    const error = await refusal(
      verifyPolicyChange(keyring, await signPolicyChange(keyring, CLAIMS), wanted),
      'POLICY_INVALID',
    );
    expect(error).toMatchObject({
      field: 'policy.signed',
      expected: `change ${wanted.seq}, which puts ${wanted.digest} there`,
    });
    expect(error.fix).toContain('promote the policy anew');
  });

  test.each<[string, object]>([
    ['before the first', { seq: 0 }],
    ['of a kind that nobody orders', { kind: 'publish' }],
    ['that nobody ordered', { statements: [] }],
    ['that seventeen people ordered', { statements: Array.from({ length: 17 }, (_, at) => digestOf(String(at))) }],
  ])('%s is neither signed nor taken from one who has the key', async (_what, change) => {
    const claims = { ...CLAIMS, ...change } as PolicyChangeClaims;
    expect(() => signPolicyChange(keyring, claims)).toThrow(/"path"/);
    await refusal(openPolicyChange(keyring, forged('grant', 'policy-change', claims)), 'POLICY_INVALID');
  });

  test('is not taken from anybody else', async () => {
    const foreign = (await newKeys()).keyring;
    await refusal(openPolicyChange(keyring, await signPolicyChange(foreign, CLAIMS)), 'POLICY_INVALID');
    await refusal(openPolicyChange(keyring, forged('receipt', 'policy-change', CLAIMS)), 'POLICY_INVALID');
  });
});

describe('a checkpoint of the trail', () => {
  const CLAIMS: CheckpointClaims = {
    v: 1,
    tenant: 'acme',
    size: 12,
    root: digestOf('root'),
    head: digestOf('head'),
    prev: null,
    iat: IAT,
  };

  test.each([CLAIMS, { ...CLAIMS, tenant: '*', prev: digestOf('before') }])(
    'verifies by the key of receipts',
    async (claims) => {
      expect(await verifyCheckpoint(keyring, await signCheckpoint(keyring, claims))).toEqual(claims);
    },
  );

  test.each<[string, object]>([
    ['of nothing', { size: 0 }],
    ['of another version', { v: 2 }],
    ['of no tenant', { tenant: '' }],
    ['of a tenant with more around its name', { tenant: 'acme\n' }],
    ['of a tenant with a name before its own', { tenant: 'A acme' }],
    ['of two tenants at once', { tenant: '*a' }],
    ['without a root', { root: undefined }],
  ])('%s is neither signed nor taken from one who has the key', async (_what, change) => {
    const claims = { ...CLAIMS, ...change } as CheckpointClaims;
    const error = await refusal(signCheckpoint(keyring, claims), 'INTERNAL');
    expect(error.message).toContain('The checkpoint cannot be signed');
    await refusal(verifyCheckpoint(keyring, forged('receipt', 'checkpoint', claims)), 'TRAIL_BROKEN');
  });

  test('is not taken under another key of a worker', async () => {
    await refusal(verifyCheckpoint(keyring, forged('grant', 'checkpoint', CLAIMS)), 'TRAIL_BROKEN');
  });
});
