/** Keys, credentials, and everything that is signed with them. */
export { assertMayDecide, signApproval, signedEdit, verifyApproval } from './approvals.js';
export type { Approval, ApprovalAssertion } from './approvals.js';
export { editedSignature, isEdited, verifyEdited } from './edits.js';
export type { Editor } from './edits.js';
export { verifyChain } from './chain.js';
export type { ChainPosition, ChainedReceipt } from './chain.js';
export {
  decodeCredential,
  encodeCredential,
  issueAgent,
  issueApprover,
  peekCredential,
  readCredential,
} from './credentials.js';
export type { AgentOptions, Credential, CredentialView } from './credentials.js';
export { signCheckpoint, verifyCheckpoint } from './checkpoints.js';
export { delegate } from './delegations.js';
export type { DelegateOptions } from './delegations.js';
export { signedEvidence, signFinding, verifyEvidence, verifyFinding } from './findings.js';
export type { FoundEvidence } from './findings.js';
export { assertGrantInTime, openGrant, signGrant } from './grants.js';
export { createKeyFile, extractKeys, loadKeyring, readKeyFile } from './key-store.js';
export { keysInvalid } from './ed25519.js';
export { generateKeyringFile, parseKeyring, publicKeyring } from './key-file.js';
export { signingKey } from './keys.js';
export type { Keyring, KeyRole } from './keys.js';
export { verifyAssertion } from './passkeys/assertion.js';
export { challengeOf, registrationChallengeOf } from './passkeys/challenges.js';
export { verifyEnrolment } from './passkeys/registration.js';
export { passkeySettingsSchema } from './passkeys/settings.js';
export { keyIdOf } from './jws.js';
export { openPolicyChange, signPolicyChange, verifyPolicyChange } from './policy-changes.js';
export { signProposal, verifyProposal } from './proposal-signature.js';
export { hashReceipt, signReceipt, verifyReceipt } from './receipts.js';
export { readSecretFile, refuseOpenFile, throughDraft } from './secret-file.js';
export { openSealed, sealRecord, SEAL_KEYS } from './seals.js';
export type { SealedStep } from './seals.js';
export { matchesWildcard, scopeCovers } from './scopes.js';
export { assertSeparateDuties } from './separate-duties.js';
export { signCommand, verifyCommand } from './signed-commands.js';
export { attestAgent, attestPerson } from './attestation.js';
export {
  isCompensationAuthorization,
  signCompensationAuthorization,
  verifyCompensationAuthorization,
  COMPENSATION_AUTHORIZATION_TTL_SECONDS,
} from './compensation-authorization.js';
export type { CompensationAuthorizationClaims } from './compensation-authorization.js';
export type { Command, CommandInput, CommandOptions } from './commands.js';
export type { SignedCommand } from './signed-commands.js';
