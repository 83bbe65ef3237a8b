/**
 * What a person signs of what they took from the record: an export of decisions, or what a backtest found. A digest tells that something is
 * as it was written; the signature tells who wrote it, to whoever has the public keys.
 */
import { z } from 'zod';
import { CountersignError } from '../action/errors.js';
import { canonical, digest, type Digest } from '../action/json.js';
import type { PolicyEvidence } from '../action/policy-rollout.js';
import { MAX_CREDENTIAL_BYTES } from './claims.js';
import { CLOCK_TOLERANCE_SECONDS, digestSchema, refusalFactory, seconds, secondsSchema } from './claim-schemas.js';
import { peekCredential, type Credential } from './credentials.js';
import { holderKey, verifyHolder } from './holder.js';
import { openHeld, signToken } from './jws.js';
import type { Keyring } from './keys.js';

const count = z.number().int().min(0);
const exported = { kind: z.literal('export'), digest: digestSchema, decisions: count };
const backtested = {
  kind: z.literal('backtest'),
  candidate: digestSchema,
  baseline: digestSchema,
  report: digestSchema,
  decisions: count,
  /** Of the summary that people see before they promote. */
  summary: digestSchema,
};
const by = { credential: z.string().max(MAX_CREDENTIAL_BYTES), iat: secondsSchema };
const claimsSchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...exported, ...by }),
  z.strictObject({ ...backtested, ...by }),
]);
const findingSchema = z.discriminatedUnion('kind', [z.strictObject(exported), z.strictObject(backtested)]);

type Finding = z.infer<typeof findingSchema>;

/** Who signed a finding, as their credential said when they did. */
interface FindingSigner {
  readonly by: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  /** RFC 3339 UTC. */
  readonly at: string;
  /** Ids of what the signer's standing rests on. */
  readonly credentials: readonly string[];
}

const refuse = refusalFactory('FINDING_INVALID', 'signed');
const form = {
  type: 'finding',
  /** Holds a credential. */
  maxBytes: 32 * 1024,
  claims: claimsSchema,
  refuse,
} as const;

/** @throws CountersignError FINDING_INVALID for a finding of another shape; KEYS_INVALID for a credential that is no approver's */
export async function signFinding(credential: Credential, finding: Finding, now = new Date()): Promise<string> {
  const key = await holderKey(credential, 'approver');
  const parsed = findingSchema.safeParse(finding);
  if (!parsed.success) throw refuse('The finding is not of the expected shape');
  return signToken('finding', { ...parsed.data, credential: credential.token, iat: seconds(now) }, key, undefined);
}

/**
 * Verifies that a person whom the issuer attests signed exactly this. The credential counts as of when they say that they signed: a finding
 * does not expire. Whether it was revoked since, only the ledger tells.
 *
 * @throws CountersignError FINDING_INVALID
 */
export async function verifyFinding(
  keyring: Keyring,
  signed: string,
  finding: Finding,
  now = new Date(),
): Promise<FindingSigner> {
  const { claims, holder } = await openHeld(signed, form, ({ credential, iat, ...said }) =>
    verifyHolder(keyring, { credential }, { kind: 'approver', signs: nameOf(said), now: new Date(iat * 1000), refuse }),
  );
  const { credential: _credential, iat, ...said } = claims;
  if (iat > seconds(now) + CLOCK_TOLERANCE_SECONDS) throw refuse('It was signed in the future');
  if (canonical(said) !== canonical(finding)) {
    throw new CountersignError('FINDING_INVALID', 'The signature is over something else.', {
      field: 'signed',
      expected: `the signature over ${nameOf(finding)}`,
      fix: 'Somebody changed what was signed: ask its signer for it again, or take it from the ledger anew.',
    });
  }
  const { id, tenant, roles, credentials } = holder;
  return { by: id, tenant, roles, at: new Date(iat * 1000).toISOString(), credentials };
}

/** What a backtest found, before it is signed. */
export type FoundEvidence = Omit<PolicyEvidence, 'by' | 'signed' | 'at'>;

/** Evidence as the ledger takes it. @param now when it is signed; default the clock's @throws as `signFinding` does */
export async function signedEvidence(
  credential: Credential,
  found: FoundEvidence,
  now = new Date(),
): Promise<Omit<PolicyEvidence, 'at'>> {
  const signed = await signFinding(credential, findingOf(found), now);
  return { ...found, by: peekCredential(credential).id, signed };
}

/** Verifies that the person that it names signed all of it. @throws CountersignError FINDING_INVALID */
export async function verifyEvidence(
  keyring: Keyring,
  evidence: Omit<PolicyEvidence, 'at'>,
  now = new Date(),
): Promise<FindingSigner> {
  const signer = await verifyFinding(keyring, evidence.signed, findingOf(evidence), now);
  if (signer.by === evidence.by) return signer;
  throw refuse('The evidence was signed by somebody else than it names');
}

function findingOf({ candidate, baseline, report, decisions, summary }: FoundEvidence): Finding {
  return { kind: 'backtest', candidate, baseline, report, decisions, summary: digest(summary) };
}

function nameOf(finding: Finding): Digest {
  return finding.kind === 'export' ? finding.digest : finding.report;
}
