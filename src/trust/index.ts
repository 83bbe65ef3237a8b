/** Keys, credentials, and everything that is signed with them. */
export { mayDecide, signApproval, verifyApproval } from './approvals.js';
export type { Approval, ApprovalAssertion, ApprovalContext, ApprovalOptions, DecidingCase } from './approvals.js';
export { verifyChain } from './chain.js';
export type { ChainOptions, ChainPlace, ChainProblem, ChainReport, StoredReceipt } from './chain.js';
export {
  decodeCredential,
  encodeCredential,
  issueAgent,
  issueApprover,
  peekCredential,
  readCredential,
} from './credentials.js';
export type { AgentOptions, ApproverOptions, Credential, CredentialView } from './credentials.js';
export { delegate } from './delegations.js';
export type { DelegateOptions } from './delegations.js';
export { signGrant, openGrant, verifyGrant } from './grants.js';
export { createKeyFile, extractKeys, loadKeyring, readKeyFile } from './key-store.js';
export type { LoadKeyringOptions } from './key-store.js';
export { generateKeyringFile, KEY_ROLES, parseKeyring, publicKeyring, signingKey } from './keys.js';
export type { Ed25519Jwk, Keyring, KeyringFile, KeyRole, PrivateKey, SigningKey, VerifyingKey } from './keys.js';
export {
  challengeOf,
  passkeySettingsSchema,
  PASSKEY_ALGORITHMS,
  readAssertion,
  registrationChallengeOf,
  verifyAssertion,
  verifyEnrolment,
  verifyRegistration,
} from './passkeys.js';
export type { Assertion, Decided, Registration } from './passkeys.js';
export { signProposal, verifyProposal } from './proof.js';
export type { Proposer } from './proof.js';
export { hashReceipt, signReceipt, verifyReceipt } from './receipts.js';
export { openSealed, sealRecord, SEAL_KEYS } from './seals.js';
export type { SealContext, SealedStep } from './seals.js';
export { matchesWildcard, scopeCovers, scopesNarrower } from './scopes.js';
export type { CredentialKind } from './standing.js';
export { signStatement, verifyStatement } from './statements.js';
export { vouchForAgent, vouchForPerson } from './vouch.js';
export type { Vouching } from './vouch.js';
export { isWarrant, signWarrant, verifyWarrant, WARRANT_TTL_SECONDS } from './warrants.js';
export type { Warrant, WarrantClaims } from './warrants.js';
export type { Said, Saying, Statement, StatementOptions } from './statements.js';
