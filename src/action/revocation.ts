/** A revocation: the id of a credential or delegation that is good for nothing any more. */
export interface Revocation {
  readonly tenant: string;
  readonly jti: string;
  readonly reason: string;
  readonly by: string;
  /** RFC 3339 UTC, the database's time. */
  readonly at: string;
}
