/** The gateway's own tables, in the ledger's database. What they mean and guard is in schema.sql. */
import type { Generated } from 'kysely';
import type { Json } from '../../action/json.js';
import type { JsonText, LedgerTables, TableSet } from '../../ledger/database/index.js';

export const GATEWAY_TABLES: TableSet = {
  versions: 'gateway_versions',
  migrations: { '0001-gateway': new URL('schema.sql', import.meta.url) },
};

/** Beside them the one table of the ledger that ends sessions. */
export interface GatewayTables extends Pick<LedgerTables, 'revocations'> {
  api_keys: {
    id: string;
    secret_hash: string;
    tenant: string;
    agent: string;
    roles: string[];
    scopes: string[];
    owner: string | null;
    created_at: Generated<Date>;
    expires_at: Date;
    last_used_at: Date | null;
    revoked_at: Date | null;
  };
  sessions: {
    /** SHA-256 of what the cookie holds, in hex. */
    id_hash: string;
    tenant: string;
    person: JsonText<Json>;
    jti: string;
    enrolment: string | null;
    enrolment_until: Date | null;
    authenticated_at: Generated<Date>;
    last_seen_at: Generated<Date>;
    expires_at: Date;
    ended_at: Date | null;
  };
  /** Logins that have begun at the identity provider. */
  logins: {
    state_hash: string;
    browser_hash: string;
    nonce: string;
    code_verifier: string;
    return_to: string;
    created_at: Generated<Date>;
    expires_at: Date;
  };
}
