/** API keys of agents. The store has of each secret only what SHA-256 makes of it: 256 random bits need no slower hash. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { sql, type Selectable } from 'kysely';
import { z } from 'zod';
import { CountersignError } from '../../action/errors.js';
import type { Database } from '../../ledger/index.js';
import { rolesSchema, scopesSchema } from '../../trust/claims.js';
import { principalSchema, tenantSchema } from '../../trust/claim-schemas.js';
import { hashOf } from '../auth/secrets.js';
import type { GatewayTables } from './tables.js';

const DAY = 86_400;
const DEFAULT_TTL_SECONDS = 90 * DAY;
const MAX_TTL_SECONDS = 3650 * DAY;

/** `csa_<id>_<secret>`: the id is public, the secret 32 bytes in base64url. */
const FORM = /^csa_([a-z0-9]{16})_([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])$/;

const optionsSchema = z.strictObject({
  agent: principalSchema,
  tenant: tenantSchema,
  roles: rolesSchema,
  scopes: scopesSchema,
  owner: principalSchema.optional(),
  ttlSeconds: z.number().int().min(1).max(MAX_TTL_SECONDS).default(DEFAULT_TTL_SECONDS),
});

export interface ApiKeyOptions {
  /** The id that the agent acts under. */
  readonly agent: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  /** What it may name, as in `Agent`. At least one. */
  readonly scopes: readonly string[];
  /** Who answers for it; may neither approve nor resolve its actions. */
  readonly owner?: string | undefined;
  /** Default 90 days; at most 3650 days. */
  readonly ttlSeconds?: number | undefined;
}

/** A key as it may be shown. */
export interface ApiKey {
  readonly id: string;
  readonly agent: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly scopes: readonly string[];
  readonly owner?: string;
  /** By which `countersign revoke` knows it too. */
  readonly jti: string;
  /** RFC 3339 UTC, the database's time, as all times here. */
  readonly createdAt: string;
  readonly expiresAt: string;
  /** To within five minutes. Absent: never. */
  readonly lastUsedAt?: string;
  readonly revokedAt?: string;
}

type Row = Selectable<GatewayTables['api_keys']> & { readonly expired: boolean; readonly seen_lately: boolean };

/** Every method may throw CountersignError LEDGER_UNAVAILABLE. */
export class ApiKeys {
  readonly #database: Database<GatewayTables>;

  constructor(database: Database) {
    this.#database = database.withTables<GatewayTables>();
  }

  /** The key's text is returned here and kept nowhere. @throws CountersignError CONFIG_INVALID naming the field */
  async create(options: ApiKeyOptions): Promise<ApiKey & { readonly text: string }> {
    const parsed = optionsSchema.safeParse(options);
    if (!parsed.success) {
      const field = parsed.error.issues[0]?.path.join('.') || 'key';
      throw new CountersignError('CONFIG_INVALID', `The key cannot be made: ${field} is not of the expected shape.`, {
        field,
        fix: `Correct ${field}.`,
      });
    }
    const { agent, tenant, roles, scopes, owner, ttlSeconds } = parsed.data;
    const id = newId();
    const secret = randomBytes(32).toString('base64url');
    return this.#database.ask(async (kysely) => {
      const row = await kysely
        .insertInto('api_keys')
        .values({
          id,
          secret_hash: hashOf(secret),
          tenant,
          agent,
          roles: [...new Set(roles)],
          scopes: [...new Set(scopes)],
          owner: owner ?? null,
          expires_at: sql<Date>`clock_timestamp() + make_interval(secs => ${ttlSeconds})`,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
      return { ...toApiKey(row), text: `csa_${id}_${secret}` };
    });
  }

  /** The newest first. */
  list(tenant?: string): Promise<readonly ApiKey[]> {
    return this.#database.ask(async (kysely) => {
      const all = kysely.selectFrom('api_keys').selectAll().orderBy('created_at', 'desc').orderBy('id');
      const rows = await (tenant === undefined ? all : all.where('tenant', '=', tenant)).execute();
      return rows.map(toApiKey);
    });
  }

  /** From the next request on. Revoking it again changes nothing. @throws CountersignError NOT_FOUND */
  revoke(id: string): Promise<ApiKey> {
    return this.#database.ask(async (kysely) => {
      const row = await kysely
        .updateTable('api_keys')
        .set({ revoked_at: sql<Date>`coalesce(revoked_at, clock_timestamp())` })
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst();
      if (row !== undefined) return toApiKey(row);
      throw new CountersignError('NOT_FOUND', 'There is no such API key.', {
        field: 'id',
        expected: 'the id of a key: the 16 characters after csa_',
        fix: 'List the keys: countersign api-key list',
      });
    });
  }

  /**
   * Whose key this is.
   *
   * @throws CountersignError UNAUTHENTICATED. That a key expired or was revoked is told to nobody but who has it
   */
  async verify(text: string): Promise<ApiKey> {
    const [, id, secret] = FORM.exec(text) ?? [];
    if (id === undefined || secret === undefined) throw refused('This is not an API key.');
    const [row] = await this.#database.rows({
      name: 'gateway_api_key',
      query: sql<Row>`
        select k.*, k.expires_at <= clock_timestamp() as expired,
          coalesce(k.last_used_at > clock_timestamp() - interval '5 minutes', false) as seen_lately
        from ${this.#database.table('api_keys')} as k
        where k.id = ${id}`,
    });
    // Compared with something also where there is no such key, so that the answer takes as long.
    const kept = Buffer.from(row?.secret_hash ?? hashOf(''), 'hex');
    const same = timingSafeEqual(kept, Buffer.from(hashOf(secret), 'hex'));
    if (row === undefined || !same) throw refused('There is no such API key.');
    if (row.revoked_at !== null) throw refused('The API key was revoked.');
    if (row.expired) throw refused('The API key has expired.');
    if (!row.seen_lately) await this.#seen(id);
    return toApiKey(row);
  }

  async #seen(id: string): Promise<void> {
    await this.#database.ask((kysely) =>
      kysely
        .updateTable('api_keys')
        .set({ last_used_at: sql<Date>`clock_timestamp()` })
        .where('id', '=', id)
        .execute(),
    );
  }
}

/** By which what rests on a key can be revoked. */
function jtiOfApiKey(id: string): string {
  return `api-key/${id}`;
}

function toApiKey(row: Selectable<GatewayTables['api_keys']>): ApiKey {
  return {
    id: row.id,
    agent: row.agent,
    tenant: row.tenant,
    roles: row.roles,
    scopes: row.scopes,
    ...(row.owner === null ? {} : { owner: row.owner }),
    jti: jtiOfApiKey(row.id),
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at.toISOString() }),
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at.toISOString() }),
  };
}

/** 80 random bits: ids are unique, and nobody guesses them. */
function newId(): string {
  return BigInt(`0x${randomBytes(10).toString('hex')}`)
    .toString(36)
    .padStart(16, '0')
    .slice(-16);
}

function refused(message: string): CountersignError {
  return new CountersignError('UNAUTHENTICATED', message, {
    field: 'authorization',
    expected: 'an API key made by `countersign api-key create`',
    fix: 'Send a valid key; an operator makes one with `countersign api-key create`.',
  });
}
