/** A person's passkey as it is kept, and where passkeys may be used. */

/** Of WebAuthn's relying party. */
export interface PasskeySettings {
  /** The domain that passkeys are bound to: `approvals.example.com`. */
  readonly rpId: string;
  /** Where the pages are: `https://approvals.example.com`. */
  readonly origins: readonly string[];
}

export interface StoredPasskey {
  readonly tenant: string;
  /** Whose it is. */
  readonly person: string;
  /** WebAuthn's credential id, base64url. */
  readonly credentialId: string;
  /** COSE key (RFC 9052), base64url. */
  readonly publicKey: string;
  /** The signature counter at enrolment; 0 for an authenticator that does not count. */
  readonly counter: number;
  /** What the browser said of how to reach it: `internal`, `usb`, `hybrid`. */
  readonly transports: readonly string[];
  /** RFC 3339 UTC. */
  readonly enrolledAt: string;
  /** From then on nothing that it signs counts. */
  readonly retired?: { readonly at: string; readonly by: string; readonly reason: string };
}
