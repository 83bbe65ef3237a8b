/** Findings: whoever relies on an export or on what a backtest found knows who signed exactly that. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { PolicyEvidence } from '../../src/action/policy-rollout.js';
import { attestPerson } from '../../src/trust/attestation.js';
import { issueAgent, issueApprover, type Credential } from '../../src/trust/credentials.js';
import {
  signedEvidence,
  signFinding,
  verifyEvidence,
  verifyFinding,
  type FoundEvidence,
} from '../../src/trust/findings.js';
import type { Keyring } from '../../src/trust/keys.js';
import { digestOf, forge, IAT, later, newKeys, NOW, openUnverified, refusal } from './support.js';

const EXPORT = { kind: 'export', digest: digestOf('export'), decisions: 7 } as const;
const FOUND = {
  candidate: digestOf('candidate'),
  baseline: digestOf('baseline'),
  report: digestOf('report'),
  decisions: 7,
  summary: { changed: 2 },
} as unknown as FoundEvidence;

let keyring: Keyring;
let ann: Credential;
beforeAll(async () => {
  ({ keyring } = await newKeys());
  ann = await issueApprover(keyring, { id: 'ann', tenant: 'acme', roles: ['dba', 'risk'] }, NOW);
});

test('an export tells who signed it, with the standing that they had, and when', async () => {
  const signed = await signFinding(ann, EXPORT, later(5));
  expect(await verifyFinding(keyring, signed, EXPORT, later(5))).toEqual({
    by: 'ann',
    tenant: 'acme',
    roles: ['dba', 'risk'],
    at: '2026-03-01T12:00:05.000Z',
    credentials: [openUnverified(ann.token).payload['jti']],
  });
});

test('it does not expire with the credential of its signer', async () => {
  const signed = await signFinding(ann, EXPORT, NOW);
  expect(await verifyFinding(keyring, signed, EXPORT, later(1000 * 86_400))).toMatchObject({ by: 'ann' });
});

test('one that is signed in the future is refused, beyond what clocks may differ by', async () => {
  const signed = await signFinding(ann, EXPORT, later(60));
  expect(await verifyFinding(keyring, signed, EXPORT, NOW)).toMatchObject({ by: 'ann' });
  const error = await refusal(
    verifyFinding(keyring, await signFinding(ann, EXPORT, later(61)), EXPORT, NOW),
    'FINDING_INVALID',
  );
  expect(error.message).toContain('in the future');
});

test.each([
  ['another export', { ...EXPORT, digest: digestOf('other') }],
  ['more decisions', { ...EXPORT, decisions: 8 }],
])('a signature is not taken for %s', async (_what, finding) => {
  const error = await refusal(
    verifyFinding(keyring, await signFinding(ann, EXPORT, NOW), finding, NOW),
    'FINDING_INVALID',
  );
  expect(error).toMatchObject({ field: 'signed', expected: `the signature over ${finding.digest}` });
  expect(error.fix).toContain('ask its signer for it again');
});

test('what an agent or a foreign issuer signs is no finding', async () => {
  const bot = await issueAgent(keyring, { id: 'bot', tenant: 'acme', roles: [], scopes: ['*'] }, NOW);
  await refusal(signFinding(bot, EXPORT, NOW), 'KEYS_INVALID');
  const foreign = await issueApprover((await newKeys()).keyring, { id: 'ann', tenant: 'acme', roles: ['dba'] }, NOW);
  await refusal(verifyFinding(keyring, await signFinding(foreign, EXPORT, NOW), EXPORT, NOW), 'FINDING_INVALID');
});

test.each<[string, object]>([
  ['with no kind', { ...EXPORT, kind: undefined }],
  ['with a digest that is none', { ...EXPORT, digest: 'sha256:0' }],
  ['with fewer decisions than none', { ...EXPORT, decisions: -1 }],
  ['with half a decision', { ...EXPORT, decisions: 0.5 }],
  ['with anything more', { ...EXPORT, more: 1 }],
  ['of a backtest without its report', { kind: 'backtest', ...FOUND, report: undefined, summary: digestOf('s') }],
])('a finding %s is neither signed nor taken from one who has the key', async (_what, finding) => {
  await refusal(signFinding(ann, finding as typeof EXPORT, NOW), 'FINDING_INVALID');
  const header = { alg: 'EdDSA', typ: 'countersign-finding+jwt' };
  const forged = forge(header, { ...finding, credential: ann.token, iat: IAT }, ann.privateJwk);
  await refusal(verifyFinding(keyring, forged, finding as typeof EXPORT, NOW), 'FINDING_INVALID');
});

describe('a person whom a gateway attests', () => {
  const auth = { method: 'oidc', by: 'https://login.example.com' } as const;
  const attested = (digest: string) =>
    attestPerson(
      keyring,
      { id: 'ann', tenant: 'acme', roles: ['dba'], auth, jti: 'oidc:ann' },
      digest,
      { ttlSeconds: 60 },
      NOW,
    );

  test('signs the one export that they were attested for', async () => {
    const signed = await signFinding(await attested(EXPORT.digest), EXPORT, NOW);
    expect(await verifyFinding(keyring, signed, EXPORT, NOW)).toMatchObject({ by: 'ann' });
    const other = await signFinding(await attested(FOUND.report), EXPORT, NOW);
    await refusal(verifyFinding(keyring, other, EXPORT, NOW), 'FINDING_INVALID');
  });

  test('signs the report of the one backtest that they were attested for', async () => {
    const evidence = await signedEvidence(await attested(FOUND.report), FOUND, NOW);
    expect(await verifyEvidence(keyring, evidence, NOW)).toMatchObject({ by: 'ann' });
    const other = await signedEvidence(await attested(EXPORT.digest), FOUND, NOW);
    await refusal(verifyEvidence(keyring, other, NOW), 'FINDING_INVALID');
  });
});

describe('evidence', () => {
  const signedBy = (by: Credential) => signedEvidence(by, FOUND, NOW);

  test('names its signer, who signed all of it', async () => {
    const evidence = await signedBy(ann);
    expect(evidence).toMatchObject({ ...FOUND, by: 'ann' });
    expect(await verifyEvidence(keyring, evidence, NOW)).toMatchObject({ by: 'ann', roles: ['dba', 'risk'] });
  });

  test.each<[string, Partial<PolicyEvidence>, string]>([
    ['candidate', { candidate: digestOf('other') }, 'over something else'],
    ['baseline', { baseline: digestOf('other') }, 'over something else'],
    ['report', { report: digestOf('other') }, 'over something else'],
    ['count of decisions', { decisions: 8 }, 'over something else'],
    ['summary', { summary: { changed: 0 } }, 'over something else'],
    ['signer', { by: 'olga' }, 'somebody else than it names'],
  ])('is refused with another %s', async (_what, change, said) => {
    const error = await refusal(
      verifyEvidence(keyring, { ...(await signedBy(ann)), ...change }, NOW),
      'FINDING_INVALID',
    );
    expect(error.message).toContain(said);
  });

  test('is not an export, whatever its digests', async () => {
    const { signed } = await signedBy(ann);
    await refusal(verifyFinding(keyring, signed, { ...EXPORT, digest: FOUND.report }, NOW), 'FINDING_INVALID');
  });
});
