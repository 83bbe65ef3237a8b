/** A person's signed decision, bound to the digest of exactly what they saw; and who may give one. */
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';
import type { Requirement } from '../action/decision.js';
import { CountersignError } from '../action/errors.js';
import { digestText, type Digest } from '../action/json.js';
import { VERDICTS, type ApprovalRecord, type Verdict } from '../action/outcome.js';
import type { Agent, Approver } from '../action/principal.js';
import { signedProposalDigest, type Proposal } from '../action/proposal.js';
import { MAX_CREDENTIAL_BYTES, MAX_ATTESTED_PERSON_SECONDS } from './claims.js';
import type { Credential } from './credentials.js';
import { holderKey, verifyHolder } from './holder.js';
import { openHeld, signToken } from './jws.js';
import type { Keyring } from './keys.js';
import { assertionResponseSchema, readAssertion } from './passkeys/assertion.js';
import { challengeOf } from './passkeys/challenges.js';
import {
  actionIdSchema,
  digestSchema,
  reasonSchema,
  refusalFactory,
  seconds,
  secondsSchema,
  tenantSchema,
  typedText,
} from './claim-schemas.js';
import { assertSeparateDuties } from './separate-duties.js';
import { assertInTime, checkedOptions, type StatementKind } from './statements.js';

/** A longer approval is refused unparsed. Holds a credential, 2000 characters of any script and the largest assertion of a passkey. */
export const MAX_APPROVAL_BYTES = 32 * 1024;

const DEFAULT_TTL_SECONDS = 3600;
const MAX_TTL_SECONDS = MAX_ATTESTED_PERSON_SECONDS;

const refuse = refusalFactory('APPROVAL_INVALID', 'approval');
const statement: StatementKind = {
  name: 'approval',
  field: 'approval',
  signer: 'approver',
  renewal: 'Look at the action again and decide anew.',
  refuse,
};

const command = {
  tenant: tenantSchema,
  actionId: actionIdSchema,
  shownDigest: digestSchema,
  verdict: z.enum(VERDICTS),
  reason: reasonSchema.optional(),
  assertion: z.strictObject({ policyDigest: digestSchema, response: assertionResponseSchema }).optional(),
  edit: z.strictObject({ from: digestSchema, to: digestSchema, actionId: actionIdSchema }).optional(),
};
/** Who edits wants the action changed: it is not done as it is. */
const editsAsChange = ({ verdict, edit }: { readonly verdict: Verdict; readonly edit?: unknown }): boolean =>
  edit === undefined || verdict === 'request_changes';

const claimsSchema = z
  .strictObject({
    ...command,
    credential: z.string().max(MAX_CREDENTIAL_BYTES),
    iat: secondsSchema,
    exp: secondsSchema,
  })
  .refine(editsAsChange, { path: ['edit'] });
const optionsSchema = z
  .strictObject({
    ...command,
    ttlSeconds: z.number().int().min(1).max(MAX_TTL_SECONDS).default(DEFAULT_TTL_SECONDS),
  })
  .refine(editsAsChange, { path: ['edit'] });

/** How signed decisions are read, whatever they are read for. */
export const approvalForm = { type: 'approval', maxBytes: MAX_APPROVAL_BYTES, claims: claimsSchema, refuse } as const;

export interface ApprovalOptions {
  readonly tenant: string;
  readonly actionId: string;
  /** Digest of what the person saw (`PendingView.shownDigest`). */
  readonly shownDigest: Digest;
  readonly verdict: Verdict;
  /** In the person's words: 1 to 2000 characters, no control characters but tab and line feed. */
  readonly reason?: string | undefined;
  /** How long the token may be handed in. Default one hour; at most 30 days. */
  readonly ttlSeconds?: number | undefined;
  /** A passkey's word on the same: made for the challenge that `challengeOf` makes of all this. */
  readonly assertion?: ApprovalAssertion | undefined;
  /** With the verdict `request_changes`: what the person made of the proposal themselves. */
  readonly edit?: SignedEdit | undefined;
}

/** The digests of the proposal that was shown and of what a person made of it, both as proposals are signed (`signedProposalDigest`). */
export interface SignedEdit {
  readonly from: Digest;
  readonly to: Digest;
  /** Of the action that is done instead. */
  readonly actionId: string;
}

export interface ApprovalAssertion {
  /** Of the policy that asked for the decision, as it was shown. */
  readonly policyDigest: Digest;
  /** As the browser gave it. What no signature covers is left out. */
  readonly response: AuthenticationResponseJSON;
}

/** What `signApproval` is given of an edit. */
export function signedEdit(original: Proposal, edited: Proposal): SignedEdit {
  return { from: signedProposalDigest(original), to: signedProposalDigest(edited), actionId: edited.actionId };
}

