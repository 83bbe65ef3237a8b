/** Controls: how people stop what agents may do, at once, by freezing and revoking. */
import type { Freeze } from '../../action/freeze.js';
import type { Revocation } from '../../action/revocation.js';
import type { Database } from '../database/database.js';
import { against, type Against } from './against.js';
import { freeze, freezes, unfreeze, type FreezeRequest, type Frozen, type LiftRequest } from './freezes.js';
import { revocations, revoke, revoked, type AuthorizedCredential, type RevokeRequest } from './revocations.js';

/** Every method may throw CountersignError LEDGER_UNAVAILABLE (retryable). Further errors are named with each. */
export class Controls {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Stops what the scope names, from the next admission and the next use of a grant on. @throws CountersignError INVALID_INPUT, INVALID_TEXT */
  freeze(request: FreezeRequest): Promise<Freeze> {
    return freeze(this.#database, request);
  }

  /** Lifts a freeze and keeps its record. Lifting it again changes nothing. @throws CountersignError NOT_FOUND */
  unfreeze(id: number, request: LiftRequest): Promise<Freeze> {
    return unfreeze(this.#database, id, request);
  }

  /** By id. Default: lifted ones too. */
  freezes({ activeOnly = false }: { readonly activeOnly?: boolean } = {}): Promise<readonly Freeze[]> {
    return freezes(this.#database, activeOnly);
  }

  /** From the next admission and the next use of a grant on. Idempotent. @throws CountersignError INVALID_INPUT, INVALID_TEXT */
  revoke(request: RevokeRequest): Promise<Revocation> {
    return revoke(this.#database, request);
  }

  revocations(tenant?: string): Promise<readonly Revocation[]> {
    return revocations(this.#database, tenant);
  }

  /** What stands against an action now, as its admission would find it. Admits nothing. */
  against(subject: Frozen & Required<AuthorizedCredential>): Promise<Against> {
    return against(this.#database, subject);
  }

  /** The first revocation that one of these credentials met; undefined when all of them stand. */
  revoked(authority: {
    readonly tenant: string;
    readonly credentials: readonly string[];
  }): Promise<Revocation | undefined> {
    return revoked(this.#database, authority);
  }
}
