/** Keys, credentials, and everything that is signed with them. */
export { mayDecide, signApproval, verifyApproval } from './approvals.js';
export type { Approval } from './approvals.js';
export { verifyChain } from './chain.js';
export type { ChainPlace, StoredReceipt } from './chain.js';
export {
  decodeCredential,
  encodeCredential,
  issueAgent,
  issueApprover,
  peekCredential,
  readCredential,
} from './credentials.js';
export type { AgentOptions, Credential, CredentialView } from './credentials.js';
export { delegate } from './delegations.js';
export type { DelegateOptions } from './delegations.js';
export { signGrant, openGrant, verifyGrant } from './grants.js';
export { createKeyFile, extractKeys, loadKeyring, readKeyFile } from './key-store.js';
export { generateKeyringFile, parseKeyring, publicKeyring, signingKey } from './keys.js';
export type { Keyring, KeyRole } from './keys.js';
export {
  challengeOf,
  passkeySettingsSchema,
  registrationChallengeOf,
  verifyAssertion,
  verifyEnrolment,
} from './passkeys.js';
export { signProposal, verifyProposal } from './proof.js';
export { hashReceipt, signReceipt, verifyReceipt } from './receipts.js';
export { openSealed, sealRecord, SEAL_KEYS } from './seals.js';
export type { SealedStep } from './seals.js';
export { matchesWildcard, scopeCovers } from './scopes.js';
export { signStatement, verifyStatement } from './statements.js';
export { vouchForAgent, vouchForPerson } from './vouch.js';
export { isWarrant, signWarrant, verifyWarrant, WARRANT_TTL_SECONDS } from './warrants.js';
export type { WarrantClaims } from './warrants.js';
export type { Saying, Statement, StatementOptions } from './statements.js';