/**
 * @throws CountersignError APPROVAL_INVALID naming the field; PASSKEY_INVALID for an assertion without the shape of one; KEYS_INVALID for a
 *   credential that is not an approver's
 */
export async function signApproval(
  credential: Credential,
  options: ApprovalOptions,
  now = new Date(),
): Promise<string> {
  const key = await holderKey(credential, 'approver');
  const reason = options.reason === undefined ? {} : { reason: typedText(options.reason) };
  const assertion =
    options.assertion === undefined
      ? {}
      : { assertion: { ...options.assertion, response: readAssertion(options.assertion.response) } };
  const { ttlSeconds, ...said } = checkedOptions(optionsSchema, { ...options, ...reason, ...assertion }, statement);
  const iat = seconds(now);
  return signToken('approval', { ...said, credential: credential.token, iat, exp: iat + ttlSeconds }, key, undefined);
}

/** Where an approval must belong. */
export interface ApprovalContext {
  readonly tenant: string;
  readonly actionId: string;
  readonly shownDigest: Digest;
  readonly now: Date;
}

/** A verified approval. What a passkey says with it is not verified yet. */
export interface Approval {
  readonly record: ApprovalRecord;
  readonly approver: Approver;
  readonly edit?: SignedEdit;
  /** `challenge`: what the passkey must have signed. For `verifyAssertion`, and then for `record.passkey`. */
  readonly assertion?: ApprovalAssertion & { readonly challenge: string };
  /** Ids of what the approver's standing rests on: one revoked, and the approval is worth nothing. */
  readonly credentials: readonly string[];
}

/**
 * Verifies that an approver whom the issuer or (for this decision) a gateway attests signed this decision about what is shown now.
 * Whether this person may decide it is for `assertMayDecide`; whether one of `credentials` was revoked, for the ledger.
 *
 * @throws CountersignError APPROVAL_INVALID (forged, expired, or for another tenant or action), or APPROVAL_STALE when it is
 *   authentic but what was shown has changed
 */
export async function verifyApproval(
  keyring: Keyring,
  token: string,
  { tenant, actionId, shownDigest, now }: ApprovalContext,
): Promise<Approval> {
  const { claims, holder } = await openHeld(token, approvalForm, ({ credential, shownDigest: signs }) =>
    verifyHolder(keyring, { credential }, { kind: 'approver', signs, now, refuse }),
  );
  if (holder.tenant !== tenant || claims.tenant !== tenant) throw refuse('The approval is for another tenant');
  if (claims.actionId !== actionId) throw refuse('The approval is for another action');
  assertInTime(claims, now, statement);
  if (claims.shownDigest !== shownDigest) {
    throw new CountersignError('APPROVAL_STALE', 'The approval is for what was shown before; that has changed since.', {
      field: 'approval.shownDigest',
      expected: 'the digest of what is shown now',
      fix: 'Look at the action again and decide anew.',
    });
  }
  const { id, roles, attestation, credentials } = holder;
  const { verdict, reason, assertion, edit, iat } = claims;
  const record: ApprovalRecord = {
    approver: id,
    roles,
    verdict,
    ...(reason === undefined ? {} : { reason }),
    at: new Date(iat * 1000).toISOString(),
    ...(edit === undefined ? {} : { edited: { actionId: edit.actionId, digest: edit.to } }),
    digest: digestText(token),
    ...(attestation === undefined ? {} : { auth: attestation.auth }),
  };
  const said = (policyDigest: Digest): string => challengeOf({ tenant, actionId, shownDigest, policyDigest, verdict });
  return {
    record,
    approver: { id, tenant, roles },
    ...(edit === undefined ? {} : { edit }),
    ...(assertion === undefined ? {} : { assertion: { ...assertion, challenge: said(assertion.policyDigest) } }),
    credentials,
  };
}

export interface DecisionEligibility {
  readonly approver: Approver;
  /** Whose action it is. */
  readonly agent: Pick<Agent, 'id' | 'owner'>;
  readonly requirements: readonly Requirement[];
  /** Whether the agent's owner may decide. The agent itself never may. */
  readonly selfApproval: boolean;
}

/** Passes when this person may decide this action; otherwise throws. @throws CountersignError APPROVAL_FORBIDDEN */
export function assertMayDecide({ approver, agent, requirements, selfApproval }: DecisionEligibility): void {
  assertSeparateDuties({ person: approver.id, agent, selfApproval }, 'approval.approver');
  const wanted = [...new Set(requirements.flatMap(({ roles }) => roles))].sort();
  if (wanted.some((role) => approver.roles.includes(role))) return;
  throw new CountersignError('APPROVAL_FORBIDDEN', 'The approver has none of the roles that may decide this action.', {
    field: 'approval.approver',
    expected: `one of the roles ${wanted.join(', ') || '(none is named)'}`,
    fix: 'Ask somebody who has the role.',
  });
}
